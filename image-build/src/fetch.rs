//! ADD from addresses: the seam to whatever reaches the network, and with feature `http` a client of it.

mod address;
mod fetched;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_date;

use std::{io::Write, path::Path};

use image_core::{Ctx, Timestamp};

use crate::error::Result;

#[cfg(feature = "http")]
pub use http::{HttpFetcher, HttpOptions};

pub(crate) use address::Address;
pub(crate) use fetched::{Fetched, fetch};

/// Gets what ADD names by an address. This crate never reaches the network on its own: a program that wants
/// ADD to do so gives the builder one of these, and decides by it which addresses may be reached. `HttpFetcher`, with
/// feature `http`, gets files by HTTP.
///
/// An implementation of its own reports its errors by [`Error::external`](crate::Error::external), and what it does not
/// reach by [`Error::cannot_fetch`](crate::Error::cannot_fetch).
pub trait Fetcher: Send + Sync {
    /// Writes the file at an address, `http` or `https`, to `to`, redirections followed.
    ///
    /// It is called anew in every build, and what it writes is hashed: an unchanged file is no reason to build
    /// anything again.
    ///
    /// # Errors
    /// Where the file cannot be had, whole, or `ctx` is cancelled.
    fn download(&self, url: &str, to: &mut dyn Write, ctx: &Ctx) -> Result<Download>;

    /// Writes the files of a commit into a directory that is there and empty: those below
    /// [`Repository::subdirectory`] where there is one. Modes are 0644 and 0755.
    ///
    /// # Errors
    /// Where the repository, the commit or the directory cannot be had, or `ctx` is cancelled.
    fn checkout(&self, repository: &Repository, into: &Path, ctx: &Ctx) -> Result<Checkout>;
}

/// What is known of a file that was downloaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Download {
    /// When it was last modified, as the server says.
    pub modified: Option<Timestamp>,
}

impl Download {
    /// A file that was last modified then.
    #[must_use]
    pub fn modified(modified: Option<Timestamp>) -> Self {
        Self { modified }
    }
}

/// What is known of a commit whose files were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkout {
    /// The commit, in lower-case hexadecimal digits.
    pub commit: String,
}

impl Checkout {
    /// Of this commit.
    #[must_use]
    pub fn of_commit(commit: impl Into<String>) -> Self {
        Self { commit: commit.into() }
    }
}

/// A commit of a git repository, as an ADD names it.
///
/// # Spec
/// Docker build documentation, Build context, § Git repositories: `URL#ref:subdir`, or query parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repository {
    /// The repository, as git takes it.
    pub remote: String,
    /// A branch, a tag or a commit; the default branch where there is none.
    pub reference: Option<String>,
    /// The directory whose files are meant.
    pub subdirectory: Option<String>,
    /// Whether `.git` is kept.
    pub keep_git_dir: bool,
    /// Whether submodules are checked out too.
    pub submodules: bool,
}
