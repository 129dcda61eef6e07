//! Copying a tree, with all that a file system knows of it.

use std::{
    collections::HashMap,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use image_core::Ctx;
use rustix::{
    fs::{FileType, RawDir},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    path::LayerPath,
    root::{
        FileId, Node, Root, Status, chmod, chown, copy_content, create_file, link, make_dir, make_node, make_symlink,
        open_file, own, read_xattrs, remove_xattr, set_mtime, set_mtime_and_atime, set_xattr,
    },
    xattr::XattrClass,
};

/// Copies all that is below `from`, and its root's attributes, to `to`, which is empty.
pub(super) fn copy_tree(from: &Root, to: &Root, ctx: &Ctx) -> Result<()> {
    let mut copy = Copy { from, to, first_names: HashMap::new(), directories: Vec::new(), ctx };
    copy.run()
}

struct Copy<'a> {
    from: &'a Root,
    to: &'a Root,
    /// Of files with several names, the one that was copied.
    first_names: HashMap<FileId, LayerPath>,
    /// Those whose attributes are still to be set, a directory before those in it.
    directories: Vec<(LayerPath, Status)>,
    ctx: &'a Ctx,
}

/// What a step of the copy may end with.
enum Fault {
    System(Errno),
    Other(Error),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Fault {
    fn at(self, path: &LayerPath) -> Error {
        match self {
            Self::System(errno) => Error::io("copy", path.to_string(), errno.into()),
            Self::Other(error) => error,
        }
    }
}

impl Copy<'_> {
    fn run(&mut self) -> Result<()> {
        let root = LayerPath::root();
        let prepared = self.prepare_root().map_err(|errno| Fault::from(errno).at(&root))?;
        self.directories.push((root.clone(), prepared));
        let mut pending = vec![root];
        while let Some(path) = pending.pop() {
            self.directory(&path, &mut pending)?;
        }
        while let Some((path, status)) = self.directories.pop() {
            self.finish_directory(&path, &status).map_err(|fault| fault.at(&path))?;
        }
        Ok(())
    }

    fn prepare_root(&self) -> Result<Status, Errno> {
        let node = Node::open(own(self.to)?)?;
        // Or what is made in it would inherit them.
        for acl in [&b"system.posix_acl_access"[..], b"system.posix_acl_default"] {
            remove_xattr(&node, acl)?;
        }
        Status::of(self.from)
    }

    fn directory(&mut self, path: &LayerPath, pending: &mut Vec<LayerPath>) -> Result<()> {
        let (from, to) = (self.from.open_dir(path)?, self.to.open_dir(path)?);
        let mut buffer = [MaybeUninit::<u8>::uninit(); 32 << 10];
        let mut entries = RawDir::new(&from, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|errno| Fault::from(errno).at(path))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            self.ctx.check()?;
            let below = path.join(name)?;
            let status = self.name(from.as_fd(), to.as_fd(), name, &below).map_err(|fault| fault.at(&below))?;
            if status.kind == FileType::Directory {
                self.directories.push((below.clone(), status));
                pending.push(below);
            }
        }
        Ok(())
    }

    /// Copies one name; a directory is made for its owner alone until it is finished.
    fn name(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &[u8],
        path: &LayerPath,
    ) -> Result<Status, Fault> {
        let status = Status::at(from, name)?.ok_or(Errno::NOENT)?;
        if status.kind == FileType::Directory {
            make_dir(to, name)?;
            return Ok(status);
        }
        if let Some(first) = self.first_names.get(&status.id) {
            let (parent, first) = (self.parent(first)?, first.file_name().unwrap_or_default());
            link(parent.as_fd(), first, to, name)?;
            return Ok(status);
        }
        let node = self.node(from, to, name, &status)?;
        copy_attributes(&node, from, name, &status)?;
        set_mtime_and_atime(&node, status.mtime)?;
        if status.links > 1 {
            self.first_names.insert(status.id, path.clone());
        }
        Ok(status)
    }

    fn parent(&self, path: &LayerPath) -> Result<OwnedFd> {
        self.to.open_dir(&path.parent().unwrap_or_default())
    }

    fn node(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &[u8], status: &Status) -> Result<Node, Fault> {
        let mode = status.mode & 0o777;
        Ok(match status.kind {
            FileType::RegularFile => {
                let source = open_file(from, name)?;
                let node = create_file(to, name, mode | 0o600)?;
                copy_content(&source, &node, status.size, &mut || {
                    self.ctx.check().map_err(|error| Fault::Other(error.into()))
                })?;
                node
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())?;
                make_symlink(to, name, target.as_bytes())?
            }
            kind => make_node(to, name, kind, status.device, mode)?,
        })
    }

    fn finish_directory(&self, path: &LayerPath, status: &Status) -> Result<(), Fault> {
        let node = Node::open(self.to.open_dir(path)?)?;
        let from = self.from.open_dir(path)?;
        copy_attributes(&node, from.as_fd(), b".", status)?;
        Ok(set_mtime(&node, status.mtime)?)
    }
}

/// Owner, extended attributes and mode, in this order: the kernel takes set-id bits and capabilities away with the owner.
fn copy_attributes(node: &Node, dir: BorrowedFd<'_>, name: &[u8], status: &Status) -> Result<(), Fault> {
    if (node.status.uid, node.status.gid) != (status.uid, status.gid) {
        chown(node, status.uid, status.gid)?;
    }
    for (name, value) in read_xattrs(dir, name)? {
        if !matches!(XattrClass::of(&name), XattrClass::HostLabel | XattrClass::NfsAcl) {
            set_xattr(node, &name, &value)?;
        }
    }
    if status.kind != FileType::Symlink {
        chmod(node, status.mode)?;
    }
    Ok(())
}
