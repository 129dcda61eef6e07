//! By path, from a directory that cannot be moved meanwhile. What holds a file is that it is open for writing and
//! lets nobody else write.
//!
//! Locks of the system would not do: they keep everybody from reading what is locked.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    os::windows::fs::{MetadataExt, OpenOptionsExt},
    path::{self, Path, PathBuf},
    time::SystemTime,
};

use super::{Facts, Found, LockMode};
use crate::{
    blob::fs::options::{Durability, Symlinks},
    error::{Error, Result},
};

// As the system's headers have them.
const FILE_SHARE_READ: u32 = 0x1;
const FILE_SHARE_WRITE: u32 = 0x2;
const FILE_SHARE_DELETE: u32 = 0x4;
/// To write to a file, or to make files in a directory.
const FILE_WRITE_DATA: u32 = 0x2;
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const ERROR_INVALID_FUNCTION: i32 = 1;
const ERROR_CANT_RESOLVE_FILENAME: i32 = 1921;

/// The file that is locked where elsewhere the directory itself is. It is empty.
const LOCK: &str = ".lock";

/// An open directory, and the path it goes by in errors.
#[derive(Debug)]
pub(in crate::blob::fs) struct Dir {
    /// While it is open nobody can rename, replace or remove the directory, nor those that lead to it.
    _pin: File,
    /// The path from the root, so that it is the same directory whatever becomes of the current one.
    place: PathBuf,
    path: PathBuf,
    lock: Option<File>,
}

/// Which file it is, as far as the standard library tells: when it was made and last changed, and its size.
///
/// A file that takes another's place is given the time of that moment. One that is renewed counts as another too.
pub(super) type FileId = (u64, u64, u64);

impl Dir {
    /// Opens a directory by the caller's path, symbolic links and all.
    pub(in crate::blob::fs) fn open_ambient(path: PathBuf) -> Result<Self> {
        let opened = path::absolute(&path).and_then(|place| Ok((open_dir(&place, Symlinks::Followed)?, place)));
        match opened {
            Ok((pin, place)) => Ok(Self { _pin: pin, place, path, lock: None }),
            Err(e) => Err(Error::io("open", path, e)),
        }
    }

    pub(in crate::blob::fs) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in this one, if there is one.
    pub(in crate::blob::fs) fn open_dir(&self, name: &str, symlinks: Symlinks) -> Result<Option<Self>> {
        let place = self.place.join(name);
        match open_dir(&place, symlinks) {
            Ok(pin) => Ok(Some(Self { _pin: pin, place, path: self.path.join(name), lock: None })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.error("open", name, e)),
        }
    }

    /// Opens a directory in this one; makes it where it is missing.
    pub(in crate::blob::fs) fn make_dir(&self, name: &str, symlinks: Symlinks, durability: Durability) -> Result<Self> {
        if let Some(dir) = self.open_dir(name, symlinks)? {
            return Ok(dir);
        }
        match fs::create_dir(self.place.join(name)) {
            Ok(()) => self.sync(durability)?,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(self.error("create", name, e)),
        }
        let dir = self.open_dir(name, symlinks)?;
        dir.ok_or_else(|| self.error("open", name, ErrorKind::NotFound.into()))
    }

    /// What is known of a file.
    pub(in crate::blob::fs) fn stat_file(&self, name: &str, symlinks: Symlinks) -> Result<Found<Facts>> {
        let place = self.place.join(name);
        let metadata = match symlinks {
            Symlinks::Refused => fs::symlink_metadata(place),
            Symlinks::Followed => fs::metadata(place),
        };
        match metadata {
            Ok(metadata) if is_file(&metadata, symlinks) => Ok(Found::File(facts(&metadata))),
            Ok(_) => Ok(Found::Other),
            Err(e) => self.not_opened("stat", name, e),
        }
    }

