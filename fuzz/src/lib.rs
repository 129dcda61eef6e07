//! What is fuzzed: each target is a function of any bytes, that panics where a promise does not hold.
//!
//! `cargo +nightly fuzz run --features programs TARGET` looks for inputs that make it panic. Without a nightly compiler, `cargo test --workspace` runs
//! all targets on what is in `corpus/`, and on as many changes of it as `FUZZ_RUNS` says; and
//! `cargo run -p image-fuzz --features programs --bin TARGET FILE…` runs one target on some inputs.

pub mod apply;
pub mod decode;
pub mod dockerfile;
pub mod document;
pub mod ignore;
pub mod known;
pub mod layout;
pub mod load;
pub mod mutate;
pub mod pax;
pub mod reference;
pub mod tar;
pub mod toc;
pub mod whiteout;

/// The name of a target and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 13] = [
    ("apply", apply::run),
    ("decode", decode::run),
    ("dockerfile", dockerfile::run),
    ("document", document::run),
    ("ignore", ignore::run),
    ("known", known::run),
    ("layout", layout::run),
    ("load", load::run),
    ("pax", pax::run),
    ("reference", reference::run),
    ("tar", tar::run),
    ("toc", toc::run),
    ("whiteout", whiteout::run),
];

/// Makes a program of a target: one that the fuzzer drives, or else one that runs it on the files of its arguments.
#[macro_export]
macro_rules! program {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| image_fuzz::$target::run(bytes));

        #[cfg(not(fuzzing))]
        #[expect(clippy::disallowed_methods, reason = "the inputs are files of one's own")]
        fn main() {
            for path in std::env::args_os().skip(1) {
                image_fuzz::$target::run(&std::fs::read(path).expect("an input"));
            }
        }
    };
}
