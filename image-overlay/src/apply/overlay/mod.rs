//! Applying a layer in the form that overlayfs keeps on disk, over layers that are kept so already.
//!
//! # The rule
//! The tree is the one that applying the layer to a plain tree makes. Where a plain tree loses what lower layers have, a
//! marker is put; and what an entry *depends* on below it comes up into the layer first:
//!
//! - A directory that an entry or a marker stands in, with the attributes that it has below, as overlayfs takes
//!   them from the topmost layer. It is no part of the layer until an entry stands in it: see [`Brought`].
//! - The target of a hard link, with all its names, so that they stay one file.
//!
//! Symbolic links of lower layers that an entry's path leads through are followed, and stay below.
//! So each path is resolved in the tree that all layers make together, by [`View`].
//!
//! [`Brought`]: super::brought::Brought

mod copy_up;
mod lower;
mod names;
mod view;

use std::{collections::HashMap, mem::MaybeUninit, os::fd::AsFd};

use rustix::{
    fs::{FileType, Mode, RawDir},
    io::Errno,
};

pub(super) use self::copy_up::prepare_root;
use self::{
    lower::{Lower, LowerDir},
    names::Copied,
    view::{Found, Merged, View},
};
use super::{
    Applier, IMPLIED_MODE,
    fault::{Doing, Fault},
    place::{Beneath, NewDirectory},
};
use crate::{
    entry::Metadata,
    oddity::Oddity,
    overlayfs::OPAQUE,
    path::LayerPath,
    root::{FileId, MAX_LINKS, MAX_STEPS, Node, Obstacle, Root, Status, open_dir, own, set_xattr},
    tree::components_reversed,
    whiteout::{THROUGH_LINK, is_marker_name},
};

/// What is to be known of the layers below.
#[derive(Debug)]
pub(super) struct Overlay<'a> {
    view: View<'a>,
    /// What is below the directory that was last asked for.
    last: Option<(FileId, LowerDir<'a>)>,
    /// Files with several names in a lower layer that came up, by their inode there.
    copied: HashMap<FileId, Copied>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(upper: &'a Root, lowers: &'a [Root], options: &super::ApplyOptions) -> Self {
        let view = View { upper, lowers, xattrs: options.overlay_xattrs };
        Self { view, last: None, copied: HashMap::new() }
    }

    /// Forgets what is below directories: one of them goes, and another may get its inode.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// What is done where a path leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Make,
    Leave,
}

/// A directory and its names from the root down, none of which is a link.
struct Place<'a> {
    names: Vec<Vec<u8>>,
    dir: Merged<'a>,
}

