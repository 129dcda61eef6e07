//! Collecting 100,000 blobs, beside listing them by `find -type f`.
//!
//! A collection removes half of them; making the other half anew is not measured.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use image_core::{
    Ctx, Descriptor, Digest, Document, ImageIndex, ImageManifest, MediaType, Result, Timestamp,
    blob::{BlobStoreExt, FsBlobStore},
    gc::{self, GcOptions, Root, Roots},
};

const BLOBS: u32 = 100_000;
const LAYERS: usize = 50;

/// One root.
struct One(Descriptor);

impl Roots for One {
    fn roots(&self) -> Result<Vec<Root>> {
        Ok(vec![Root::new("all", self.0.clone(), Timestamp::UNIX_EPOCH)])
    }

    fn forget(&self, _: &[Root]) -> Result<Vec<Root>> {
        Ok(Vec::new())
    }
}

/// Writes small blobs as plain files: nobody else is there.
fn fill(directory: &Path, numbers: std::ops::Range<u32>) -> Vec<Descriptor> {
    let blob = |number: u32| {
        let content = number.to_le_bytes();
        let digest = Digest::sha256_of(&content);
        fs::write(directory.join(digest.encoded()), content).expect("a small file");
        Descriptor::new(MediaType::OciLayer, digest, 4)
    };
    numbers.map(blob).collect()
}

fn gc(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = FsBlobStore::create(directory.path()).expect("a store");
    let config = store.put_bytes(b"{}").expect("a config");
    let config = Descriptor::new(MediaType::OciConfig, config.digest, config.size);
    let blobs = directory.path().join("blobs/sha256");
    let needed = fill(&blobs, 0..BLOBS / 2);
    let manifests = needed.chunks(LAYERS).map(|layers| {
        let manifest = Document::new(ImageManifest::new(config.clone(), layers.to_vec())).expect("a manifest");
        fs::write(blobs.join(manifest.digest().encoded()), manifest.bytes()).expect("a small file");
        manifest.descriptor(MediaType::OciManifest)
    });
    let index = Document::new(ImageIndex::new(manifests.collect())).expect("an index");
    store.put_document(&index).expect("an index");
    let root = One(index.descriptor(MediaType::OciIndex));
    let options = GcOptions::default().with_grace(Duration::ZERO);

    let mut group = criterion.benchmark_group("gc");
    group.sample_size(10);
    group.bench_function("collect 50,000 of 100,000 blobs", |b| {
        b.iter_custom(|times| {
            let mut time = Duration::ZERO;
            for _ in 0..times {
                fill(&blobs, BLOBS / 2..BLOBS);
                let started = Instant::now();
                let collected = gc::collect(&store, &[&root], &options, &Ctx::default()).expect("a collection");
                time += started.elapsed();
                assert_eq!(collected.removed, u64::from(BLOBS / 2));
            }
            time
        });
    });
    fill(&blobs, BLOBS / 2..BLOBS);
    group.bench_function("find -type f", |b| {
        b.iter(|| {
            let status = Command::new("find").arg(&blobs).args(["-type", "f"]).stdout(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()));
        });
    });
    group.bench_function("collect nothing of 100,000 blobs, a dry run", |b| {
        let options = options.clone().with_dry_run();
        b.iter(|| gc::collect(&store, &[&root], &options, &Ctx::default()).expect("a collection"));
    });
    group.finish();
}

criterion_group!(benches, gc);
criterion_main!(benches);
