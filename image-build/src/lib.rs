//! Builds container images from Dockerfiles, in process.
#![forbid(unsafe_code)]

mod args;
mod assemble;
pub mod cache;
mod context;
pub mod dockerfile;
mod effect;
pub mod env;
pub mod error;
pub mod expand;
mod files;
mod fingerprint;
mod graph;
pub mod ignore;
mod input;
mod options;
mod pattern;
mod rootfs;
mod solve;
mod state;
mod step;
mod suggest;

pub use assemble::BuiltImage;
pub use context::BuildContext;
pub use dockerfile::Dockerfile;
pub use env::Env;
pub use error::{Error, Result};
pub use ignore::Ignore;
pub use options::{BuildOptions, CachePolicy};
pub use solve::Builder;
pub use state::BuildState;
