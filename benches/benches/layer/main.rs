//! Layers: reading, writing, packing and comparing them, and what is made of them on disk.
//!
//! Bytes are those of the plain layers, so that jobs can be compared; where content is not read, files are counted.

mod apply;
mod compare;
mod pack;
mod plain_loop;
mod tar;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    tar::tar,
    pack::pack,
    apply::apply,
    apply::unpack,
    compare::diff,
    compare::capture,
    compare::flatten
);
criterion_main!(benches);
