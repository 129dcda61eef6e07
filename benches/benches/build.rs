//! Builds of many small steps: what a step costs must not grow with the number of those before it.

use benches::steps;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use image_build::{BuildContext, BuildOptions, BuildState, Builder, Dockerfile, Ignore};
use image_core::{Ctx, ImageResolver, MemoryBlobStore};

fn cached(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let context = directory.path().join("context");
    std::fs::create_dir(&context).expect("a context");
    let (bases, ctx) = (Vec::<&dyn ImageResolver>::new(), Ctx::default());
    let mut group = criterion.benchmark_group("cached");
    group.sample_size(10);
    for count in [200, 1_000, 10_000] {
        let dockerfile = Dockerfile::parse(steps(count)).expect("a Dockerfile");
        let state = BuildState::open(directory.path().join(count.to_string())).expect("a state");
        let output = MemoryBlobStore::default();
        let build = || {
            let context = BuildContext::open(&context, Ignore::default()).expect("the context");
            let builder = Builder::new(&state, &context, &bases);
            builder.build(&dockerfile, &BuildOptions::default(), &output, &ctx).expect("it builds")
        };
        build();
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("steps", count), |b| {
            b.iter(|| assert_eq!(build().done, 0, "all is cached"));
        });
    }
    group.finish();
}

criterion_group!(benches, cached);
criterion_main!(benches);
