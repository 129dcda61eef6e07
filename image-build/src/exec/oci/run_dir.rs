//! The directory of one run, and what killed runs left.

use std::{
    collections::hash_map::RandomState,
    fs::{self, File},
    hash::{BuildHasher, Hasher},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::cgroup;
use crate::error::{Error, Result};

/// How the names of runs begin; others in the directory are not ours to clean.
const PREFIX: &str = "image-build-";

/// How much is read of what the shell or the runtime has to say, in bytes.
const MAX_TOLD: u64 = 64 << 10;

/// How long processes that were killed are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory that is locked for as long as its run lasts, so one that can be locked is what a killed process left.
///
/// It holds `private`, where the run's own mount namespace has a file system in memory with all that is secret
/// or of no use later; `pid`, the first process of the run; `setup` and `log`, what shell and runtime complain of;
/// and sockets. None of it is secret.
#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
    name: String,
    /// Holds the lock.
    handle: File,
}

impl RunDir {
    /// A new one in `runs`.
    pub(super) fn create(runs: &Path) -> Result<Self> {
        loop {
            let name = format!("{PREFIX}{:016x}", RandomState::new().build_hasher().finish());
            let path = runs.join(&name);
            let failed = |e| Error::io("create", &path, e);
            match fs::create_dir(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                result => result.map_err(failed)?,
            }
            // Between the two, another process may have taken it for abandoned.
            let Ok(handle) = File::open(&path) else { continue };
            if is_claimed(&handle, &path).map_err(failed)? {
                fs::create_dir(path.join("private")).map_err(failed)?;
                return Ok(Self { path, name, handle });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name, which no other run has.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn handle(&self) -> &File {
        &self.handle
    }

    /// The start of one of its files; empty where there is none.
    pub(super) fn read(&self, name: &str) -> String {
        read_start(&self.path.join(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Kills the first process of the run, and with it all others; tells whether there was one.
    pub(super) fn kill(&self) -> bool {
        kill_first(&self.path)
    }

    /// Removes what is left of the run: its control groups and this directory.
    pub(super) fn remove(self) -> Result<()> {
        clean(&self.path, &self.name)
    }
}

/// Removes what killed processes left. What another process works on, or what is not ours to remove, stays.
pub(super) fn clean_stale(runs: &Path) -> Result<()> {
    let failed = |e| Error::io("clean", runs, e);
    for entry in fs::read_dir(runs).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(handle) = File::open(&path) else { continue };
        if handle.try_lock().is_ok() {
            kill_first(&path);
            match clean(&path, name) {
                Err(error) if error.is_denied() => {}
                cleaned => cleaned?,
            }
        }
    }
    Ok(())
}

fn clean(path: &Path, name: &str) -> Result<()> {
    cgroup::remove(name, Instant::now() + PATIENCE)?;
    let failed = |e| Error::io("remove", path, e);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        // `private` is empty outside the run: what it holds was in memory, and went with the run.
        let removed = if entry.is_dir() { fs::remove_dir(&entry) } else { fs::remove_file(&entry) };
        removed.map_err(|e| Error::io("remove", &entry, e))?;
    }
    fs::remove_dir(path).map_err(failed)
}

/// Locks a directory that was just made; tells whether it is still there.
fn is_claimed(handle: &File, path: &Path) -> io::Result<bool> {
    match handle.try_lock() {
        Err(fs::TryLockError::WouldBlock) => return Ok(false),
        // Where there are no locks, nobody takes it away.
        Err(fs::TryLockError::Error(e)) if e.kind() != io::ErrorKind::Unsupported => return Err(e),
        _ => {}
    }
    let ours = handle.metadata()?;
    Ok(path.symlink_metadata().is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

fn kill_first(path: &Path) -> bool {
    let Some(pid) = read_start(&path.join("pid")).trim().parse().ok().and_then(Pid::from_raw) else { return false };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    // The number may be another process's by now. Shell and runtime work in this directory, to their ends.
    let cwd = fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()));
    cwd.is_ok_and(|cwd| cwd.starts_with(path)) && pidfd_send_signal(process, Signal::KILL).is_ok()
}

fn read_start(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // What cannot be read is not told.
        drop(file.take(MAX_TOLD).read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
