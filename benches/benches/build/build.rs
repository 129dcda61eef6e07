//! Builds that find all or most of it cached; steps or files a second.

use std::{cell::LazyCell, time::Duration};

use benches::{Context, steps as text};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use image_build::{BuildContext, BuildOptions, BuildState, Builder, BuiltImage, Dockerfile, MemoryContext};
use image_core::{BlobStore, Ctx, ImageResolver, MemoryBlobStore};
use image_layout::OciLayout;

/// Two stages, of which each copies all files.
const STAGES: &str = "FROM scratch AS all\nCOPY . /src/\nENV A=1 B=2\n\
                      FROM scratch\nLABEL stage=last\nCOPY --from=all /src/ /srv/\nCMD [\"/srv/run\"]\n";

fn build(state: &BuildState, context: &BuildContext, dockerfile: &Dockerfile, output: &dyn BlobStore) -> BuiltImage {
    let bases = Vec::<&dyn ImageResolver>::new();
    let builder = Builder::new(state, context, &bases);
    builder.build(dockerfile, &BuildOptions::default(), output, &Ctx::default()).expect("it builds")
}

/// Many small steps: what a step costs must not grow with the number of those before it.
pub(crate) fn steps(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("cached build");
    group.sample_size(10);
    for count in [20, 200, 1_000, 10_000] {
        let dockerfile = Dockerfile::parse(text(count)).expect("a Dockerfile");
        let state = BuildState::open(directory.path().join(count.to_string())).expect("a state");
        let output = MemoryBlobStore::default();
        let build = || {
            let context = BuildContext::from_source(MemoryContext::new(), image_build::Ignore::default());
            build(&state, &context, &dockerfile, &output)
        };
        let first = LazyCell::new(&build);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("steps", count), |b| {
            LazyCell::force(&first);
            b.iter(|| assert_eq!(build().done, 0, "all is cached"));
        });
    }
    group.finish();
}

/// Two stages over a context on disk, to a layout beside it.
pub(crate) fn context(criterion: &mut Criterion) {
    let context = Context::input().expect("a context");
    let dockerfile = Dockerfile::parse(STAGES).expect("a Dockerfile");
    let state = BuildState::open(context.beside("state")).expect("a state");
    let layout = OciLayout::create(context.beside("layout")).expect("a layout");
    let build = || build(&state, &context.open().expect("a context"), &dockerfile, layout.blobs());
    let first = LazyCell::new(&build);
    let mut group = criterion.benchmark_group("build");
    // Each build after a change leaves its layers.
    group.sample_size(10).warm_up_time(Duration::from_millis(1));
    group.throughput(Throughput::Elements(context.count));
    group.bench_function("nothing changed", |b| {
        LazyCell::force(&first);
        b.iter(|| assert_eq!(build().done, 0, "all is cached"));
    });
    let mut number = 0;
    group.bench_function("one file changed", |b| {
        LazyCell::force(&first);
        b.iter_batched(
            || {
                number += 1;
                context.change(number).expect("it is written");
            },
            |()| assert!(build().done > 0, "not all is cached"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}
