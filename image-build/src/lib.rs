//! Builds container images from Dockerfiles, in process.
#![forbid(unsafe_code)]

pub mod dockerfile;
pub mod error;
mod suggest;

pub use error::{Error, Result};
