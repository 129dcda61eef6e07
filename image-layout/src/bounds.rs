//! How large a graph of documents may be, before somebody is walking for ever.

use image_core::{Descriptor, Digest, Error as CoreError};

/// How deep indexes may nest: one that is no index's entry is at depth 1.
const MAX_DEPTH: usize = 8;

/// How many indexes are read.
const MAX_INDEXES: usize = 1000;

/// How many blobs there may be, documents among them; what is remembered of each is small.
const MAX_BLOBS: usize = 1_000_000;

/// Counts what a walk over documents comes by. A walk that comes by everything once ends without this, but not soon: a few
/// small indexes can point at one another in more ways than anybody can count.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    indexes: usize,
    blobs: usize,
}

impl Bounds {
    /// Takes one more index, at a depth.
    pub(crate) fn admit_index(&mut self, index: &Descriptor, depth: usize) -> Result<(), CoreError> {
        if depth > MAX_DEPTH {
            let what = format!("image index {}, by its depth below other indexes", index.digest);
            return Err(CoreError::limit(what, MAX_DEPTH as u64));
        }
        self.indexes += 1;
        within(self.indexes, "indexes", MAX_INDEXES, &index.digest)
    }

    /// Takes one more blob, whatever it is.
    pub(crate) fn admit_blob(&mut self, digest: &Digest) -> Result<(), CoreError> {
        self.blobs += 1;
        within(self.blobs, "blobs", MAX_BLOBS, digest)
    }
}

/// Says what there are too many of, and where the first too many is.
pub(crate) fn within(count: usize, what: &str, limit: usize, at: &Digest) -> Result<(), CoreError> {
    if count > limit { Err(CoreError::limit(format!("number of {what} up to {at}"), limit as u64)) } else { Ok(()) }
}
