//! Reading and writing tar streams, and tables of contents; bytes of the stream a second.

use std::io::{self, Read};

use benches::input_image;
use criterion::{Criterion, Throughput};
use image_core::Ctx;
use image_overlay::{LayerBlob, LayerToc, Limits, TarReader, TarWriter};

/// Reads every header and passes over the content.
fn list(tar: impl Read) -> image_overlay::Result<u64> {
    let mut reader = TarReader::new(tar, &Limits::default());
    while reader.next_entry()?.is_some() {}
    reader.drain()
}

/// Reads all content, too.
fn read(tar: impl Read) -> image_overlay::Result<u64> {
    let mut reader = TarReader::new(tar, &Limits::default());
    while let Some(mut entry) = reader.next_entry()? {
        while entry.next_chunk()?.is_some() {}
    }
    reader.drain()
}

pub(crate) fn tar(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let input = input_image().expect("an image");
    let tar = input.plain_layer(0).expect("a layer");
    let mut group = criterion.benchmark_group("tar");
    group.sample_size(20).throughput(Throughput::Bytes(tar.len() as u64));
    group.bench_function("list", |b| b.iter(|| list(tar.as_slice()).expect("a layer")));
    group.bench_function("read", |b| b.iter(|| read(tar.as_slice()).expect("a layer")));
    group.bench_function("write", |b| {
        let mut entries = Vec::new();
        let mut reader = TarReader::new(tar.as_slice(), &Limits::default());
        while let Some(mut entry) = reader.next_entry().expect("a layer") {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("a file");
            entries.push((entry.into_entry(), content));
        }
        b.iter(|| {
            let mut writer = TarWriter::new(io::sink());
            for (entry, content) in &entries {
                writer.append(entry, &mut content.as_slice()).expect("an entry");
            }
            writer.finish().expect("a layer")
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("toc");
    group.sample_size(10).throughput(Throughput::Bytes(tar.len() as u64));
    group.bench_function("of a plain tar", |b| {
        b.iter(|| LayerToc::read(tar.as_slice(), &Limits::default(), &ctx).expect("a layer"));
    });
    let layers = LayerBlob::of_image(&input.image);
    let layer = layers.first().expect("a layer");
    group.bench_function("of a layer, verified", |b| {
        b.iter(|| layer.toc(&Limits::default(), &ctx).expect("a layer"));
    });
    let toc = LayerToc::read(tar.as_slice(), &Limits::default(), &ctx).expect("a layer");
    let bytes = toc.to_bytes();
    group.throughput(Throughput::Elements(toc.len() as u64));
    group.bench_function("kept, read again", |b| b.iter(|| LayerToc::from_bytes(&bytes).expect("it is whole")));
    group.finish();
}
