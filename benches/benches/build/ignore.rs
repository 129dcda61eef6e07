//! 200 patterns of an ignore file over 100,000 paths; paths a second.

use benches::{paths, patterns};
use criterion::{Criterion, Throughput};
use image_build::ignore::{Ignore, Verdict};

const PATTERNS: usize = 200;
const PATHS: usize = 100_000;

/// As a walk asks: each directory once, and nothing below those that need not be entered. Gives how many paths are left.
fn walk(ignore: &Ignore, paths: &[String]) -> usize {
    let (mut above, mut left): (Vec<(&str, Verdict, bool)>, usize) = (Vec::new(), 0);
    for path in paths {
        above.retain(|(directory, ..)| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/')));
        let known = above.last().map_or(0, |(directory, ..)| directory.len() + 1);
        for (end, _) in path.match_indices('/').filter(|(end, _)| *end > known) {
            let (parent, is_skipped) =
                above.last().map_or_else(Default::default, |(_, verdict, skip)| (*verdict, *skip));
            let directory = &path[..end];
            let verdict = if is_skipped { parent } else { ignore.verdict(parent, directory.as_bytes()) };
            above.push((directory, verdict, is_skipped || ignore.may_skip(verdict, directory.as_bytes())));
        }
        let (parent, is_skipped) = above.last().map_or_else(Default::default, |(_, verdict, skip)| (*verdict, *skip));
        left += usize::from(!is_skipped && !ignore.verdict(parent, path.as_bytes()).is_excluded());
    }
    left
}

pub(crate) fn ignore(criterion: &mut Criterion) {
    let (paths, text) = (paths(PATHS), patterns(PATTERNS));
    let ignore = Ignore::parse(".dockerignore", text.as_bytes()).expect("patterns");
    let matched = || paths.iter().filter(|path| !ignore.matches(path.as_bytes())).count();
    assert_eq!(walk(&ignore, &paths), matched(), "both say the same");
    let mut group = criterion.benchmark_group("ignore");
    group.sample_size(10).throughput(Throughput::Elements(PATHS as u64));
    group.bench_function("walk 100,000 paths, 200 patterns", |b| b.iter(|| walk(&ignore, &paths)));
    group.bench_function("match 100,000 paths, 200 patterns", |b| b.iter(matched));
    group.throughput(Throughput::Elements(PATTERNS as u64));
    group.bench_function("parse 200 patterns", |b| b.iter(|| Ignore::parse(".dockerignore", text.as_bytes())));
    group.finish();
}
