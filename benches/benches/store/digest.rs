//! Hashing and verifying; bytes a second.

use benches::{Numbers, content};
use criterion::{Criterion, Throughput};
use image_core::{Digest, hasher::Hasher, verify::VerifyingReader};

pub(crate) fn digest(criterion: &mut Criterion) {
    let bytes = content(&mut Numbers::of_seed(1), 16 << 20);
    let digest = Digest::sha256_of(&bytes);
    let sha512 = format!("sha512:{}", "0".repeat(128)).parse().expect("a digest");
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("sha256", |b| b.iter(|| Digest::sha256_of(&bytes)));
    group.bench_function("sha512", |b| {
        b.iter(|| {
            let mut hasher = Hasher::for_digest(&sha512).expect("it is known");
            hasher.update(&bytes);
            hasher.finish()
        });
    });
    group.bench_function("verify", |b| {
        b.iter(|| {
            let reader = VerifyingReader::new(bytes.as_slice(), digest.clone(), bytes.len() as u64);
            reader.and_then(|mut reader| reader.drain()).expect("it is right");
        });
    });
    group.finish();
}
