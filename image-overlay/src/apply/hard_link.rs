//! Hard links: further names of files, of this layer or of lower ones.

use std::os::fd::AsFd;

use image_core::observer::NoticeKind;
use rustix::{fs::FileType, io::Errno};

use super::{
    Applier,
    fault::{Doing, Fault},
};
use crate::{
    overlayfs::is_whiteout,
    path::LayerPath,
    root::{FileId, Status, link, own},
};

impl Applier<'_> {
    /// Gives a file another name.
    pub(super) fn place_hard_link(
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
        let target_dir = self.target_dir(&target_parent, target_name)?;
        // A handle of its own: clearing the way below closes directories.
        let target_fd = target_dir.map(|dir| own(self.dirs.get(dir)?.as_fd())).transpose()?;
        let found = match &target_fd {
            Some(dir) => Status::at(dir.as_fd(), target_name)?,
            None => None,
        };
        let found = found.filter(|status| self.overlay.is_none() || !is_whiteout(status));
        let (Some(target_dir), Some(target_fd), Some(status)) = (target_dir, target_fd, found) else {
            return if self.told.left_out { self.leave_link_out(path, target) } else { refuse("which does not exist") };
        };
        if status.kind == FileType::Directory {
            return refuse("which is a directory");
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

    /// Leaves out a hard link to nothing, after things were left out that it may mean.
    fn leave_link_out(&mut self, path: &LayerPath, target: &LayerPath) -> Result<(), Fault> {
        self.notice(NoticeKind::Skipped, path, &format!("it is a hard link to {target}, which was left out"));
        Ok(())
    }

    /// The directory that a hard link's target stands in, if there is one.
    fn target_dir(&mut self, parent: &LayerPath, name: &[u8]) -> Result<Option<FileId>, Fault> {
        if self.overlay.is_some() { self.merged_target_dir(parent, name) } else { self.existing_dir(parent) }
    }
}
