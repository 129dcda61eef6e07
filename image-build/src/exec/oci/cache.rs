//! Directories that runs leave for later runs.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use image_core::{Ctx, Digest, Timestamp};
use image_overlay::{LayerPath, Root};

use super::{machine::Machine, script::Script};
use crate::{
    cache::RunMode,
    error::{Error, Result},
    exec::{CacheSharing, Owner},
};

/// How long it is waited before a lock is asked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest name of a cache, in bytes.
const MAX_ID: u64 = 4096;

/// Where they are in the directory of a runtime.
pub(super) const CACHES: &str = "caches";

/// How many runs may use one private cache at once.
const MAX_SLOTS: u32 = 1024;

/// The caches of `RUN --mount=type=cache`: below one directory, `DIGEST/SLOT/data`, where the digest is that of a cache's
/// name and each slot is one directory of it. The file `lock` beside `data` holds the name, is locked for as long as
/// a run uses the slot, and was changed when the last of them began.
///
/// Several processes may use them at once. What no run uses may be removed at any time.
#[derive(Debug, Clone)]
pub struct CacheMounts {
    directory: PathBuf,
    /// What runs with the privilege of the runs, where one was found.
    machine: Option<Machine>,
}

/// One directory of a cache.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheMount {
    /// The cache's name.
    pub id: String,
    /// How much it takes on disk, in bytes, as far as it can be read.
    pub bytes: u64,
    /// When the last run that used it began.
    pub last_used: SystemTime,
    slot: PathBuf,
}

/// The right to use one directory of a cache, until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    _lock: File,
    /// The directory; it may be missing yet.
    pub(super) data: PathBuf,
}

impl CacheMounts {
    pub(super) fn open(directory: PathBuf, machine: Machine) -> Result<Self> {
        fs::create_dir_all(&directory).map_err(|e| Error::io("create", &directory, e))?;
        Ok(Self { directory, machine: Some(machine) })
    }

    /// Those in the directory of an [`OciRuntime`](super::OciRuntime), which may be missing: to be looked at and
    /// removed, as far as this process may.
    #[must_use]
    pub fn find(directory: impl AsRef<Path>) -> Self {
        Self { directory: directory.as_ref().join(CACHES), machine: None }
    }

    /// What there is, the least recently used first.
    ///
    /// # Errors
    /// [`Error::is_denied`].
    pub fn list(&self) -> Result<Vec<CacheMount>> {
        let mut found = Vec::new();
        for cache in entries(&self.directory)? {
            for slot in entries(&cache)? {
                found.extend(CacheMount::read(slot).map_err(|e| Error::io("read", &cache, e))?);
            }
        }
        found.sort_by(|a, b| (a.last_used, &a.slot).cmp(&(b.last_used, &b.slot)));
        Ok(found)
    }

    /// Removes the least recently used until the rest takes at most `keep` bytes; 0 removes all. What a run uses
    /// stays. Gives what was removed.
    ///
    /// # Errors
    /// [`Error::is_denied`], [`Error::is_cancelled`].
    pub fn prune(&self, keep: u64, ctx: &Ctx) -> Result<Vec<CacheMount>> {
        let found = self.list()?;
        let mut total: u64 = found.iter().map(|cache| cache.bytes).sum();
        let mut removed = Vec::new();
        for cache in found {
            let is_enough = keep > 0 && total <= keep;
            if !is_enough && self.remove(&cache, ctx)? {
                total = total.saturating_sub(cache.bytes);
                removed.push(cache);
            }
        }
        Ok(removed)
    }

    /// Removes those that no run used since a time, and of the others the least recently used until the rest takes no more
    /// bytes than a number. What a run uses stays. Gives what was removed, or with [`RunMode::Dry`] what would be.
    ///
    /// # Errors
    /// [`Error::is_denied`], [`Error::is_cancelled`].
    pub fn expire(
        &self,
        unused: Option<Timestamp>,
        max_bytes: Option<u64>,
        mode: RunMode,
        ctx: &Ctx,
    ) -> Result<Vec<CacheMount>> {
        let found = self.list()?;
        let mut total: u64 = found.iter().map(|cache| cache.bytes).sum();
        let mut removed = Vec::new();
        for cache in found {
            let is_old = unused.is_some_and(|unused| Timestamp::from(cache.last_used) < unused);
            let is_goner = is_old || max_bytes.is_some_and(|most| total > most);
            if is_goner && (mode == RunMode::Dry || self.remove(&cache, ctx)?) {
                total = total.saturating_sub(cache.bytes);
                removed.push(cache);
            }
        }
        Ok(removed)
    }

