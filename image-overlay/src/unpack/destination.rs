//! Where a tree is built, and how it becomes visible.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use image_core::{Ctx, observer::NoticeKind};
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags},
    io::Errno,
};

use super::temporary;
use crate::{
    error::{Error, Result},
    root::{Node, Root, Status, is_empty_dir, list_xattrs, own, remove, remove_children, remove_xattr},
    xattr::XattrClass,
};

/// A tree that is being built for a path.
pub(super) struct Destination {
    /// As the caller named it.
    path: PathBuf,
    root: Root,
    place: Place,
}

enum Place {
    /// Built beside the path, in the same directory, and renamed at the end.
    Beside { parent: OwnedFd, temporary: Vec<u8>, name: Vec<u8>, replaces: Existing },
    /// Built where it belongs.
    Within,
}

/// What is at the destination before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Nothing,
    EmptyDirectory,
}

const NOT_EMPTY: &str = "it is not empty: unpack to an empty directory, or to a place where nothing is";

/// The directory that a path is in.
fn around(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

impl Destination {
    /// Looks at the path, and makes the directory to build in.
    pub(super) fn prepare(path: &Path) -> Result<Self> {
        // Without the slash at the end, which would follow a link.
        let path: PathBuf = path.components().collect();
        let refuse = |reason| Err(Error::Destination { path: path.clone(), reason });
        let failed = |action, errno: Errno| Error::io(action, &path, errno.into());
        let existing = match Status::at(CWD, path.as_os_str().as_bytes()).map_err(|e| failed("look at", e))? {
            None => Existing::Nothing,
            Some(status) if status.kind == FileType::Directory => Existing::EmptyDirectory,
            Some(status) if status.kind == FileType::Symlink => return Self::within(path),
            Some(_) => {
                return refuse("it is not a directory: unpack to an empty directory, or to a place where nothing is");
            }
        };
        if existing == Existing::EmptyDirectory {
            let root = Root::open(&path)?;
            if !is_empty_dir(root.as_fd()).map_err(|e| failed("read", e))? {
                return refuse(NOT_EMPTY);
            }
            if is_mount_point(&root) {
                return Self::within(path);
            }
        }
        let Some(Component::Normal(name)) = path.components().next_back() else { return Self::within(path) };
        match Self::beside(&path, name, existing) {
            // The directory is the caller's, but the one around it is not.
            Err(Errno::ACCESS | Errno::ROFS) if existing == Existing::EmptyDirectory => Self::within(path),
            result => result.map_err(|e| Error::io("create a directory in", around(&path), e.into())),
        }
    }

    fn beside(path: &Path, name: &OsStr, replaces: Existing) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::openat(CWD, around(path), flags, Mode::empty())?;
        let (temporary, directory) = temporary::make(&parent, name.as_bytes())?;
        let root = Root::from_fd(directory);
        let place = Place::Beside { parent, temporary, name: name.as_bytes().to_vec(), replaces };
        Ok(Self { path: path.to_owned(), root, place })
    }

    fn within(path: PathBuf) -> Result<Self> {
        let root = Root::open(&path)?;
        match is_empty_dir(root.as_fd()) {
            Ok(true) => Ok(Self { path, root, place: Place::Within }),
            Ok(false) => Err(Error::Destination { path, reason: NOT_EMPTY }),
            Err(e) => Err(Error::io("read", path, e.into())),
        }
    }

    /// Where to build.
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Removes what is in the tree, which is then as it was.
    pub(super) fn clear(&self, ctx: &Ctx) -> Result<()> {
        let clear = || {
            let root = own(&self.root)?;
            let node = Node::open(own(&root)?)?;
            list_xattrs(&node)?
                .iter()
                .filter(|name| XattrClass::of(name) == XattrClass::Content)
                .try_for_each(|name| remove_xattr(&node, name))?;
            remove_children(root, &mut || ctx.check().map_err(|_| Errno::CANCELED))
        };
        let cleared = clear();
        ctx.check()?;
        cleared.map_err(|e| Error::io("clear", &self.path, e.into()))
    }

    /// Makes the tree visible at the destination.
    pub(super) fn finish(self, ctx: &Ctx) -> Result<()> {
        let Place::Beside { parent, temporary, name, replaces } = &self.place else { return Ok(()) };
        let renamed = match replaces {
            // Replaces an empty directory, and fails on one that is not.
            Existing::EmptyDirectory => rustix::fs::renameat(parent, &**temporary, parent, &**name),
            Existing::Nothing => {
                match rustix::fs::renameat_with(parent, &**temporary, parent, &**name, RenameFlags::NOREPLACE) {
                    // The file system knows no flags.
                    Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::renameat(parent, &**temporary, parent, &**name),
                    result => result,
                }
            }
        };
        let Err(errno) = renamed else { return Ok(()) };
        let error = match errno {
            Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR => {
                Error::Destination { path: self.path.clone(), reason: "something else appeared there meanwhile" }
            }
            other => Error::io("rename the tree to", &self.path, other.into()),
        };
        self.discard(ctx);
        Err(error)
    }

    /// Removes what was built.
    pub(super) fn discard(self, ctx: &Ctx) {
        let removed = match &self.place {
            Place::Beside { parent, temporary, .. } => remove(parent.as_fd(), temporary, &mut || Ok::<_, Errno>(())),
            Place::Within => own(&self.root).and_then(|root| remove_children(root, &mut || Ok::<_, Errno>(()))),
        };
        if let Err(errno) = removed {
            let message = format!("what was unpacked so far is left: {}", std::io::Error::from(errno));
            ctx.notice(NoticeKind::Warning, &self.path.to_string_lossy(), &message);
        }
    }
}

fn is_mount_point(dir: &Root) -> bool {
    // Without the answer the rename at the end tells.
    rustix::fs::statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
