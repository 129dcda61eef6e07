//! Placing the entries of a layer below those of upper layers, which are in the tree already.
//!
//! Nothing is replaced here: what is in an entry's place is of an upper layer, and hides it. [`Veil`] says what else does, and
//! which layers cannot be applied in this order.

use std::{
    io::{ErrorKind, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{fs::FileType, io::Errno};

use super::{
    Applier, IMPLIED_MODE, Veil,
    fault::{Doing, Fault},
    place::{Beneath, NewDirectory},
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    path::LayerPath,
    root::{FileId, Status, link, open_path, own},
    tar::TarEntry,
    whiteout::Whiteout,
};

impl Applier<'_> {
    /// Places an entry of the stream, unless upper layers hide it.
    pub(super) fn place_beneath<R: Read>(&mut self, tar: &mut TarEntry<'_, R>) -> Result<(), Fault> {
        let entry = tar.entry().clone();
        let Entry { path, kind, .. } = &entry;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return self.root_beneath(&entry) };
        let veil = self.veil()?;
        let is_parent_hidden = veil.enter(&parent)?;
        let is_directory = kind.is_directory();
        let is_hidden = if is_directory { veil.directory(path.as_bytes())? } else { veil.leaf(path.as_bytes())? };
        // What is shown on the way to it is there, be it hidden or not.
        let above = if is_parent_hidden { veil.shown() } else { Some(parent) };
        let dir = above.map(|above| self.parent_beneath(&above)).transpose()?.flatten();
        let Some(dir) = dir.filter(|_| !is_parent_hidden && !is_hidden) else { return self.hidden_beneath(&entry) };
        let placed = match kind {
            EntryKind::Directory => return self.directory_beneath(dir, name, &entry),
            EntryKind::HardLink { target } => self.hard_link_beneath(dir, name, target),
            EntryKind::File { .. } => self.place_file(dir, name, &entry, tar),
            _ => self.place_leaf(dir, name, &entry),
        };
        if placed.as_ref().is_err_and(Fault::is_in_place) {
            return self.is_beneath(dir, name, path);
        }
        self.brought.add(dir, name);
        placed
    }

    /// Takes note of an entry that upper layers hide.
    fn hidden_beneath(&mut self, Entry { path, kind, .. }: &Entry) -> Result<(), Fault> {
        match kind {
            EntryKind::Directory => return Ok(()),
            // To nothing it would be refused.
            EntryKind::HardLink { target } => drop(self.find_target(target)?),
            _ => {}
        }
        self.veil()?.hide(path.as_bytes())
    }

    /// Takes note of what `marker` hides of lower layers.
    pub(super) fn hide_beneath(&mut self, marker: &Whiteout) -> Result<(), Fault> {
        let Some(subject) = marker.subject() else { return Ok(()) };
        let dir = match marker {
            Whiteout::Plain { target } => target.parent().unwrap_or_default(),
            _ => subject.clone(),
        };
        if self.veil()?.enter(&dir)? || self.existing_beneath(&dir)? == Way::Covered {
            return Ok(());
        }
        self.veil()?.mark(marker)
    }

    /// What upper layers say.
    fn veil(&mut self) -> Result<&mut Veil, Fault> {
        self.veil.as_deref_mut().ok_or(Fault::Unordered)
    }

    fn root_beneath(&mut self, entry: &Entry) -> Result<(), Fault> {
        let root = self.dirs.find(b"").doing("open the root")?;
        self.veil()?.directory(b"")?;
        if self.veil()?.is_named(root) {
            return if entry.kind.is_directory() { Ok(()) } else { Err(Fault::Unordered) };
        }
        self.place_root(entry)?;
        self.veil()?.name(root);
        Ok(())
    }

    /// Makes a directory, or gives one that upper layers have, and say nothing of, its attributes.
    fn directory_beneath(&mut self, dir: FileId, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let Entry { path, metadata, .. } = entry;
        let id = match Status::at(self.dirs.get(dir)?.as_fd(), name)? {
            None => {
                let new = NewDirectory { named: true, beneath: Beneath::Nothing };
                self.new_directory(dir, name, path, metadata, new).doing("create the directory")?
            }
            Some(status) if status.kind != FileType::Directory => {
                return if self.brought.holds(dir, name, &status) { Err(Fault::Unordered) } else { Ok(()) };
            }
            Some(status) if self.veil()?.is_named(status.id) => return Ok(()),
            Some(_) => self.merge_existing(dir, name, path, metadata)?,
        };
        self.veil()?.name(id);
        Ok(())
    }

    /// What is in the place of an entry hides it, if an upper layer has it.
    fn is_beneath(&mut self, dir: FileId, name: &[u8], path: &LayerPath) -> Result<(), Fault> {
        let found = Status::at(self.dirs.get(dir)?.as_fd(), name)?.ok_or(Fault::Unordered)?;
        let is_directory = found.kind == FileType::Directory;
        if !is_directory && self.brought.holds(dir, name, &found) {
            return Err(Fault::Unordered);
        }
        let veil = self.veil()?;
        if is_directory {
            // Of what layers further down have there nothing came up to that directory.
            veil.cover(path);
        }
        veil.hide(path.as_bytes())
    }

    fn hard_link_beneath(&mut self, dir: FileId, name: &[u8], target: &LayerPath) -> Result<(), Fault> {
        let to = own(self.dirs.get(dir)?.as_fd())?;
        let found = self.find_target(target)?;
        if Status::at(to.as_fd(), name)?.is_some() {
            return Err(Errno::EXIST).doing("create the hard link");
        }
        // Of a hidden file the content has passed by.
        let (from, name_there) = found.ok_or(Fault::Unordered)?;
        link(from.as_fd(), &name_there, to.as_fd(), name).doing("create the hard link")
    }

    /// The file of the layer at hand that a hard link names, as a directory and a name in it; `None` where upper layers hide it.
    fn find_target(&mut self, target: &LayerPath) -> Result<Option<(OwnedFd, Vec<u8>)>, Fault> {
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else { return Err(Fault::Unordered) };
        if self.veil()?.hides(target.as_bytes()) {
            return Ok(None);
        }
        let Way::Open(dir) = self.existing_beneath(&parent)? else { return Err(Fault::Unordered) };
        let fd = self.dirs.get(dir)?.as_fd();
        match Status::at(fd, name)? {
            Some(status) if status.kind != FileType::Directory && self.brought.holds(dir, name, &status) => {
                Ok(Some((own(fd)?, name.to_vec())))
            }
            _ => Err(Fault::Unordered),
        }
    }

    /// The directory that an entry stands in, made if need be; `None` where upper layers have something else in its way.
    fn parent_beneath(&mut self, path: &LayerPath) -> Result<Option<FileId>, Fault> {
        let mut missing = Vec::new();
        let mut at = path.clone();
        let mut dir = loop {
            match self.existing_beneath(&at)? {
                Way::Open(dir) => break dir,
                Way::Covered => {
                    self.veil()?.is_covered();
                    return Ok(None);
                }
                Way::Missing => {
                    let above = at.parent().unwrap_or_default();
                    missing.push(std::mem::replace(&mut at, above));
                }
            }
        };
        while let Some(path) = missing.pop() {
            let name = path.file_name().unwrap_or_default();
            let new = NewDirectory { named: false, beneath: Beneath::Nothing };
            let made = self.new_directory(dir, name, &path, &Metadata::new(IMPLIED_MODE), new);
            dir = made.doing("open the directory it stands in")?;
        }
        Ok(Some(dir))
    }

    /// Whether there is a directory at a path that leads through no link.
    fn existing_beneath(&mut self, path: &LayerPath) -> Result<Way, Fault> {
        match self.dirs.find_without_links(path.as_bytes()) {
            Ok(dir) => Ok(Way::Open(dir)),
            Err(Errno::NOENT) => Ok(Way::Missing),
            Err(Errno::NOTDIR | Errno::LOOP) => self.covered(path),
            Err(errno) => Err(errno).doing("open the directory it stands in"),
        }
    }

    /// Something is in the way of a path: of an upper layer, or it is not for this order.
    fn covered(&self, path: &LayerPath) -> Result<Way, Fault> {
        let mut below: Option<OwnedFd> = None;
        for name in path.components() {
            let dir: BorrowedFd<'_> = below.as_ref().map_or_else(|| self.dirs.root().as_fd(), AsFd::as_fd);
            let Some(status) = Status::at(dir, name)? else { break };
            if status.kind == FileType::Directory {
                below = Some(open_path(dir, name)?);
                continue;
            }
            let dir = Status::of(dir)?.id;
            return if self.brought.holds(dir, name, &status) { Err(Fault::Unordered) } else { Ok(Way::Covered) };
        }
        // Somebody else is at work in the tree.
        Err(Errno::STALE.into())
    }
}

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To this directory.
    Open(FileId),
    /// To nothing so far.
    Missing,
    /// To nothing, since upper layers have something else in its place.
    Covered,
}

impl Fault {
    /// Whether something is in the place of what was to be made.
    fn is_in_place(&self) -> bool {
        match self {
            Self::System(errno) => *errno == Errno::EXIST,
            Self::Refused { source, .. } => source.kind() == ErrorKind::AlreadyExists,
            _ => false,
        }
    }
}
