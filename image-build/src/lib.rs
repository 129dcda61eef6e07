//! Builds container images from Dockerfiles, in process: no daemon, no root, no network.
//!
//! ```
//! use image_build::{BuildContext, BuildOptions, BuildState, Builder, Dockerfile, Ignore};
//! use image_core::Ctx;
//! use image_layout::OciLayout;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (files, output, cache) = (dir.path().join("context"), dir.path().join("out"), dir.path().join("cache"));
//! # std::fs::create_dir(&files)?;
//! std::fs::write(files.join("index.html"), "<h1>Hello</h1>")?;
//! let dockerfile = Dockerfile::parse("FROM scratch\nCOPY index.html /srv/\nENV ROOT=/srv\n")?;
//!
//! let context = BuildContext::open(&files, Ignore::for_context(&files)?)?;
//! let state = BuildState::open(&cache)?;
//! let layout = OciLayout::open_or_create(&output)?;
//! let bases: Vec<OciLayout> = Vec::new();
//! let builder = Builder::new(&state, &context, &bases);
//!
//! let options = BuildOptions::default();
//! let built = builder.build(&dockerfile, &options, layout.blobs(), &Ctx::default())?;
//! layout.tag("hello:1.0", &built.manifest)?;
//!
//! let again = builder.build(&dockerfile, &options, layout.blobs(), &Ctx::default())?;
//! assert_eq!(again.manifest.digest, built.manifest.digest);
//! assert_eq!(again.done, 0); // every step was cached
//! # Ok(())
//! # }
//! ```
//!
//! # Tour
//! - [`dockerfile`]: from bytes to typed instructions, each word with its place; [`expand`]: variables in them.
//! - [`BuildContext`]: the directory that COPY copies from; [`ignore`]: what of it is left out.
//! - [`Builder`]: builds an image into any [`image_core::BlobStore`], with base images found by any
//!   [`image_core::ImageResolver`]; [`BuildOptions`]: what a caller chooses.
//! - [`BuildState`]: the directory of what earlier builds left, and how to make it smaller; [`cache`]: keys, recipes and
//!   records, which know nothing of Dockerfiles and serve other programs as well; [`cache::explain`]: why a step was
//!   not cached; [`Builder::with_cache_from`] and [`BuildState::export`]: results of other builds, and for others.
//! - [`BuildContext::fingerprint`] and [`StatCache`]: digests of many files, of which only those are read that changed.
//! - [`fetch`]: the seam by which ADD reaches addresses.
//! - [`exec`]: the seam to what runs the commands of RUN, and an implementation by OCI runtimes.
//! - [`error`]: errors show the line of the Dockerfile.
//!
//! A stage's root file system is never unpacked: COPY asks its layers' tables of contents where
//! files go, and reads only the files that it copies.
//!
//! # Limits
//! Carried out are all instructions but RUN: the parser knows it too, and it is an error that names the line. ADD from an
//! address asks the [`Fetcher`] that the caller gives. A build is for one platform.
//!
//! # Features
//! - `bzip2` and `xz`, both on: ADD unpacks archives that are compressed so. gzip and zstd it always does.
//! - `conformance`: the suite that every store of records must pass, for implementers.

#![forbid(unsafe_code)]

mod args;
mod assemble;
pub mod cache;
mod chosen;
mod context;
mod copy_step;
mod copy_words;
pub mod dockerfile;
mod effect;
pub mod env;
pub mod error;
pub mod exec;
pub mod expand;
pub mod fetch;
mod files;
mod graph;
pub mod ignore;
mod input;
mod miss;
mod options;
mod pattern;
mod rootfs;
mod solve;
mod stat_cache;
mod state;
mod step;
mod suggest;
mod temporary;

pub use assemble::{BuiltImage, StepRecord};
pub use context::{BuildContext, FileFingerprint, Fingerprint, ModePolicy};
pub use dockerfile::Dockerfile;
pub use env::Env;
pub use error::{Error, Result};
pub use fetch::Fetcher;
pub use ignore::Ignore;
pub use options::{BuildOptions, CachePolicy, Explanations, NoCacheFilter};
pub use solve::Builder;
pub use stat_cache::StatCache;
pub use state::{BuildState, CacheExport, LastStep, Removed, StateExpiry};
