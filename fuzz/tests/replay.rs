//! All targets on what is in `corpus/`, and on changes of it, without a fuzzer.

#![expect(clippy::disallowed_methods, reason = "the inputs and the environment are the tests' own")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use image_fuzz::{
    TARGETS,
    mutate::{Numbers, mutated},
};

/// How many changed inputs each target is run on, unless `FUZZ_RUNS` in the environment says so.
const RUNS: u64 = 300;

/// Targets that write to disk, of which there are fewer runs, and by how much.
const SLOW: [(&str, u64); 3] = [("apply", 8), ("layout", 64), ("load", 64)];

/// The inputs of a target, the same each time.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> =
        fs::read_dir(&dir).expect("each target has a corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files.iter().map(|file| fs::read(file).expect("an input")).collect()
}

/// Runs a target; where it panics, keeps the input beside those that the fuzzer finds, and says where.
fn run((name, run): image_fuzz::Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(name);
        fs::create_dir_all(&kept).expect("a directory");
        let kept = kept.join(format!("replay-{}", image_core::Digest::sha256_of(input).encoded()));
        fs::write(&kept, input).expect("the input is kept");
        panic!("{name} panics: `cargo run -p image-fuzz --features programs --bin {name} {}`", kept.display());
    }
}

#[test]
fn what_was_found_once() {
    for target in TARGETS {
        for input in corpus(target.0) {
            run(target, &input);
        }
    }
}

#[test]
fn changes_of_what_was_found() {
    let runs = std::env::var("FUZZ_RUNS").map_or(RUNS, |runs| runs.parse().expect("FUZZ_RUNS is a number"));
    for (seed, target) in (0_u64..).zip(TARGETS) {
        let slower = SLOW.iter().find(|(name, _)| *name == target.0).map_or(1, |(_, times)| *times);
        let inputs = corpus(target.0);
        let mut numbers = Numbers::new(seed);
        for _ in 0..runs / slower {
            run(target, &mutated(&inputs, &mut numbers));
        }
        println!("{}: {} inputs and {} changes of them", target.0, inputs.len(), runs / slower);
    }
}
