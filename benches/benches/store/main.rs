//! Blobs and what is done to their bytes: digests, codecs, stores of blobs, archives, collection of garbage.

mod archive;
mod blob;
mod codec;
mod digest;
mod gc;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, digest::digest, codec::codec, blob::blob, archive::archive, gc::gc);
criterion_main!(benches);
