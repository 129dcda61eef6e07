//! Reading the two files that say what is built: the Dockerfile and the ignore file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use image_overlay::LayerPath;

use crate::{
    context::ContextSource,
    dockerfile::Dockerfile,
    error::{Error, Result, excerpt},
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

    /// Reads and parses a file of a context that is no directory, by its path there.
    ///
    /// # Errors
    /// [`Error::is_not_found`]; those of the source, and of [`Dockerfile::parse`].
    pub fn open_in(source: &dyn ContextSource, path: &str) -> Result<Self> {
        let bytes = read_in(source, path)?.ok_or_else(|| {
            let tree = source.name();
            Error::SourceNotFound { path: excerpt(path, 256), tree, hint: String::new() }
        })?;
        Self::parse_named(&name_of(Path::new(path)), bytes)
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

    /// Reads the ignore file of a Dockerfile in a context that is no directory: as [`Ignore::for_dockerfile`], with all paths
    /// from the context's root.
    ///
    /// # Errors
    /// Those of the source, and of [`Ignore::parse`].
    pub fn of_source(source: &dyn ContextSource, dockerfile: &str) -> Result<Self> {
        for path in [&*format!("{dockerfile}{IGNORE}"), IGNORE] {
            if let Some(bytes) = read_in(source, path)? {
                return Self::parse(&name_of(Path::new(path)), &bytes);
            }
        }
        Ok(Self::default())
    }

    /// Reads an ignore file; `None` where there is none.
    fn open(path: &Path) -> Result<Option<Self>> {
        match read(path) {
            Ok(bytes) => Self::parse(&name_of(path), &bytes).map(Some),
            // What is no directory has none either; whoever opens it as a context says what it is.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
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

/// Reads a file of a source, as far as [`read`] does; `None` where there is none.
fn read_in(source: &dyn ContextSource, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(file) = source.open(&LayerPath::parse(path.as_bytes())?)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let failed = |e| Error::io("read", format!("{}/{path}", source.name()), e);
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}