impl<'a> Applier<'a> {
    fn view(&self) -> Result<View<'a>, Errno> {
        self.overlay.as_ref().map(|overlay| overlay.view).ok_or(Errno::INVAL)
    }

    /// The directory that an entry stands in, brought up or made if need be.
    pub(super) fn merged_parent(&mut self, path: &LayerPath) -> Result<FileId, Fault> {
        if let Some(id) = self.dirs.known(path.as_bytes()) {
            return Ok(id);
        }
        match self.walk_merged(path, Missing::Make)? {
            Some(place) => self.bring_up(&place.names),
            None => Err(Errno::NOENT.into()),
        }
    }

    /// The directory at a path, brought up if need be; `None` where there is none.
    pub(super) fn merged_dir(&mut self, path: &LayerPath) -> Result<Option<FileId>, Fault> {
        if let Some(id) = self.dirs.known(path.as_bytes()) {
            return Ok(Some(id));
        }
        let place = self.walk_merged(path, Missing::Leave)?;
        place.map(|place| self.bring_up(&place.names)).transpose()
    }

    /// The directory that a hard link's target stands in, with the target brought up; `None` where there is no target.
    pub(super) fn merged_target_dir(&mut self, parent: &LayerPath, name: &[u8]) -> Result<Option<FileId>, Fault> {
        let Some(place) = self.walk_merged(parent, Missing::Leave)? else { return Ok(None) };
        let upper = match &place.dir.upper {
            Some(dir) => Status::at(dir.as_fd(), name)?,
            None => None,
        };
        if upper.is_none()
            && let Lower::Other { form, status } = place.dir.lower.look(name, self.view()?.xattrs)?
        {
            self.copy_up(&place, name, form, status).doing("copy the file up")?;
        }
        self.bring_up(&place.names).map(Some)
    }

    /// What there is below a directory that is about to be made; `cleared` says that something of this layer was
    /// removed for it.
    pub(super) fn beneath(
        &mut self,
        dir: FileId,
        path: &LayerPath,
        name: &[u8],
        cleared: bool,
    ) -> Result<Beneath, Fault> {
        let Some((lower, view)) = self.lower(dir, path)? else { return Ok(Beneath::Nothing) };
        let is_directory = lower.has_directory(name, view.xattrs)?;
        Ok(if is_directory { Beneath::of_directory(cleared) } else { Beneath::Nothing })
    }

    /// Puts a marker where lower layers have something that nothing of this layer hides; `path` leads to `dir`.
    pub(super) fn cover(&mut self, dir: FileId, path: &LayerPath, name: &[u8]) -> Result<(), Fault> {
        let Some((lower, view)) = self.lower(dir, path)? else { return Ok(()) };
        if !matches!(lower.look(name, view.xattrs)?, Lower::Nothing) {
            let dir = self.dirs.get(dir)?.as_fd();
            rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0)?;
        }
        Ok(())
    }

    /// Learns what is below a directory while `path` leads to it: before something goes that may be a link in it.
    pub(super) fn know_lower(&mut self, dir: FileId, path: &LayerPath) -> Result<(), Fault> {
        self.lower(dir, path).map(drop)
    }

    /// What is below a directory of this layer; `None` for nothing, as in a plain tree.
    fn lower(&mut self, dir: FileId, path: &LayerPath) -> Result<Option<(&LowerDir<'a>, View<'a>)>, Fault> {
        if self.overlay.is_none() || self.brought.is_ours(dir) {
            return Ok(None);
        }
        let known = self.overlay.as_ref().and_then(|overlay| overlay.last.as_ref());
        if known.is_none_or(|(id, _)| *id != dir) {
            let place = self.walk_merged(path, Missing::Leave)?;
            let overlay = self.overlay.as_mut().ok_or(Errno::INVAL)?;
            overlay.last = place.map(|place| (dir, place.dir.lower));
        }
        let Some(overlay) = &self.overlay else { return Ok(None) };
        Ok(overlay.last.as_ref().filter(|(_, lower)| !lower.is_empty()).map(|(_, lower)| (lower, overlay.view)))
    }

    /// Goes where a path leads in the tree that all layers make together, as under chroot.
    fn walk_merged(&mut self, path: &LayerPath, missing: Missing) -> Result<Option<Place<'a>>, Fault> {
        let view = self.view()?;
        let mut todo = components_reversed(path.as_bytes());
        let mut place = Place { names: Vec::new(), dir: view.root()? };
        let (mut links, mut steps) = (0, 0);
        while let Some(name) = todo.pop() {
            if name == b".." {
                place.names.pop();
                steps += place.names.len();
                if steps > MAX_STEPS {
                    return loops(missing);
                }
                place.dir = view.directory(&place.names)?;
                continue;
            }
            match view.look(&place.dir, &name)? {
                Found::Directory(dir) => {
                    place.dir = dir;
                    place.names.push(name);
                }
                Found::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return loops(missing);
                    }
                    if target.starts_with(b"/") {
                        place = Place { names: Vec::new(), dir: view.root()? };
                    }
                    todo.extend(components_reversed(&target));
                }
                Found::Obstacle(_) if missing == Missing::Leave => return Ok(None),
                Found::Obstacle(obstacle) => self.make_merged(&mut place, name, obstacle, path)?,
            }
        }
        Ok(Some(place))
    }

    /// Makes a directory that no layer names, in place of what is there.
    fn make_merged(
        &mut self,
        place: &mut Place<'a>,
        name: Vec<u8>,
        obstacle: Obstacle,
        path: &LayerPath,
    ) -> Result<(), Fault> {
        let dir = self.bring_up(&place.names)?;
        self.brought.imply(dir, self.dirs.get(dir)?.as_fd())?;
        if is_marker_name(&name) {
            return Err(Fault::invalid(THROUGH_LINK));
        }
        // A marker of this layer, or a file of any.
        let cleared = obstacle == Obstacle::NotDirectory || Status::at(self.dirs.get(dir)?.as_fd(), &name)?.is_some();
        if obstacle == Obstacle::NotDirectory {
            self.odd(Oddity::FileInTheWay, path)?;
        }
        if cleared {
            self.clear(dir, &name, path)?;
        }
        let view = self.view()?;
        let is_directory = place.dir.lower.has_directory(&name, view.xattrs)?;
        let beneath = if is_directory { Beneath::of_directory(cleared) } else { Beneath::Nothing };
        let new = NewDirectory { named: false, beneath };
        let made = self.new_directory(dir, &name, path, &Metadata::new(IMPLIED_MODE), new)?;
        place.dir = Merged { upper: Some(own(self.dirs.get(made)?.as_fd())?), lower: LowerDir::default() };
        place.names.push(name);
        Ok(())
    }
}

impl Applier<'_> {
    /// Hides what lower layers have in a directory of this layer.
    pub(super) fn mark_opaque(&self, node: &Node) -> Result<(), Fault> {
        let opaque = self.view()?.xattrs.opaque();
        set_xattr(node, opaque.as_bytes(), OPAQUE).doing("make the directory opaque")
    }
}

impl Applier<'_> {
    /// Hides what lower layers have in the root, name by name: overlayfs obeys no attribute there.
    pub(super) fn hide_children_of_root(&mut self, root: FileId) -> Result<(), Fault> {
        for lower in self.view()?.lowers {
            let mut buffer = [MaybeUninit::<u8>::uninit(); 16 << 10];
            let dir = open_dir(lower.as_fd(), b".")?;
            let mut entries = RawDir::new(&dir, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if !matches!(name, b"." | b"..") {
                    self.dirs.find(b"")?;
                    self.hide_name(root, &LayerPath::root(), name)?;
                }
            }
        }
        Ok(())
    }
}

fn loops<T>(missing: Missing) -> Result<Option<T>, Fault> {
    match missing {
        Missing::Make => Err(Errno::LOOP.into()),
        Missing::Leave => Ok(None),
    }
}
