//! The tree that all layers make together: the one being applied over those below it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::FileType,
    io::{Errno, Result},
};

use super::lower::{Lower, LowerDir, is_opaque};
use crate::{
    overlayfs::{OverlayXattrs, is_whiteout},
    root::{Obstacle, Root, Status, open_path, own},
};

/// Where the layers are.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) upper: &'a Root,
    /// Base layer first.
    pub(super) lowers: &'a [Root],
    pub(super) xattrs: OverlayXattrs,
}

/// A directory as all layers together show it.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    /// Its form in the layer being applied.
    pub(super) upper: Option<OwnedFd>,
    /// What lower layers have of it that is not hidden.
    pub(super) lower: LowerDir<'a>,
}

/// What stands at a name in a [`Merged`] directory.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Directory(Merged<'a>),
    /// A symbolic link and what it says.
    Link(Vec<u8>),
    Obstacle(Obstacle),
}

impl<'a> View<'a> {
    pub(super) fn root(self) -> Result<Merged<'a>> {
        Ok(Merged { upper: Some(own(self.upper)?), lower: LowerDir::root(self.lowers) })
    }

    /// The directory with these names from the root down, none of which is a link.
    pub(super) fn directory(self, names: &[Vec<u8>]) -> Result<Merged<'a>> {
        names.iter().try_fold(self.root()?, |dir, name| match self.look(&dir, name)? {
            Found::Directory(next) => Ok(next),
            // Somebody else works in the same tree.
            _ => Err(Errno::STALE),
        })
    }

    pub(super) fn look(self, dir: &Merged<'a>, name: &[u8]) -> Result<Found<'a>> {
        let Some(upper) = &dir.upper else { return self.look_below(dir, name) };
        let Some(status) = Status::at(upper.as_fd(), name)? else { return self.look_below(dir, name) };
        Ok(match status.kind {
            FileType::Directory => Found::Directory(Merged {
                upper: Some(open_path(upper, name)?),
                lower: match dir.lower.look(name, self.xattrs)? {
                    Lower::Directory(lower) if !is_opaque(upper.as_fd(), name, self.xattrs)? => lower,
                    _ => LowerDir::default(),
                },
            }),
            FileType::Symlink => Found::Link(read_link(upper, name)?),
            _ if is_whiteout(&status) => Found::Obstacle(Obstacle::Missing),
            _ => Found::Obstacle(Obstacle::NotDirectory),
        })
    }

    fn look_below(self, dir: &Merged<'a>, name: &[u8]) -> Result<Found<'a>> {
        Ok(match dir.lower.look(name, self.xattrs)? {
            Lower::Nothing => Found::Obstacle(Obstacle::Missing),
            Lower::Directory(lower) => Found::Directory(Merged { upper: None, lower }),
            Lower::Other { form, status } if status.kind == FileType::Symlink => {
                Found::Link(read_link(dir.lower.form(form)?, name)?)
            }
            Lower::Other { .. } => Found::Obstacle(Obstacle::NotDirectory),
        })
    }
}

fn read_link(dir: impl AsFd, name: &[u8]) -> Result<Vec<u8>> {
    rustix::fs::readlinkat(dir, name, Vec::new()).map(std::ffi::CString::into_bytes)
}
