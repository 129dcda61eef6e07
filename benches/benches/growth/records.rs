//! Over records of a cache, steps, names and blobs.

use std::fs;

use benches::{Result, dockerfile, steps};
use image_build::{
    BuildContext, BuildOptions, BuildState, Builder, Dockerfile, Ignore, MemoryContext,
    cache::{
        ArtifactRecordStore, DirRecordStore, ExpiryPolicy, IngredientKind, MemoryRecordStore, Recipe, Record,
        RecordStore, RunMode, expire, find,
    },
};
use image_core::{
    Ctx, Descriptor, Digest, Document, FsBlobStore, ImageIndex, ImageManifest, ImageResolver, MediaType,
    MemoryBlobStore, Timestamp,
    blob::{BlobSource, BlobStoreExt},
    gc::{self, GcOptions, Root, Roots},
};
use image_layout::OciLayout;
use tempfile::TempDir;

use crate::curve::Growth;

const MOST: u64 = 100_000;

fn recipe(number: u64) -> Recipe {
    let digest = Digest::sha256_of(&number.to_le_bytes());
    Recipe::new().with_text(IngredientKind::Instruction, "instruction", "RUN make").with_digest(
        IngredientKind::Parent,
        "parent",
        digest,
    )
}

fn put(store: &impl RecordStore, count: u64) -> Result<()> {
    (0..count).try_for_each(|number| store.put(&Record::new(recipe(number), Timestamp::UNIX_EPOCH)))?;
    Ok(())
}

fn find_all(store: &impl RecordStore, count: u64) -> Result<()> {
    for number in 0..count {
        find(store, &[recipe(number)])?.ok_or("a record is missing")?;
    }
    Ok(())
}

fn directory(count: u64) -> Result<(u64, TempDir, DirRecordStore)> {
    let directory = tempfile::tempdir()?;
    let store = DirRecordStore::open(directory.path())?;
    put(&store, count)?;
    Ok((count, directory, store))
}

pub(crate) fn of_caches(growth: &mut Growth) -> Result<()> {
    let ctx = Ctx::default();
    let policy = ExpiryPolicy::default().with_max_count(10);
    growth.curve("records: put and find each in memory", "records", MOST, Ok, |count| {
        let store = MemoryRecordStore::default();
        put(&store, *count)?;
        find_all(&store, *count)
    })?;
    growth.curve("records: put each in a directory", "records", MOST, Ok, |count| directory(*count))?;
    growth.curve("records: find each in a directory", "records", MOST, directory, |(count, _, store)| {
        find_all(store, *count)
    })?;
    growth.curve("records: expire all but ten, a dry run", "records", MOST, directory, |(_, _, store)| {
        Ok(expire(store, &policy, RunMode::Dry, ctx.now())?)
    })?;
    growth.curve("records: as an artifact", "records", MOST / 10, Ok, |count| {
        let blobs = MemoryBlobStore::default();
        let empty = ArtifactRecordStore::default();
        put(&empty, *count)?;
        let artifact = empty.save(&blobs, &blobs, &ctx)?;
        find_all(&ArtifactRecordStore::open(&blobs, &artifact)?, *count)
    })?;
    let texts = |count: u64| Ok(dockerfile(usize::try_from(count)?));
    growth.curve("lines: parse a Dockerfile", "lines", 32_000, texts, |text| Ok(Dockerfile::parse(text)?))?;
    let bases = Vec::<&dyn ImageResolver>::new();
    let build = |dockerfile: &Dockerfile, state: &BuildState| -> Result<usize> {
        let context = BuildContext::from_source(MemoryContext::new(), Ignore::default());
        let builder = Builder::new(state, &context, &bases);
        Ok(builder.build(dockerfile, &BuildOptions::default(), &MemoryBlobStore::default(), &ctx)?.done)
    };
    let dockerfile = |count| Ok(Dockerfile::parse(steps(count))?);
    growth.curve("steps: build, nothing cached", "steps", 16_000, dockerfile, |dockerfile| {
        let directory = tempfile::tempdir()?;
        build(dockerfile, &BuildState::open(directory.path())?)?;
        Ok(directory)
    })?;
    let built = |count| {
        let (directory, dockerfile) = (tempfile::tempdir()?, dockerfile(count)?);
        let state = BuildState::open(directory.path())?;
        build(&dockerfile, &state)?;
        Ok((dockerfile, state, directory))
    };
    growth.curve("steps: build, all cached", "steps", 16_000, built, |(dockerfile, state, _)| build(dockerfile, state))
}

