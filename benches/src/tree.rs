//! Trees on disk.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use image_core::{Ctx, Image};
use image_overlay::{ApplyOptions, DiffOptions, DirSource, Ownership, Root, UnpackOptions, diff, unpack};
use tempfile::TempDir;

use crate::Result;

/// Whether files can be given to anybody.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// How layers are applied: with owners where that is allowed.
#[must_use]
pub fn apply_options() -> ApplyOptions {
    let options = ApplyOptions::default();
    if is_root() { options } else { options.with_ownership(Ownership::Current) }
}

/// Unpacks an image to a directory of its own, `root`.
///
/// # Errors
/// Where it cannot be unpacked.
pub fn unpacked(image: &Image) -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    let options = UnpackOptions::default().with_apply(apply_options());
    unpack(image, &directory.path().join("root"), &options, &Ctx::default())?;
    Ok(directory)
}

/// Looks at the tree in a directory.
///
/// # Errors
/// What cannot be read.
pub fn tree(directory: &Path) -> Result<DirSource> {
    Ok(DirSource::scan(Root::open(directory)?, &Ctx::default())?)
}

/// Whether two trees are the same, but for times of directories.
///
/// # Errors
/// What cannot be read.
pub fn same(one: &Path, other: &Path) -> Result<bool> {
    Ok(diff(&tree(one)?, &tree(other)?, &DiffOptions::default(), &Ctx::default())?.is_empty())
}

/// The regular files of a tree, in order.
fn regular(directory: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut todo) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Gives the files of a tree times that are no whole seconds, as files have that came from no layer: the same in each tree
/// that has the same files.
///
/// # Errors
/// The system's.
pub fn date(directory: &Path) -> Result<()> {
    for (number, path) in (1..).zip(regular(directory)?) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_micros(number);
        fs::File::open(path)?.set_modified(time)?;
    }
    Ok(())
}

/// Adds a line to one in so many files of a tree; gives the paths in it of those that changed.
///
/// # Errors
/// The system's.
pub fn change(directory: &Path, one_in: usize) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for path in regular(directory)?.iter().step_by(one_in) {
        fs::OpenOptions::new().append(true).open(path)?.write_all(b"changed\n")?;
        changed.push(path.strip_prefix(directory)?.to_string_lossy().into_owned());
    }
    Ok(changed)
}
