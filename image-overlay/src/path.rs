//! Paths within a layer.

use std::{cmp::Ordering, fmt, iter};

use crate::error::{Error, Result};

/// A path within a layer or a root file system: relative to the root, cleaned, in bytes.
///
/// It holds no `.`, no `..`, no empty component and no NUL byte; the root itself is empty.
/// Paths order component by component, bytewise, so that a directory stands directly
/// before what is below it: `a`, `a/b`, `a.b`.
///
/// ```
/// use image_overlay::LayerPath;
/// let path = LayerPath::parse(b"./usr//lib/")?;
/// assert_eq!(path.as_bytes(), b"usr/lib");
/// assert_eq!(path.file_name(), Some(&b"lib"[..]));
/// assert!(LayerPath::parse(b"usr/../../etc").is_err());
/// # Ok::<(), image_overlay::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct LayerPath(Box<[u8]>);

impl LayerPath {
    /// The longest path, in bytes.
    pub const MAX_BYTES: usize = 4096;
    /// The longest component of a path, in bytes.
    pub const MAX_COMPONENT_BYTES: usize = 255;

    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Cleans a name as archives hold it: `/a`, `./a`, `a//b`, `a/./b` and `a/` are all understood.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] for a `..` component, a NUL byte, a component longer than
    /// [`Self::MAX_COMPONENT_BYTES`] or a path longer than [`Self::MAX_BYTES`]. `..` is refused
    /// and not resolved, since tools disagree on what it means behind a symbolic link.
    pub fn parse(raw: &[u8]) -> Result<Self> {
        let refuse = |reason| Err(Error::InvalidPath { path: escape(raw), reason });
        if raw.contains(&0) {
            return refuse("it holds a NUL byte");
        }
        let mut clean = Vec::with_capacity(raw.len().min(Self::MAX_BYTES));
        for component in raw.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return refuse("it has a `..` component"),
                _ => {}
            }
            if component.len() > Self::MAX_COMPONENT_BYTES {
                return refuse("it has a component longer than 255 bytes");
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(component);
            if clean.len() > Self::MAX_BYTES {
                return refuse("it is longer than 4096 bytes");
            }
        }
        Ok(Self(clean.into()))
    }

    /// The path of these components, which are clean already.
    pub(crate) fn of_names<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let names: Vec<&[u8]> = names.collect();
        Self(names.join(&b'/').into())
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path without a leading or trailing slash; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components from the root down; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
    }

    /// The last component; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        self.0.rsplit(|&byte| byte == b'/').next().filter(|name| !name.is_empty())
    }

    /// The directory that holds this; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(Self(self.0.iter().copied().take(end).collect()))
    }

    /// The directories that hold this, from the nearest up to and with the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        iter::successors(self.parent(), Self::parent)
    }

    /// What `relative` names below this path; it is parsed as [`LayerPath::parse`] does.
    ///
    /// # Errors
    /// As [`LayerPath::parse`].
    pub fn join(&self, relative: &[u8]) -> Result<Self> {
        Self::parse(&[self.as_bytes(), b"/", relative].concat())
    }

    /// Whether this is `base` or below it, by whole components.
    #[must_use]
    pub fn starts_with(&self, base: &Self) -> bool {
        match self.0.strip_prefix(base.as_bytes()) {
            Some(rest) => base.is_root() || rest.is_empty() || rest.starts_with(b"/"),
            None => false,
        }
    }
}

impl Ord for LayerPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // No component holds a NUL byte: with the separator in its place the bytes
        // compare as the components do.
        let key = |&byte: &u8| if byte == b'/' { 0 } else { byte };
        self.0.iter().map(key).cmp(other.0.iter().map(key))
    }
}

impl PartialOrd for LayerPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for LayerPath {
    /// The path with a leading slash, what is not printable escaped, cut to 256 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", escape(&self.0))
    }
}

impl fmt::Debug for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Foreign bytes for a message: what is not printable escaped, at most 256 bytes long.
pub(crate) fn escape(bytes: &[u8]) -> String {
    const MAX: usize = 256;
    let mut text = String::new();
    let mut push = |piece: &str| {
        let fits = text.len() + piece.len() + '…'.len_utf8() <= MAX;
        text.push_str(if fits { piece } else { "…" });
        fits
    };
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            let whole = match char {
                '\'' | '"' => push(char.encode_utf8(&mut [0; 4])),
                _ => push(&char.escape_debug().to_string()),
            };
            if !whole {
                return text;
            }
        }
        for byte in chunk.invalid() {
            if !push(&format!("\\x{byte:02x}")) {
                return text;
            }
        }
    }
    text
}
