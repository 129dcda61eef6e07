//! Whiteouts: hiding what lower layers have.
//!
//! # The rule
//! A layer means: *first* everything that its markers name goes from the lower layers, *then* its entries
//! are laid on top. A tar stream holds both in any order, and is read once. So when a marker comes, what
//! it names is taken away as far as this layer did not bring it:
//!
//! - What only lower layers have goes, with all below it.
//! - What this layer made stays, with all below it.
//! - A directory that both have stays, since entries of this layer stand for it or are below it; what is in
//!   it is treated by the same rule. If this layer has no entry of its own for it, its attributes were
//!   those of the lower layer, which has just been hidden: it gets those of an implied directory.
//!
//! Entries that come after a marker need no care: they find the lower layers' things gone.
//! A marker whose target, or whose directory, does not exist hides nothing. The directory of an
//! opaque marker is not hidden itself and keeps its attributes.
//!
//! In the form of overlayfs the lower layers are elsewhere. What would go is covered: a name by a whiteout, and
//! all that a directory has below by a mark on the directory, which is otherwise treated in the same way.
//!
//! Two things do depend on the order, in layers that no tool makes of a tree: what a hard link to a file of a
//! lower layer is where the same layer hides that file (a link before the marker, an error after it), and
//! where an entry below a symbolic link of a lower layer goes where the same layer hides or
//! replaces that link (through the link before, to a new directory after). In both cases all stays inside the root.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{FileType, RawDir, SeekFrom},
    io::Errno,
};

use super::{
    Applier, IMPLIED_MTIME,
    fault::{Doing, Fault},
};
use crate::{
    path::LayerPath,
    root::{FileId, Node, Status, chmod, climb, own, remove, set_mtime, writable_dir},
    whiteout::Whiteout,
};

