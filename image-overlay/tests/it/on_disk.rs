//! Trees of the file system, as text.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use image_overlay::{ApplyOptions, Resolution, Root, apply_layer};
use tempfile::TempDir;

use super::layers::{Item, layer};

/// A target directory, and one beside it that nothing may touch.
pub(crate) struct Sandbox {
    dir: TempDir,
    outside: Vec<String>,
    pub(crate) options: ApplyOptions,
    pub(crate) resolution: Resolution,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        fs::create_dir_all(dir.path().join("outside/dir")).unwrap();
        fs::write(dir.path().join("outside/file"), "canary").unwrap();
        fs::write(dir.path().join("outside/dir/file"), "canary").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("outside/link")).unwrap();
        let outside = canary(&dir.path().join("outside"));
        Self { dir, outside, options: ApplyOptions::default(), resolution: Resolution::Kernel }
    }

    /// Resolving paths this way.
    pub(crate) fn resolving(self, resolution: Resolution) -> Self {
        Self { resolution, ..self }
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn root(&self) -> Root {
        Root::open(&self.target()).unwrap().with_resolution(self.resolution)
    }

    /// Applies one layer; on an error gives the text of its causes.
    pub(crate) fn apply(&self, items: &[Item]) -> Result<(), String> {
        self.apply_tar(&layer(items))
    }

    pub(crate) fn apply_tar(&self, tar: &[u8]) -> Result<(), String> {
        let applied = apply_layer(tar, &self.root(), &self.options, &image_core::Ctx::default());
        self.assert_untouched();
        applied.map(drop).map_err(|error| causes(&error))
    }

    /// Panics where anything beside the target has changed in any way.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(canary(&self.outside()), self.outside);
        let mut names: Vec<_> = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["outside", "target"]);
    }
}

/// An error and its causes.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").unwrap();
        cause = error.source();
    }
    text
}

/// One line per path: what is there. `a/`, `a = content`, `a -> target`, `a c 1:3`; names of one inode have `=a` added.
pub(crate) fn shape(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut first_names = BTreeMap::new();
    walk(root, &mut |path, name, meta| {
        let mut line = describe(path, name, meta);
        if !meta.is_dir() && meta.nlink() > 1 {
            let first = first_names.entry(meta.ino()).or_insert_with(|| name.to_owned());
            if first != name {
                write!(line, " (also {first})").unwrap();
            }
        }
        if !name.is_empty() {
            lines.push(line);
        }
    });
    lines
}

/// One line per path: what is there, and its mode, owner, time and extended attributes.
pub(crate) fn full(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(root, &mut |path, name, meta| {
        let mut line = format!(
            "{} {:04o} {}:{} {}.{:09}",
            describe(path, name, meta),
            meta.mode() & 0o7777,
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        for (name, value) in xattrs(path) {
            write!(line, " {}={}", name.escape_ascii(), value.escape_ascii()).unwrap();
        }
        lines.push(line);
    });
    lines
}

/// As [`full`], with what a change of anything would change.
fn canary(root: &Path) -> Vec<String> {
    let mut lines = full(root);
    walk(root, &mut |_, _, meta| {
        lines.push(format!("{} {}.{:09}", meta.nlink(), meta.ctime(), meta.ctime_nsec()));
    });
    lines
}

/// The extended attributes of a path, apart from those of the host.
pub(crate) fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut list[..]).unwrap_or(0);
    let names = list[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty() && *name != b"security.selinux");
    names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect()
}

fn describe(path: &Path, name: &str, meta: &fs::Metadata) -> String {
    let device = || {
        let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
        format!("{major}:{minor}")
    };
    let kind = meta.file_type();
    if kind.is_dir() {
        format!("{name}/")
    } else if kind.is_symlink() {
        format!("{name} -> {}", fs::read_link(path).unwrap().as_os_str().as_bytes().escape_ascii())
    } else if kind.is_char_device() {
        format!("{name} c {}", device())
    } else if kind.is_block_device() {
        format!("{name} b {}", device())
    } else if kind.is_fifo() {
        format!("{name} p")
    } else {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut fs::File::open(path).unwrap(), &mut content).unwrap();
        format!("{name} = {}", content.escape_ascii())
    }
}

pub(crate) fn walk(root: &Path, visit: &mut dyn FnMut(&Path, &str, &fs::Metadata)) {
    let mut pending = vec![(root.to_owned(), String::new())];
    while let Some((path, name)) = pending.pop() {
        // Overlayfs lists a whiteout where only one layer has the directory, and then denies that it is there.
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        visit(&path, &name, &meta);
        if meta.is_dir() {
            let mut children: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            children.sort();
            let child = |child: &OsStr| {
                let child_name = child.as_bytes().escape_ascii().to_string();
                let name = if name.is_empty() { child_name } else { format!("{name}/{child_name}") };
                (path.join(child), name)
            };
            pending.extend(children.iter().rev().map(|name| child(name)));
        }
    }
}
