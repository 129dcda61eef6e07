//! What an overlay mount writes of its own into an upper directory.

use crate::{
    entry::{EntryKind, Metadata},
    overlayfs::{ESCAPE, OverlayXattrs},
    scan::DirContent,
    tree::NodeRef,
};

/// The attributes that a mount obeys, and what they say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks(pub(super) OverlayXattrs);

impl Marks {
    /// The value of an attribute of the mount.
    fn get<'m>(self, metadata: &'m Metadata, name: &str) -> Option<&'m [u8]> {
        metadata.xattrs.get([self.0.prefix(), name].concat().as_bytes()).map(Vec::as_slice)
    }

    /// Whether a directory hides what the lower one has.
    pub(super) fn is_opaque(self, dir: NodeRef<'_, DirContent>) -> bool {
        self.get(&dir.metadata(), "opaque") == Some(b"y")
    }

    /// Whether a file's content was not copied up with it.
    pub(super) fn has_no_content(self, file: NodeRef<'_, DirContent>) -> bool {
        self.get(&file.metadata(), "metacopy").is_some()
    }

    /// Where something was renamed from.
    pub(super) fn origin(self, metadata: &Metadata) -> Option<&[u8]> {
        self.get(metadata, "redirect")
    }

    /// Whether a name stands for nothing: a device 0:0, or since Linux 6.7 an empty file that is marked so
    /// in a directory that is marked to have such.
    pub(super) fn is_whiteout(self, node: NodeRef<'_, DirContent>) -> bool {
        match node.kind() {
            EntryKind::CharDevice { major: 0, minor: 0 } => true,
            EntryKind::File { size: 0 } => {
                self.get(&node.metadata(), "whiteout").is_some()
                    && self.get(&node.parent().metadata(), "opaque") == Some(b"x")
            }
            _ => false,
        }
    }

    /// Whether an attribute is the mount's. What a process wrote under such a name, the kernel keeps as `overlay.overlay.*`.
    pub(super) fn is_own(self, name: &[u8]) -> bool {
        let own = name.strip_prefix(self.0.prefix().as_bytes());
        own.is_some_and(|own| !own.starts_with(ESCAPE))
    }
}
