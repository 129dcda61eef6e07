//! Builds and their parts: contexts, cache keys and records, Dockerfiles, ignore files.

mod build;
mod cache;
mod context;
mod dockerfile;
mod ignore;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    dockerfile::dockerfile,
    ignore::ignore,
    cache::keys,
    cache::lookup,
    context::fingerprint,
    build::steps,
    build::context
);
criterion_main!(benches);
