//! Builds container images from Dockerfiles, in process.
#![forbid(unsafe_code)]

pub mod dockerfile;
