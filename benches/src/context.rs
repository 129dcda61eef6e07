//! Build contexts on disk.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use image_build::{BuildContext, Ignore};
use tempfile::TempDir;

use crate::{
    Result,
    files::{Files, files, write_to},
    switch::switch,
};

/// Until a file is safely older than now for all that file systems count by: what is known of younger ones is not kept.
const SETTLED: Duration = Duration::from_secs(4);

/// A directory of files that may be changed.
#[derive(Debug)]
pub struct Context {
    directory: TempDir,
    /// How many files it has, without those that are ignored.
    pub count: u64,
    /// A file of it, to change.
    pub file: PathBuf,
}

impl Context {
    /// A copy of the directory in `BENCH_CONTEXT`; without it, 8,192 files of 40 MB in all. Waits until they are older than now.
    ///
    /// # Errors
    /// The system's.
    pub fn input() -> Result<Self> {
        let Some(given) = switch("BENCH_CONTEXT") else { return Self::of(&files(9, 512)?) };
        let directory = tempfile::tempdir()?;
        let files = directory.path().join("files");
        let ignore = Ignore::for_context(&given)?;
        let (mut count, mut file) = (0, None);
        copy(Path::new(&given), &files, &mut |path| {
            let relative = path.strip_prefix(&files).unwrap_or(path);
            if !ignore.matches(relative.as_os_str().as_encoded_bytes()) {
                count += 1;
                file.get_or_insert_with(|| path.to_owned());
            }
        })?;
        thread::sleep(SETTLED);
        Ok(Self { directory, count, file: file.ok_or("a context without files")? })
    }

    /// These files. Waits until they are older than now.
    ///
    /// # Errors
    /// The system's.
    pub fn of(files: &Files) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let below = directory.path().join("files");
        fs::create_dir(&below)?;
        write_to(&below, files)?;
        let regular = files.iter().filter(|(entry, _)| entry.kind.size() > 0);
        let file = regular.clone().next().ok_or("a context without files")?.0.path.as_bytes();
        let (count, file) = (regular.count() as u64, below.join(OsStr::from_bytes(file)));
        thread::sleep(SETTLED);
        Ok(Self { directory, count, file })
    }

    /// Where the files are.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("files")
    }

    /// A path beside them.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Opens it, as each build does.
    ///
    /// # Errors
    /// Its ignore file's, or the system's.
    pub fn open(&self) -> Result<BuildContext> {
        Ok(BuildContext::open(self.path(), Ignore::for_context(self.path())?)?)
    }

    /// Gives [`Context::file`] another beginning.
    ///
    /// # Errors
    /// The system's.
    pub fn change(&self, number: u64) -> Result<()> {
        use std::os::unix::fs::FileExt;
        let file = fs::OpenOptions::new().write(true).open(&self.file)?;
        Ok(file.write_all_at(format!("{number:08}").as_bytes(), 0)?)
    }
}

/// Copies directories, files and symbolic links; nothing else belongs into a context.
fn copy(from: &Path, to: &Path, copied: &mut impl FnMut(&Path)) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, kind) = (to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            copy(&entry.path(), &path, copied)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &path)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &path)?;
            copied(&path);
        }
    }
    Ok(())
}