/// One root.
struct One(Descriptor);

impl Roots for One {
    fn roots(&self) -> image_core::Result<Vec<Root>> {
        Ok(vec![Root::new("all", self.0.clone(), Timestamp::UNIX_EPOCH)])
    }

    fn forget(&self, _: &[Root]) -> image_core::Result<Vec<Root>> {
        Ok(Vec::new())
    }
}

/// A store of small blobs, which one index needs.
fn store(count: u64) -> Result<(FsBlobStore, One, TempDir)> {
    let directory = tempfile::tempdir()?;
    let store = FsBlobStore::create(directory.path())?;
    // Without syncing: nobody else is there.
    let write = |bytes: &[u8], media_type| -> Result<Descriptor> {
        let digest = Digest::sha256_of(bytes);
        fs::write(directory.path().join("blobs/sha256").join(digest.encoded()), bytes)?;
        Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
    };
    if store.stat(&Digest::sha256_of(b"{}"))?.is_none() {
        store.put_bytes(b"{}")?;
    }
    let config = Descriptor::new(MediaType::OciConfig, Digest::sha256_of(b"{}"), 2);
    let mut manifests = Vec::new();
    for first in (0..count).step_by(50) {
        let layers = (first..count.min(first + 50)).map(|number| write(&number.to_le_bytes(), MediaType::OciLayer));
        let manifest = Document::new(ImageManifest::new(config.clone(), layers.collect::<Result<_>>()?))?;
        manifests.push(write(manifest.bytes(), MediaType::OciManifest)?);
    }
    let index = Document::new(ImageIndex::new(manifests))?;
    let root = write(index.bytes(), MediaType::OciIndex)?;
    Ok((store, One(root), directory))
}

/// A layout in which one image has so many names.
fn named(count: u64) -> Result<(OciLayout, TempDir)> {
    let directory = tempfile::tempdir()?;
    let layout = OciLayout::create(directory.path().join("layout"))?;
    let config = Descriptor::new(MediaType::OciConfig, layout.blobs().put_bytes(b"{}")?.digest, 2);
    let manifest = Document::new(ImageManifest::new(config, Vec::new()))?;
    layout.blobs().put_document(&manifest)?;
    let descriptor = manifest.descriptor(MediaType::OciManifest);
    layout.update_index(|index| {
        let named = (0..count).map(|number| {
            descriptor.clone().with_annotation("org.opencontainers.image.ref.name", format!("image-{number}:1.0"))
        });
        index.manifests.extend(named);
        Ok(())
    })?;
    Ok((layout, directory))
}

pub(crate) fn of_blobs(growth: &mut Growth) -> Result<()> {
    let ctx = Ctx::default();
    let options = GcOptions::default().with_grace(std::time::Duration::ZERO).with_dry_run();
    growth.curve("blobs: collect nothing, a dry run", "blobs", MOST, store, |(store, root, _)| {
        Ok(gc::collect(store, &[root], &options, &ctx)?)
    })?;
    growth.curve("names: list those of a layout", "names", 16_000, named, |(layout, _)| Ok(layout.tags()?))?;
    growth.curve("names: resolve one in a layout", "names", 16_000, named, |(layout, _)| {
        Ok(layout.resolve("image-0:1.0")?)
    })
}
