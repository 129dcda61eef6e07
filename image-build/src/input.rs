//! Reading the two files that say what is built: the Dockerfile and the ignore file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    dockerfile::Dockerfile,
    error::{Error, Result},
    ignore::Ignore,
};

/// The most bytes that are read: more than the parsers take, so that they refuse what is too large.
const LIMIT: u64 = 32 << 20;

/// The ignore file of a context.
const IGNORE: &str = ".dockerignore";

impl Dockerfile {
    /// Reads and parses the file at `path`; errors call it by its last component.
    ///
    /// # Errors
    /// [`Error::is_not_found`], [`Error::is_denied`]; those of [`Dockerfile::parse`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read(path).map_err(|e| Error::io("read the Dockerfile", path, e))?;
        Self::parse_named(&name_of(path), bytes)
    }
}

impl Ignore {
    /// Reads the ignore file of a Dockerfile in a context: `NAME.dockerignore` beside a Dockerfile called
    /// NAME, else `.dockerignore` in the context, else nothing is left out.
    ///
    /// # Errors
    /// A file that is there and cannot be read, by path; those of [`Ignore::parse`].
    ///
    /// # Spec
    /// Docker build documentation, Build context, § Filename and location.
    pub fn for_dockerfile(dockerfile: impl AsRef<Path>, context: impl AsRef<Path>) -> Result<Self> {
        let mut own = dockerfile.as_ref().as_os_str().to_owned();
        own.push(IGNORE);
        match Self::open(&PathBuf::from(own))? {
            Some(ignore) => Ok(ignore),
            None => Self::for_context(context),
        }
    }

    /// Reads the `.dockerignore` of a context; without one, nothing is left out.
    ///
    /// # Errors
    /// As [`Ignore::for_dockerfile`].
    pub fn for_context(context: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::open(&context.as_ref().join(IGNORE))?.unwrap_or_default())
    }

    /// Reads an ignore file; `None` where there is none.
    fn open(path: &Path) -> Result<Option<Self>> {
        match read(path) {
            Ok(bytes) => Self::parse(&name_of(path), &bytes).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read the ignore file", path, e)),
        }
    }
}

/// What errors call a file.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Reads a file; one that is too large only so far that its parser refuses it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}
