//! Over files, of no bytes in memory, and of a few on disk: what they hold is not the question.

use std::{io, sync::Arc};

use benches::{Context, Result, apply_options, few, switch, tree, unpacked};
use image_build::{BuildOptions, BuildState, Builder, Dockerfile, StatCache};
use image_core::{
    BlobStoreExt, Compression, Ctx, Descriptor, DiffId, History, Image, ImageConfig, ImageEdit, ImageResolver,
    MediaType, MemoryBlobStore, Platform, Timestamp, codec::EncodeOptions,
};
use image_overlay::{
    Changes, DiffOptions, DirectorySize, Entry, EntryKind, ImageSource, ImageTree, LayerBlob, LayerPath, LayerToc,
    Limits, Metadata, PackOptions, Root, TarReader, TarWriter, apply_layer, diff,
};

use crate::curve::Growth;

const IN_MEMORY: u64 = 1_000_000;

/// A layer of so many files.
fn tar(count: u64) -> Result<Vec<u8>> {
    let metadata = |mode| Metadata::new(mode).with_mtime(Timestamp::from_seconds(1_700_000_000));
    let mut writer = TarWriter::new(Vec::new());
    for number in 0..count {
        let directory = LayerPath::parse(format!("usr/dir{:05}", number / 100).as_bytes())?;
        if number.is_multiple_of(100) {
            writer.append(&Entry::new(directory.clone(), EntryKind::Directory, metadata(0o755)), &mut io::empty())?;
        }
        let path = directory.join(format!("file{:02}", number % 100).as_bytes())?;
        writer.append(&Entry::new(path, EntryKind::File { size: 0 }, metadata(0o644)), &mut io::empty())?;
    }
    Ok(writer.finish()?)
}

fn toc(count: u64) -> Result<LayerToc> {
    Ok(LayerToc::read(tar(count)?.as_slice(), &Limits::default(), &Ctx::default())?)
}

/// Puts a layer into a store as it is.
fn put(store: &MemoryBlobStore, tar: &[u8]) -> Result<(Descriptor, DiffId)> {
    let blob = store.put_bytes(tar)?;
    let layer = Descriptor::new(MediaType::layer(Compression::None), blob.digest.clone(), blob.size);
    Ok((layer, DiffId::from_digest(blob.digest)))
}

/// An image of a layer of so many files, and one above it that replaces a quarter of them.
fn replaced(count: u64) -> Result<Image> {
    let store = Arc::new(MemoryBlobStore::default());
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    for files in [count, count / 4] {
        let (layer, diff_id) = put(&store, &tar(files)?)?;
        edit.push_layer(&layer, diff_id, History::new(Timestamp::UNIX_EPOCH, format!("{files} files")));
    }
    Ok(Image::open(store.clone(), &edit.write(&*store)?)?)
}

fn image_tree(count: u64) -> Result<ImageSource> {
    let tar = tar(count)?;
    let toc = LayerToc::read(tar.as_slice(), &Limits::default(), &Ctx::default())?;
    let store = Arc::new(MemoryBlobStore::default());
    let (layer, diff_id) = put(&store, &tar)?;
    let layer = LayerBlob::new(store, layer, diff_id);
    Ok(ImageSource::of_tree(vec![layer], Arc::new(ImageTree::of_layers([&toc])?), std::env::temp_dir()))
}

