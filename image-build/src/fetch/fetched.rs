//! What was fetched for an ADD: a directory of its own, to be copied from.

use std::{
    fs::{File, FileTimes, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use image_core::{
    Ctx, Digest, Timestamp,
    hasher::Hasher,
    observer::{Outcome, TaskKind},
};

use super::{Address, Fetcher, Repository};
use crate::{
    context::BuildContext,
    error::{Error, Result, excerpt},
    ignore::Ignore,
    state::BuildState,
    temporary::TemporaryDirectory,
};

/// What an address led to, for as long as the step takes.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The directory that the fetcher wrote to.
    pub(crate) context: BuildContext,
    /// The file's name in it; all that is in it where this is `None`.
    pub(crate) file: Option<String>,
    /// Removes it.
    _directory: TemporaryDirectory,
}

/// Fetches what is at an address into a temporary directory.
pub(crate) fn fetch(
    address: &Address,
    fetcher: Option<&dyn Fetcher>,
    state: &BuildState,
    ctx: &Ctx,
) -> Result<Fetched> {
    let shown = match address {
        Address::File { url, .. } => url,
        Address::Commit { repository, .. } => &repository.remote,
    };
    let fetcher = fetcher.ok_or_else(|| Error::NoFetcher { address: excerpt(shown, 256) })?;
    let directory = state.temporary_directory()?;
    let task = ctx.begin(TaskKind::Fetch, &format!("fetch {shown}"), None);
    let file = match address {
        Address::File { url, digest } => {
            let name = Address::file_name(url);
            download(url, digest.as_ref(), fetcher, &directory.path().join(&name), ctx)?;
            Some(name)
        }
        Address::Commit { repository, commit } => {
            checkout(repository, commit.as_deref(), fetcher, directory.path(), ctx)?;
            None
        }
    };
    task.end(Outcome::Done);
    Ok(Fetched { context: BuildContext::open(directory.path(), Ignore::default())?, file, _directory: directory })
}

/// # Spec
/// Dockerfile reference, § Adding files from a URL: mode 0600, and the time of `Last-Modified`.
fn download(url: &str, expected: Option<&Digest>, fetcher: &dyn Fetcher, to: &Path, ctx: &Ctx) -> Result<()> {
    let failed = |e| Error::io("write", to, e);
    let mut file = File::create_new(to).map_err(failed)?;
    let hasher = expected.map_or_else(|| Ok(Hasher::sha256()), Hasher::for_digest)?;
    let mut hashed = Hashed { file: &mut file, hasher };
    let download = fetcher.download(url, &mut hashed, ctx)?;
    let actual = hashed.hasher.finish();
    if let Some(expected) = expected.filter(|expected| **expected != actual) {
        let source = image_core::Error::digest_mismatch(expected, actual);
        return Err(Error::Fetched { address: excerpt(url, 256), source: Box::new(source.into()) });
    }
    file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    let modified = system_time(download.modified.unwrap_or_default());
    file.set_times(FileTimes::new().set_modified(modified)).map_err(failed)
}

fn checkout(
    repository: &Repository,
    expected: Option<&str>,
    fetcher: &dyn Fetcher,
    into: &Path,
    ctx: &Ctx,
) -> Result<()> {
    let checkout = fetcher.checkout(repository, into, ctx)?;
    match expected {
        Some(expected) if !checkout.commit.starts_with(expected) => Err(Error::WrongCommit {
            repository: excerpt(&repository.remote, 256),
            expected: expected.to_owned(),
            actual: excerpt(&checkout.commit, 64),
        }),
        _ => Ok(()),
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds().unsigned_abs());
    let whole = if time.seconds() < 0 { SystemTime::UNIX_EPOCH - seconds } else { SystemTime::UNIX_EPOCH + seconds };
    whole + Duration::from_nanos(u64::from(time.nanoseconds()))
}

/// Hashes what is written.
struct Hashed<'a> {
    file: &'a mut File,
    hasher: Hasher,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
