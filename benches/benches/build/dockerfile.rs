//! Parsing a Dockerfile; bytes a second.

use benches::dockerfile as text;
use criterion::{BenchmarkId, Criterion, Throughput};
use image_build::Dockerfile;

pub(crate) fn dockerfile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dockerfile");
    for lines in [50, 500, 5000] {
        let text = text(lines);
        assert_eq!(text.lines().count(), lines);
        group.throughput(Throughput::Bytes(text.len() as u64));
        let name = BenchmarkId::new("parse", format!("{lines} lines"));
        group.bench_function(name, |b| b.iter(|| Dockerfile::parse(&text).expect("a Dockerfile")));
    }
    group.finish();
}
