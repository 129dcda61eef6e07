//! Bringing up what lower layers have, as it is.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::{fs::FileType, io::Errno};

use super::{Place, names::Copied, view::Found};
use crate::{
    apply::{self, Applier, ApplyOptions, attributes::remove_inherited_acl, fault::Fault},
    error::Error,
    overlayfs::command,
    path::LayerPath,
    root::{
        FileId, Node, Root, Status, chmod, chown, copy_content, create_file, make_dir, make_node, make_symlink,
        open_file, open_path, own, read_xattrs, set_mtime, set_mtime_and_atime, set_xattr,
    },
    xattr::XattrClass,
};

impl Applier<'_> {
    /// The directory with these names, each brought up if need be.
    pub(super) fn bring_up(&mut self, names: &[Vec<u8>]) -> Result<FileId, Fault> {
        let path = names.join(&b'/');
        match self.dirs.find(&path) {
            Err(Errno::NOENT) => {}
            found => return Ok(found?),
        }
        let view = self.view()?;
        let (mut at, mut above) = (view.root()?, self.dirs.find(b"")?);
        for (depth, name) in names.iter().enumerate() {
            let Found::Directory(mut next) = view.look(&at, name)? else { return Err(Errno::STALE.into()) };
            let path = names.get(..=depth).unwrap_or_default().join(&b'/');
            if next.upper.is_none() {
                self.copy_directory_up(above, name, next.lower.form(0)?, &path)?;
                next.upper = Some(open_path(self.dirs.get(above)?, name)?);
            }
            above = self.dirs.find(&path)?;
            at = next;
        }
        Ok(above)
    }

    fn copy_directory_up(
        &mut self,
        parent: FileId,
        name: &[u8],
        lower: BorrowedFd<'_>,
        path: &[u8],
    ) -> Result<(), Fault> {
        let status = Status::of(lower)?;
        let dir = self.dirs.get(parent)?;
        let acl = dir.has_default_acl();
        let node = make_dir(dir.as_fd(), name)?;
        // No part of the layer; and what had its inode before is gone.
        self.brought.forget(node.status.id);
        copy_attributes(&node, lower, b".", &status, acl)?;
        let id = self.dirs.adopt(Some(path), node.into_fd())?;
        Ok(self.dirs.set(id, status.mode, status.mtime)?)
    }

    /// Brings up what is no directory.
    pub(super) fn copy_up(&mut self, place: &Place<'_>, name: &[u8], form: usize, status: Status) -> Result<(), Fault> {
        let dir = self.bring_up(&place.names)?;
        if status.links > 1 && self.link_if_copied(status.id, dir, name)? {
            return Ok(());
        }
        let lower = place.dir.lower.form(form)?;
        let upper = self.dirs.get(dir)?;
        let node = match status.kind {
            FileType::RegularFile => {
                let source = open_file(lower, name)?;
                let node = create_file(upper.as_fd(), name, status.mode & 0o777 | 0o600)?;
                copy_content(&source, &node, status.size, &mut || Ok::<_, Fault>(self.ctx.check()?))?;
                node
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(lower, name, Vec::new())?;
                make_symlink(upper.as_fd(), name, target.as_bytes())?
            }
            kind => make_node(upper.as_fd(), name, kind, status.device, status.mode & 0o777)?,
        };
        copy_attributes(&node, lower, name, &status, upper.has_default_acl())?;
        if status.kind != FileType::Symlink {
            chmod(&node, status.mode)?;
        }
        set_mtime_and_atime(&node, status.mtime)?;
        self.brought.came_up(dir, name);
        if status.links > 1 {
            let copied = Copied { layer: place.dir.lower.layer(form)?, file: node.into_fd() };
            self.note_copied(status.id, copied)?;
        }
        Ok(())
    }
}

/// Gives a new node the owner and the extended attributes of a name in a lower layer.
fn copy_attributes(node: &Node, dir: BorrowedFd<'_>, name: &[u8], status: &Status, acl: bool) -> Result<(), Fault> {
    if (node.status.uid, node.status.gid) != (status.uid, status.gid) {
        chown(node, status.uid, status.gid)?;
    }
    if acl {
        remove_inherited_acl(node)?;
    }
    for (name, value) in read_xattrs(dir, name)? {
        match (command(&name), XattrClass::of(&name)) {
            // What it stands for is elsewhere.
            (Some(b"metacopy" | b"redirect"), _) => return Err(Errno::OPNOTSUPP.into()),
            (Some(_), _) | (None, XattrClass::HostLabel | XattrClass::NfsAcl) => {}
            (None, _) => set_xattr(node, &name, &value)?,
        }
    }
    Ok(())
}

/// Gives the empty root of a layer the attributes that the root has below it.
pub(in crate::apply) fn prepare_root(upper: &Root, lower: Option<&Root>, options: &ApplyOptions) -> Result<(), Error> {
    let Some(lower) = lower else { return apply::prepare_root(upper, options) };
    let prepare = || {
        let status = Status::of(lower)?;
        let node = Node::open(own(upper)?)?;
        copy_attributes(&node, lower.as_fd(), b".", &status, true)?;
        chmod(&node, status.mode)?;
        Ok(set_mtime(&node, status.mtime)?)
    };
    prepare().map_err(|fault: Fault| fault.of_entry(0, &LayerPath::root()))
}
