//! Keeping the names of a file together: those that lower layers gave it, and those that this layer adds.
//!
//! A hard link to a file of a lower layer makes the file come up. Its other names there would go on being the lower
//! file, and be another one from then on. So they come up too, as far as this layer leaves them.

use std::{
    collections::HashMap,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FileType, RawDir},
    io::Errno,
};

use super::{
    lower::Lower,
    view::{Found, View},
};
use crate::{
    apply::{Applier, fault::Fault},
    root::{FileId, Root, Status, link_open, open_dir},
};

/// How many files are held open before their names are looked for: each search goes over a whole layer.
const MAX_OPEN: usize = 256;

/// A file with several names in a lower layer that came up.
#[derive(Debug)]
pub(super) struct Copied {
    /// Which lower layer it is in.
    pub(super) layer: usize,
    /// The file that it became. As long as it is open, no other gets its inode.
    pub(super) file: OwnedFd,
}

impl Applier<'_> {
    /// Notes a file that came up; `id` is its inode in the lower layer.
    pub(super) fn note_copied(&mut self, id: FileId, copied: Copied) -> Result<(), Fault> {
        let Some(overlay) = &mut self.overlay else { return Ok(()) };
        overlay.copied.insert(id, copied);
        if overlay.copied.len() >= MAX_OPEN { self.bring_up_names() } else { Ok(()) }
    }

    /// Brings up the other names of the files that came up so far.
    pub(in crate::apply) fn bring_up_names(&mut self) -> Result<(), Fault> {
        let Some(overlay) = &mut self.overlay else { return Ok(()) };
        let (view, copied) = (overlay.view, std::mem::take(&mut overlay.copied));
        for (number, layer) in view.lowers.iter().enumerate() {
            if copied.values().any(|copied| copied.layer == number) {
                self.bring_up_names_of(layer, &copied)?;
            }
        }
        Ok(())
    }

    /// Goes over all names of one lower layer.
    fn bring_up_names_of(&mut self, layer: &Root, copied: &HashMap<FileId, Copied>) -> Result<(), Fault> {
        let mut pending = vec![Vec::new()];
        while let Some(names) = pending.pop() {
            self.ctx.check()?;
            let mut buffer = [MaybeUninit::<u8>::uninit(); 16 << 10];
            let dir = open_names(layer, &names)?;
            let mut entries = RawDir::new(&dir, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                let Some(status) = Status::at(dir.as_fd(), name)? else { continue };
                if status.kind == FileType::Directory {
                    pending.push(names.iter().cloned().chain([name.to_vec()]).collect());
                } else if let Some(copied) = copied.get(&status.id).filter(|_| status.links > 1) {
                    self.bring_up_name(&names, name, status.id, copied)?;
                }
            }
        }
        Ok(())
    }

    fn bring_up_name(&mut self, names: &[Vec<u8>], name: &[u8], id: FileId, copied: &Copied) -> Result<(), Fault> {
        if !shows(self.view()?, names, name, id)? {
            return Ok(());
        }
        let dir = self.bring_up(names)?;
        if link_copied(copied, self.dirs.get(dir)?.as_fd(), name)? {
            self.brought.came_up(dir, name);
        }
        Ok(())
    }

    /// Gives a file of a lower layer that came up by another name this one too; `false` where none came up, or the layer
    /// removed all names that it has here.
    pub(super) fn link_if_copied(&mut self, id: FileId, dir: FileId, name: &[u8]) -> Result<bool, Fault> {
        let Some(copied) = self.overlay.as_ref().and_then(|overlay| overlay.copied.get(&id)) else { return Ok(false) };
        let is_linked = link_copied(copied, self.dirs.get(dir)?.as_fd(), name)?;
        if is_linked {
            self.brought.came_up(dir, name);
        }
        Ok(is_linked)
    }
}

/// Gives a file that came up another name; `false` where the layer removed all that it had.
fn link_copied(copied: &Copied, dir: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    match link_open(&copied.file, dir, name) {
        Err(Errno::NOENT) => Ok(false),
        result => result.map(|()| true),
    }
}

/// Whether a name shows this file of a lower layer.
fn shows(view: View<'_>, names: &[Vec<u8>], name: &[u8], id: FileId) -> Result<bool, Errno> {
    let mut dir = view.root()?;
    for name in names {
        match view.look(&dir, name)? {
            Found::Directory(next) => dir = next,
            _ => return Ok(false),
        }
    }
    if let Some(upper) = &dir.upper
        && Status::at(upper.as_fd(), name)?.is_some()
    {
        return Ok(false);
    }
    Ok(matches!(dir.lower.look(name, view.xattrs)?, Lower::Other { status, .. } if status.id == id))
}

fn open_names(root: &Root, names: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
    names.iter().try_fold(open_dir(root.as_fd(), b".")?, |dir, name| open_dir(dir.as_fd(), name))
}
