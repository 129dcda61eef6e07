//! Records in a directory, for many processes at once.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use image_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CacheKey, Journal, Record, RecordStore, Trail};
use crate::{
    error::{Error, Result},
    temporary::{Temporary, set_time, set_time_of},
};

/// The largest record or trail that is kept, in bytes: a recipe of 400,000 files, a run of 200,000 steps.
const MAX_RECORD: usize = 64 << 20;

/// Keeps each record in a file of its own, `<first two characters>/<key>.json`, and each trail in
/// `latest/<SHA-256 of its name>.json`; unfinished ones are in `tmp/`.
///
/// A record appears by a rename, so readers see all of it or nothing. It is not synced: after a
/// power loss it may be cut short, and then counts as absent. The file's name is the key of the
/// recipe inside, and a record that stands under another key is not believed. When a record last
/// served is its file's time, so that noting it writes no content; when one was expired is that of
/// an empty file `expired/<key>`.
#[derive(Debug, Clone)]
pub struct DirRecordStore {
    directory: PathBuf,
    temporary: Temporary,
}

/// A trail as it is written.
#[derive(Serialize, Deserialize)]
struct NamedTrail<N, T> {
    name: N,
    trail: T,
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

    fn expired_path(&self, key: &CacheKey) -> PathBuf {
        self.directory.join("expired").join(key.as_digest().encoded())
    }

    /// Puts a file into its place, whole.
    fn write(&self, path: &Path, bytes: &[u8], time: Option<Timestamp>) -> Result<()> {
        let directory = path.parent().unwrap_or(&self.directory);
        fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        let failed = |e| Error::io("write", path, e);
        let mut temporary = self.temporary.file().map_err(failed)?;
        temporary.write_all(bytes).map_err(failed)?;
        if let Some(time) = time {
            set_time(temporary.as_file(), time).map_err(failed)?;
        }
        temporary.persist(path).map_err(|e| failed(e.error))?;
        Ok(())
    }
}

/// What is too large to be read back is not written.
fn encode(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::io("encode", path, e.into()))?;
    if bytes.len() > MAX_RECORD {
        return Err(image_core::Error::limit("a record of the cache", MAX_RECORD as u64).into());
    }
    Ok(bytes)
}

/// The time that a file was last written at.
fn time_of(file: &File) -> io::Result<Timestamp> {
    Ok(file.metadata()?.modified()?.into())
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path, e)),
    }
}

/// What the file holds, and its time; `None` where there is no file.
fn read(path: &Path) -> Result<Option<(Vec<u8>, Timestamp)>> {
    let failed = |e| Error::io("read", path, e);
    let Some(file) = open(path)? else { return Ok(None) };
    let metadata = file.metadata().map_err(failed)?;
    let time = metadata.modified().map_err(failed)?.into();
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(MAX_RECORD);
    let mut bytes = Vec::with_capacity(size + 1);
    file.take(MAX_RECORD as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some((bytes, time)))
}

/// Removes a file; whether it was there.
fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("remove", path, e)),
    }
}

/// The paths in a directory, in order; none where it is missing.
fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("list", directory, e);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// The record in a file, if it is one that belongs there.
fn read_record(path: &Path) -> Result<Option<Record>> {
    let Some((bytes, used)) = read(path)? else { return Ok(None) };
    let record = serde_json::from_slice::<Record>(&bytes).ok().map(|record| Record { used, ..record });
    Ok(record.filter(|record| path.file_stem().is_some_and(|name| name == record.recipe.key().as_digest().encoded())))
}

impl RecordStore for DirRecordStore {
    fn get(&self, key: &CacheKey) -> Result<Option<Record>> {
        read_record(&self.path(key))
    }

    fn put(&self, record: &Record) -> Result<()> {
        let key = record.recipe.key();
        let path = self.path(&key);
        self.write(&path, &encode(&path, record)?, Some(record.used))?;
        remove(&self.expired_path(&key))?;
        Ok(())
    }

    fn touch(&self, key: &CacheKey, used: Timestamp) -> Result<()> {
        let path = self.path(key);
        match set_time_of(&path, used) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("set the time of", &path, e)),
            _ => Ok(()),
        }
    }

    fn remove(&self, key: &CacheKey) -> Result<bool> {
        remove(&self.path(key))
    }

    fn for_each(&self, visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        let is_shard = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 2);
        for directory in list(&self.directory)?.into_iter().filter(is_shard) {
            for path in list(&directory)? {
                if let Some(record) = read_record(&path)? {
                    visit(record)?;
                }
            }
        }
        Ok(())
    }
}

impl Journal for DirRecordStore {
    fn trail(&self, name: &str) -> Result<Option<Trail>> {
        let stored = read(&self.trail_path(name))?;
        let stored = stored.and_then(|(bytes, _)| serde_json::from_slice::<NamedTrail<String, Trail>>(&bytes).ok());
        Ok(stored.filter(|stored| stored.name == name).map(|stored| stored.trail))
    }

    fn put_trail(&self, name: &str, trail: &Trail) -> Result<()> {
        let path = self.trail_path(name);
        self.write(&path, &encode(&path, &NamedTrail { name, trail })?, None)
    }

    fn for_each_trail(&self, visit: &mut dyn FnMut(&str, Trail) -> Result<()>) -> Result<()> {
        let mut trails = Vec::new();
        for path in list(&self.directory.join("latest"))? {
            let stored = read(&path)?;
            trails
                .extend(stored.and_then(|(bytes, _)| serde_json::from_slice::<NamedTrail<String, Trail>>(&bytes).ok()));
        }
        trails.sort_by(|a, b| a.name.cmp(&b.name));
        trails.into_iter().try_for_each(|stored| visit(&stored.name, stored.trail))
    }

    fn expired(&self, key: &CacheKey) -> Result<Option<Timestamp>> {
        let path = self.expired_path(key);
        open(&path)?.map(|file| time_of(&file).map_err(|e| Error::io("read", &path, e))).transpose()
    }

    fn put_expired(&self, key: &CacheKey, when: Timestamp) -> Result<()> {
        self.write(&self.expired_path(key), b"", Some(when))
    }

    fn forget_expired(&self, before: Timestamp) -> Result<()> {
        for path in list(&self.directory.join("expired"))? {
            let Some(file) = open(&path)? else { continue };
            if time_of(&file).map_err(|e| Error::io("read", &path, e))? < before {
                remove(&path)?;
            }
        }
        Ok(())
    }
}
