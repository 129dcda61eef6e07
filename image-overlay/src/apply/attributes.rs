//! The attributes of a node: owner, extended attributes, mode, in this order.
//!
//! The kernel takes set-id bits and file capabilities away when the owner changes, so the owner is first.

use image_core::observer::NoticeKind;
use rustix::{fs::FileType, io::Errno};

use super::{
    Applier, IMPLIED_MODE, Ownership, RefusedXattr,
    fault::{Doing, Fault},
};
use crate::{
    entry::Metadata,
    overlayfs::escape_xattr,
    path::LayerPath,
    root::{Node, chmod, chown, list_xattrs, remove_xattr, set_mtime_and_atime, set_xattr},
    xattr::XattrClass,
};

const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

impl Applier<'_> {
    /// Gives a new node that is no directory all its attributes; `acl` says that it was made in a directory with a
    /// default access list.
    pub(super) fn set_attributes(
        &mut self,
        node: &Node,
        path: &LayerPath,
        metadata: &Metadata,
        acl: bool,
    ) -> Result<(), Fault> {
        let owned = self.set_owner(node, metadata)?;
        if acl {
            remove_inherited_acl(node)?;
        }
        self.set_xattrs(node, path, metadata)?;
        let changed = owned || acl || !metadata.xattrs.is_empty();
        if node.status.kind != FileType::Symlink && (changed || node.status.mode != metadata.mode) {
            chmod(node, metadata.mode).doing("set the mode")?;
        }
        set_mtime_and_atime(node, metadata.mtime).doing("set the time")
    }

    /// Gives a directory the owner and extended attributes of its entry; mode and time are the business of
    /// [`Dirs`](super::Dirs), since they change once more while it is worked in.
    pub(super) fn set_directory_attributes(
        &mut self,
        node: &Node,
        path: &LayerPath,
        metadata: &Metadata,
        origin: DirectoryOrigin,
    ) -> Result<(), Fault> {
        self.set_owner(node, metadata)?;
        match origin {
            DirectoryOrigin::New { acl: true } => remove_inherited_acl(node)?,
            DirectoryOrigin::New { acl: false } => {}
            DirectoryOrigin::Existing => self.remove_other_xattrs(node, path, metadata)?,
        }
        self.set_xattrs(node, path, metadata)
    }

    /// Gives a directory whose lower form was hidden the attributes of one that no layer names.
    pub(super) fn set_implied_attributes(&mut self, node: &Node) -> Result<(), Fault> {
        let metadata = Metadata::new(IMPLIED_MODE);
        self.set_directory_attributes(node, &LayerPath::root(), &metadata, DirectoryOrigin::Existing)?;
        chmod(node, IMPLIED_MODE).doing("set the mode")
    }

    /// Sets the owner where it differs, and says whether it did.
    fn set_owner(&mut self, node: &Node, metadata: &Metadata) -> Result<bool, Fault> {
        let Metadata { uid, gid, .. } = *metadata;
        if (node.status.uid, node.status.gid) == (uid, gid) {
            return Ok(false);
        }
        if self.options.ownership == Ownership::AsIs {
            chown(node, uid, gid).doing("set the owner")?;
            return Ok(true);
        }
        if !self.told.ownership {
            self.told.ownership = true;
            self.ctx.notice(NoticeKind::Altered, "owners", "they are the caller's, not those of the layers");
        }
        Ok(false)
    }

    fn set_xattrs(&mut self, node: &Node, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        for (name, value) in &metadata.xattrs {
            let escaped = self.overlay.as_ref().and_then(|_| escape_xattr(name));
            match (escaped, XattrClass::of(name).reason()) {
                (None, Some(reason)) => {
                    self.xattr_notice(path, name, reason);
                    continue;
                }
                (None, None) => set_xattr(node, name, value),
                (Some(escaped), _) => {
                    self.escaped_notice(path, name, &escaped);
                    set_xattr(node, &escaped, value)
                }
            }
            .or_else(|errno| self.refused(path, name, errno))?;
        }
        Ok(())
    }

    /// Removes what an entry that replaces a directory's attributes does not have.
    fn remove_other_xattrs(&mut self, node: &Node, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        for name in list_xattrs(node).doing("list the extended attributes")? {
            if metadata.xattrs.contains_key(&name) || XattrClass::of(&name) != XattrClass::Content {
                continue;
            }
            if let Err(errno) = remove_xattr(node, &name) {
                self.refused(path, &name, errno)?;
            }
        }
        Ok(())
    }

    /// Decides what becomes of an extended attribute that the system refused.
    fn refused(&self, path: &LayerPath, name: &[u8], errno: Errno) -> Result<(), Fault> {
        let by_policy = matches!(errno, Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS | Errno::INVAL);
        let needed = name == b"security.capability" && self.options.ownership == Ownership::AsIs;
        if !by_policy || needed || self.options.refused_xattr == RefusedXattr::Fail {
            let refused = std::io::Error::from(errno);
            return Err(Fault::Refused {
                action: "set an extended attribute",
                source: std::io::Error::new(refused.kind(), format!("{}: {refused}", name.escape_ascii())),
            });
        }
        self.xattr_notice(path, name, &format!("the system refused it: {}", std::io::Error::from(errno)));
        Ok(())
    }

    fn escaped_notice(&self, path: &LayerPath, name: &[u8], escaped: &[u8]) {
        let (name, escaped) = (name.escape_ascii(), escaped.escape_ascii());
        let message = format!("extended attribute {name} is kept as {escaped}: it is a command to overlayfs");
        self.notice(NoticeKind::Altered, path, &message);
    }

    fn xattr_notice(&self, path: &LayerPath, name: &[u8], reason: &str) {
        let message = format!("extended attribute {} left out: {reason}", name.escape_ascii());
        self.notice(NoticeKind::Skipped, path, &message);
    }
}

/// How a directory came to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum DirectoryOrigin {
    /// Just made; `acl` says that it was made in a directory with a default access list.
    New { acl: bool },
    /// There before.
    Existing,
}

/// Removes the access lists that the directory around a new node gave it.
pub(super) fn remove_inherited_acl(node: &Node) -> Result<(), Fault> {
    if node.status.kind == FileType::Symlink {
        return Ok(());
    }
    remove_xattr(node, ACCESS_ACL).doing("remove the inherited access list")?;
    if node.status.kind == FileType::Directory {
        remove_xattr(node, DEFAULT_ACL).doing("remove the inherited access list")?;
    }
    Ok(())
}
