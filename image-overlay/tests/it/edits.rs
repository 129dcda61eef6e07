//! What a process may do to a tree, at random, and an overlay mount of the kernel's to do it in.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use proptest::{collection::vec, prelude::*, sample::select};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use test_support::SmallDisk;

/// A directory with `lower`, `upper`, and both mounted at `merged`, until it is dropped.
pub(crate) struct Overlay {
    disk: SmallDisk,
}

impl Overlay {
    /// Over what `make` puts into `lower`, with these options of the mount; `None` where nothing may be mounted.
    pub(crate) fn mount(options: &str, make: impl FnOnce(&Path)) -> Option<Self> {
        let disk = SmallDisk::mount(64 << 20)?;
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(disk.path().join(name)).unwrap();
        }
        make(&disk.path().join("lower"));
        let options = format!("lowerdir=lower,upperdir=upper,workdir=work,{options}");
        let mut mount = Command::new("mount");
        mount.current_dir(disk.path()).args(["-t", "overlay", "none", "-o", &options, "merged"]);
        if !mount.output().unwrap().status.success() {
            test_support::skip("may not mount overlayfs");
            return None;
        }
        Some(Self { disk })
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.disk.path().join(name)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.at("merged")).status().ok();
    }
}

/// Something that a process does to a path; what is not possible there is not done.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Remove,
    /// Removes a directory with all in it, and makes a new one.
    Renew,
    Write(&'static str),
    Append,
    /// Writes other bytes of the same length, and sets the time back.
    Rewrite,
    Mkdir,
    Symlink,
    Fifo,
    Device(u32),
    Chmod(u32),
    Chown(u32),
    SetXattr(&'static str),
    RemoveXattr,
    Link(String),
    Rename(String),
    Touch(u64),
    /// Opens a file for writing, and leaves it as it is.
    CopyUp,
}

impl Edit {
    /// Does it below a root, which needs not be possible.
    pub(crate) fn carry_out(&self, root: &Path, path: &str) {
        let path = root.join(path);
        let Ok(meta) = fs::symlink_metadata(&path) else { return self.make(&path) };
        drop(match self {
            Self::Remove => remove(&path, &meta),
            Self::Renew if meta.is_dir() => remove(&path, &meta).and_then(|()| fs::create_dir(&path)),
            Self::Append if meta.is_file() => open(&path).write_all(b"more"),
            Self::Rewrite if meta.is_file() => rewrite(&path, &meta),
            Self::CopyUp if meta.is_file() => {
                drop(open(&path));
                Ok(())
            }
            Self::Touch(seconds) if meta.is_file() => {
                open(&path).set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds))
            }
            Self::Chmod(mode) if !meta.is_symlink() => fs::set_permissions(&path, fs::Permissions::from_mode(*mode)),
            Self::Chown(id) => lchown(&path, Some(*id), Some(*id)),
            Self::SetXattr(value) => {
                rustix::fs::lsetxattr(&path, "trusted.test", value.as_bytes(), XattrFlags::empty()).map_err(Into::into)
            }
            Self::RemoveXattr => rustix::fs::lremovexattr(&path, "trusted.test").map_err(Into::into),
            Self::Link(to) => fs::hard_link(&path, root.join(to)),
            Self::Rename(to) => fs::rename(&path, root.join(to)),
            _ => Ok(()),
        });
    }

    /// Makes what is not there.
    fn make(&self, path: &Path) {
        let node = |kind, device| rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), device);
        match self {
            Self::Write(content) => drop(fs::write(path, content)),
            Self::Mkdir => drop(fs::create_dir(path)),
            Self::Symlink => drop(symlink("target", path)),
            Self::Fifo => drop(node(FileType::Fifo, 0)),
            Self::Device(minor) => drop(node(FileType::CharacterDevice, rustix::fs::makedev(1, *minor))),
            _ => {}
        }
    }
}

fn open(path: &Path) -> fs::File {
    fs::OpenOptions::new().append(true).open(path).unwrap()
}

fn remove(path: &Path, meta: &fs::Metadata) -> std::io::Result<()> {
    if !meta.is_dir() {
        return fs::remove_file(path);
    }
    #[expect(clippy::disallowed_methods, reason = "the tree is the test's own")]
    fs::remove_dir_all(path)
}

fn rewrite(path: &Path, meta: &fs::Metadata) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(&vec![b'#'; usize::try_from(meta.len()).unwrap()])?;
    file.set_modified(meta.modified()?)?;
    assert_eq!(file.metadata()?.mtime_nsec(), meta.mtime_nsec());
    Ok(())
}

fn arb_path() -> impl Strategy<Value = String> {
    vec(select(&["a", "b", "-c", "d.e"][..]), 1..4).prop_map(|names| names.join("/"))
}

fn arb_edit() -> impl Strategy<Value = (String, Edit)> {
    let what = prop_oneof![
        3 => Just(Edit::Remove),
        2 => Just(Edit::Renew),
        4 => select(&["", "x", "new"][..]).prop_map(Edit::Write),
        2 => Just(Edit::Append),
        2 => Just(Edit::Rewrite),
        3 => Just(Edit::Mkdir),
        1 => Just(Edit::Symlink),
        1 => Just(Edit::Fifo),
        1 => (3..5_u32).prop_map(Edit::Device),
        2 => select(&[0o700, 0o755, 0o4711][..]).prop_map(Edit::Chmod),
        2 => (0..3_u32).prop_map(Edit::Chown),
        1 => select(&["v", "z"][..]).prop_map(Edit::SetXattr),
        1 => Just(Edit::RemoveXattr),
        2 => arb_path().prop_map(Edit::Link),
        3 => arb_path().prop_map(Edit::Rename),
        1 => select(&[77, 1000][..]).prop_map(Edit::Touch),
        2 => Just(Edit::CopyUp),
    ];
    (arb_path(), what)
}

/// Edits of a tree whose paths are those of the random trees.
pub(crate) fn arb_edits() -> impl Strategy<Value = Vec<(String, Edit)>> {
    vec(arb_edit(), 0..14)
}
