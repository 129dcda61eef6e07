//! The attributes of a node: owner, extended attributes, mode, in this order.
//!
//! The kernel takes set-id bits and file capabilities away when the owner changes, so the owner is first.

use image_core::observer::NoticeKind;
use rustix::{fs::FileType, io::Errno};

use super::{
    Applier, IMPLIED_MODE, Ownership, Strictness, XattrPolicy,
    fault::{Doing, Fault},
    fill::Attributes,
};
use crate::{
    entry::Metadata,
    idmap::IdMaps,
    oddity::Oddity,
    overlayfs::escape_xattr,
    path::LayerPath,
    root::{Node, chmod, chown, list_xattrs, remove_xattr, set_mtime_and_atime, set_xattr},
    rootless,
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
        if let Some(attributes) = self.simple_attributes(node, metadata, acl)? {
            return attributes.set(node);
        }
        self.set_owner(node, path, metadata)?;
        if acl {
            remove_inherited_acl(node)?;
        }
        self.set_xattrs(node, path, metadata)?;
        if node.status.kind != FileType::Symlink {
            chmod(node, metadata.mode).doing("set the mode")?;
        }
        set_mtime_and_atime(node, metadata.mtime).doing("set the time")
    }

    /// All attributes of a new node that is no directory, if no extended ones are among them.
    pub(super) fn simple_attributes(
        &mut self,
        node: &Node,
        metadata: &Metadata,
        acl: bool,
    ) -> Result<Option<Attributes>, Fault> {
        if acl || !metadata.xattrs.is_empty() || self.options.ownership == Ownership::Recorded {
            return Ok(None);
        }
        let owner = self.owner(node, metadata)?;
        let has_other_mode = owner.is_some() || node.status.mode != metadata.mode;
        let mode = (node.status.kind != FileType::Symlink && has_other_mode).then_some(metadata.mode);
        Ok(Some(Attributes { owner, mode, mtime: metadata.mtime }))
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
        self.set_owner(node, path, metadata)?;
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

    /// Sets the owner where it differs, or notes it.
    fn set_owner(&mut self, node: &Node, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        if let Some((uid, gid)) = self.owner(node, metadata)? {
            chown(node, uid, gid).doing("set the owner")?;
        }
        if self.options.ownership == Ownership::Recorded {
            self.record_owner(node, path, metadata)?;
        }
        Ok(())
    }

    /// The owner that a node is to be given, where it is another one than it has.
    fn owner(&mut self, node: &Node, metadata: &Metadata) -> Result<Option<(u32, u32)>, Fault> {
        let owner = match &self.options.ownership {
            Ownership::AsIs => (metadata.uid, metadata.gid),
            Ownership::Mapped(maps) => mapped(maps, metadata)?,
            Ownership::Current => {
                self.tell_owners(node, metadata, "they are the caller's, not those of the layers");
                return Ok(None);
            }
            Ownership::Recorded => {
                self.tell_owners(node, metadata, "they are recorded: the files are the caller's");
                return Ok(None);
            }
        };
        Ok((owner != (node.status.uid, node.status.gid)).then_some(owner))
    }

    fn tell_owners(&mut self, node: &Node, metadata: &Metadata, message: &str) {
        let differs = (node.status.uid, node.status.gid) != (metadata.uid, metadata.gid);
        if differs && !self.told.ownership {
            self.told.ownership = true;
            self.ctx.notice(NoticeKind::Altered, "owners", message);
        }
    }

    /// Notes on a file or directory whose it should be.
    fn record_owner(&self, node: &Node, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        let can_be_recorded = matches!(node.status.kind, FileType::RegularFile | FileType::Directory);
        let Some(value) = rootless::resource(metadata.uid, metadata.gid) else {
            // What it was before the layer said otherwise.
            let removed = if can_be_recorded { remove_xattr(node, rootless::XATTR) } else { Ok(()) };
            return removed.doing("remove the recorded owner");
        };
        if !can_be_recorded {
            let message = format!("its owner {}:{} cannot be recorded", metadata.uid, metadata.gid);
            self.notice(NoticeKind::Altered, path, &message);
            return Ok(());
        }
        set_xattr(node, rootless::XATTR, &value).or_else(|errno| self.refused(path, rootless::XATTR, errno))
    }

    fn set_xattrs(&mut self, node: &Node, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        if self.options.xattrs == XattrPolicy::Skip {
            if !metadata.xattrs.is_empty() && !self.told.xattrs {
                self.told.xattrs = true;
                self.ctx.notice(NoticeKind::Skipped, "extended attributes", "they are left out, as was asked for");
            }
            return Ok(());
        }
        metadata.xattrs.iter().try_for_each(|(name, value)| self.set_xattr(node, path, name, value))
    }

    fn set_xattr(&self, node: &Node, path: &LayerPath, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        if name == rootless::XATTR && self.options.ownership == Ownership::Recorded {
            self.xattr_notice(path, name, "it is a record of this tree's owners");
            return Ok(());
        }
        let class = XattrClass::of(name);
        if class == XattrClass::Overlay && self.options.strictness == Strictness::Strict {
            return Err(Fault::Odd(Oddity::OverlayXattr));
        }
        let escaped = self.overlay.as_ref().and_then(|_| escape_xattr(name));
        if let Some(escaped) = &escaped {
            self.escaped_notice(path, name, escaped);
        } else if let Some(reason) = class.reason() {
            self.xattr_notice(path, name, reason);
            return Ok(());
        }
        set_xattr(node, escaped.as_deref().unwrap_or(name), value).or_else(|errno| self.refused(path, name, errno))
    }

    /// Removes what an entry that replaces a directory's attributes does not have.
    fn remove_other_xattrs(&mut self, node: &Node, path: &LayerPath, metadata: &Metadata) -> Result<(), Fault> {
        for name in list_xattrs(node).doing("list the extended attributes")? {
            let recorded = name == rootless::XATTR && self.options.ownership == Ownership::Recorded;
            let kept = metadata.xattrs.contains_key(&name) && self.options.xattrs != XattrPolicy::Skip;
            if kept || recorded || XattrClass::of(&name) != XattrClass::Content {
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
        let needed = name == b"security.capability" && self.options.ownership.is_given();
        if !by_policy || needed || self.options.xattrs == XattrPolicy::Require {
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

fn mapped(maps: &IdMaps, metadata: &Metadata) -> Result<(u32, u32), Fault> {
    let unmapped = |what, id| Fault::Unsupported { what: format!("{what} {id}, which no range maps,") };
    let uid = maps.users.outside(metadata.uid).ok_or_else(|| unmapped("user", metadata.uid))?;
    let gid = maps.groups.outside(metadata.gid).ok_or_else(|| unmapped("group", metadata.gid))?;
    Ok((uid, gid))
}
