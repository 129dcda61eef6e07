//! The digest of a context's files; files a second. The page cache has them all.

use std::cell::LazyCell;

use benches::Context;
use criterion::{BatchSize, Criterion, Throughput};
use image_build::StatCache;
use image_core::Ctx;

pub(crate) fn fingerprint(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let context = Context::input().expect("a context");
    let find = |known: &StatCache| {
        // A context is listed once, so each needs one of its own.
        context.open().and_then(|files| Ok(files.fingerprint(&["."], Some(known), &ctx)?)).expect("it is read")
    };
    let known = LazyCell::new(|| {
        let known = StatCache::open(context.beside("known")).expect("a cache");
        find(&known);
        known
    });
    let mut group = criterion.benchmark_group("fingerprint");
    group.sample_size(10).throughput(Throughput::Elements(context.count));
    group.bench_function("cold, nothing is known", |b| {
        b.iter_batched(
            || tempfile::tempdir().expect("a directory"),
            |directory| {
                find(&StatCache::open(directory.path()).expect("a cache"));
                directory
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("warm, all is known", |b| {
        let known = LazyCell::force(&known);
        b.iter(|| find(known));
    });
    let mut number = 0;
    group.bench_function("one file changed", |b| {
        let known = LazyCell::force(&known);
        b.iter_batched(
            || {
                number += 1;
                context.change(number).expect("it is written");
            },
            |()| find(known),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}
