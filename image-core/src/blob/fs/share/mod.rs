//! Storing the content of a file without copying it.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use super::temporary::Temporary;

/// How a content is shared.
pub(super) enum Shared {
    /// The file that was there has it now, and each may change without the other.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no reflinks elsewhere"))]
    Cloned,
    #[cfg_attr(windows, expect(dead_code, reason = "no second names there"))]
    /// This is a second name of the other file.
    Linked(Temporary),
}
