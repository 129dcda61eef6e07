//! Dropping what a policy does not keep.

use std::{
    collections::HashSet,
    fs::{self, TryLockError},
    io,
    path::Path,
};

use image_core::{BlobStore, Ctx, Timestamp};
use serde::{Deserialize, Serialize};

use super::BuildState;
use crate::{
    cache::{self, Expiry, ExpiryPolicy, RecordStore, RunMode},
    error::{Error, Result},
    miss,
};

/// Files that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Removed {
    /// How many.
    pub count: u64,
    /// Their size, in bytes.
    pub bytes: u64,
}

impl Removed {
    pub(super) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What was dropped of a build state, and what was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateExpiry {
    /// The records.
    #[serde(flatten)]
    pub records: Expiry,
    /// Layers that no record names.
    pub blobs: Removed,
    /// Notes of them: tables of contents, what was selected from them, lists of files, what is known of contexts' files.
    pub notes: Removed,
    /// Root file systems for commands that no build can use, or that did not serve for as long as the policy allows.
    #[serde(default)]
    pub snapshots: Removed,
    /// What `RUN --mount=type=cache` kept that did not serve for as long as the policy allows, or takes more than that.
    #[serde(default)]
    pub caches: Removed,
}

/// What the records that are kept name.
#[derive(Default)]
struct Named {
    blobs: HashSet<String>,
    tables: HashSet<String>,
    lists: HashSet<String>,
}

impl BuildState {
    /// Drops the records that a policy does not keep, and everything that then nobody names: layers, also those that an
    /// interrupted build left, tables of contents, and lists of files. What is known of base images and contexts is
    /// dropped where it was not used for as long as the policy allows, and so are snapshots and the caches of commands. Of
    /// the latter, no more stay than the policy's number of bytes.
    ///
    /// A dropped record is known to have been expired, and the next build says so. With [`RunMode::Dry`] nothing is
    /// changed, and the answer is what would be.
    ///
    /// # Errors
    /// [`Error::Busy`] while a build uses the state; where it cannot be read or written.
    pub fn expire(&self, policy: &ExpiryPolicy, mode: RunMode, ctx: &Ctx) -> Result<StateExpiry> {
        let lock = self.lock_file()?;
        if mode == RunMode::Real {
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: self.directory.clone() }),
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", self.directory.join("lock"), e)),
            }
        }
        let now = ctx.now();
        let records = cache::expire(&self.records, policy, mode, now)?;
        let named = self.named(&records)?;
        let mut swept = StateExpiry { records, ..StateExpiry::default() };
        let mut unnamed = Vec::new();
        self.blobs.for_each(&mut |digest, size| {
            if !named.blobs.contains(digest.encoded()) {
                unnamed.push(digest.clone());
                swept.blobs.add(size);
            }
            Ok(())
        })?;
        if mode == RunMode::Real {
            for digest in unnamed {
                ctx.check()?;
                self.blobs.remove(&digest)?;
            }
        }
        let unused = policy.max_age.and_then(|age| i64::try_from(age.as_secs()).ok());
        let unused = unused.map(|age| Timestamp::from_seconds(now.seconds().saturating_sub(age)));
        let is_unused = |time: Timestamp| unused.is_some_and(|unused| time < unused);
        sweep(&self.verified, mode, &mut swept.notes, &|name, _| !named.blobs.contains(name))?;
        sweep(&self.files, mode, &mut swept.notes, &|name, _| !named.lists.contains(name))?;
        sweep(&self.toc, mode, &mut swept.notes, &|name, time| !named.tables.contains(name) && is_unused(time))?;
        sweep(&self.selected, mode, &mut swept.notes, &|_, time| is_unused(time))?;
        sweep(self.stats.path(), mode, &mut swept.notes, &|_, time| is_unused(time))?;
        #[cfg(target_os = "linux")]
        {
            swept.snapshots = self.expire_snapshots(&named.tables, &is_unused, mode, ctx)?;
        }
        #[cfg(all(target_os = "linux", feature = "oci-runtime"))]
        {
            let caches = crate::exec::CacheMounts::find(self.exec_directory());
            for cache in caches.expire(unused, policy.max_bytes, mode, ctx)? {
                swept.caches.add(cache.bytes);
            }
        }
        Ok(swept)
    }

    /// What the records name that are not dropped.
    fn named(&self, expiry: &Expiry) -> Result<Named> {
        let expired: HashSet<_> = expiry.expired.iter().map(|record| &record.key).collect();
        let mut named = Named::default();
        self.records.for_each(&mut |record| {
            if expired.contains(&record.recipe.key()) {
                return Ok(());
            }
            named.blobs.extend(record.descriptors().map(|blob| blob.digest.encoded().to_owned()));
            if let Some(layer) = &record.layer {
                named.tables.insert(layer.diff_id.as_digest().encoded().into());
            }
            named.lists.extend(miss::lists(&record).into_values().map(|list| list.encoded().to_owned()));
            Ok(())
        })?;
        Ok(named)
    }
}

/// Whether a file is there.
#[cfg(target_os = "linux")]
pub(super) fn is_file(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("look at", path, e)),
    }
}

/// Removes those files of a directory that a rule names, by name and time of last use.
fn sweep(directory: &Path, mode: RunMode, removed: &mut Removed, rule: &dyn Fn(&str, Timestamp) -> bool) -> Result<()> {
    let failed = |e| Error::io("clean", directory, e);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        let used = Timestamp::from(metadata.modified().map_err(failed)?);
        if metadata.is_file() && rule(&entry.file_name().to_string_lossy(), used) {
            if mode == RunMode::Real {
                fs::remove_file(entry.path()).map_err(|e| Error::io("remove", entry.path(), e))?;
            }
            removed.add(metadata.len());
        }
    }
    Ok(())
}
