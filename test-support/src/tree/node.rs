//! One node of a tree.

use std::{collections::BTreeMap, fmt};

use super::shown;

/// What a node is, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    #[non_exhaustive]
    File {
        /// In bytes.
        size: u64,
        /// Of its content, in hexadecimal.
        sha256: String,
    },
    /// A symbolic link.
    #[non_exhaustive]
    Symlink {
        /// As it is stored.
        target: Vec<u8>,
    },
    /// A character device.
    #[non_exhaustive]
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    #[non_exhaustive]
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("directory"),
            Self::File { size, sha256 } => write!(f, "file of {size} bytes, sha256 {sha256}"),
            Self::Symlink { target } => write!(f, "link to {}", target.escape_ascii()),
            Self::CharDevice { major, minor } => write!(f, "character device {major}:{minor}"),
            Self::BlockDevice { major, minor } => write!(f, "block device {major}:{minor}"),
            Self::Fifo => f.write_str("fifo"),
            Self::Socket => f.write_str("socket"),
        }
    }
}

/// One node; what the options leave out is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permissions, setuid, setgid and sticky bits. A symbolic link has none.
    pub mode: Option<u32>,
    /// Numeric user and group.
    pub owner: Option<(u32, u32)>,
    /// Seconds and nanoseconds since 1970.
    pub mtime: Option<(i64, i64)>,
    /// Extended attributes.
    pub xattrs: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// The first path, in bytewise order, of all that are hard links to this node; `None` where this is the only one.
    pub link: Option<Vec<u8>>,
}

impl Node {
    /// How this node differs from another: `mode 0644, not 0600`.
    pub(super) fn diff(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.fields(), other.fields());
        ours.into_iter()
            .zip(theirs)
            .filter(|(ours, theirs)| ours != theirs)
            .map(|((name, ours), (_, theirs))| format!("{name} {ours}, not {theirs}").trim_start().to_owned())
            .collect()
    }

    /// The names and texts of all fields, always in the same order.
    fn fields(&self) -> [(&'static str, String); 6] {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            ("", self.kind.to_string()),
            ("mode", or_none(self.mode.map(|mode| format!("{mode:04o}")))),
            ("owner", or_none(self.owner.map(|(uid, gid)| format!("{uid}:{gid}")))),
            ("mtime", or_none(self.mtime.map(|(seconds, nanos)| format!("{seconds}.{nanos:09}")))),
            ("xattrs", or_none(self.xattrs.as_ref().map(xattrs_text))),
            ("hard link of", or_none(self.link.as_deref().map(shown))),
        ]
    }
}

fn xattrs_text(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> String {
    let one =
        |(name, value): (&Vec<u8>, &Vec<u8>)| format!("{}={:?}", name.escape_ascii(), value.escape_ascii().to_string());
    format!("{{{}}}", xattrs.iter().map(one).collect::<Vec<_>>().join(", "))
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = self.fields().into_iter();
        if let Some((_, kind)) = fields.next() {
            f.write_str(&kind)?;
        }
        fields
            .filter(|(_, text)| !matches!(&**text, "-" | "{}"))
            .try_for_each(|(name, text)| write!(f, ", {name} {text}"))
    }
}