    /// Removes one, unless a run uses it.
    fn remove(&self, cache: &CacheMount, ctx: &Ctx) -> Result<bool> {
        let Some(lease) = Lease::take(&cache.slot, &cache.id, File::try_lock)? else { return Ok(false) };
        if let Some(machine) = self.machine.as_ref().filter(|machine| machine.is_rootless()) {
            let failed = |reason| Error::Runtime { reason: format!("removing a cache failed: {reason}") };
            machine.run_shell(Script::removing(&lease.data)).map_err(failed)?;
        } else {
            Root::open(&cache.slot)?.remove(&LayerPath::parse(b"data")?, ctx)?;
        }
        drop(lease);
        Ok(true)
    }

    /// Makes sure that a leased directory is there.
    pub(super) fn ensure(&self, lease: &Lease, owner: Owner, seed: Option<&Path>) -> Result<()> {
        let path = lease.data.with_file_name("making");
        let failed = |e| Error::io("lock", &path, e);
        // Of those who share it, one makes it.
        let guard = File::create(&path).map_err(failed)?;
        guard.lock().map_err(failed)?;
        if lease.data.exists() {
            return Ok(());
        }
        let failed = |reason| Error::Runtime { reason: format!("making a cache failed: {reason}") };
        match &self.machine {
            Some(machine) => machine.run_shell(Script::making(&lease.data, owner, seed)).map_err(failed),
            None => Err(failed("nothing was found that runs commands".into())),
        }
    }

    /// Waits for the right to use a directory of a cache.
    pub(super) fn lease(&self, id: &str, sharing: CacheSharing, ctx: &Ctx) -> Result<Lease> {
        if id.len() as u64 > MAX_ID {
            return Err(image_core::Error::limit("the name of a cache", MAX_ID).into());
        }
        let cache = self.directory.join(Digest::sha256_of(id.as_bytes()).encoded());
        match sharing {
            CacheSharing::Shared => wait(&cache.join("0"), id, File::try_lock_shared, ctx),
            CacheSharing::Locked => wait(&cache.join("0"), id, File::try_lock, ctx),
            CacheSharing::Private => {
                for slot in 0..MAX_SLOTS {
                    if let Some(lease) = Lease::take(&cache.join(slot.to_string()), id, File::try_lock)? {
                        return Ok(lease);
                    }
                }
                Err(image_core::Error::limit("the number of runs that use one cache", MAX_SLOTS.into()).into())
            }
        }
    }
}

type TryLock = fn(&File) -> std::result::Result<(), fs::TryLockError>;

fn wait(slot: &Path, id: &str, lock: TryLock, ctx: &Ctx) -> Result<Lease> {
    loop {
        ctx.check()?;
        match Lease::take(slot, id, lock)? {
            Some(lease) => return Ok(lease),
            None => thread::sleep(PAUSE),
        }
    }
}

impl Lease {
    /// `None` where somebody else has it.
    fn take(slot: &Path, id: &str, lock: TryLock) -> Result<Option<Self>> {
        let path = slot.join("lock");
        let failed = |e| Error::io("lock", &path, e);
        fs::create_dir_all(slot).map_err(failed)?;
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match lock(&file) {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(e)) => return Err(failed(e)),
        }
        if read_id(&mut file).map_err(failed)? != id.as_bytes() {
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(id.as_bytes()))
                .map_err(failed)?;
        }
        file.set_modified(now()).map_err(failed)?;
        Ok(Some(Self { _lock: file, data: slot.join("data") }))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is compared with times that the kernel sets, whatever the clock of a build"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn read_id(file: &mut File) -> io::Result<Vec<u8>> {
    let mut id = Vec::new();
    file.rewind()?;
    file.take(MAX_ID).read_to_end(&mut id)?;
    Ok(id)
}

impl CacheMount {
    fn read(slot: PathBuf) -> io::Result<Option<Self>> {
        let data = slot.join("data");
        let Ok(mut lock) = File::open(slot.join("lock")) else { return Ok(None) };
        if !data.try_exists()? {
            return Ok(None);
        }
        let id = String::from_utf8_lossy(&read_id(&mut lock)?).into_owned();
        Ok(Some(Self { id, bytes: disk_usage(&data), last_used: lock.metadata()?.modified()?, slot }))
    }
}

/// What a directory has in it; nothing where it is gone, or is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(|e| Error::io("read", directory, e)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(e) => Err(Error::io("read", directory, e)),
    }
}

/// The bytes that a tree takes on disk. What goes away meanwhile or may not be read counts nothing, and
/// a file with several names is divided among them.
fn disk_usage(top: &Path) -> u64 {
    let mut bytes = 0;
    let mut pending = vec![top.to_owned()];
    while let Some(path) = pending.pop() {
        let Ok(meta) = path.symlink_metadata() else { continue };
        if meta.is_dir() {
            bytes += meta.blocks() * 512;
            let below = fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(below.map(|entry| entry.path()));
        } else {
            bytes += meta.blocks() * 512 / meta.nlink().max(1);
        }
    }
    bytes
}
