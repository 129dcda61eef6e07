//! By path, from a directory that cannot be moved meanwhile.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Write},
    os::windows::fs::{MetadataExt, OpenOptionsExt},
    path::{self, Path, PathBuf},
    thread,
    time::Duration,
};

use image_core::Error as CoreError;

use super::{LOCK, Lock, TEMPORARY};
use crate::error::{Error, Result};

// As the system's headers have them.
const FILE_SHARE_READ: u32 = 0x1;
const FILE_SHARE_WRITE: u32 = 0x2;
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const ERROR_SHARING_VIOLATION: i32 = 32;

/// How often it is tried to replace a file that somebody has open, and how long is waited between: a second in all.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// A directory; the path is for messages.
#[derive(Debug)]
pub(crate) struct Dir {
    /// While it is open nobody can rename, replace or remove the directory, nor those that lead to it.
    _pin: File,
    /// The path from the root, so that it is the same directory whatever becomes of the current one.
    place: PathBuf,
    path: PathBuf,
}

impl Dir {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |e| CoreError::io("open the image layout", path, e);
        let place = path::absolute(path).map_err(failed)?;
        let mut options = File::options();
        options.read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        let pin = options.open(&place).map_err(failed)?;
        if !pin.metadata().map_err(failed)?.is_dir() {
            return Err(Error::NotALayout { path: path.to_owned(), reason: "it is no directory" });
        }
        Ok(Self { _pin: pin, place, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a whole file of at most `limit` bytes; `None` where there is none.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let file = match options().read(true).open(self.place.join(name)) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(CoreError::io("open", self.path_of(name), e).into()),
        };
        let failed = |error: io::Error| CoreError::io("read", self.path_of(name), error);
        if !is_file(&file.metadata().map_err(failed)?) {
            return Err(self.not_regular(name));
        }
        self.read_all(file, name, limit).map(Some)
    }

    /// Waits until no other writer changes the directory's files.
    ///
    /// The lock is the system's and goes with its holder, however that ends. Its file cannot be removed while it is open,
    /// so all writers have the same.
    pub(crate) fn lock(&self) -> Result<Lock<'_>> {
        let failed = |error: io::Error| CoreError::io("lock", self.path_of(LOCK), error);
        let mut options = options();
        options.read(true).write(true).create(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
        let file = options.open(self.place.join(LOCK)).map_err(failed)?;
        if !is_file(&file.metadata().map_err(failed)?) {
            return Err(self.not_regular(LOCK));
        }
        file.lock().map_err(failed)?;
        Ok(Lock { dir: self, _file: file })
    }

    /// Whether the directory holds nothing but what this module makes and what is `known`.
    pub(crate) fn holds_only(&self, known: &[&str]) -> Result<bool> {
        let failed = |error: io::Error| CoreError::io("read", &self.path, error);
        for entry in fs::read_dir(&self.place).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let is_known = |known: &&str| name == **known;
            if !([LOCK, TEMPORARY].iter().any(is_known) || known.iter().any(is_known)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Lock<'_> {
    /// Puts a file in the place of another, or of none, so that readers see one or the other,
    /// also after a crash. The names are as durable as the file system makes them: a directory cannot be synced.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let Self { dir, .. } = self;
        let temporary = dir.place.join(TEMPORARY);
        // One that a killed holder of the lock left behind.
        match fs::remove_file(&temporary) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(CoreError::io("remove", dir.path_of(TEMPORARY), e).into());
            }
            _ => {}
        }
        let result = File::create_new(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| rename_over(&temporary, &dir.place.join(name)));
        result.map_err(|e| CoreError::io("write", dir.path_of(name), e).into())
    }
}

/// Renames a file over one that others may be reading. NTFS allows that; other file systems do not, nor does every program that
/// looks into new files. Nobody reads for long, so it is tried again.
fn rename_over(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        match fs::rename(from, to) {
            Err(e) if e.kind() == ErrorKind::PermissionDenied || e.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => {
                thread::sleep(PAUSE);
            }
            renamed => return renamed,
        }
    }
    fs::rename(from, to)
}

/// Opens what stands under a name, whatever it is, and follows no link.
fn options() -> OpenOptions {
    let mut options = File::options();
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    options
}

/// Whether it is a file whose content is in it, and neither a link nor anything else that leads elsewhere.
fn is_file(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT == 0
}
