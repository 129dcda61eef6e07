//! Files that programs read and write, whose errors name them.

use std::{
    env,
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use image_core::Error;
use tempfile::{NamedTempFile, TempDir};

/// Opens a file to read it.
///
/// # Errors
/// Where that fails, by path.
pub fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|e| Error::io("open", path, e))
}

/// A directory for what is needed only now.
///
/// # Errors
/// Where none can be made, by the directory that it was to be in.
pub fn temporary_directory() -> Result<TempDir, Error> {
    tempfile::tempdir().map_err(|e| Error::io("create a directory in", env::temp_dir(), without_path(&e)))
}

/// A file that takes its place when it is whole; until then it is beside it, under another name.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl NewFile {
    /// Begins a file that is to be at `path`.
    ///
    /// # Errors
    /// Where no file can be made in that directory.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let beside = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mode = Permissions::from_mode(0o666); // less the umask
        let file = tempfile::Builder::new().permissions(mode).tempfile_in(beside);
        let file = file.map_err(|e| Error::io("create a file in", beside, without_path(&e)))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Its content so far.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// The error that it cannot be written.
    pub fn failed(&self, error: io::Error) -> Error {
        Error::io("write", &self.path, error)
    }

    /// Puts it into its place, where another file may be.
    ///
    /// # Errors
    /// Where that fails, by path.
    pub fn replace(self) -> Result<(), Error> {
        let Self { path, file } = self;
        file.persist(&path).map(drop).map_err(|e| Error::io("write", path, e.error))
    }

    /// Puts it into its place, where no other file may be.
    ///
    /// # Errors
    /// Where there is one, or that fails otherwise, by path.
    pub fn place(self) -> Result<(), Error> {
        let Self { path, file } = self;
        file.persist_noclobber(&path).map(drop).map_err(|e| Error::io("create", path, e.error))
    }
}

/// What the system says, without the random name that only `tempfile` knows.
fn without_path(error: &io::Error) -> io::Error {
    let text = error.to_string();
    io::Error::new(error.kind(), text.split(" at path ").next().unwrap_or_default())
}
