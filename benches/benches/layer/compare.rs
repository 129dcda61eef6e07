//! Differences of trees, and many layers as one; files a second where content is not read, else bytes of the plain layers.

use std::{cell::LazyCell, fs, path::PathBuf};

use benches::{change, date, input_image, tree, unpacked};
use criterion::{BenchmarkId, Criterion, Throughput};
use image_core::{Compression, Ctx, MemoryBlobStore, Timestamp, codec::EncodeOptions};
use image_overlay::{
    CapturedSource, DiffOptions, DirSource, ImageSource, Limits, OverlayXattrs, PackOptions, Root, TreeSource,
};
use tempfile::TempDir;

/// One in so many files is another in the upper tree.
const ONE_IN: usize = 100;

/// Two trees of one image, of which one was changed since, and the upper directory that an overlay mount would have of it.
struct Pair {
    lower: TempDir,
    upper: TempDir,
    /// When the two were the same.
    baseline: Timestamp,
}

impl Pair {
    fn new() -> Self {
        let input = input_image().expect("an image");
        let trees = [(); 2].map(|()| unpacked(&input.image).expect("it unpacks"));
        trees.iter().for_each(|tree| date(&tree.path().join("root")).expect("files of ours"));
        let [lower, upper] = trees;
        // What was made before is older than the baseline by more than clocks of file systems differ.
        std::thread::sleep(std::time::Duration::from_secs(4));
        let baseline = Ctx::default().now();
        let copied = upper.path().join("upper");
        for path in change(&upper.path().join("root"), ONE_IN).expect("it is changed") {
            let copy = copied.join(&path);
            fs::create_dir_all(copy.parent().expect("it is below")).expect("a directory");
            fs::copy(upper.path().join("root").join(&path), &copy).expect("a copy");
        }
        Self { lower, upper, baseline }
    }

    fn lower(&self) -> DirSource {
        tree(&self.lower.path().join("root")).expect("a tree")
    }

    fn changed(&self) -> DirSource {
        tree(&self.upper.path().join("root")).expect("a tree")
    }

    fn upper(&self) -> PathBuf {
        self.upper.path().join("upper")
    }

    fn count(&self) -> u64 {
        self.lower().tree().len() as u64
    }
}

fn plain() -> PackOptions {
    PackOptions::default().with_encode(EncodeOptions::new(Compression::None))
}

pub(crate) fn diff(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let pair = Pair::new();
    let mut group = criterion.benchmark_group("diff");
    group.sample_size(10).throughput(Throughput::Elements(pair.count()));
    group.bench_function("scan one tree", |b| b.iter(|| pair.lower()));
    let options = [
        ("all content compared", DiffOptions::default()),
        ("since a known time", DiffOptions::default().with_baseline(Some(pair.baseline))),
    ];
    for (name, options) in options {
        group.bench_function(BenchmarkId::new("scan and list", name), |b| {
            b.iter(|| {
                let (lower, upper) = (pair.lower(), pair.changed());
                image_overlay::diff(&lower, &upper, &options, &ctx).expect("they are read").len()
            });
        });
        group.bench_function(BenchmarkId::new("scan and pack", name), |b| {
            b.iter(|| {
                let (lower, upper) = (pair.lower(), pair.changed());
                let changes = image_overlay::diff(&lower, &upper, &options, &ctx).expect("they are read");
                changes.pack(&MemoryBlobStore::default(), PackOptions::default(), &ctx).expect("a layer")
            });
        });
    }
    group.finish();
}

/// The upper directory of an overlay mount, over the tree of an image that is known.
pub(crate) fn capture(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let pair = Pair::new();
    let lower = pair.lower();
    let mut group = criterion.benchmark_group("capture");
    group.sample_size(10).throughput(Throughput::Elements(pair.count()));
    let xattrs = if benches::is_root() { OverlayXattrs::Trusted } else { OverlayXattrs::User };
    group.bench_function("list", |b| {
        b.iter(|| {
            let upper = Root::open(&pair.upper()).expect("a directory");
            let captured = CapturedSource::new(&lower, upper, xattrs, &ctx).expect("it is read");
            image_overlay::diff(&lower, &captured, &DiffOptions::default(), &ctx).expect("they are read").len()
        });
    });
    group.bench_function("pack", |b| {
        b.iter(|| {
            let upper = Root::open(&pair.upper()).expect("a directory");
            let captured = CapturedSource::new(&lower, upper, xattrs, &ctx).expect("it is read");
            let changes = image_overlay::diff(&lower, &captured, &DiffOptions::default(), &ctx).expect("they are read");
            changes.pack(&MemoryBlobStore::default(), PackOptions::default(), &ctx).expect("a layer")
        });
    });
    group.finish();
}

pub(crate) fn flatten(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let input = input_image().expect("an image");
    let spool = LazyCell::new(|| tempfile::tempdir().expect("a directory"));
    let mut group = criterion.benchmark_group("flatten");
    group.sample_size(10).throughput(Throughput::Bytes(input.plain_size));
    for (name, options) in [("to a plain layer", plain()), ("to a gzip layer", PackOptions::default())] {
        group.bench_function(name, |b| {
            let spool = LazyCell::force(&spool);
            b.iter(|| {
                let image = ImageSource::of_image(&input.image, spool.path(), &Limits::default(), &ctx);
                let image = image.expect("it is read");
                image_overlay::flatten(&image, &MemoryBlobStore::default(), options.clone(), &ctx).expect("a layer")
            });
        });
    }
    group.finish();
}