    /// Opens a file for reading. Whatever else stands there is opened, and closed.
    pub(in crate::blob::fs) fn open_file(&self, name: &str, symlinks: Symlinks) -> Result<Found<File>> {
        let file = match options(symlinks).read(true).open(self.place.join(name)) {
            Ok(file) => file,
            Err(e) => return self.not_opened("open", name, e),
        };
        let metadata = file.metadata().map_err(|e| self.error("stat", name, e))?;
        Ok(if is_file(&metadata, symlinks) { Found::File(file) } else { Found::Other })
    }

    /// Makes a file for writing and reading that is held for as long as it is open; `None` where the name is taken. Others
    /// may read and rename it.
    pub(in crate::blob::fs) fn create_file(&self, name: &str) -> Result<Option<File>> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true).share_mode(FILE_SHARE_READ | FILE_SHARE_DELETE);
        match options.open(self.place.join(name)) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(self.error("create", name, e)),
        }
    }

    /// Whether nobody holds a file of this directory, which is open. Nobody comes to hold it later, as only who makes a file
    /// holds it.
    pub(in crate::blob::fs) fn is_abandoned(&self, name: &str, _file: &File) -> bool {
        options(Symlinks::Refused).access_mode(FILE_WRITE_DATA).open(self.place.join(name)).is_ok()
    }

    /// Makes a file as new as if it had been written now. `false` where it is gone, or somebody else's that
    /// could be replaced; one that cannot be replaced by us stays as it is.
    pub(in crate::blob::fs) fn renew(&self, name: &str, symlinks: Symlinks) -> Result<bool> {
        let file = options(symlinks).access_mode(FILE_WRITE_ATTRIBUTES).open(self.place.join(name));
        match file.and_then(|file| file.set_modified(now())) {
            Ok(()) => Ok(true),
            Err(e) => match e.kind() {
                ErrorKind::ReadOnlyFilesystem => Ok(true),
                ErrorKind::NotFound => Ok(false),
                ErrorKind::PermissionDenied => {
                    Ok(options(Symlinks::Followed).access_mode(FILE_WRITE_DATA).open(&self.place).is_err())
                }
                _ => Err(self.error("renew", name, e)),
            },
        }
    }

    /// Waits for a lock on the directory, which is held until the directory is closed; `false` where the file system has no
    /// locks, or where one that is to be shared cannot be made, since nothing is removed there either.
    pub(in crate::blob::fs) fn lock(&mut self, mode: LockMode) -> Result<bool> {
        let file = match self.open_lock() {
            Ok(file) => file,
            // Nothing comes or goes.
            Err(e) if e.kind() == ErrorKind::ReadOnlyFilesystem => return Ok(true),
            Err(e) if mode == LockMode::Shared && e.kind() == ErrorKind::PermissionDenied => return Ok(false),
            Err(e) => return Err(self.error("lock", LOCK, e)),
        };
        let locked = match mode {
            LockMode::Shared => file.lock_shared(),
            LockMode::Exclusive => file.lock(),
        };
        match locked {
            Ok(()) => {
                self.lock = Some(file);
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::Unsupported || e.raw_os_error() == Some(ERROR_INVALID_FUNCTION) => {
                Ok(false)
            }
            Err(e) => Err(self.error("lock", LOCK, e)),
        }
    }

    /// Opens the file of the lock, made where it is missing. It cannot be removed while it is open, so all have the same.
    fn open_lock(&self) -> io::Result<File> {
        let place = self.place.join(LOCK);
        let mut options = options(Symlinks::Refused);
        options.read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
        let file = match options.open(&place) {
            Err(e) if e.kind() == ErrorKind::NotFound => options.write(true).create(true).open(&place)?,
            opened => opened?,
        };
        if is_file(&file.metadata()?, Symlinks::Refused) {
            Ok(file)
        } else {
            Err(io::Error::new(ErrorKind::InvalidData, "it is not a regular file"))
        }
    }

    /// All that waits to be written cannot be asked for: each file is synced by itself.
    pub(in crate::blob::fs) fn sync_file_system(&self) -> Result<bool> {
        Ok(false)
    }

    /// Moves a file to another directory, over what stands there.
    pub(in crate::blob::fs) fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<()> {
        fs::rename(self.place.join(name), to.place.join(new_name)).map_err(|e| to.error("create", new_name, e))
    }

    /// Removes a file; tells whether it was there.
    pub(in crate::blob::fs) fn remove_file(&self, name: &str) -> Result<bool> {
        match fs::remove_file(self.place.join(name)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.error("remove", name, e)),
        }
    }

    /// Calls `visit` with every name that is text.
    pub(in crate::blob::fs) fn for_each_name(&self, visit: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let list = |e| Error::io("list", &self.path, e);
        for entry in fs::read_dir(&self.place).map_err(list)? {
            if let Some(name) = entry.map_err(list)?.file_name().to_str() {
                visit(name)?;
            }
        }
        Ok(())
    }

    /// A directory cannot be synced. NTFS writes changes of names to its journal, in their order, every few seconds: after a
    /// loss of power the names are as they were at some moment shortly before.
    pub(in crate::blob::fs) fn sync(&self, _durability: Durability) -> Result<()> {
        Ok(())
    }

    /// What it means that a file could not be opened.
    fn not_opened<T>(&self, action: &'static str, name: &str, error: io::Error) -> Result<Found<T>> {
        match error.kind() {
            ErrorKind::NotFound => Ok(Found::Nothing),
            // Links that lead to each other.
            _ if error.raw_os_error() == Some(ERROR_CANT_RESOLVE_FILENAME) => Ok(Found::Other),
            _ => Err(self.error(action, name, error)),
        }
    }

    fn error(&self, action: &'static str, name: &str, error: io::Error) -> Error {
        Error::io(action, self.path.join(name), error)
    }
}

