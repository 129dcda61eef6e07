//! Places that go away after a test.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

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

    /// Lets nobody write to it any more.
    ///
    /// # Panics
    /// Where that is not possible, though mounting it was.
    pub fn make_read_only(&self) {
        crate::tool::run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.dir.path()));
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

/// A file system of a kind that the machine's own may not be, in a file, that is unmounted when dropped.
#[derive(Debug)]
pub struct DiskImage {
    /// The image, and the directory that it is mounted on.
    dir: TempDir,
}

impl DiskImage {
    /// How large it is, in bytes; the smallest that `mkfs.xfs` makes. What nobody writes to takes no room.
    const SIZE: u64 = 320 << 20;

    /// Makes and mounts one, as `xfs` or `btrfs`; says that the test is skipped where that is not possible.
    ///
    /// # Panics
    /// As [`skip`], and where the file system cannot be made.
    #[must_use]
    pub fn mount(kind: &str) -> Option<Self> {
        let make = format!("mkfs.{kind}");
        if !require_root() || ![&make, "mount", "umount"].into_iter().all(require_tool) {
            return None;
        }
        let disk = Self { dir: temp_dir() };
        let image = disk.dir.path().join("image");
        fs::File::create(&image).and_then(|file| file.set_len(Self::SIZE)).expect("a file with a hole");
        crate::tool::run(Command::new(make).arg("-q").arg(&image));
        fs::create_dir(disk.path()).expect("a directory in a new one");
        match crate::tool::try_run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.path())) {
            Ok(_) => Some(disk),
            Err(said) => {
                skip(&format!("cannot mount an image of {kind}: {}", said.trim()));
                None
            }
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }
}

impl Drop for DiskImage {
    fn drop(&mut self) {
        // Not lazily: the loop device goes with it. A failing test may still hold files open.
        let unmount = |lazily: &[&str]| Command::new("umount").args(lazily).arg(self.path()).status();
        if !unmount(&[]).is_ok_and(|status| status.success()) {
            drop(unmount(&["--lazy"]));
        }
    }
}
