//! Differences of trees, and many layers as one; files a second where content is not read, else bytes of the plain layers.

use std::{cell::LazyCell, fs, path::PathBuf};

use benches::{change, date, input_image, tree, unpacked};
use criterion::{BenchmarkId, Criterion, Throughput};
use image_core::{Compression, Ctx, Image, MemoryBlobStore, Timestamp, codec::EncodeOptions};
use image_overlay::{
    CapturedSource, DiffOptions, DirSource, ImageSource, ImageTree, Limits, OverlayXattrs, PackOptions, Root,
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
    fn new(image: &Image) -> Self {
        let trees = [(); 2].map(|()| unpacked(image).expect("it unpacks"));
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
}

/// How many paths an image comes to.
fn count(image: &Image) -> u64 {
    ImageTree::of_image(image, &Limits::default(), &Ctx::default()).expect("it is read").len() as u64
}

fn plain() -> PackOptions {
    PackOptions::default().with_encode(EncodeOptions::new(Compression::None))
}

pub(crate) fn diff(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let image = input_image().expect("an image").image;
    let pair = LazyCell::new(|| Pair::new(&image));
    let mut group = criterion.benchmark_group("diff");
    group.sample_size(10).throughput(Throughput::Elements(count(&image)));
    group.bench_function("scan one tree", |b| {
        let pair = LazyCell::force(&pair);
        b.iter(|| pair.lower());
    });
    let options = |pair: &Pair, baseline: bool| DiffOptions::default().with_baseline(baseline.then_some(pair.baseline));
    for (name, baseline) in [("all content compared", false), ("since a known time", true)] {
        group.bench_function(BenchmarkId::new("scan and list", name), |b| {
            let pair = LazyCell::force(&pair);
            let options = options(pair, baseline);
            b.iter(|| {
                let (lower, upper) = (pair.lower(), pair.changed());
                image_overlay::diff(&lower, &upper, &options, &ctx).expect("they are read").len()
            });
        });
        group.bench_function(BenchmarkId::new("scan and pack", name), |b| {
            let pair = LazyCell::force(&pair);
            let options = options(pair, baseline);
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
    let image = input_image().expect("an image").image;
    let pair = LazyCell::new(|| Pair::new(&image));
    let lower = LazyCell::new(|| pair.lower());
    let mut group = criterion.benchmark_group("capture");
    group.sample_size(10).throughput(Throughput::Elements(count(&image)));
    let xattrs = if benches::is_root() { OverlayXattrs::Trusted } else { OverlayXattrs::User };
    group.bench_function("list", |b| {
        let lower = LazyCell::force(&lower);
        b.iter(|| {
            let upper = Root::open(&pair.upper()).expect("a directory");
            let captured = CapturedSource::new(lower, upper, xattrs, &ctx).expect("it is read");
            image_overlay::diff(lower, &captured, &DiffOptions::default(), &ctx).expect("they are read").len()
        });
    });
    group.bench_function("pack", |b| {
        let lower = LazyCell::force(&lower);
        b.iter(|| {
            let upper = Root::open(&pair.upper()).expect("a directory");
            let captured = CapturedSource::new(lower, upper, xattrs, &ctx).expect("it is read");
            let changes = image_overlay::diff(lower, &captured, &DiffOptions::default(), &ctx).expect("they are read");
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
