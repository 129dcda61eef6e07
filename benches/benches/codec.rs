//! Compressing and decompressing; bytes are those of the plain side.

use std::io::{self, Write};

use benches::{files, tar};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use image_core::codec::{DecodeOptions, Decoder, EncodeOptions, Encoder};

fn encode(plain: &[u8], options: &EncodeOptions) -> image_core::Result<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::new(), options)?;
    encoder.write_all(plain).map_err(|e| image_core::Error::stream("compress", e))?;
    encoder.finish()
}

fn decode(stored: &[u8], options: &EncodeOptions) -> io::Result<u64> {
    let mut decoder = Decoder::new(stored, options.compression, &DecodeOptions::default())?;
    io::copy(&mut decoder, &mut io::sink())
}

fn codec(criterion: &mut Criterion) {
    let plain = files(2, 32).and_then(|files| tar(&files)).expect("the input is made");
    for format in ["gzip:2", "gzip:6", "zstd:3"] {
        let options: EncodeOptions = format.parse().expect("the format is known");
        let stored = encode(&plain, &options).expect("it compresses");
        let mut group = criterion.benchmark_group("codec");
        group.sample_size(10).throughput(Throughput::Bytes(plain.len() as u64));
        group.bench_function(BenchmarkId::new("encode", format), |b| b.iter(|| encode(&plain, &options)));
        group.bench_function(BenchmarkId::new("decode", format), |b| b.iter(|| decode(&stored, &options)));
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
