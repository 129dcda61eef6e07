//! The directory of a store: what is where, and who holds it.
//!
//! Everything is made in `tmp/`, and becomes a snapshot by one rename; everything is removed by one rename to `tmp/`.
//! So a snapshot is whole or not there, whenever a process dies. Whoever works in a directory holds a lock on it, which
//! the kernel lets go of with the process: what is in `tmp/` and nobody holds was left by one that died.
//!
//! Names change under the lock of the store, which is held for as long as that takes, never while files are copied.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use image_core::{ChainId, Ctx, Digest};
use rustix::{fs::CWD, io::Errno, mount::UnmountFlags};

use super::SnapshotKey;
use crate::{
    error::{Error, Result},
    root::remove,
};

/// What the first line of the file `version` begins with; the form of the snapshots follows.
const VERSION: &str = "image-overlay snapshots 1";
/// More than the file `version` takes, in bytes.
const MAX_VERSION: u64 = 256;
/// More than the parents of any view take.
const MAX_PARENTS_FILE: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    /// Tells the names apart that this process makes.
    next: AtomicU64,
}

/// The right to change names, until it is dropped.
#[derive(Debug)]
pub(super) struct Exclusive {
    _lock: File,
}

/// A directory that this process works in.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: PathBuf,
    /// Keeps others out, under whatever name the directory has.
    lock: File,
}

impl Held {
    /// Writes what is in the file system to the medium.
    pub(super) fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.lock).map_err(|e| Error::io("sync", &self.path, e.into()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing it would do, but for a child process that was just begun and has all that its parent has.
        drop(self.lock.unlock());
    }
}

