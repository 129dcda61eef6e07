//! A layout's directory, held open. It may be hostile: only regular files are read.

use std::{fs::File, io::Read, path::PathBuf};

use image_core::Error as CoreError;

use crate::error::{Error, Result};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::Dir;
#[cfg(windows)]
pub(crate) use windows::Dir;

/// The file that a writer holds locked while it changes the files beside it. It stays empty.
const LOCK: &str = ".index.json.lock";

/// What a file is written as before it takes the place of another. Only the holder of the lock has one.
const TEMPORARY: &str = ".index.json.new";

/// While it lives, no other writer changes the directory's files.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    dir: &'a Dir,
    _file: File,
}

impl Dir {
    /// The path of a file in the directory, for messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn not_regular(&self, name: &str) -> Error {
        Error::NotALayout { path: self.path_of(name), reason: "it is not a regular file" }
    }

    /// Reads all of a file, of at most `limit` bytes.
    fn read_all(&self, file: File, name: &str, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| CoreError::io("read", self.path_of(name), error))?;
        if bytes.len() as u64 > limit {
            return Err(CoreError::limit(format!("{}, in bytes", self.path_of(name).display()), limit).into());
        }
        Ok(bytes)
    }
}
