//! Builds container images from Dockerfiles, in process.
#![forbid(unsafe_code)]

pub mod dockerfile;
pub mod env;
pub mod error;
pub mod expand;
pub mod ignore;
mod suggest;

pub use env::Env;
pub use error::{Error, Result};
