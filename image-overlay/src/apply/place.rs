//! Placing one entry: its parents, what stands in its way, and the node itself.

use std::{
    io::Read,
    os::fd::{AsFd, BorrowedFd},
};

use image_core::observer::NoticeKind;
use rustix::{fs::FileType, io::Errno};

use super::{
    Applier, DirLinks, IMPLIED_MODE, Overlay,
    attributes::DirectoryOrigin,
    brought::Origin,
    fault::{Doing, Fault},
    fill::{Filler, NewFile},
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    oddity::Oddity,
    path::LayerPath,
    root::{
        FileId, Node, Obstacle, Status, create_file, make_dir, make_node, make_symlink, open_dir, own, remove, walk,
        writable_dir, write_at,
    },
    tar::{Chunk, TarEntry},
    whiteout::{THROUGH_LINK, is_marker_name},
};

/// How a directory is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewDirectory {
    /// This layer has an entry for it; otherwise deeper entries imply it.
    pub(super) named: bool,
    pub(super) beneath: Beneath,
}

/// What layers that are kept apart have at the path of a directory that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beneath {
    /// Nothing that would be seen.
    Nothing,
    /// A directory that is to be merged with it.
    Merged,
    /// A directory that is to be hidden: this layer had something else there before.
    Hidden,
}

impl Beneath {
    /// Of a directory in the lower layers; `cleared` says that something of this layer stood over it.
    pub(super) fn of_directory(cleared: bool) -> Self {
        if cleared { Self::Hidden } else { Self::Merged }
    }
}

