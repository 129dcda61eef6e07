//! Hashing what is written on a thread of its own.

use std::{
    io::{self, Write},
    mem,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use image_core::hasher::Hasher;

/// How many bytes are handed over at once.
const CHUNK: usize = 256 << 10;
/// How many chunks may wait.
const AHEAD: usize = 8;

/// Writes to the writer below and has hashed what that took, meanwhile.
///
/// The thread is started with the first chunk that is full; where the system has none, the calling thread hashes.
pub(crate) struct HashingThread<W> {
    inner: W,
    chunk: Vec<u8>,
    state: State,
}

enum State {
    Here(Hasher),
    Aside(Aside),
}

struct Aside {
    /// Dropped first to end the thread.
    chunks: Option<SyncSender<Vec<u8>>>,
    /// Chunks to be used again.
    spare: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<Hasher>>,
}

impl<W> HashingThread<W> {
    pub(crate) fn new(inner: W, hasher: Hasher) -> Self {
        Self { inner, chunk: Vec::new(), state: State::Here(hasher) }
    }

    /// The writer below, and the hasher with all that was written.
    ///
    /// # Errors
    /// Where the thread ended early.
    pub(crate) fn into_parts(self) -> io::Result<(W, Hasher)> {
        let mut hasher = match self.state {
            State::Here(hasher) => hasher,
            State::Aside(mut aside) => aside.end().ok_or_else(thread_lost)?,
        };
        hasher.update(&self.chunk);
        Ok((self.inner, hasher))
    }

    /// Has a full chunk hashed.
    fn hand_over(&mut self) -> io::Result<()> {
        if let State::Here(hasher) = &mut self.state {
            match Aside::start(hasher.clone()) {
                Ok(aside) => self.state = State::Aside(aside),
                Err(_) => {
                    hasher.update(&self.chunk);
                    self.chunk.clear();
                    return Ok(());
                }
            }
        }
        let State::Aside(aside) = &self.state else { return Ok(()) };
        let next = aside.spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        let chunk = mem::replace(&mut self.chunk, next);
        let sent = aside.chunks.as_ref().is_some_and(|chunks| chunks.send(chunk).is_ok());
        if sent { Ok(()) } else { Err(thread_lost()) }
    }
}

impl<W: Write> Write for HashingThread<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buf)?;
        let mut rest = buf.get(..count).unwrap_or(buf);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            rest = later;
            if self.chunk.len() == CHUNK {
                self.hand_over()?;
            }
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Aside {
    fn start(hasher: Hasher) -> io::Result<Self> {
        let (chunks, filled) = sync_channel(AHEAD);
        let (used, spare) = channel();
        let thread = thread::Builder::new().name("hash".to_owned()).spawn(move || hash(hasher, &filled, &used))?;
        Ok(Self { chunks: Some(chunks), spare, thread: Some(thread) })
    }

    /// Waits for the thread, which has at most a few chunks to go; `None` where it panicked.
    fn end(&mut self) -> Option<Hasher> {
        self.chunks = None;
        self.thread.take()?.join().ok()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        drop(self.end());
    }
}

fn hash(mut hasher: Hasher, chunks: &Receiver<Vec<u8>>, used: &Sender<Vec<u8>>) -> Hasher {
    for mut chunk in chunks {
        hasher.update(&chunk);
        chunk.clear();
        // Nobody needs it where all was written.
        drop(used.send(chunk));
    }
    hasher
}

fn thread_lost() -> io::Error {
    io::Error::other("a hashing thread ended early")
}
