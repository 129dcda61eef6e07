//! Layers as plain streams, read, verified and decompressed ahead of whoever applies them.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
};

use image_core::{
    BlobSourceExt, Compression, Ctx, Descriptor, DiffId, Image,
    codec::Decoder,
    hasher::Hasher,
    image::Layer,
    observer::{NoticeKind, Outcome, Task, TaskKind},
};

use super::UnpackOptions;
use crate::{
    apply::Strictness,
    counted::Counted,
    error::{Error, Result},
    filled::fill,
};

/// Bytes of one piece of a stream.
const PIECE: usize = 256 << 10;
/// How many pieces may be ahead.
const AHEAD: usize = 16;

/// What the decoding thread hands over.
enum Piece {
    /// Bytes of the layer at hand: the first `length` of the buffer.
    Data { buffer: Box<[u8]>, length: usize },
    /// The layer at hand is whole and was verified.
    End,
}

/// Where decoded pieces go.
pub(super) struct Pieces {
    pieces: SyncSender<Result<Piece>>,
    spare: Receiver<Box<[u8]>>,
}

/// Where they come out, layer by layer.
pub(super) struct LayerStreams {
    pieces: Receiver<Result<Piece>>,
    spare: Sender<Box<[u8]>>,
}

/// The two ends of a bounded queue, whose buffers are used again.
pub(super) fn queue() -> (Pieces, LayerStreams) {
    let (pieces_in, pieces_out) = sync_channel(AHEAD);
    let (spare_in, spare_out) = channel();
    (Pieces { pieces: pieces_in, spare: spare_out }, LayerStreams { pieces: pieces_out, spare: spare_in })
}

/// Decodes these layers of an image in order, until one fails or nobody wants more.
pub(super) fn decode_layers(image: &Image, layers: &[Layer<'_>], options: &UnpackOptions, out: &Pieces, ctx: &Ctx) {
    let total = layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.descriptor.size));
    let task = ctx.begin(TaskKind::Verify, "layers", Some(total));
    for layer in layers {
        let last = match decode_layer(image, layer, options, out, &task, ctx) {
            Ok(Flow::Wanted) => out.pieces.send(Ok(Piece::End)),
            Ok(Flow::Unwanted) => return,
            Err(error) => {
                // Fails only where nobody is left to be told.
                drop(out.pieces.send(Err(error)));
                return;
            }
        };
        if last.is_err() {
            return;
        }
    }
    task.end(Outcome::Done);
}

/// Whether anybody still reads.
enum Flow {
    Wanted,
    Unwanted,
}

/// Decodes a layer's blob, to be read as a plain stream. Where it is compressed otherwise than its media type says,
/// that is told, or refused by the [strict](Strictness::Strict).
pub(crate) fn decoder<R: Read>(blob: R, layer: &Descriptor, options: &UnpackOptions, ctx: &Ctx) -> Result<Decoder<R>> {
    let media_type = &layer.media_type;
    let declared = media_type.layer_compression().unwrap_or(Compression::None);
    let decoder = Decoder::detect(blob, declared, &options.decode)?;
    let actual = decoder.compression();
    if actual != declared {
        if options.apply.strictness == Strictness::Strict {
            return Err(Error::OtherCompression { media_type: media_type.clone(), actual });
        }
        let message = format!("the media type is {media_type}, but it is {actual}");
        ctx.notice(NoticeKind::Altered, &layer.digest.to_string(), &message);
    }
    Ok(decoder)
}

fn decode_layer(
    image: &Image,
    layer: &Layer<'_>,
    options: &UnpackOptions,
    out: &Pieces,
    task: &Task<'_>,
    ctx: &Ctx,
) -> Result<Flow> {
    let blob = Counted::new(image.source().open_verified(layer.descriptor)?, task);
    let mut decoder = decoder(blob, layer.descriptor, options, ctx)?;
    let mut hasher = Hasher::for_digest(layer.diff_id.as_digest())?;
    loop {
        ctx.check()?;
        let mut buffer = out.spare.try_recv().unwrap_or_else(|_| vec![0; PIECE].into());
        let length = fill(&mut decoder, &mut buffer).map_err(|e| Error::stream("read the layer", e))?.len();
        if length == 0 {
            break;
        }
        hasher.update(buffer.get(..length).unwrap_or_default());
        if out.pieces.send(Ok(Piece::Data { buffer, length })).is_err() {
            return Ok(Flow::Unwanted);
        }
    }
    // The decoder has read the blob to its end, and so had it verified; this makes it certain.
    decoder.into_inner().into_inner().drain()?;
    let actual = hasher.finish();
    if &actual != layer.diff_id.as_digest() {
        let actual = DiffId::from_digest(actual);
        return Err(Error::DiffIdMismatch { expected: layer.diff_id.clone(), actual });
    }
    Ok(Flow::Wanted)
}

impl LayerStreams {
    /// The next layer's plain stream; it must be read to its end before the one after it.
    pub(super) fn next_layer(&mut self) -> LayerStream<'_> {
        LayerStream { streams: self, buffer: Box::default(), start: 0, end: 0, ended: false }
    }
}

/// One layer's plain stream. Its end is reached only where all of it was verified.
pub(super) struct LayerStream<'a> {
    streams: &'a mut LayerStreams,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
}

impl LayerStream<'_> {
    fn refill(&mut self) -> io::Result<()> {
        let used = std::mem::take(&mut self.buffer);
        if !used.is_empty() {
            // Fails only where the decoder has finished, and needs no buffers.
            drop(self.streams.spare.send(used));
        }
        (self.start, self.end) = (0, 0);
        match self.streams.pieces.recv() {
            Ok(Ok(Piece::Data { buffer, length })) => (self.buffer, self.end) = (buffer, length),
            Ok(Ok(Piece::End)) => self.ended = true,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(io::Error::other("the layer was not decoded to its end")),
        }
        Ok(())
    }
}

impl Read for LayerStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && !self.ended {
            self.refill()?;
        }
        let mut rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        let n = rest.read(buf)?;
        self.start += n;
        Ok(n)
    }
}
