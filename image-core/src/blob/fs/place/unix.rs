//! A name is one thing and the open file another: nothing special is to be done.

use crate::{
    blob::fs::{dir::Dir, store::FsBlobStore, temporary::Temporary},
    digest::Digest,
    error::Result,
};

impl FsBlobStore {
    /// Moves a verified file to the place of its blob, over what stands there.
    pub(in crate::blob::fs) fn put_in_place(&self, file: &Temporary, dir: &Dir, digest: &Digest) -> Result<()> {
        file.persist(dir, digest.encoded())
    }

    /// Removes a blob; tells whether it was there.
    pub(in crate::blob::fs) fn take_away(&self, dir: &Dir, digest: &Digest) -> Result<bool> {
        dir.remove_file(digest.encoded())
    }
}
