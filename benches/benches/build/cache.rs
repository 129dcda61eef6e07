//! Cache keys, and finding records among many; keys or records a second.

use std::{cell::LazyCell, path::Path};

use benches::Numbers;
use criterion::{BenchmarkId, Criterion, Throughput};
use image_build::cache::{DirRecordStore, IngredientKind, MemoryRecordStore, Recipe, Record, RecordStore, find};
use image_core::{Digest, Timestamp};

/// How many records a store has.
const RECORDS: [u64; 3] = [10, 1_000, 100_000];

/// What a RUN or COPY is made of.
fn recipe(number: u64) -> Recipe {
    let digest = Digest::sha256_of(&number.to_le_bytes());
    Recipe::new()
        .with_text(
            IngredientKind::Instruction,
            "instruction",
            "RUN apt-get update && apt-get install -y build-essential",
        )
        .with_digest(IngredientKind::Parent, "parent", digest.clone())
        .with_text(IngredientKind::Platform, "platform", "linux/amd64")
        .with_text(IngredientKind::Environment, "PATH", "/usr/local/bin:/usr/bin:/bin")
        .with_text(IngredientKind::Environment, "LANG", "C.UTF-8")
        .with_text(IngredientKind::Argument, "VERSION", "1.2.3")
        .with_digest(IngredientKind::Content, "src", digest)
        .with_text(IngredientKind::Setting, "compression", "gzip:5")
}

fn fill(store: &impl RecordStore, count: u64) {
    for number in 0..count {
        store.put(&Record::new(recipe(number), Timestamp::UNIX_EPOCH)).expect("a record");
    }
}

pub(crate) fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("key");
    group.throughput(Throughput::Elements(1));
    group.bench_function("compose of 8 ingredients", |b| b.iter(|| recipe(1).key()));
    let content = |recipe: Recipe, number: u64| {
        let digest = Digest::sha256_of(&number.to_le_bytes());
        recipe.with_digest(IngredientKind::Content, &format!("file-{number}"), digest)
    };
    for count in RECORDS {
        let recipe = (0..count).fold(Recipe::new(), content);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("ingredients", count), |b| b.iter(|| recipe.key()));
    }
    group.finish();
}

pub(crate) fn lookup(criterion: &mut Criterion) {
    for count in RECORDS {
        let memory = LazyCell::new(|| {
            let store = MemoryRecordStore::default();
            fill(&store, count);
            store
        });
        among(criterion, "in memory", count, &memory);
        let directory = tempfile::tempdir().expect("a directory");
        let on_disk = LazyCell::new(|| open(directory.path(), count));
        among(criterion, "in a directory", count, &on_disk);
    }
}

fn open(directory: &Path, count: u64) -> DirRecordStore {
    let store = DirRecordStore::open(directory).expect("a store");
    fill(&store, count);
    store
}

/// Composes a key, and looks for its record, as each step does.
fn among<S: RecordStore, F: FnOnce() -> S>(criterion: &mut Criterion, name: &str, count: u64, store: &LazyCell<S, F>) {
    let mut group = criterion.benchmark_group(format!("records {name}"));
    group.throughput(Throughput::Elements(1));
    let mut numbers = Numbers::of_seed(count);
    group.bench_function(BenchmarkId::new("found", count), |b| {
        let store = LazyCell::force(store);
        b.iter(|| find(store, &[recipe(numbers.next_number() % count)]).expect("it is read").expect("it is there"));
    });
    group.bench_function(BenchmarkId::new("not there", count), |b| {
        let store = LazyCell::force(store);
        b.iter(|| find(store, &[recipe(count + numbers.next_number() % count)]).expect("it is read"));
    });
    group.finish();
}
