//! Which extended attributes are content of a layer.

/// What an extended attribute is to an image.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § File Attributes, allows any attribute. Those other than
/// [`XattrClass::Content`] speak of the machine or the mount that a file was on, not of the file:
/// they are neither written to a file system from a layer nor written into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XattrClass {
    /// Belongs to the file: `user.*`, `security.capability`, POSIX ACLs and all that is not below.
    Content,
    /// A command to overlayfs: `trusted.overlay.*`, `user.overlay.*`.
    Overlay,
    /// A label of the host's policy: `security.selinux`.
    HostLabel,
    /// An access list of an NFS server: `system.nfs4_acl`, `system.nfs4_dacl`, `system.nfs4_sacl`.
    NfsAcl,
}

impl XattrClass {
    /// The class of the attribute with this full name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"security.selinux" => Self::HostLabel,
            b"system.nfs4_acl" | b"system.nfs4_dacl" | b"system.nfs4_sacl" => Self::NfsAcl,
            _ if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") => Self::Overlay,
            _ => Self::Content,
        }
    }

    /// Why attributes of this class are left out, for a notice; `None` for content.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Content => None,
            Self::Overlay => Some("it is a command to overlayfs"),
            Self::HostLabel => Some("it is a label of the host's security policy"),
            Self::NfsAcl => Some("it is an access list of an NFS server"),
        }
    }
}
