//! A stream read ahead.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};

/// Bytes of one piece of a stream.
const PIECE: usize = 256 << 10;
/// How many pieces may wait to be used.
const AHEAD: usize = 8;

/// Bytes that were read: the first `length` of the buffer.
struct Piece {
    buffer: Box<[u8]>,
    length: usize,
}

/// Lets `consume` read what a thread of its own reads from `reader`, some 2 MiB ahead of it: so what costs time there, such
/// as decompressing and verifying, and what `consume` does happen at once. Where no thread can be had, it reads from
/// `reader` itself.
///
/// What `consume` gets are the bytes, the end and the errors of `reader`, in order. When it is done, no more is read.
///
/// ```
/// use image_core::parallel::read_ahead;
/// use std::io::Read;
/// let mut text = String::new();
/// read_ahead(&b"a layer"[..], |ahead| ahead.read_to_string(&mut text))?;
/// assert_eq!(text, "a layer");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_ahead<T>(mut reader: impl Read + Send, consume: impl FnOnce(&mut dyn Read) -> T) -> T {
    thread::scope(|scope| {
        let (pieces, filled) = sync_channel(AHEAD);
        let (spare, emptied) = channel();
        let (start, started) = channel();
        let spawned = thread::Builder::new().name("read-ahead".to_owned()).spawn_scoped(scope, move || {
            if let Ok(mut reader) = started.recv() {
                fill(&mut reader, &pieces, &emptied);
            }
        });
        if spawned.is_err() {
            return consume(&mut reader);
        }
        // It waits for it, and fails only where it is gone.
        drop(start.send(reader));
        consume(&mut Ahead { filled, spare, piece: None, start: 0 })
    })
}

/// Reads until the end, which an empty piece tells, an error, or nobody wants more.
fn fill(reader: &mut impl Read, pieces: &SyncSender<io::Result<Piece>>, emptied: &Receiver<Box<[u8]>>) {
    loop {
        let mut buffer = emptied.try_recv().unwrap_or_else(|_| vec![0; PIECE].into());
        let mut length = 0;
        let result = loop {
            let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) else { break Ok(()) };
            match reader.read(rest) {
                Ok(0) => break Ok(()),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let is_last = length == 0 || result.is_err();
        if (length > 0 || result.is_ok()) && pieces.send(Ok(Piece { buffer, length })).is_err() {
            return;
        }
        if let Err(error) = result {
            // Fails only where nobody is left to be told.
            drop(pieces.send(Err(error)));
        }
        if is_last {
            return;
        }
    }
}

/// What was read, in order.
struct Ahead {
    filled: Receiver<io::Result<Piece>>,
    spare: Sender<Box<[u8]>>,
    piece: Option<Piece>,
    /// How much of the piece was used.
    start: usize,
}

impl Read for Ahead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let is_used = |piece: &Piece| piece.length > 0 && self.start == piece.length;
        if self.piece.as_ref().is_none_or(is_used) {
            if let Some(used) = self.piece.take() {
                // Fails only where all was read, and no buffer is needed.
                drop(self.spare.send(used.buffer));
            }
            let ended = |_| io::Error::other("an earlier read failed");
            self.piece = Some(self.filled.recv().map_err(ended)??);
            self.start = 0;
        }
        let Some(piece) = &self.piece else { return Ok(0) };
        let count = piece.buffer.get(self.start..piece.length).unwrap_or_default().read(buf)?;
        self.start += count;
        Ok(count)
    }
}
