//! Modes of a context's files.

use rustix::fs::{FileType, RawMode};

/// Which modes files and directories of a context have in keys and images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModePolicy {
    /// Their own. A checkout under another umask is then another context.
    #[default]
    Exact,
    /// As git keeps them: 0755 for directories and for files that their owner may execute, else 0644.
    Git,
}

impl ModePolicy {
    /// The permission bits for a file's mode and type.
    #[expect(clippy::useless_conversion, reason = "modes are narrower elsewhere")]
    pub(super) fn mode(self, raw: RawMode) -> u32 {
        let mode = u32::from(raw);
        match (self, FileType::from_raw_mode(raw)) {
            (Self::Git, FileType::Directory) => 0o755,
            (Self::Git, FileType::RegularFile) if mode & 0o100 != 0 => 0o755,
            (Self::Git, FileType::RegularFile) => 0o644,
            _ => mode & 0o7777,
        }
    }
}
