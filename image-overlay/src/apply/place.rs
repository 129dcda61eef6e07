//! Placing one entry: its parents, what stands in its way, and the node itself.

use std::{
    io::Read,
    os::fd::{AsFd, BorrowedFd},
};

use image_core::observer::NoticeKind;
use rustix::{fs::FileType, io::Errno};

use super::{
    Applier, IMPLIED_MODE, Ownership,
    attributes::DirectoryOrigin,
    brought::Origin,
    fault::{Doing, Fault},
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    path::LayerPath,
    root::{
        FileId, Node, Obstacle, Status, create_file, link, make_dir, make_node, make_symlink, open_dir, own, remove,
        walk, writable_dir,
    },
    tar::TarEntry,
    whiteout::{THROUGH_LINK, is_marker_name},
};

impl Applier<'_> {
    /// Lays one entry over what is there.
    pub(super) fn place<R: Read>(&mut self, tar: &mut TarEntry<'_, R>) -> Result<(), Fault> {
        let entry = tar.entry().clone();
        let Entry { path, kind, metadata, .. } = &entry;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return self.place_root(kind, path, metadata);
        };
        if let EntryKind::HardLink { target } = kind {
            return self.place_hard_link(path, &parent, name, target);
        }
        let dir = self.parent_dir(&parent)?;
        match kind {
            EntryKind::Directory => return self.place_directory(dir, name, path, metadata),
            EntryKind::File { size } => self.place_file(dir, name, &entry, tar, *size)?,
            EntryKind::Symlink { target } => {
                let node = self.make(dir, name, path, &mut |dir| make_symlink(dir, name, target));
                self.set_attributes_in(dir, &node.doing("create the symbolic link")?, path, metadata)?;
            }
            EntryKind::CharDevice { major, minor } => {
                self.place_node(dir, name, path, metadata, (FileType::CharacterDevice, *major, *minor))?;
            }
            EntryKind::BlockDevice { major, minor } => {
                self.place_node(dir, name, path, metadata, (FileType::BlockDevice, *major, *minor))?;
            }
            EntryKind::Fifo => self.place_node(dir, name, path, metadata, (FileType::Fifo, 0, 0))?,
            EntryKind::HardLink { .. } => {}
        }
        self.brought.add(dir, name);
        Ok(())
    }

    /// The root is there, and can only be given attributes.
    fn place_root(&mut self, kind: &EntryKind, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        if !kind.is_directory() {
            return Err(Fault::invalid("it stands for the root, which can only be a directory"));
        }
        let root = self.dirs.find(b"").doing("open the root")?;
        self.merge_directory(root, path, metadata)
    }

    fn place_directory(
        &mut self,
        dir: FileId,
        name: &[u8],
        path: &LayerPath,
        metadata: &Metadata,
    ) -> Result<(), Fault> {
        match self.new_directory(dir, name, path, metadata, true) {
            Err(Fault::System(Errno::EXIST)) => {}
            result => return result.map(drop).doing("create the directory"),
        }
        let parent = self.dirs.get(dir)?.as_fd();
        let is_directory = Status::at(parent, name)?.is_some_and(|status| status.kind == FileType::Directory);
        if !is_directory {
            self.clear(dir, name, path)?;
            return self.new_directory(dir, name, path, metadata, true).map(drop).doing("create the directory");
        }
        let child = writable_dir(parent, name).doing("open the directory")?;
        let id = self.dirs.adopt(Some(path.as_bytes()), child).doing("open the directory")?;
        self.merge_directory(id, path, metadata)
    }

    /// Gives a directory that is there the attributes of its entry.
    fn merge_directory(&mut self, id: FileId, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        let dir = self.dirs.get(id)?.as_fd();
        self.brought.imply(id, dir)?;
        let origin = self.brought.origin(id).unwrap_or(Origin { fresh: false, ours: false, named: false });
        if origin.named {
            self.notice_duplicate(path);
        }
        self.brought.set_origin(id, Origin { named: true, ..origin });
        let node = Node::open(own(dir)?)?;
        self.set_directory_attributes(&node, path, metadata, DirectoryOrigin::Existing)?;
        self.dirs.set(id, metadata.mode, metadata.mtime).doing("set the mode")
    }

    /// Makes a directory; `Errno::EXIST` passes as it is.
    fn new_directory(
        &mut self,
        dir: FileId,
        name: &[u8],
        path: &LayerPath,
        metadata: &Metadata,
        named: bool,
    ) -> Result<FileId, Fault> {
        let parent = self.dirs.get(dir)?;
        let acl = parent.has_default_acl();
        let node = make_dir(parent.as_fd(), name)?;
        self.brought.set_origin(node.status.id, Origin { fresh: true, ours: true, named });
        self.set_directory_attributes(&node, path, metadata, DirectoryOrigin::New { acl })?;
        // Implied directories may lie behind a link: only an entry's own path is known to lead to it.
        let id = self.dirs.adopt(named.then_some(path.as_bytes()), node.into_fd()).doing("open the directory")?;
        self.dirs.set(id, metadata.mode, metadata.mtime).doing("set the mode")?;
        Ok(id)
    }

    fn place_file<R: Read>(
        &mut self,
        dir: FileId,
        name: &[u8],
        entry: &Entry,
        tar: &mut TarEntry<'_, R>,
        size: u64,
    ) -> Result<(), Fault> {
        let Entry { path, metadata, .. } = entry;
        // Rights that the file shall have, but none that depend on its owner; and the owner may write attributes.
        let mode = match self.options.ownership {
            Ownership::AsIs => metadata.mode & 0o777,
            Ownership::Current => metadata.mode & 0o777 | 0o600,
        };
        let node = self.make(dir, name, path, &mut |dir| create_file(dir, name, mode)).doing("create the file")?;
        let mut end = 0;
        while let Some(chunk) = tar.next_chunk()? {
            write_at(node.as_fd(), chunk.bytes, chunk.offset).doing("write the file")?;
            end = chunk.offset + chunk.bytes.len() as u64;
            self.wrote(chunk.bytes.len())?;
        }
        if end != size {
            rustix::fs::ftruncate(&node, size).doing("set the length of the file")?;
        }
        self.set_attributes_in(dir, &node, path, metadata)
    }

    fn place_node(
        &mut self,
        dir: FileId,
        name: &[u8],
        path: &LayerPath,
        metadata: &Metadata,
        (kind, major, minor): (FileType, u32, u32),
    ) -> Result<(), Fault> {
        let device = rustix::fs::makedev(major, minor);
        if (rustix::fs::major(device), rustix::fs::minor(device)) != (major, minor) {
            return Err(Fault::invalid(format!("there is no device {major}:{minor}")));
        }
        let mode = metadata.mode & 0o777;
        match self.make(dir, name, path, &mut |dir| make_node(dir, name, kind, device, mode)) {
            Err(Fault::System(Errno::PERM)) if self.options.ownership == Ownership::Current => {
                self.clear(dir, name, path)?;
                self.notice(NoticeKind::Skipped, path, "only root may make devices");
                Ok(())
            }
            node => {
                let action = if kind == FileType::Fifo { "create the FIFO" } else { "create the device" };
                self.set_attributes_in(dir, &node.doing(action)?, path, metadata)
            }
        }
    }

    fn place_hard_link(
        &mut self,
        path: &LayerPath,
        parent: &LayerPath,
        name: &[u8],
        target: &LayerPath,
    ) -> Result<(), Fault> {
        let refuse = |what: &str| Err(Fault::invalid(format!("it is a hard link to {target}, {what}")));
        let (Some(target_parent), Some(target_name)) = (target.parent(), target.file_name()) else {
            return refuse("which is a directory");
        };
        let Some(target_dir) = self.existing_dir(&target_parent)? else { return refuse("which does not exist") };
        // A handle of its own: clearing the way below closes directories.
        let target_fd = own(self.dirs.get(target_dir)?.as_fd())?;
        match Status::at(target_fd.as_fd(), target_name)? {
            None => return refuse("which does not exist"),
            Some(status) if status.kind == FileType::Directory => return refuse("which is a directory"),
            Some(_) => {}
        }
        let dir = self.parent_dir(parent)?;
        if (dir, name) == (target_dir, target_name) {
            return refuse("which is itself");
        }
        match self.make(dir, name, path, &mut |dir| link(target_fd.as_fd(), target_name, dir, name)) {
            Err(Fault::System(Errno::NOENT)) => return refuse("which it replaces"),
            result => result.doing("create the hard link")?,
        }
        self.brought.add(dir, name);
        Ok(())
    }

    /// Makes a node, clearing its way if need be.
    fn make<T>(
        &mut self,
        dir: FileId,
        name: &[u8],
        path: &LayerPath,
        make: &mut dyn FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Result<T, Fault> {
        match make(self.dirs.get(dir)?.as_fd()) {
            Err(Errno::EXIST) => {
                self.clear(dir, name, path)?;
                Ok(make(self.dirs.get(dir)?.as_fd())?)
            }
            result => Ok(result?),
        }
    }

    /// Removes what stands in the way of an entry.
    fn clear(&mut self, dir: FileId, name: &[u8], path: &LayerPath) -> Result<(), Fault> {
        let Some(status) = Status::at(self.dirs.get(dir)?.as_fd(), name)? else { return Ok(()) };
        if self.brought.holds(dir, name, &status) {
            self.notice_duplicate(path);
        }
        self.remove(dir, name, &status).doing("remove what is in its place")
    }

    /// Removes a name, which stands for `status`, and closes the directories that go with it.
    pub(super) fn remove(&mut self, dir: FileId, name: &[u8], status: &Status) -> Result<(), Fault> {
        match status.kind {
            FileType::Directory => self.dirs.close_but(Some(dir))?,
            FileType::Symlink => self.dirs.forget_paths(),
            _ => {}
        }
        remove(self.dirs.get(dir)?.as_fd(), name, &mut || Ok(self.ctx.check()?))
    }

    /// The directory that an entry stands in, made if need be.
    fn parent_dir(&mut self, path: &LayerPath) -> Result<FileId, Fault> {
        let id = match self.dirs.find(path.as_bytes()) {
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_parents(path),
            id => id.map_err(Fault::from),
        };
        let id = id.doing("open the directory it stands in")?;
        self.brought.imply(id, self.dirs.get(id)?.as_fd())?;
        Ok(id)
    }

    fn make_parents(&mut self, path: &LayerPath) -> Result<FileId, Fault> {
        let root = self.dirs.root();
        let dir = walk(root.as_fd(), path.as_bytes(), |dir, name, obstacle| {
            let dir = self.dirs.adopt(None, open_dir(dir, b".")?)?;
            self.brought.imply(dir, self.dirs.get(dir)?.as_fd())?;
            if is_marker_name(name) {
                return Err(Fault::invalid(THROUGH_LINK));
            }
            if obstacle == Obstacle::NotDirectory {
                self.clear(dir, name, path)?;
            }
            let made = self.new_directory(dir, name, path, &Metadata::new(IMPLIED_MODE), false)?;
            Ok::<_, Fault>(own(self.dirs.get(made)?.as_fd())?)
        })?;
        drop(dir);
        Ok(self.dirs.find(path.as_bytes())?)
    }

    fn set_attributes_in(
        &mut self,
        dir: FileId,
        node: &Node,
        path: &LayerPath,
        metadata: &Metadata,
    ) -> Result<(), Fault> {
        let acl = self.dirs.get(dir)?.has_default_acl();
        self.set_attributes(node, path, metadata, acl)
    }

    fn notice_duplicate(&self, path: &LayerPath) {
        self.notice(NoticeKind::Altered, path, "it replaces what the same layer brought before");
    }
}

fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}
