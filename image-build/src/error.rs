//! The error of this crate; `class` tells what kind it is.

mod class;

use std::{io, path::PathBuf};

use image_overlay::LayerPath;

use crate::{
    dockerfile::{Dockerfile, Instruction, Location},
    exec::Exit,
};

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and where in the Dockerfile or with which file.
///
/// The text of an error never repeats its cause: print the chain of
/// [`std::error::Error::source`] to see all of it. [`Error::render`] also shows the line
/// of the Dockerfile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A Dockerfile breaks a rule, of its grammar or of what its instructions mean.
    #[error("{location}: {reason}{}", suggested(.suggestion.as_deref()))]
    #[non_exhaustive]
    Dockerfile {
        /// Where.
        location: Box<Location>,
        /// The rule it breaks.
        reason: String,
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// A Dockerfile asks for something that this crate does not do.
    #[error("{location}: {what} is not supported yet")]
    #[non_exhaustive]
    UnsupportedInstruction {
        /// Where.
        location: Box<Location>,
        /// What is asked for.
        what: String,
    },
    /// A Dockerfile has a RUN, and nothing here runs commands.
    #[error(
        "{location}: RUN needs something that runs commands, and this builder has nothing: give it an executor \
         (`Builder::with_executor`), such as `exec::OciRuntime` of the feature `oci-runtime`"
    )]
    #[non_exhaustive]
    NoExecutor {
        /// Where.
        location: Box<Location>,
    },
    /// A secret or an agent that a command requires was not given.
    #[error("the command requires {what}, which was not given to the build")]
    #[non_exhaustive]
    NotGiven {
        /// Which one.
        what: String,
    },
    /// A command asks for more than the caller allows by [`BuildOptions::with_run`](crate::BuildOptions::with_run).
    #[error("{what} is not allowed in this build: whoever builds has to allow it")]
    #[non_exhaustive]
    NotAllowed {
        /// What it asks for.
        what: String,
    },
    /// A line of an ignore file is not a pattern.
    #[error("{file}:{line}: invalid pattern {pattern:?}: {reason}")]
    #[non_exhaustive]
    InvalidPattern {
        /// The ignore file's name.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The pattern as written, shortened to 256 characters.
        pattern: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Input is larger than a limit allows.
    #[error("{what}: larger than the limit of {limit}")]
    #[non_exhaustive]
    LimitExceeded {
        /// What is too large, and where it is.
        what: String,
        /// The limit, in the unit of `what` (bytes unless it says otherwise).
        limit: u64,
    },
    /// An instruction could not be carried out.
    #[error("{location}: cannot carry out {instruction}")]
    #[non_exhaustive]
    Step {
        /// Where.
        location: Box<Location>,
        /// The instruction as written, shortened to 256 characters.
        instruction: String,
        /// Why not.
        source: Box<Self>,
    },
    /// What a COPY names is not there.
    #[error("{path}: not found in {tree}{}", because(.hint))]
    #[non_exhaustive]
    SourceNotFound {
        /// The path asked for, escaped.
        path: String,
        /// Where it was looked for.
        tree: String,
        /// Why it may not be there, or what may have been meant; may be empty.
        hint: String,
    },
    /// A wildcard in the source of a COPY is malformed.
    #[error("invalid pattern {pattern:?}: a bracket is not closed, or a range or an escape is not whole")]
    #[non_exhaustive]
    InvalidSource {
        /// The pattern.
        pattern: String,
    },
    /// The destination of a COPY, or a WORKDIR, is something else than it would have to be.
    #[error("{path} of the image: {reason}")]
    #[non_exhaustive]
    Destination {
        /// The path in the image, escaped.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file of the build context changes while it is read.
    #[error("{path}: it changes while the build reads it: build again when nothing writes there")]
    #[non_exhaustive]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A device or a fifo is to be copied from the build context.
    #[error(
        "{path} of {tree} is a device or a fifo: only files, directories and links are copied; leave it out by .dockerignore"
    )]
    #[non_exhaustive]
    SpecialFile {
        /// The file, escaped.
        path: String,
        /// Where it is.
        tree: String,
    },
    /// A file of a build context that is no directory cannot be there.
    #[error("{path} of the build context: {reason}")]
    #[non_exhaustive]
    ContextEntry {
        /// The path in the context, escaped.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// An archive cannot be unpacked.
    #[error("cannot unpack {name}")]
    #[non_exhaustive]
    Archive {
        /// The archive.
        name: String,
        /// Why not.
        source: Box<Self>,
    },
    /// ADD names an address, and nothing here reaches the network.
    #[error("{address} cannot be fetched: the builder has no fetcher (`Builder::with_fetcher`)")]
    #[non_exhaustive]
    NoFetcher {
        /// The address.
        address: String,
    },
    /// ADD names an address that a fetcher does not reach.
    #[error("{address} cannot be fetched: {reason}")]
    #[non_exhaustive]
    CannotFetch {
        /// The address.
        address: String,
        /// Why not, and what to do instead.
        reason: String,
    },
    /// What an address leads to is not what was asked for, or cannot be had.
    #[error("cannot fetch {address}")]
    #[non_exhaustive]
    Fetched {
        /// The address.
        address: String,
        /// Why not.
        source: Box<Self>,
    },
    /// A repository has another commit than the one asked for.
    #[error("{repository} is at commit {actual}, not at {expected}")]
    #[non_exhaustive]
    WrongCommit {
        /// The repository.
        repository: String,
        /// The digits that the commit must begin with.
        expected: String,
        /// The commit that is there.
        actual: String,
    },
    /// An error of an implementation of one of this crate's traits elsewhere.
    #[error("{what}")]
    #[non_exhaustive]
    External {
        /// What was done.
        what: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something that a feature of this crate does, which is off.
    #[error("{what} cannot be read: enable the feature `{feature}` of image-build")]
    #[non_exhaustive]
    FeatureOff {
        /// What is asked for.
        what: &'static str,
        /// The feature.
        feature: &'static str,
    },
    /// An owner has no number.
    #[error("unknown owner {owner:?}: {reason}")]
    #[non_exhaustive]
    UnknownOwner {
        /// The user or group.
        owner: String,
        /// Why it is unknown.
        reason: String,
    },
    /// A command that was run failed.
    #[error("the command failed: {}", .exit.report())]
    #[non_exhaustive]
    Command {
        /// How.
        exit: Box<Exit>,
    },
    /// A command could not be run.
    #[error("cannot run the command: {reason}")]
    #[non_exhaustive]
    Runtime {
        /// Why not, as whatever failed tells it.
        reason: String,
    },
    /// This machine does not have what it takes to run commands, or to run them so.
    #[error("this machine cannot run the command: {reason}")]
    #[non_exhaustive]
    CannotRun {
        /// What is missing.
        reason: String,
    },
    /// Something cannot be mounted for a command, or the command cannot begin there.
    #[error("{path} of the command: {reason}")]
    #[non_exhaustive]
    Mount {
        /// The path in the root file system, escaped.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The state directory is not of the form that this version reads.
    #[error(
        "{path}: {found:?} is not a version of the build state that is read here: use another directory, or delete this one"
    )]
    #[non_exhaustive]
    StateVersion {
        /// The version file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A directory that was to hold the results of builds holds something else.
    #[error("{path}: it holds other things than results of builds: use a directory of their own")]
    #[non_exhaustive]
    NotAState {
        /// The directory.
        path: PathBuf,
    },
    /// An artifact is no cache of builds, or of a form that is not read here.
    #[error("manifest {manifest}: this is no cache of builds that can be read here")]
    #[non_exhaustive]
    NotACache {
        /// The artifact's manifest.
        manifest: image_core::Digest,
    },
    /// A layer of the build state is gone, or was damaged and removed.
    #[error("layer {digest} of the build state is gone or was damaged: build again")]
    #[non_exhaustive]
    LayerLost {
        /// The layer's blob.
        digest: image_core::Digest,
    },
    /// The state directory is in use by a build.
    #[error("{path}: a build is using it: try again when that is done")]
    #[non_exhaustive]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A value cannot be written as JSON.
    #[error("cannot encode a build step")]
    #[non_exhaustive]
    Encode {
        /// Why not.
        source: serde_json::Error,
    },
    /// An error of `image-core`.
    #[error(transparent)]
    Core(#[from] image_core::Error),
    /// An error of `image-overlay`.
    #[error(transparent)]
    Overlay(#[from] image_overlay::Error),
}

fn because(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(": {hint}") }
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion.map(|text| format!(" (did you mean {text}?)")).unwrap_or_default()
}

/// At most `limit` characters of foreign text, its control characters escaped, for an error's message.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    let mut short = String::new();
    for (position, c) in text.chars().enumerate() {
        if position == limit {
            short.push('…');
            break;
        }
        if c.is_control() { short.extend(c.escape_default()) } else { short.push(c) }
    }
    short
}

impl Error {
    /// An error of an implementation of one of this crate's traits: what it was doing, and why that failed.
    pub fn external(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::External { what: what.into(), source: source.into() }
    }

    /// The error of an executor that cannot run a command, or not as it is asked to: what is missing.
    pub fn cannot_run(reason: impl Into<String>) -> Self {
        Self::CannotRun { reason: reason.into() }
    }

    /// The error of a fetcher that does not reach an address, by its own choice or for want of what it takes.
    pub fn cannot_fetch(address: &str, reason: impl Into<String>) -> Self {
        Self::CannotFetch { address: excerpt(address, 256), reason: reason.into() }
    }

    /// Names the path of a failed operation of the file system.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        image_overlay::Error::io(action, path, source).into()
    }

    /// Names what was done with a stream when it failed.
    pub(crate) fn stream(action: &'static str, source: io::Error) -> Self {
        image_overlay::Error::stream(action, source).into()
    }

    pub(crate) fn destination(path: &LayerPath, reason: &'static str) -> Self {
        Self::Destination { path: path.to_string(), reason }
    }

    /// Names a path of a command that something is wrong with.
    #[cfg(all(target_os = "linux", feature = "oci-runtime"))]
    pub(crate) fn mount(path: &str, reason: impl Into<String>) -> Self {
        Self::Mount { path: excerpt(path, 256), reason: reason.into() }
    }

    pub(crate) fn changed(path: impl Into<PathBuf>) -> Self {
        Self::Changed { path: path.into() }
    }

    pub(crate) fn owner(owner: &str, reason: impl Into<String>) -> Self {
        Self::UnknownOwner { owner: excerpt(owner, 256), reason: reason.into() }
    }

    /// Names the archive that an error is about.
    pub(crate) fn in_archive(self, name: &str) -> Self {
        if self.is_cancelled() {
            return self;
        }
        Self::Archive { name: excerpt(name, 256), source: Box::new(self) }
    }

    /// Gives an error the instruction that it came of, where it does not name its place already.
    pub(crate) fn in_step(self, dockerfile: &Dockerfile, instruction: &Instruction) -> Self {
        if self.location().is_some() || self.is_cancelled() {
            return self;
        }
        Self::Step {
            location: Box::new(dockerfile.source().location(instruction.keyword.span)),
            instruction: excerpt(&instruction.text, 256),
            source: Box::new(self),
        }
    }
}
