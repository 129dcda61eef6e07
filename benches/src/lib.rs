//! Inputs of the benches, made from seeds: the same on every machine, and shaped as those of real images are, of many small
//! files and few large ones.
//!
//! Two variables of the environment give real inputs instead:
//! - `BENCH_LAYOUT=DIR`: an OCI layout with an image named `latest`, for what reads images and their layers.
//! - `BENCH_CONTEXT=DIR`: a directory, for what reads build contexts. It is copied, and nothing in it is changed.
//!
//! What is written goes to the directory for temporary files, `TMPDIR`.

mod context;
mod files;
mod image;
mod numbers;
mod switch;
mod texts;
mod tree;

pub use context::Context;
pub use files::{Files, few, files, pack, tar, total, write_to};
pub use image::{Input, Layer, image, input_image, layers};
pub use numbers::{Numbers, content};
pub use switch::{is_quick, note, switch};
pub use texts::{dockerfile, paths, patterns, steps};
pub use tree::{apply_options, change, date, is_root, same, tree, unpacked};

/// What goes wrong here is only told.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
