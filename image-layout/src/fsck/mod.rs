//! Whether what a layout holds is whole: every reachable blob hashed, every document checked.
//!
//! - [`Report`] and [`Finding`]: what is wrong, all of it.
//! - `walk`: the documents, from `index.json` down, and what they want of other blobs.
//! - `check`: those blobs, hashed and decompressed once, by several threads.

mod check;
mod finding;
mod options;
mod verify;
mod walk;

pub use finding::{Finding, Problem, Report};
pub use options::VerifyOptions;
