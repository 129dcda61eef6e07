//! Places that go away after a test.

use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

pub use tempfile::TempDir;

use crate::skip::{require_root, require_tool, skip};

/// A new directory that other users can enter too, as those of [`crate::unprivileged`] must.
///
/// # Panics
/// Where the system gives none.
#[must_use]
pub fn temp_dir() -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("one's own directory can be opened up");
    dir
}

/// A file system in memory, of a few bytes, or that of an image, which is unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// Mounts one of `size` bytes; says that the test is skipped where that is not possible.
    ///
    /// # Panics
    /// As [`skip`].
    #[must_use]
    pub fn mount(size: u64) -> Option<Self> {
        let options = format!("size={size},mode=0755");
        Self::mounted("tmpfs", &["-t", "tmpfs", "-o", &options, "tmpfs"].map(OsStr::new))
    }

    /// Mounts the image of a file system, which stays as it is; says that the test is skipped where that is not possible.
    ///
    /// # Panics
    /// As [`skip`].
    #[must_use]
    pub fn of_image(image: &Path) -> Option<Self> {
        Self::mounted("an image", &[OsStr::new("-o"), OsStr::new("loop,ro"), image.as_os_str()])
    }

    fn mounted(what: &str, arguments: &[&OsStr]) -> Option<Self> {
        if !require_root() || !require_tool("mount") || !require_tool("umount") {
            return None;
        }
        let dir = temp_dir();
        let output = Command::new("mount").args(arguments).arg(dir.path()).output().expect("mount was found above");
        if output.status.success() {
            Some(Self { dir })
        } else {
            skip(&format!("cannot mount {what}: {}", String::from_utf8_lossy(&output.stderr).trim()));
            None
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that files which a failing test still holds open do not keep it.
        drop(Command::new("umount").arg("--lazy").arg(self.dir.path()).status());
    }
}
