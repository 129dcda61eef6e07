//! A layout's directory, held open. It may be hostile: only regular files are read.

use std::fs::File;

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
