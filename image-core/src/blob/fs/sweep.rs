//! Removing blobs while others may want to store and rely on them.

use super::{
    dir::{Dir, Found},
    inner::digest_of,
    lease::{self, LEASES, Protected},
    lock::Hold,
    options::Symlinks,
    store::FsBlobStore,
};
use crate::{
    clock::Timestamp,
    digest::{Algorithm, Digest},
    error::Result,
    parallel,
};

/// How many blobs' files a thread looks at before it asks for more.
const TOGETHER: usize = 1 << 10;

/// A blob of a store.
#[derive(Debug, Clone)]
pub(crate) struct Resident {
    pub(crate) digest: Digest,
    /// In bytes.
    pub(crate) size: u64,
    /// When it was last written or renewed.
    pub(crate) modified: Timestamp,
}

/// A store that nobody else stores blobs in, or relies on ones that are there, while it lives.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    store: &'a FsBlobStore,
    dirs: Vec<(Algorithm, Dir)>,
    _hold: Option<Hold>,
}

impl FsBlobStore {
    /// When a blob was last written, found instead of being written, or renewed; `None` where there is none. The clock
    /// is the file system's.
    ///
    /// # Errors
    /// As [`crate::BlobSource::stat`].
    pub fn last_used(&self, digest: &Digest) -> Result<Option<Timestamp>> {
        let Some(dir) = self.inner().open_algorithm_dir(digest)? else { return Ok(None) };
        match dir.stat_file(digest.encoded(), self.options().symlinks)? {
            Found::File(facts) => Ok(Some(facts.modified)),
            Found::Nothing | Found::Other => Ok(None),
        }
    }

    /// All blobs. Their files are looked at on several threads, which takes longer than to list them.
    pub(crate) fn residents(&self) -> Result<Vec<Resident>> {
        let mut residents = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let Some(dir) = self.inner().open_named_dir(&algorithm)? else { continue };
            let mut digests = Vec::new();
            dir.for_each_name(&mut |name| {
                digests.extend(digest_of(&algorithm, name));
                Ok(())
            })?;
            let parts: Vec<&[Digest]> = digests.chunks(TOGETHER).collect();
            let look = |digest: &Digest| match dir.stat_file(digest.encoded(), self.options().symlinks)? {
                Found::File(facts) => Ok(Some(facts)),
                Found::Nothing | Found::Other => Ok(None),
            };
            let look = |digests: &&[Digest]| digests.iter().map(look).collect::<Result<Vec<_>>>();
            let facts = parallel::map(parallel::threads(), &parts, look)?;
            let all = digests.into_iter().zip(facts.into_iter().flatten());
            residents.extend(all.filter_map(|(digest, facts)| {
                facts.map(|facts| Resident { digest, size: facts.size, modified: facts.modified })
            }));
        }
        Ok(residents)
    }

    /// Waits until nobody stores or relies on anything.
    pub(crate) fn sweep(&self) -> Result<Sweep<'_>> {
        let hold = self.inner().open_blobs()?.map(Hold::exclusive).transpose()?;
        let mut dirs = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            if let Some(dir) = self.inner().open_named_dir(&algorithm)? {
                dirs.push((algorithm, dir));
            }
        }
        Ok(Sweep { store: self, dirs, _hold: hold })
    }
}

impl Sweep<'_> {
    /// What living leases protect.
    pub(crate) fn protected(&self) -> Result<Vec<Protected>> {
        match self.store.inner().root.open_dir(LEASES, Symlinks::Refused)? {
            Some(dir) => lease::read_all(&dir),
            None => Ok(Vec::new()),
        }
    }

    /// Removes a blob unless the time when it was last used spares it; whether it is gone.
    pub(crate) fn remove(&self, digest: &Digest, is_spared: impl Fn(Timestamp) -> bool) -> Result<bool> {
        let Some((_, dir)) = self.dirs.iter().find(|(algorithm, _)| algorithm == digest.algorithm()) else {
            return Ok(true);
        };
        match dir.stat_file(digest.encoded(), self.store.options().symlinks)? {
            Found::File(facts) if is_spared(facts.modified) => Ok(false),
            Found::Other => Ok(false),
            Found::File(_) | Found::Nothing => self.store.take_away(dir, digest).map(|_| true),
        }
    }
}