pub(crate) fn in_memory(growth: &mut Growth) -> Result<()> {
    let ctx = Ctx::default();
    growth.curve("files: read a tar", "files", IN_MEMORY, tar, |tar| {
        let mut reader = TarReader::new(tar.as_slice(), &Limits::default());
        while reader.next_entry()?.is_some() {}
        Ok(reader.drain()?)
    })?;
    growth.curve("files: table of contents", "files", IN_MEMORY, tar, |tar| {
        Ok(LayerToc::read(tar.as_slice(), &Limits::default(), &ctx)?)
    })?;
    let bytes = |count| Ok(toc(count)?.to_bytes());
    growth
        .curve("files: kept table of contents", "files", IN_MEMORY, bytes, |bytes| Ok(LayerToc::from_bytes(bytes)?))?;
    growth.curve("files: tree of one layer", "files", IN_MEMORY, toc, |toc| Ok(ImageTree::of_layers([toc])?))?;
    growth.curve("files: tree of a layer over the same", "files", IN_MEMORY, toc, |toc| {
        Ok(ImageTree::of_layers([toc, toc])?)
    })?;
    growth.curve("files: walk a tree", "files", IN_MEMORY, image_tree, |source| {
        let tree = image_overlay::TreeSource::tree(source);
        Ok(tree.walk(tree.root()).map(|node| node.path().as_bytes().len()).sum::<usize>())
    })?;
    growth.curve("files: sizes of directories", "files", IN_MEMORY, image_tree, |source| {
        Ok(DirectorySize::of_tree(image_overlay::TreeSource::tree(source), 100))
    })?;
    let pair = |count| Ok((image_tree(count)?, image_tree(count)?));
    growth.curve("files: diff of two trees", "files", IN_MEMORY, pair, |(lower, upper)| {
        Ok(diff(lower, upper, &DiffOptions::default(), &ctx)?.len())
    })?;
    growth.curve("files: pack", "files", IN_MEMORY, image_tree, |source| {
        let options = PackOptions::default().with_encode(EncodeOptions::new(Compression::Zstd).with_level(1));
        Ok(Changes::whole(source).pack(&MemoryBlobStore::default(), options, &ctx)?)
    })
}

/// A context, an empty state, and a Dockerfile that copies all of the one.
fn build(context: &Context, state: &BuildState) -> Result<usize> {
    let dockerfile =
        Dockerfile::parse("FROM scratch AS one\nCOPY . /src/\nFROM scratch\nCOPY --from=one /src/ /srv/\n")?;
    let encode = EncodeOptions::new(Compression::Zstd).with_level(1);
    let (files, bases) = (context.open()?, Vec::<&dyn ImageResolver>::new());
    let (output, options) = (MemoryBlobStore::default(), BuildOptions::default().with_encode(encode));
    Ok(Builder::new(state, &files, &bases).build(&dockerfile, &options, &output, &Ctx::default())?.done)
}

pub(crate) fn on_disk(growth: &mut Growth) -> Result<()> {
    let ctx = Ctx::default();
    let most = match switch("BENCH_GROWTH_FILES") {
        Some(number) => number.to_str().ok_or("BENCH_GROWTH_FILES is no number")?.parse()?,
        None => 64_000,
    };
    growth.curve("files: apply to a directory", "files", most, tar, |tar| {
        let directory = tempfile::tempdir()?;
        apply_layer(tar.as_slice(), &Root::open(directory.path())?, &apply_options(), &ctx)?;
        Ok(directory)
    })?;
    growth.curve("files: unpack, a quarter of them replaced", "files", most, replaced, unpacked)?;
    let context = |count| Context::of(&few(u32::try_from(count)?)?);
    growth.curve("files: scan a directory", "files", most, context, |context| tree(&context.path()))?;
    growth.curve("files: fingerprint, nothing known", "files", most, context, |context| {
        let known = tempfile::tempdir()?;
        context.open()?.fingerprint(&["."], Some(&StatCache::open(known.path())?), &ctx)?;
        Ok(known)
    })?;
    let known = |count| {
        let context = context(count)?;
        context.open()?.fingerprint(&["."], Some(&StatCache::open(context.beside("known"))?), &ctx)?;
        Ok(context)
    };
    growth.curve("files: fingerprint, all known", "files", most, known, |context| {
        Ok(context.open()?.fingerprint(&["."], Some(&StatCache::open(context.beside("known"))?), &ctx)?)
    })?;
    growth.curve("files: build, nothing cached", "files", most, context, |context| {
        let state = tempfile::tempdir()?;
        build(context, &BuildState::open(state.path())?)?;
        Ok(state)
    })?;
    let built = |count| {
        let context = context(count)?;
        let state = BuildState::open(context.beside("state"))?;
        build(&context, &state)?;
        Ok((context, state))
    };
    growth.curve("files: build, all cached", "files", most, built, |(context, state)| build(context, state))
}
