//! What is the matter with a snapshot.

use std::fmt;

/// Why something cannot be done with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotProblem {
    /// It is not there.
    Missing,
    /// Its key is taken.
    Exists,
    /// Somebody holds it, in this process or another.
    Held,
    /// Another snapshot is based on it, or somebody looks at it.
    Used,
}

impl SnapshotProblem {
    /// Whether it may have gone away later.
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Self::Held | Self::Used)
    }
}

impl fmt::Display for SnapshotProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it does not exist: somebody may have collected it, and it has to be made again",
            Self::Exists => "its name is taken: remove it, or choose another name",
            Self::Held => "somebody else works in it",
            Self::Used => "another snapshot is based on it, or somebody looks at it",
        })
    }
}
