//! Compressing and decompressing at each level; bytes of the plain side a second.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
};

use benches::{files, tar};
use criterion::{BenchmarkId, Criterion, Throughput};
use image_core::{
    Compression,
    codec::{DecodeOptions, Decoder, EncodeOptions, Encoder},
};

/// Those of zstd beyond are for who has minutes.
const LEVELS: [(Compression, &[u8]); 2] =
    [(Compression::Gzip, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), (Compression::Zstd, &[1, 2, 3, 4, 5, 6, 9, 12, 15, 19])];

fn encode(plain: &[u8], options: &EncodeOptions) -> image_core::Result<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::new(), options)?;
    encoder.write_all(plain).map_err(|e| image_core::Error::stream("compress", e))?;
    encoder.finish()
}

fn decode(stored: &[u8], compression: Compression) -> io::Result<u64> {
    let mut decoder = Decoder::new(stored, compression, &DecodeOptions::default())?;
    io::copy(&mut decoder, &mut io::sink())
}

pub(crate) fn codec(criterion: &mut Criterion) {
    let plain = files(2, 64).and_then(|files| tar(&files)).expect("the input is made");
    let mut group = criterion.benchmark_group("codec");
    group.sample_size(10).throughput(Throughput::Bytes(plain.len() as u64));
    for (compression, levels) in LEVELS {
        for level in levels {
            let options = EncodeOptions::new(compression).with_level(*level);
            group.bench_function(BenchmarkId::new("encode", &options), |b| b.iter(|| encode(&plain, &options)));
            group.bench_function(BenchmarkId::new("decode", &options), |b| {
                let stored = encode(&plain, &options).expect("it compresses");
                b.iter(|| decode(&stored, compression).expect("it is whole"));
            });
        }
    }
    let options = EncodeOptions::default().with_threads(NonZeroUsize::MIN);
    let name = BenchmarkId::new("encode on one thread", &options);
    group.bench_function(name, |b| b.iter(|| encode(&plain, &options)));
    group.finish();
}
