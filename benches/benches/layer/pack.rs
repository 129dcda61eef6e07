//! Making a layer of a directory; bytes of the files a second.

use std::cell::LazyCell;

use benches::{input_image, tree, unpacked};
use criterion::{BenchmarkId, Criterion, Throughput};
use image_core::{Compression, Ctx, MemoryBlobStore, codec::EncodeOptions};
use image_overlay::{Changes, PackOptions};

pub(crate) fn pack(criterion: &mut Criterion) {
    let ctx = Ctx::default();
    let input = input_image().expect("an image");
    let directory = LazyCell::new(|| unpacked(&input.image).expect("it unpacks"));
    let mut group = criterion.benchmark_group("pack");
    group.sample_size(10).throughput(Throughput::Bytes(input.plain_size));
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let encode = EncodeOptions::new(compression);
        let options = PackOptions::default().with_encode(encode.clone());
        group.bench_function(BenchmarkId::from_parameter(encode), |b| {
            let directory = LazyCell::force(&directory);
            b.iter(|| {
                let files = tree(&directory.path().join("root")).expect("a tree");
                Changes::whole(&files).pack(&MemoryBlobStore::default(), options.clone(), &ctx).expect("a layer")
            });
        });
    }
    group.finish();
}
