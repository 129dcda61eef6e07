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
//! - [`ImageSteps`]: the same instructions given by a program, without a text.
//! - [`BuildContext`]: what COPY copies from: a directory, an archive ([`TarContext`]), memory ([`MemoryContext`]), or any other
//!   [`ContextSource`]; [`ignore`]: what of it is left out.
//! - [`Builder`]: builds an image into any [`image_core::BlobStore`], with base images found by any
//!   [`image_core::ImageResolver`], or an index of images for several platforms; [`BuildOptions`]: what a caller chooses.
//! - [`BuildState`]: the directory of what earlier builds left, and how to make it smaller; [`cache`]: keys, recipes and
//!   records, which know nothing of Dockerfiles and serve other programs as well; [`cache::explain`]: why a step was
//!   not cached; [`Builder::with_cache_from`] and [`BuildState::export`]: results of other builds, and for others.
//! - [`BuildContext::fingerprint`] and [`StatCache`]: digests of many files, of which only those are read that changed.
//! - [`fetch`]: the seam by which ADD reaches addresses, and a client of HTTP.
//! - [`exec`]: the seam to what runs the commands of RUN, and an implementation by OCI runtimes.
//! - [`error`]: errors show the line of the Dockerfile.
//!
//! Stages that do not need each other are built at once, on as many threads as the caller allows; neither the image nor
//! what is told of its steps depends on how many.
//!
//! Without a RUN, a stage's root file system is never unpacked: COPY asks its layers' tables of contents where
//! files go, and reads only the files that it copies. For a RUN that is not cached its layers become snapshots in the
//! state, each once; the command runs on top of them, and what it changes is the next.
//!
//! # Platforms
//! Builds without RUN are for Unix systems. [`cache`], [`dockerfile`], [`expand`] and [`ignore`] are for all.
//!
//! # Limits
//! RUN is for Linux, and needs the [`exec::Executor`] that the caller gives ([`Builder::with_executor`]); ADD from an
//! address asks the [`Fetcher`] that the caller gives. Without them, both are errors that name the line.
//!
//! # Features
//! - `bzip2` and `xz`, both on: ADD unpacks archives that are compressed so. gzip and zstd it always does.
//! - `http`: ADD downloads files by `fetch::HttpFetcher`. Off, nothing here reaches a network.
//! - `oci-runtime`: `exec::OciRuntime` runs commands by runc, crun or youki. Linux.
//! - `conformance`: the suites that every store of records, source of a context and executor must pass, for implementers.

#![forbid(unsafe_code)]

#[cfg(unix)]
mod args;
#[cfg(unix)]
mod assemble;
pub mod cache;
#[cfg(unix)]
mod chosen;
#[cfg(unix)]
mod context;
#[cfg(unix)]
mod copy_step;
#[cfg(unix)]
mod copy_words;
pub mod dockerfile;
#[cfg(unix)]
mod effect;
pub mod env;
pub mod error;
pub mod exec;
pub mod expand;
#[cfg(unix)]
pub mod fetch;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod graph;
#[cfg(target_os = "linux")]
mod id_map;
pub mod ignore;
#[cfg(unix)]
mod image_steps;
#[cfg(unix)]
mod input;
#[cfg(unix)]
mod miss;
#[cfg(unix)]
mod named;
#[cfg(unix)]
mod options;
#[cfg(unix)]
mod pattern;
#[cfg(unix)]
mod rootfs;
#[cfg(unix)]
mod run_mount;
#[cfg(target_os = "linux")]
mod run_step;
#[cfg(unix)]
mod run_words;
#[cfg(unix)]
mod solve;
#[cfg(unix)]
mod stat_cache;
#[cfg(unix)]
mod state;
#[cfg(unix)]
mod step;
mod suggest;
mod temporary;
#[cfg(unix)]
mod turn;

#[cfg(all(unix, feature = "conformance"))]
pub use context::conformance as context_conformance;
pub use dockerfile::Dockerfile;
pub use env::Env;
pub use error::{Error, Result};
pub use ignore::Ignore;
#[cfg(unix)]
pub use {
    assemble::{BuiltImage, BuiltIndex, StepRecord},
    context::{
        BuildContext, ContextSource, FileFingerprint, Fingerprint, MemoryContext, ModePolicy, SourceEntry, TarContext,
    },
    fetch::Fetcher,
    image_steps::{AddOptions, CommandMount, CommandOptions, CopyOptions, ImageSteps},
    options::{BuildOptions, CachePolicy, Explanations, NoCacheFilter},
    solve::Builder,
    stat_cache::StatCache,
    state::{BuildState, CacheExport, LastStep, Removed, StateExpiry},
};