impl Applier<'_> {
    /// Lays one entry of the stream over what is there.
    pub(super) fn place<R: Read>(&mut self, tar: &mut TarEntry<'_, R>) -> Result<(), Fault> {
        let entry = tar.entry().clone();
        let Entry { path, kind, metadata, .. } = &entry;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return self.place_root(&entry) };
        if let EntryKind::HardLink { target } = kind {
            return self.place_hard_link(path, &parent, name, target);
        }
        let dir = self.parent_dir(&parent)?;
        match kind {
            EntryKind::Directory => return self.place_directory(dir, name, path, metadata),
            EntryKind::File { .. } => self.place_file(dir, name, &entry, tar)?,
            _ => self.place_leaf(dir, name, &entry)?,
        }
        self.brought.add(dir, name);
        Ok(())
    }

    /// Makes what is neither a directory nor a regular file, nor another name of one.
    pub(super) fn place_leaf(&mut self, dir: FileId, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let Entry { path, kind, metadata, .. } = entry;
        match kind {
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
            EntryKind::Directory | EntryKind::File { .. } | EntryKind::HardLink { .. } => {}
        }
        Ok(())
    }

    /// The root is there, and can only be given attributes.
    pub(super) fn place_root(&mut self, Entry { path, kind, metadata, .. }: &Entry) -> Result<(), Fault> {
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
        let found = Status::at(self.dirs.get(dir)?.as_fd(), name)?;
        if found.is_some_and(|status| status.kind == FileType::Directory) {
            return self.merge_existing(dir, name, path, metadata).map(drop);
        }
        if let Some(id) = self.linked_directory(path, found)? {
            return self.merge_directory(id, path, metadata);
        }
        // Before that goes which is in its place: it may be a link through which its path leads.
        let beneath = self.beneath(dir, &path.parent().unwrap_or_default(), name, found.is_some())?;
        if found.is_some() {
            self.clear(dir, name, path)?;
        }
        let new = NewDirectory { named: true, beneath };
        self.new_directory(dir, name, path, metadata, new).map(drop).doing("create the directory")
    }

    /// The directory that a link in the place of an entry leads to, where such links are to be kept.
    fn linked_directory(&mut self, path: &LayerPath, found: Option<Status>) -> Result<Option<FileId>, Fault> {
        let may_be_link = found.map_or_else(|| self.overlay.is_some(), |status| status.kind == FileType::Symlink);
        if self.options.dir_links == DirLinks::Replace || !may_be_link {
            return Ok(None);
        }
        self.existing_dir(path)
    }

    /// Gives the directory that is at a name the attributes of its entry.
    pub(super) fn merge_existing(
        &mut self,
        dir: FileId,
        name: &[u8],
        path: &LayerPath,
        metadata: &Metadata,
    ) -> Result<FileId, Fault> {
        let child = writable_dir(self.dirs.get(dir)?.as_fd(), name).doing("open the directory")?;
        let known = self.known_path(dir, path);
        let id = self.dirs.adopt(known, child).doing("open the directory")?;
        self.merge_directory(id, path, metadata)?;
        Ok(id)
    }

    /// Gives a directory that is there the attributes of its entry.
    fn merge_directory(&mut self, id: FileId, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        let dir = self.dirs.get(id)?.as_fd();
        self.brought.imply(id, dir)?;
        let origin = self.brought.origin(id).unwrap_or(Origin { fresh: false, ours: false, named: false });
        if origin.named {
            self.odd(Oddity::Duplicate, path)?;
        }
        self.brought.set_origin(id, Origin { named: true, ..origin });
        let node = Node::open(own(dir)?)?;
        self.set_directory_attributes(&node, path, metadata, DirectoryOrigin::Existing)?;
        self.dirs.set(id, metadata.mode, metadata.mtime).doing("set the mode")
    }

    /// Makes a directory.
    pub(super) fn new_directory(
        &mut self,
        dir: FileId,
        name: &[u8],
        path: &LayerPath,
        metadata: &Metadata,
        NewDirectory { named, beneath }: NewDirectory,
    ) -> Result<FileId, Fault> {
        let parent = self.dirs.get(dir)?;
        let acl = parent.has_default_acl();
        let node = make_dir(parent.as_fd(), name)?;
        let alone = beneath != Beneath::Merged;
        self.brought.set_origin(node.status.id, Origin { fresh: alone, ours: alone, named });
        self.set_directory_attributes(&node, path, metadata, DirectoryOrigin::New { acl })?;
        if beneath == Beneath::Hidden {
            self.mark_opaque(&node)?;
        }
        // Implied directories may lie behind a link: only an entry's own path is known to lead to it.
        let known = if named { self.known_path(dir, path) } else { None };
        let id = self.dirs.adopt(known, node.into_fd()).doing("open the directory")?;
        self.dirs.set(id, metadata.mode, metadata.mtime).doing("set the mode")?;
        Ok(id)
    }

    /// The path of an entry in `dir`, if it is certain to lead there as long as no link goes: not where it led through a link
    /// that has just gone, to make room for this very entry, or through one that is no part of this tree.
    fn known_path<'p>(&mut self, dir: FileId, path: &'p LayerPath) -> Option<&'p [u8]> {
        let parent = path.parent().unwrap_or_default();
        (self.dirs.known(parent.as_bytes()) == Some(dir)).then_some(path.as_bytes())
    }

    pub(super) fn place_file<R: Read>(
        &mut self,
        dir: FileId,
        name: &[u8],
        entry: &Entry,
        tar: &mut TarEntry<'_, R>,
    ) -> Result<(), Fault> {
        let Entry { path, metadata, .. } = entry;
        // Rights that the file shall have, but none that depend on its owner; and the owner may write attributes.
        let mode = match self.options.ownership.is_given() {
            true => metadata.mode & 0o777,
            false => metadata.mode & 0o777 | 0o600,
        };
        let node = self.make(dir, name, path, &mut |dir| create_file(dir, name, mode)).doing("create the file")?;
        let acl = self.dirs.get(dir)?.has_default_acl();
        let size = entry.kind.size();
        let Some(attributes) = self.simple_attributes(&node, metadata, acl)? else {
            let write = |_: &mut Filler, chunk: &Chunk<'_>| write_at(node.as_fd(), chunk.bytes, chunk.offset);
            if self.each_chunk(tar, write)? != size {
                rustix::fs::ftruncate(&node, size).doing("set the length of the file")?;
            }
            return self.set_attributes(&node, path, metadata, acl);
        };
        self.filler.begin(NewFile { node, number: tar.number(), path: path.clone() })?;
        let end = self.each_chunk(tar, |filler, chunk| filler.write(chunk.offset, chunk.bytes))?;
        Ok(self.filler.end((end != size).then_some(size), attributes)?)
    }

    /// Hands over the content of an entry, and says where its data ends.
    fn each_chunk<R: Read, E: Into<Fault>>(
        &mut self,
        tar: &mut TarEntry<'_, R>,
        mut write: impl FnMut(&mut Filler, &Chunk<'_>) -> Result<(), E>,
    ) -> Result<u64, Fault> {
        let mut end = 0;
        while let Some(chunk) = tar.next_chunk()? {
            write(&mut self.filler, &chunk).doing("write the file")?;
            end = chunk.offset + chunk.bytes.len() as u64;
            self.wrote(chunk.bytes.len())?;
        }
        Ok(end)
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
        if self.overlay.is_some() && kind == FileType::CharacterDevice && device == 0 {
            return Err(Fault::invalid("the character device 0:0 would be a whiteout to overlayfs"));
        }
        let mode = metadata.mode & 0o777;
        match self.make(dir, name, path, &mut |dir| make_node(dir, name, kind, device, mode)) {
            Err(Fault::System(Errno::PERM)) if self.options.leaves_devices_out() => {
                self.told.left_out = true;
                let parent = path.parent().unwrap_or_default();
                self.know_lower(dir, &parent)?;
                self.clear(dir, name, path)?;
                self.cover(dir, &parent, name)?;
                self.veil.iter_mut().for_each(|veil| veil.cover(path));
                self.notice(NoticeKind::Skipped, path, "only root may make devices");
                Ok(())
            }
            node => {
                let action = if kind == FileType::Fifo { "create the FIFO" } else { "create the device" };
                self.set_attributes_in(dir, &node.doing(action)?, path, metadata)
            }
        }
    }

    /// Makes a node, clearing its way if need be; but what upper layers have stays.
    pub(super) fn make<T>(
        &mut self,
        dir: FileId,
        name: &[u8],
        path: &LayerPath,
        make: &mut dyn FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Result<T, Fault> {
        match make(self.dirs.get(dir)?.as_fd()) {
            Err(Errno::EXIST) if self.veil.is_none() => {
                self.clear(dir, name, path)?;
                Ok(make(self.dirs.get(dir)?.as_fd())?)
            }
            result => Ok(result?),
        }
    }

    /// Removes what stands in the way of an entry.
    pub(super) fn clear(&mut self, dir: FileId, name: &[u8], path: &LayerPath) -> Result<(), Fault> {
        let Some(status) = Status::at(self.dirs.get(dir)?.as_fd(), name)? else { return Ok(()) };
        if self.brought.holds(dir, name, &status) {
            self.odd(Oddity::Duplicate, path)?;
        }
        self.remove(dir, name, &status).doing("remove what is in its place")
    }

    /// Removes a name, which stands for `status`, and closes the directories that go with it.
    pub(super) fn remove(&mut self, dir: FileId, name: &[u8], status: &Status) -> Result<(), Fault> {
        match status.kind {
            FileType::Directory => {
                self.dirs.close_but(Some(dir))?;
                self.overlay.iter_mut().for_each(Overlay::forget);
            }
            FileType::Symlink => self.dirs.forget_paths(),
            _ => {}
        }
        remove(self.dirs.get(dir)?.as_fd(), name, &mut || Ok(self.ctx.check()?))
    }

    /// The directory that an entry stands in, made if need be.
    pub(super) fn parent_dir(&mut self, path: &LayerPath) -> Result<FileId, Fault> {
        let id = if self.overlay.is_some() { self.merged_parent(path) } else { self.plain_parent(path) };
        let id = id.doing("open the directory it stands in")?;
        self.brought.imply(id, self.dirs.get(id)?.as_fd())?;
        Ok(id)
    }

    fn plain_parent(&mut self, path: &LayerPath) -> Result<FileId, Fault> {
        match self.dirs.find(path.as_bytes()) {
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_parents(path),
            id => Ok(id?),
        }
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
                self.odd(Oddity::FileInTheWay, path)?;
                self.clear(dir, name, path)?;
            }
            let new = NewDirectory { named: false, beneath: Beneath::Nothing };
            let made = self.new_directory(dir, name, path, &Metadata::new(IMPLIED_MODE), new)?;
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
}
