//! Blobs on their way in.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::{BuildHasher, Hasher},
    io::{self, Write},
    sync::Arc,
};

use super::{
    dir::{Dir, Found},
    lock,
    options::{Durability, Symlinks},
    store::Inner,
};
use crate::{
    blob::{BlobWriter, Committed, Expected, expected::Intake},
    error::{Error, Result},
};

/// How the names of our files in `ingest` begin; others are not ours to clean.
const PREFIX: &str = "new-";

/// A file in `ingest`. It is removed when dropped, unless it was moved to its place.
struct Temporary {
    dir: Dir,
    name: String,
    file: File,
}

impl Temporary {
    fn create(dir: Dir) -> Result<Self> {
        loop {
            // A name that no other writer of any process uses, now or later.
            let name = format!("{PREFIX}{:016x}", RandomState::new().build_hasher().finish());
            let Some(file) = dir.create_file(&name)? else { continue };
            if lock::claim(&file) {
                return Ok(Self { dir, name, file });
            }
        }
    }

    /// Moves the file to its place; it is synced before, and its directory after.
    fn persist(self, to: &Dir, name: &str, durability: Durability) -> Result<()> {
        if durability == Durability::Synced {
            self.file.sync_data().map_err(|e| self.error("sync", e))?;
        }
        self.dir.rename(&self.name, to, name)?;
        to.sync(durability)
    }

    fn error(&self, action: &'static str, error: io::Error) -> Error {
        Error::io(action, self.dir.path().join(&self.name), error)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename the name is gone. What cannot be removed is left to the next cleaning.
        drop(self.dir.remove_file(&self.name));
    }
}

/// The writer of one blob.
pub(super) struct Ingest {
    store: Arc<Inner>,
    intake: Intake,
    /// `None` where the blob was there already.
    temporary: Option<Temporary>,
}

impl Ingest {
    pub(super) fn begin(store: Arc<Inner>, expected: &Expected) -> Result<Self> {
        let intake = Intake::new(expected)?;
        let is_present = match (expected.digest(), expected.size()) {
            (Some(digest), Some(size)) => store.stat(digest)? == Some(size),
            _ => false,
        };
        let temporary = if is_present { None } else { Some(Temporary::create(store.ingest_dir()?)?) };
        Ok(Self { store, intake, temporary })
    }
}

impl Write for Ingest {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.intake.admit(buf)?;
        let count = match &mut self.temporary {
            None => buf.len(),
            Some(temporary) => match temporary.file.write(buf) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(e) => return Err(temporary.error("write", e).into()),
            },
        };
        self.intake.update(buf.get(..count).unwrap_or(buf));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Ingest {
    fn commit(self: Box<Self>) -> Result<Committed> {
        let Self { store, intake, temporary } = *self;
        let (digest, size) = intake.finish()?;
        let already_present = store.stat(&digest)? == Some(size);
        match temporary {
            Some(temporary) if !already_present => {
                let place = store.make_algorithm_dir(&digest)?;
                temporary.persist(&place, digest.encoded(), store.options.durability)?;
            }
            None if !already_present => return Err(Error::BlobNotFound { digest }),
            _ => {}
        }
        Ok(Committed::new(digest, size, already_present))
    }
}

/// Removes the files that dead processes left; tells how many. One that cannot be removed does not keep the others.
pub(super) fn clean(dir: &Dir) -> Result<u64> {
    let (mut removed, mut failed) = (0, None);
    dir.for_each_name(&mut |name| {
        match remove_abandoned(dir, name) {
            Ok(is_removed) => removed += u64::from(is_removed),
            Err(e) => failed = Some(e),
        }
        Ok(())
    })?;
    failed.map_or(Ok(removed), Err)
}

fn remove_abandoned(dir: &Dir, name: &str) -> Result<bool> {
    if !name.starts_with(PREFIX) {
        return Ok(false);
    }
    match dir.open_file(name, Symlinks::Refused)? {
        Found::File(file) if lock::is_abandoned(&file) => dir.remove_file(name),
        _ => Ok(false),
    }
}
