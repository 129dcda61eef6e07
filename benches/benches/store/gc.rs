//! Collecting 100,000 blobs, beside listing them by `find -type f`; blobs a second.
//!
//! A collection removes half of them; making the other half anew is not measured.

use std::{
    cell::LazyCell,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use benches::note;
use criterion::{Criterion, Throughput};
use image_core::{
    Ctx, Descriptor, Digest, Document, ImageIndex, ImageManifest, MediaType, Result, Timestamp,
    blob::{BlobStoreExt, FsBlobStore},
    gc::{self, GcOptions, Root, Roots},
};
use tempfile::TempDir;

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

/// A store of all blobs, of which one index needs the first half.
struct Store {
    blobs: FsBlobStore,
    directory: PathBuf,
    root: One,
    _all: TempDir,
}

impl Store {
    fn new() -> Self {
        let all = tempfile::tempdir().expect("a directory");
        let blobs = FsBlobStore::create(all.path()).expect("a store");
        let config = blobs.put_bytes(b"{}").expect("a config");
        let config = Descriptor::new(MediaType::OciConfig, config.digest, config.size);
        let directory = all.path().join("blobs/sha256");
        let needed = fill(&directory, 0..BLOBS / 2);
        let manifests = needed.chunks(LAYERS).map(|layers| {
            let manifest = Document::new(ImageManifest::new(config.clone(), layers.to_vec())).expect("a manifest");
            fs::write(directory.join(manifest.digest().encoded()), manifest.bytes()).expect("a small file");
            manifest.descriptor(MediaType::OciManifest)
        });
        let index = Document::new(ImageIndex::new(manifests.collect())).expect("an index");
        blobs.put_document(&index).expect("an index");
        fill(&directory, BLOBS / 2..BLOBS);
        Self { blobs, directory, root: One(index.descriptor(MediaType::OciIndex)), _all: all }
    }
}

pub(crate) fn gc(criterion: &mut Criterion) {
    let store = LazyCell::new(Store::new);
    let options = GcOptions::default().with_grace(Duration::ZERO);
    let mut group = criterion.benchmark_group("gc");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(BLOBS)));
    group.bench_function("collect nothing of 100,000 blobs, a dry run", |b| {
        let (store, options) = (LazyCell::force(&store), options.clone().with_dry_run());
        b.iter(|| gc::collect(&store.blobs, &[&store.root], &options, &Ctx::default()).expect("a collection"));
    });
    let find =
        |directory: &Path| Command::new("find").arg(directory).args(["-type", "f"]).stdout(Stdio::null()).status();
    if find(Path::new("/dev/null")).is_ok() {
        group.bench_function("find -type f", |b| {
            let store = LazyCell::force(&store);
            b.iter(|| find(&store.directory).expect("it runs"));
        });
    } else {
        note("find is not there: it is left out");
    }
    group.bench_function("collect 50,000 of 100,000 blobs", |b| {
        let store = LazyCell::force(&store);
        b.iter_custom(|times| {
            let mut time = Duration::ZERO;
            for _ in 0..times {
                fill(&store.directory, BLOBS / 2..BLOBS);
                let started = Instant::now();
                let collected =
                    gc::collect(&store.blobs, &[&store.root], &options, &Ctx::default()).expect("a collection");
                time += started.elapsed();
                assert_eq!(collected.removed, u64::from(BLOBS / 2));
            }
            time
        });
    });
    group.finish();
}
