//! The ids that there are in the user namespace of this process.

use std::{fs::File, io::Read};

use image_core::Digest;

/// More than the kernel shows of a map.
const MAX_MAP: u64 = 64 << 10;

/// Which of two kinds of ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Users,
    Groups,
}

impl Kind {
    /// The kernel's text of the map; nothing where there are no user namespaces.
    fn read(self) -> Option<String> {
        let path = match self {
            Self::Users => "/proc/self/uid_map",
            Self::Groups => "/proc/self/gid_map",
        };
        let mut text = String::new();
        File::open(path).and_then(|file| file.take(MAX_MAP).read_to_string(&mut text)).ok()?;
        Some(text)
    }
}

/// The ranges of ids that have a counterpart outside: the first, and how many.
///
/// # Spec
/// user_namespaces(7), § User and group ID mappings.
pub(crate) fn ranges(kind: Kind) -> Vec<(u64, u64)> {
    let Some(text) = kind.read() else { return vec![(0, u64::from(u32::MAX))] };
    let range = |line: &str| match line.split_whitespace().map(str::parse).collect::<Vec<_>>().as_slice() {
        [Ok(first), Ok(_), Ok(count)] => Some((*first, *count)),
        _ => None,
    };
    text.lines().filter_map(range).collect()
}

/// A name of the two maps that no others have: what is written to disk through one pair of maps is of other owners to
/// those who see it through another.
pub(crate) fn name() -> String {
    let text = [Kind::Users, Kind::Groups].map(|kind| kind.read().unwrap_or_default()).join("\n");
    Digest::sha256_of(text.as_bytes()).encoded().get(..16).unwrap_or_default().to_owned()
}

/// Whether there are all ids of the machine.
pub(crate) fn is_whole() -> bool {
    ranges(Kind::Users) == [(0, u64::from(u32::MAX))]
}

/// How many users there are.
#[cfg(feature = "oci-runtime")]
pub(crate) fn count() -> u64 {
    ranges(Kind::Users).iter().map(|(_, count)| count).sum()
}

/// Whether an id is in one of some ranges.
pub(crate) fn has(ranges: &[(u64, u64)], id: u32) -> bool {
    ranges.iter().any(|(first, count)| (*first..first + count).contains(&u64::from(id)))
}
