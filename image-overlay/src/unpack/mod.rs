//! Unpacking an image: all its layers to one root file system.
//!
//! From the top down, so that what upper layers hide is never written; where a layer has what only makes sense above the ones
//! below it, once more from the lowest layer up.
//!
//! - `decode`: reads, verifies and decompresses the layers on a thread of its own, ahead of the writing.
//! - `destination`: where the tree is built, and how it becomes visible.
//! - `temporary`: the directory in which it is built, and what a killed process left of one.

mod decode;
mod destination;
mod options;
mod temporary;

use std::{path::Path, thread};

use image_core::{
    Ctx, Image,
    document::MAX_LAYERS,
    image::Layer,
    observer::{Outcome, TaskKind},
};

pub(crate) use self::decode::decoder;
pub use self::options::UnpackOptions;
use self::{
    decode::{LayerStreams, decode_layers, queue},
    destination::Destination,
};
use crate::{
    apply::{Applied, ApplyOptions, Stop, Target, Told, Veil, apply_stream, prepare_root},
    content::damage_or,
    error::{Error, Result},
    root::Root,
};

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Unpacked {
    /// Layers.
    pub layers: usize,
    /// Entries of all layers, markers among them.
    pub entries: u64,
    /// Bytes of files' content that were written, without holes: of what is left of the layers, or, where they had to be laid one
    /// over the other, of all of them.
    pub content_bytes: u64,
}

/// Unpacks all layers of an image to `dest`, which must be absent or an empty directory, in a directory that is there.
///
/// Everything is verified: the size and digest of each blob, the checksums of its compression, and
/// the diffID over all bytes of the plain layer, those behind the end of the tar included.
///
/// The tree is built beside `dest`, as `.NAME.unpack-…`, and renamed when it is whole: until then `dest`
/// is as it was, and after an error or a cancellation nothing is left. A process that is killed leaves
/// the directory beside it, which hinders nobody and may be removed. Where `dest` cannot be
/// renamed over, since it is a mount point or a link, the tree is built in it and
/// cleared away after an error.
///
/// The upper layers are written first, and of lower ones what these do not hide. Where that would make another tree than the layers
/// laid one over the other (a path that leads through a symbolic link of a lower layer, a hard link to a file of one or to a hidden
/// one, a path that stands twice, half a million directories and hidden entries), all is cleared away and done once more from the lowest layer up; notices may then be given twice.
/// With [`Strictness::Strict`](crate::Strictness::Strict), [`DirLinks::Keep`](crate::DirLinks::Keep) or a filter it is done so at once.
///
/// The root directory has the attributes that the last layer with an entry for it says; without any,
/// mode 0755, of root, time 0. Beyond that, layers are applied as [`apply_layer`](crate::apply_layer) does.
/// Nothing is synced to the medium.
///
/// An observer is told of one task of kind [`Verify`](image_core::observer::TaskKind::Verify) for all layers, in bytes of blobs with the
/// total of them, and meanwhile of one of kind [`Extract`](image_core::observer::TaskKind::Extract) for each layer, in entries and bytes of files.
///
/// # Errors
/// [`Error::Destination`]; [`Error::Layer`] around what is wrong with a layer, which is
/// [`Error::is_corrupt`], [`Error::is_not_found`] where its blob is missing, or names the entry;
/// [`Error::is_cancelled`].
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Applying Changesets; config.md, § Layer DiffID;
/// descriptor.md, § Verification.
pub fn unpack(image: &Image, dest: &Path, options: &UnpackOptions, ctx: &Ctx) -> Result<Unpacked> {
    if image.layers().len() > MAX_LAYERS {
        return Err(image_core::Error::limit("layers of the image", MAX_LAYERS as u64).into());
    }
    let destination = Destination::prepare(dest)?;
    match unpack_layers(image, &destination, options, ctx) {
        Ok(unpacked) => destination.finish(ctx).map(|()| unpacked),
        Err(error) => {
            destination.discard(ctx);
            Err(error)
        }
    }
}

fn unpack_layers(image: &Image, destination: &Destination, options: &UnpackOptions, ctx: &Ctx) -> Result<Unpacked> {
    let mut layers: Vec<Layer<'_>> = image.layers().collect();
    if options.may_descend(layers.len()) {
        layers.reverse();
        let mut veil = Veil::default();
        match unpack_in_order(image, &layers, destination.root(), options, Some(&mut veil), ctx) {
            Err(stop) if stop.is_unordered => destination.clear(ctx)?,
            result => return result.map_err(|stop| stop.error),
        }
        layers.reverse();
    }
    unpack_in_order(image, &layers, destination.root(), options, None, ctx).map_err(|stop| stop.error)
}

/// Unpacks layers in this order, which is from the top down where there is a veil.
fn unpack_in_order(
    image: &Image,
    layers: &[Layer<'_>],
    root: &Root,
    options: &UnpackOptions,
    mut veil: Option<&mut Veil>,
    ctx: &Ctx,
) -> Result<Unpacked, Stop> {
    prepare_root(root, &options.apply)?;
    let (pieces, streams) = queue();
    thread::scope(|scope| {
        thread::Builder::new()
            .name("unpack-decode".to_owned())
            .spawn_scoped(scope, move || decode_layers(image, layers, options, &pieces, ctx))
            .map_err(|e| image_core::Error::stream("start a thread", e))?;
        // Gone with this, so that the thread ends.
        let mut streams = streams;
        let mut unpacked = Unpacked::default();
        let mut told = Told::above(&options.apply);
        for layer in layers {
            let target = match veil.as_deref_mut() {
                Some(veil) => Target::Beneath { root, veil },
                None => Target::Plain(root),
            };
            let applied = apply_one(layer, target, &options.apply, &mut streams, &mut told, ctx);
            let applied = applied.map_err(|stop| in_layer(image, layer, stop, ctx))?;
            if let Some(veil) = &mut veil {
                veil.next_layer();
            }
            unpacked.layers += 1;
            unpacked.entries += applied.entries;
            unpacked.content_bytes += applied.content_bytes;
        }
        Ok(unpacked)
    })
}

fn apply_one(
    layer: &Layer<'_>,
    target: Target<'_>,
    options: &ApplyOptions,
    streams: &mut LayerStreams,
    told: &mut Told,
    ctx: &Ctx,
) -> Result<Applied, Stop> {
    let task = ctx.begin(TaskKind::Extract, &layer.descriptor.digest.to_string(), None);
    let applied = apply_stream(streams.next_layer(), target, options, told, &task, ctx)?;
    task.end(Outcome::Done);
    Ok(applied)
}

fn in_layer(image: &Image, layer: &Layer<'_>, stop: Stop, ctx: &Ctx) -> Stop {
    if stop.is_unordered || stop.error.is_cancelled() {
        return stop;
    }
    let source = Box::new(damage_or(stop.error, image.source(), layer.descriptor, ctx));
    Error::Layer { position: layer.position, digest: layer.descriptor.digest.clone(), source }.into()
}
