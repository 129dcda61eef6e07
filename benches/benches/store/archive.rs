//! Loading and saving archives; bytes of the plain layers a second.

use std::io;

use benches::input_image;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use image_core::Ctx;
use image_layout::{ArchiveFormat, LoadOptions, OciLayout, SaveOptions, save};

pub(crate) fn archive(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let input = input_image().expect("an image");
    let images = [(input.image, vec![String::from("bench:1")])];
    let mut group = criterion.benchmark_group("archive");
    group.sample_size(10).throughput(Throughput::Bytes(input.plain_size));
    for (name, format) in [("docker", ArchiveFormat::Docker), ("oci", ArchiveFormat::Oci)] {
        let options = SaveOptions::default().with_format(format);
        group.bench_function(BenchmarkId::new("save", name), |b| {
            b.iter(|| save(&images, io::sink(), &options, &ctx).expect("it is saved"));
        });
        group.bench_function(BenchmarkId::new("load", name), |b| {
            let mut archive = Vec::new();
            save(&images, &mut archive, &options, &ctx).expect("it is saved");
            b.iter_batched(
                || tempfile::tempdir().expect("a directory"),
                |directory| {
                    let layout = OciLayout::create(directory.path().join("layout")).expect("a layout");
                    layout.load(archive.as_slice(), &LoadOptions::default(), &ctx).expect("it is loaded");
                    directory
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}
