//! Hashing.

use benches::{Numbers, content};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image_core::Digest;

fn digest(criterion: &mut Criterion) {
    let bytes = content(&mut Numbers::of_seed(1), 16 << 20);
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("sha256", |b| b.iter(|| Digest::sha256_of(&bytes)));
    group.finish();
}

criterion_group!(benches, digest);
criterion_main!(benches);
