//! Records in a directory, for many processes at once.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use image_core::Digest;
use serde::Serialize;

use super::{CacheKey, Record, RecordStore, Trail};
use crate::{
    error::{Error, Result},
    temporary::Temporary,
};

/// The largest record or trail that is read, in bytes.
const MAX_RECORD: u64 = 4 << 20;

/// Keeps each record in a file of its own, `<first two characters>/<key>.json`, and each trail in
/// `latest/<SHA-256 of its name>.json`; unfinished ones are in `tmp/`.
///
/// A record appears by a rename, so readers see all of it or nothing. It is not synced: after a
/// power loss it may be cut short, and then counts as absent. The file's name is the key of the
/// recipe inside, and a record that stands under another key is not believed.
#[derive(Debug, Clone)]
pub struct DirRecordStore {
    directory: PathBuf,
    temporary: Temporary,
}

impl DirRecordStore {
    /// Opens the records in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let temporary = Temporary::open(directory.join("tmp"))?;
        Ok(Self { directory, temporary })
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        let name = key.as_digest().encoded();
        self.directory.join(name.get(..2).unwrap_or(name)).join(format!("{name}.json"))
    }

    fn trail_path(&self, name: &str) -> PathBuf {
        self.directory.join("latest").join(format!("{}.json", Digest::sha256_of(name.as_bytes()).encoded()))
    }

    /// Puts a file into its place, whole.
    fn write(&self, path: &Path, value: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(|e| Error::io("encode", path, e.into()))?;
        let directory = path.parent().unwrap_or(&self.directory);
        fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        let failed = |e| Error::io("write", path, e);
        let mut temporary = self.temporary.file().map_err(failed)?;
        temporary.write_all(&bytes).map_err(failed)?;
        temporary.persist(path).map_err(|e| failed(e.error))?;
        Ok(())
    }
}

/// What the file holds; `None` where there is no file.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |e| Error::io("read", path, e);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_RECORD + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

impl RecordStore for DirRecordStore {
    fn get(&self, key: &CacheKey) -> Result<Option<Record>> {
        let Some(bytes) = read(&self.path(key))? else { return Ok(None) };
        let record = serde_json::from_slice::<Record>(&bytes).ok();
        Ok(record.filter(|record| record.recipe.key() == *key))
    }

    fn put(&self, record: &Record) -> Result<()> {
        self.write(&self.path(&record.recipe.key()), record)
    }

    fn remove(&self, key: &CacheKey) -> Result<bool> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("remove", &path, e)),
        }
    }

    fn trail(&self, name: &str) -> Result<Option<Trail>> {
        let bytes = read(&self.trail_path(name))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn put_trail(&self, name: &str, trail: &Trail) -> Result<()> {
        self.write(&self.trail_path(name), trail)
    }
}
