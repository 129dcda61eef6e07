//! Names of active snapshots.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

/// The name that a caller gives an active snapshot: 1 to 128 of the characters `a-z A-Z 0-9 . _ -`, the first of them
/// no dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotKey(String);

impl SnapshotKey {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Takes a name.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] for other characters, and for none or too many.
    pub fn parse(name: &str) -> Result<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let reason = match name.as_bytes() {
            [] => "a snapshot's name is empty",
            [b'.', ..] => "a snapshot's name begins with a dot",
            bytes if bytes.len() > Self::MAX_BYTES => "a snapshot's name is longer than 128 bytes",
            bytes if !bytes.iter().copied().all(is_allowed) => {
                "a snapshot's name has other characters than letters, digits, `.`, `_` and `-`"
            }
            _ => return Ok(Self(name.to_owned())),
        };
        Err(Error::InvalidPath { path: crate::path::escape(name.as_bytes()), reason })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SnapshotKey {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::parse(name)
    }
}

impl fmt::Display for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
