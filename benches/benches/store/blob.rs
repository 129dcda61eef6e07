//! Putting, opening, mapping and reading blobs of a directory; bytes a second, or blobs where none are read.

use benches::{Numbers, content};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use image_core::{
    BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, Descriptor, MediaType,
    blob::{Durability, FsBlobStoreOptions},
};

pub(crate) fn blob(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("blob");
    group.sample_size(10);
    for (name, size) in [("4 KiB", 4 << 10), ("1 MiB", 1 << 20), ("64 MiB", 64 << 20)] {
        let bytes = content(&mut Numbers::of_seed(3), size);
        for durability in [Durability::Fast, Durability::Synced] {
            let options = FsBlobStoreOptions::default().with_durability(durability);
            let store = options.create(directory.path()).expect("a store");
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(BenchmarkId::new(format!("put {durability:?}"), name), |b| {
                let blob = store.put_bytes(&bytes).expect("a blob");
                b.iter_batched(
                    || store.remove(&blob.digest).expect("it is removed"),
                    |_| store.put_bytes(&bytes).expect("a blob"),
                    BatchSize::PerIteration,
                );
            });
        }
        let store = FsBlobStoreOptions::default().create(directory.path()).expect("a store");
        let blob = store.put_bytes(&bytes).expect("a blob");
        let descriptor = Descriptor::new(MediaType::OciLayer, blob.digest.clone(), blob.size);
        group.bench_function(BenchmarkId::new("put what is there", name), |b| {
            b.iter(|| store.put_bytes(&bytes).expect("a blob"));
        });
        group.bench_function(BenchmarkId::new("read verified", name), |b| {
            b.iter(|| store.read_bytes(&descriptor, blob.size).expect("it is right"));
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("open", name), |b| {
            b.iter(|| store.open(&blob.digest).expect("it is read"));
        });
        let opened = store.require(&blob.digest).expect("it is there");
        group.bench_function(BenchmarkId::new("map", name), |b| b.iter(|| opened.map().expect("it is mapped")));
    }
    group.finish();
}
