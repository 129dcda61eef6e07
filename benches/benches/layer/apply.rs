//! From layers to files; bytes of the plain layers a second. A tree is removed without being measured, but on ext4 that slows
//! down what is written next: a tmpfs or a new file system is better.

use benches::{Input, apply_options, input_image, note, same};
use criterion::{BatchSize, Criterion, Throughput};
use image_core::Ctx;
use image_overlay::{PathFilter, Root, UnpackOptions, apply_layer};
use tempfile::{TempDir, tempdir};

use crate::plain_loop;

pub(crate) fn apply(criterion: &mut Criterion) {
    let (ctx, options) = (Ctx::default(), apply_options());
    let input = input_image().expect("an image");
    let tar = input.plain_layer(0).expect("a layer");
    let mut group = criterion.benchmark_group("apply");
    group.sample_size(10).throughput(Throughput::Bytes(tar.len() as u64));
    let directory = || tempdir().expect("a directory");
    let apply = |directory: &TempDir| {
        let root = Root::open(directory.path()).expect("a directory");
        apply_layer(tar.as_slice(), &root, &options, &ctx).expect("it is applied");
    };
    group.bench_function("to nothing", |b| {
        b.iter_batched(
            directory,
            |directory| {
                apply(&directory);
                directory
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("over the same", |b| {
        let directory = directory();
        apply(&directory);
        b.iter(|| apply(&directory));
    });
    group.finish();
}

/// All layers of an image, beside a plain loop over the `tar`, `flate2` and `sha2` crates.
pub(crate) fn unpack(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let input = input_image().expect("an image");
    let options = UnpackOptions::default().with_apply(apply_options());
    let unpack = |directory: &TempDir, options: &UnpackOptions| {
        image_overlay::unpack(&input.image, &directory.path().join("root"), options, &ctx).expect("it unpacks");
    };
    let mut group = criterion.benchmark_group("unpack");
    group.sample_size(10).throughput(Throughput::Bytes(input.plain_size));
    let mut bench = |name: &str, run: &dyn Fn(&TempDir)| {
        group.bench_function(name, |b| {
            b.iter_batched(
                || tempdir().expect("a directory"),
                |directory| {
                    run(&directory);
                    directory
                },
                BatchSize::PerIteration,
            );
        });
    };
    bench("all layers", &|directory| unpack(directory, &options));
    // What a filter passes has to be judged in its place.
    let upwards = PathFilter::new(|_| true);
    let upwards = UnpackOptions::default().with_apply(apply_options().with_filter(upwards));
    bench("all layers, one over the other", &|directory| unpack(directory, &upwards));
    if input.image.layers().all(|layer| plain_loop::reads(&layer.descriptor.media_type)) {
        bench("a plain loop over the tar, flate2 and sha2 crates", &|directory| loop_over(&input, directory));
    } else {
        note("the plain loop reads gzip only: it is left out");
    }
    group.finish();
    if !input.is_given {
        let (ours, plain) = (tempdir().expect("a directory"), tempdir().expect("a directory"));
        unpack(&ours, &options);
        loop_over(&input, &plain);
        let is_same = same(&ours.path().join("root"), &plain.path().join("root")).expect("they are read");
        assert!(is_same, "both make the same tree");
    }
}

fn loop_over(input: &Input, directory: &TempDir) {
    plain_loop::unpack(&input.image, &directory.path().join("root")).expect("it unpacks");
}