impl Disk {
    /// Opens a store of this form, which is made where it is missing.
    pub(super) fn open(directory: &Path, form: &str) -> Result<Self> {
        let disk = Self { directory: directory.to_owned(), next: AtomicU64::new(0) };
        fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        for name in ["committed", "active", "views", "tmp", "empty"] {
            let path = disk.directory.join(name);
            // An image's set-user-id programs are nobody else's to run.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io("create", path, e)),
                _ => {}
            }
        }
        let _exclusive = disk.lock()?;
        disk.check_version(form)?;
        Ok(disk)
    }

    /// The form of the snapshots in a directory; `None` where there are none yet.
    pub(super) fn form_of(directory: &Path) -> Result<Option<String>> {
        let version = read_text(&directory.join("version"), MAX_VERSION)?;
        Ok(version.and_then(|text| Some(text.trim_end().strip_prefix(VERSION)?.trim_start().to_owned())))
    }

    fn check_version(&self, form: &str) -> Result<()> {
        let path = self.directory.join("version");
        let expected = format!("{VERSION} {form}\n");
        // An empty file is that of a process that was killed while it made the store.
        match read_text(&path, MAX_VERSION)?.as_deref() {
            Some(found) if found == expected => Ok(()),
            None | Some("") => fs::write(&path, &expected).map_err(|e| Error::io("write", path, e)),
            Some(found) => Err(Error::SnapshotStore {
                path,
                found: found.trim_end().escape_debug().to_string(),
                expected: expected.trim_end().to_owned(),
            }),
        }
    }

    /// Waits for the right to change names.
    pub(super) fn lock(&self) -> Result<Exclusive> {
        let path = self.directory.join("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(|e| Error::io("open", &path, e))?;
        file.lock().map_err(|e| Error::io("lock", path, e))?;
        Ok(Exclusive { _lock: file })
    }

    pub(super) fn empty(&self) -> PathBuf {
        self.directory.join("empty")
    }

    pub(super) fn committed(&self, chain: &ChainId) -> PathBuf {
        let digest = chain.as_digest();
        self.directory.join("committed").join(digest.algorithm().as_str()).join(digest.encoded())
    }

    pub(super) fn active(&self, key: &SnapshotKey) -> PathBuf {
        self.directory.join("active").join(key.as_str())
    }

    /// Makes a directory in `tmp/` that is based on these snapshots.
    pub(super) fn create(&self, _: &Exclusive, parents: &[ChainId]) -> Result<Held> {
        let path = self.unused("tmp");
        let failed = |e| Error::io("create", &path, e);
        fs::create_dir(&path).map_err(failed)?;
        let held = hold(&path)?.ok_or_else(|| failed(io::ErrorKind::ResourceBusy.into()))?;
        for name in ["fs", "root"] {
            fs::create_dir(path.join(name)).map_err(failed)?;
        }
        let lines: String = parents.iter().map(|parent| format!("{parent}\n")).collect();
        fs::write(path.join("parents"), lines).map_err(failed)?;
        Ok(held)
    }

    /// Gives a directory its place.
    pub(super) fn place(&self, _: &Exclusive, held: &mut Held, place: PathBuf) -> Result<()> {
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
        }
        fs::rename(&held.path, &place).map_err(|e| Error::io("rename to", &place, e))?;
        held.path = place;
        Ok(())
    }

    /// Gives a directory a place among the views.
    pub(super) fn place_view(&self, exclusive: &Exclusive, held: &mut Held) -> Result<()> {
        let place = self.unused("views");
        self.place(exclusive, held, place)
    }

    /// Takes a directory away from its place, to be deleted.
    pub(super) fn discard(&self, exclusive: &Exclusive, held: &mut Held) -> Result<()> {
        let place = self.unused("tmp");
        self.place(exclusive, held, place)
    }

    /// Takes a directory that nobody works in away from its place; gives it to be deleted. Where somebody has it open all
    /// the same (a child process that was just begun has all that its parent has), that is left to
    /// whoever cleans next.
    pub(super) fn discard_unheld(&self, _: &Exclusive, path: &Path) -> Result<Option<Held>> {
        let place = self.unused("tmp");
        fs::rename(path, &place).map_err(|e| Error::io("rename", path, e))?;
        hold(&place)
    }

    /// Deletes what was discarded.
    #[expect(clippy::needless_pass_by_value, reason = "nobody holds it afterwards")]
    pub(super) fn delete(&self, held: Held, ctx: &Ctx) -> Result<()> {
        unmount_all(&held.path.join("root"));
        remove_all(&held.path, &mut || Ok(ctx.check()?))
    }

    /// What processes that died have left in `tmp/` and `views/`, to be deleted.
    pub(super) fn abandoned(&self, exclusive: &Exclusive) -> Result<Vec<Held>> {
        let mut abandoned = Vec::new();
        for place in ["views", "tmp"] {
            for name in names(&self.directory.join(place))? {
                let Some(mut held) = hold(&self.directory.join(place).join(name))? else { continue };
                self.discard(exclusive, &mut held)?;
                abandoned.push(held);
            }
        }
        Ok(abandoned)
    }

    /// What live processes are based on: views, and what is being made.
    pub(super) fn used(&self, _: &Exclusive) -> Result<BTreeSet<ChainId>> {
        let mut used = BTreeSet::new();
        for place in ["views", "tmp"] {
            let place = self.directory.join(place);
            for name in names(&place)? {
                let path = place.join(name);
                if hold(&path)?.is_none() {
                    used.extend(parents(&path)?);
                }
            }
        }
        Ok(used)
    }

    /// All committed snapshots, and what each is based on.
    pub(super) fn list_committed(&self) -> Result<Vec<(ChainId, Option<ChainId>)>> {
        let all = self.directory.join("committed");
        let mut list = Vec::new();
        for algorithm in names(&all)? {
            for name in names(&all.join(&algorithm))? {
                let digest = format!("{}:{}", algorithm.display(), name.display()).parse::<Digest>();
                let Ok(digest) = digest else { continue };
                let parent = parents(&all.join(&algorithm).join(&name))?.into_iter().next();
                list.push((ChainId::from_digest(digest), parent));
            }
        }
        list.sort();
        Ok(list)
    }

    /// All active snapshots, and what each is based on.
    pub(super) fn list_active(&self) -> Result<Vec<(SnapshotKey, Option<ChainId>)>> {
        let all = self.directory.join("active");
        let mut list = Vec::new();
        for name in names(&all)? {
            let Some(key) = name.to_str().and_then(|name| SnapshotKey::parse(name).ok()) else { continue };
            list.push((key, parents(&all.join(&name))?.into_iter().next()));
        }
        list.sort();
        Ok(list)
    }

    fn unused(&self, place: &str) -> PathBuf {
        let process = rustix::process::getpid().as_raw_nonzero();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            // Another store of this process may be of the same directory.
            let path = self.directory.join(place).join(format!("{process}-{number}"));
            if !path.exists() {
                return path;
            }
        }
    }
}

/// Takes hold of a directory; `None` where somebody else holds it, or it is gone.
pub(super) fn hold(path: &Path) -> Result<Option<Held>> {
    let lock = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(|e| Error::io("open", path, e))?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(Held { path: path.to_owned(), lock })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
    }
}

/// What a snapshot is based on, the nearest first.
pub(super) fn parents(directory: &Path) -> Result<Vec<ChainId>> {
    let text = read_text(&directory.join("parents"), MAX_PARENTS_FILE)?.unwrap_or_default();
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Empties and removes a directory that may be missing.
pub(super) fn remove_all(path: &Path, check: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let name = path.as_os_str().as_encoded_bytes();
    remove(CWD, name, &mut || check().map_err(Fault::Other)).map_err(|fault| match fault {
        Fault::System(errno) => Error::io("remove", path, errno.into()),
        Fault::Other(error) => error,
    })
}

/// Takes away all that is mounted at a place; where that is not possible, it shows when the place is removed.
pub(super) fn unmount_all(path: &Path) {
    while rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
}

fn names(directory: &Path) -> Result<Vec<OsString>> {
    let failed = |e| Error::io("read", directory, e);
    fs::read_dir(directory).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect()
}

fn read_text(path: &Path, limit: u64) -> Result<Option<String>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(|e| Error::io("open", path, e))?,
    };
    let mut text = String::new();
    file.take(limit).read_to_string(&mut text).map_err(|e| Error::io("read", path, e))?;
    Ok(Some(text))
}

/// What a removal may end with.
enum Fault {
    System(Errno),
    Other(Error),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}
