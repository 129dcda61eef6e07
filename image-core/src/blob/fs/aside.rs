//! Setting corrupt blobs aside.

use std::path::PathBuf;

use super::{
    dir::{Found, facts_of},
    lock::Hold,
    options::Symlinks,
    store::{self, FsBlobStore},
    temporary::unique_name,
};
use crate::{
    digest::Digest,
    error::{Error, Result},
};

/// The directory that corrupt blobs are moved to.
const CORRUPT: &str = "corrupt";

/// Moves a blob to the directory `corrupt` if it is not what its name says.
pub(super) fn set_aside(blobs: &FsBlobStore, digest: &Digest) -> Result<Option<PathBuf>> {
    let Some(blob) = blobs.open_unverified(digest)? else { return Ok(None) };
    match store::verify(digest, &blob) {
        Err(Error::CorruptBlob { .. }) => {}
        verified => return verified.map(|()| None),
    }
    let (inner, durability) = (blobs.inner(), blobs.options().durability);
    let to = inner.root.make_dir(CORRUPT, Symlinks::Refused, durability)?;
    let (Some(dir), Some(file)) = (inner.open_algorithm_dir(digest)?, blob.file()) else { return Ok(None) };
    // Alone, so that the name does not come to mean another file on the way.
    let _hold = inner.open_blobs()?.map(Hold::exclusive).transpose()?;
    let seen = facts_of(file).map_err(|e| Error::io("stat", dir.path().join(digest.encoded()), e))?;
    match dir.stat_file(digest.encoded(), Symlinks::Refused)? {
        Found::File(now) if now.id == seen.id => {}
        _ => return Ok(None),
    }
    let name = unique_name(&format!("{}-{}-", digest.algorithm(), digest.encoded()));
    dir.rename(digest.encoded(), &to, &name)?;
    to.sync(durability)?;
    dir.sync(durability)?;
    Ok(Some(to.path().join(name)))
}
