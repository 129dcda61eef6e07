//! The example programs, run as a user runs them, on real images, beside the tools that people use today.
//!
//! Run them by `cargo test -p examples`, which builds the programs; `--test it` alone does not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up fails it")]
#![expect(clippy::disallowed_methods, reason = "the files and the environment are the tests' own")]

mod base_image;
mod build;
mod builds_together;
mod cache;
mod commands;
mod context_archive;
mod copy;
mod debian;
mod debian_projects;
mod engines;
mod errors;
mod faults;
mod interrupted;
mod killed;
mod load;
mod memory;
mod platforms;
mod power;
mod program;
mod project;
mod refused;
mod refused_layout;
mod report;
mod reproducible;
mod round_trips;
mod save;
mod terminal;
mod together;
mod tools;
mod trees;
mod unpack;
mod unprivileged;
mod usage;
mod why;