impl Applier<'_> {
    /// Takes away what `marker` hides.
    pub(super) fn hide(&mut self, marker: &Whiteout) -> Result<(), Fault> {
        match marker {
            Whiteout::Plain { target } => self.hide_path(target).doing("remove what the whiteout hides"),
            Whiteout::Opaque { dir } => self.hide_children(dir).doing("remove what the opaque whiteout hides"),
            Whiteout::Reserved => Ok(()),
        }
    }

    fn hide_path(&mut self, target: &LayerPath) -> Result<(), Fault> {
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else { return Ok(()) };
        let Some(dir) = self.existing_dir(&parent)? else { return Ok(()) };
        if self.brought.is_ours(dir) {
            return Ok(());
        }
        self.hide_name(dir, &parent, name)
    }

    /// Takes away what lower layers have at a name in a directory, to which `parent` leads.
    pub(super) fn hide_name(&mut self, dir: FileId, parent: &LayerPath, name: &[u8]) -> Result<(), Fault> {
        let Some(status) = Status::at(self.dirs.get(dir)?.as_fd(), name)? else {
            return self.cover(dir, parent, name);
        };
        if !self.brought.holds(dir, name, &status) {
            self.remove(dir, name, &status)?;
            return self.cover(dir, parent, name);
        }
        match self.brought.origin(status.id) {
            // What is named and all this layer's stays as it is.
            Some(origin) if origin.fresh || origin.ours && origin.named => Ok(()),
            Some(origin) if status.kind == FileType::Directory => {
                self.dirs.close_but(Some(dir))?;
                let parent = self.dirs.get(dir)?.as_fd();
                let Some(status) = Status::at(parent, name)? else { return Ok(()) };
                let fd = writable_dir(parent, name)?;
                self.purge(fd, status, !origin.named)
            }
            _ => Ok(()),
        }
    }

    fn hide_children(&mut self, dir: &LayerPath) -> Result<(), Fault> {
        let Some(id) = self.existing_dir(dir)? else { return Ok(()) };
        if self.brought.is_ours(id) {
            return Ok(());
        }
        if self.overlay.is_some() && self.dirs.is_root(id)? {
            return self.hide_children_of_root(id);
        }
        let fd = own(self.dirs.get(id)?.as_fd())?;
        self.dirs.close_but(None)?;
        let status = Status::of(&fd)?;
        self.purge(fd, status, false)
    }

    /// The directory at `path`; `None` where there is none.
    pub(super) fn existing_dir(&mut self, path: &LayerPath) -> Result<Option<FileId>, Fault> {
        let found = match &self.overlay {
            Some(_) => self.merged_dir(path),
            None => self.dirs.find(path.as_bytes()).map(Some).map_err(Fault::from),
        };
        match found {
            Err(Fault::System(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)) => Ok(None),
            found => found,
        }
    }

    /// Takes away what lower layers have in a directory that both have; `reset` says that the directory
    /// itself is only implied by now.
    ///
    /// No directory in it may be open elsewhere, so that all have the attributes they should have.
    /// One directory is open at a time, and memory grows with the directories that both have.
    ///
    /// In the form of overlayfs there is nothing of lower layers but what came up, and the directory hides the rest.
    fn purge(&mut self, dir: OwnedFd, status: Status, reset: bool) -> Result<(), Fault> {
        if let Some(overlay) = &mut self.overlay {
            overlay.forget();
            self.mark_opaque(&Node::open(own(&dir)?)?)?;
        }
        let mut levels = vec![self.purge_level(&dir, status, reset)?];
        let mut current = dir;
        while let Some(level) = levels.last_mut() {
            self.ctx.check()?;
            if let Some(Pending { name, status, reset }) = level.pending.pop() {
                current = writable_dir(current.as_fd(), &name)?;
                levels.push(self.purge_level(&current, status, reset)?);
                continue;
            }
            let Some(done) = levels.pop() else { break };
            // All but the first were hidden themselves, with what was in them.
            self.brought.cleaned(done.status.id, done.reset || !levels.is_empty());
            let Some(parent) = levels.last() else { return self.leave(current, &done) };
            let above = climb(&current, parent.status.id)?;
            self.leave(current, &done)?;
            current = above;
        }
        Ok(())
    }

    /// Takes away what lower layers alone have directly in a directory, and notes what both have.
    fn purge_level(&mut self, dir: &OwnedFd, status: Status, reset: bool) -> Result<Level, Fault> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 16 << 10];
        let mut pending = Vec::new();
        rustix::fs::seek(dir, SeekFrom::Start(0))?;
        let mut entries = RawDir::new(dir, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let Some(child) = Status::at(dir.as_fd(), name)? else { continue };
            if !self.brought.holds(status.id, name, &child) {
                remove(dir.as_fd(), name, &mut || Ok::<_, Fault>(self.ctx.check()?))?;
            } else if let Some(origin) = self.brought.origin(child.id)
                && child.kind == FileType::Directory
                && !origin.fresh
            {
                pending.push(Pending { name: name.to_vec(), status: child, reset: !origin.named });
            }
        }
        Ok(Level { status, reset, pending })
    }

    /// Gives a purged directory the attributes it should have.
    fn leave(&mut self, dir: OwnedFd, level: &Level) -> Result<(), Fault> {
        let node = Node::open(dir)?;
        if level.reset {
            self.set_implied_attributes(&node)?;
            set_mtime(&node, IMPLIED_MTIME)?;
        } else {
            if node.status.mode != level.status.mode {
                chmod(&node, level.status.mode)?;
            }
            set_mtime(&node, level.status.mtime)?;
        }
        Ok(())
    }
}

/// A directory that is being purged, and what it was like before.
struct Level {
    status: Status,
    /// Whether it gets the attributes of an implied directory.
    reset: bool,
    pending: Vec<Pending>,
}

/// A directory in it that both this layer and lower ones have.
struct Pending {
    name: Vec<u8>,
    status: Status,
    reset: bool,
}
