//! Layers: reading, packing, unpacking; bytes are those of the files' content.

use benches::{files, image, pack, tar, total};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use image_core::{
    Ctx, MemoryBlobStore,
    codec::{Compression, EncodeOptions},
};
use image_overlay::{LayerToc, Limits, PackOptions, TarReader, UnpackOptions, unpack};

/// Reads every header and passes over the content.
fn list(tar: &[u8]) -> image_overlay::Result<u64> {
    let mut reader = TarReader::new(tar, &Limits::default());
    while reader.next_entry()?.is_some() {}
    reader.drain()
}

fn read(criterion: &mut Criterion) {
    let files = files(3, 64).expect("the input is made");
    let tar = tar(&files).expect("the input is written");
    let ctx = Ctx::default();
    let mut group = criterion.benchmark_group("read");
    group.sample_size(20).throughput(Throughput::Bytes(total(&files)));
    group.bench_function("list", |b| b.iter(|| list(&tar)));
    group.bench_function("toc", |b| b.iter(|| LayerToc::read(tar.as_slice(), &Limits::default(), &ctx)));
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let files = files(4, 64).expect("the input is made");
    let ctx = Ctx::default();
    let mut group = criterion.benchmark_group("pack");
    group.sample_size(10).throughput(Throughput::Bytes(total(&files)));
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let options = PackOptions::default().with_encode(EncodeOptions::new(compression));
        group.bench_function(BenchmarkId::from_parameter(compression), |b| {
            b.iter(|| pack(&files, &MemoryBlobStore::default(), options.clone(), &ctx));
        });
    }
    group.finish();
}

fn extract(criterion: &mut Criterion) {
    let layers = [5, 6, 7].map(|seed| files(seed, 32).expect("the input is made"));
    let image = image(&layers).expect("the image is packed");
    let ctx = Ctx::default();
    let mut group = criterion.benchmark_group("unpack");
    group.sample_size(10).throughput(Throughput::Bytes(layers.iter().map(total).sum()));
    group.bench_function("three layers", |b| {
        b.iter_batched(
            || tempfile::tempdir().expect("a temporary directory"),
            |dir| {
                unpack(&image, &dir.path().join("root"), &UnpackOptions::default(), &ctx).expect("it unpacks");
                dir
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, read, write, extract);
criterion_main!(benches);