/// Opens whatever stands under a name, also a directory, and shares it with everybody.
fn options(symlinks: Symlinks) -> OpenOptions {
    let itself = match symlinks {
        Symlinks::Refused => FILE_FLAG_OPEN_REPARSE_POINT,
        Symlinks::Followed => 0,
    };
    let mut options = File::options();
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | itself);
    options
}

/// Opens a directory so that it stays where it is.
fn open_dir(place: &Path, symlinks: Symlinks) -> io::Result<File> {
    let dir = options(symlinks).read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE).open(place)?;
    let metadata = dir.metadata()?;
    let is_dir = metadata.is_dir() && !leads_elsewhere(&metadata, symlinks);
    if is_dir { Ok(dir) } else { Err(ErrorKind::NotADirectory.into()) }
}

fn is_file(metadata: &Metadata, symlinks: Symlinks) -> bool {
    metadata.is_file() && !leads_elsewhere(metadata, symlinks)
}

/// Whether it is a link, a junction, or anything else whose content some driver brings from elsewhere, and that is refused.
fn leads_elsewhere(metadata: &Metadata, symlinks: Symlinks) -> bool {
    symlinks == Symlinks::Refused && metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0
}

/// The machine's clock, as the file system cannot be asked to use its own.
fn now() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "a file's time is when it was used, whatever a caller's clock says")]
    SystemTime::now()
}

/// Makes an open file as new as if it had been written now, where that is allowed.
pub(in crate::blob::fs) fn renew_open(file: &File) {
    // A file whose time cannot be set has the time when it was last written.
    drop(file.set_modified(now()));
}

/// What is known of an open file.
pub(in crate::blob::fs) fn facts_of(file: &File) -> io::Result<Facts> {
    Ok(facts(&file.metadata()?))
}

fn facts(metadata: &Metadata) -> Facts {
    Facts {
        size: metadata.len(),
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).into(),
        id: (metadata.creation_time(), metadata.last_write_time(), metadata.file_size()),
    }
}
