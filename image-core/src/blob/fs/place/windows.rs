//! A file that is open cannot always be removed or replaced: not where the file system is not NTFS, and not while it is
//! mapped into memory. It can be renamed.

use crate::{
    blob::{
        BlobStore,
        fs::{
            dir::{Dir, Found},
            ingest::PREFIX,
            inner::INGEST,
            options::Symlinks,
            store::FsBlobStore,
            temporary::{Temporary, unique_name},
        },
    },
    digest::Digest,
    error::Result,
};

/// How often a file is moved away to make room. More than once only where others put the same blob there meanwhile.
const ATTEMPTS: usize = 8;

impl FsBlobStore {
    /// Moves a verified file to the place of its blob, over what stands there.
    pub(in crate::blob::fs) fn put_in_place(&self, file: &Temporary, dir: &Dir, digest: &Digest) -> Result<()> {
        let size = file.file.metadata().map_err(|e| file.error("stat", e))?.len();
        for _ in 0..ATTEMPTS {
            match file.persist(dir, digest.encoded()) {
                // What stands there is in use. It may be the very blob, which another writer has put there meanwhile.
                Err(e) if e.is_denied() => {
                    if self.renew(digest, size)? {
                        return Ok(());
                    }
                    if !self.take_away(dir, digest)? {
                        return Err(e);
                    }
                }
                persisted => return persisted,
            }
        }
        file.persist(dir, digest.encoded())
    }

    /// Removes a blob; tells whether it was there.
    ///
    /// It is moved to `ingest` first, and left there to the next cleaning where it is in use.
    pub(in crate::blob::fs) fn take_away(&self, dir: &Dir, digest: &Digest) -> Result<bool> {
        match dir.stat_file(digest.encoded(), Symlinks::Refused)? {
            Found::Nothing => return Ok(false),
            Found::Other => return dir.remove_file(digest.encoded()),
            Found::File(_) => {}
        }
        let inner = self.inner();
        let ingest = inner.root.make_dir(INGEST, Symlinks::Refused, inner.options.durability)?;
        let name = unique_name(PREFIX);
        match dir.rename(digest.encoded(), &ingest, &name) {
            Ok(()) => {
                drop(ingest.remove_file(&name));
                Ok(true)
            }
            // As where a link leads to another file system.
            Err(_) => dir.remove_file(digest.encoded()),
        }
    }
}
