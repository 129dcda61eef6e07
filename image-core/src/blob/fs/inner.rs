//! The directories of a store.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    dir::{Dir, Facts, Found},
    ingest,
    options::{FsBlobStoreOptions, Symlinks},
};
use crate::{
    digest::{Algorithm, Digest},
    error::{Error, Result},
};

const BLOBS: &str = "blobs";
pub(super) const INGEST: &str = "ingest";

/// What all clones and writers of a store share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) root: Dir,
    pub(super) options: FsBlobStoreOptions,
    is_cleaned: AtomicBool,
}

impl Inner {
    pub(super) fn new(root: Dir, options: FsBlobStoreOptions) -> Self {
        Self { root, options, is_cleaned: AtomicBool::new(false) }
    }

    pub(super) fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        let Some(dir) = self.open_algorithm_dir(digest)? else { return Ok(None) };
        match dir.stat_file(digest.encoded(), self.options.symlinks)? {
            Found::Nothing => Ok(None),
            Found::File(facts) => Ok(Some(facts.size)),
            Found::Other => Err(not_a_file(&dir, digest)),
        }
    }

    /// The directory of the digest's algorithm, made where it is missing.
    pub(super) fn make_algorithm_dir(&self, digest: &Digest) -> Result<Dir> {
        digest.require_supported()?;
        let FsBlobStoreOptions { durability, symlinks, .. } = self.options;
        self.make_blobs()?.make_dir(digest.algorithm().as_str(), symlinks, durability)
    }

    /// The directory of the directories of blobs, if there is one.
    pub(super) fn open_blobs(&self) -> Result<Option<Dir>> {
        self.root.open_dir(BLOBS, self.options.symlinks)
    }

    /// The directory of the directories of blobs, made where it is missing.
    pub(super) fn make_blobs(&self) -> Result<Dir> {
        self.root.make_dir(BLOBS, self.options.symlinks, self.options.durability)
    }

    /// Calls `visit` with every blob, and what is known of its file.
    pub(super) fn for_each(&self, visit: &mut dyn FnMut(&Digest, Facts) -> Result<()>) -> Result<()> {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let Some(dir) = self.open_named_dir(&algorithm)? else { continue };
            dir.for_each_name(&mut |name| {
                let Some(digest) = digest_of(&algorithm, name) else { return Ok(()) };
                match dir.stat_file(name, self.options.symlinks)? {
                    Found::File(facts) => visit(&digest, facts),
                    Found::Nothing | Found::Other => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// The directory for files being written, made where it is missing, and cleaned once.
    pub(super) fn ingest_dir(&self) -> Result<Dir> {
        let dir = self.root.make_dir(INGEST, Symlinks::Refused, self.options.durability)?;
        if !self.is_cleaned.swap(true, Ordering::Relaxed) {
            // What cannot be cleaned now is no reason not to write.
            drop(ingest::clean(&dir));
        }
        Ok(dir)
    }

    /// The directory of the digest's algorithm. Only supported algorithms become paths.
    pub(super) fn open_algorithm_dir(&self, digest: &Digest) -> Result<Option<Dir>> {
        digest.require_supported()?;
        self.open_named_dir(digest.algorithm())
    }

    pub(super) fn open_named_dir(&self, algorithm: &Algorithm) -> Result<Option<Dir>> {
        match self.open_blobs()? {
            Some(blobs) => blobs.open_dir(algorithm.as_str(), self.options.symlinks),
            None => Ok(None),
        }
    }
}

/// Which blob has this name in the directory of its algorithm; `None` for what is none.
pub(super) fn digest_of(algorithm: &Algorithm, name: &str) -> Option<Digest> {
    format!("{algorithm}:{name}").parse().ok()
}

pub(super) fn not_a_file(dir: &Dir, digest: &Digest) -> Error {
    let path = dir.path().join(digest.encoded());
    Error::InvalidBlob { digest: digest.clone(), path, reason: "not a regular file" }
}
