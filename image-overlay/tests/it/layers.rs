//! Layers as literals.

use image_core::Timestamp;
use image_overlay::{Entry, EntryKind, LayerPath, Metadata};

use super::raw_tar::{Raw, archive, extended, record};

/// An entry and its content.
pub(crate) type Item = (Entry, Vec<u8>);

/// The time of every entry that says no other.
pub(crate) const TIME: i64 = 1_000_000_000;

fn item(path: impl AsRef<[u8]>, kind: EntryKind, mode: u32, content: &[u8]) -> Item {
    let metadata = Metadata::new(mode).with_mtime(Timestamp::from_seconds(TIME));
    (Entry::new(LayerPath::parse(path.as_ref()).unwrap(), kind, metadata), content.to_vec())
}

pub(crate) fn dir(path: impl AsRef<[u8]>) -> Item {
    item(path, EntryKind::Directory, 0o755, b"")
}

pub(crate) fn file(path: impl AsRef<[u8]>, content: &str) -> Item {
    item(path, EntryKind::File { size: content.len() as u64 }, 0o644, content.as_bytes())
}

pub(crate) fn symlink(path: impl AsRef<[u8]>, target: &str) -> Item {
    item(path, EntryKind::Symlink { target: target.into() }, 0o777, b"")
}

pub(crate) fn hard_link(path: impl AsRef<[u8]>, target: &str) -> Item {
    let target = LayerPath::parse(target.as_bytes()).unwrap();
    item(path, EntryKind::HardLink { target }, 0o644, b"")
}

pub(crate) fn char_device(path: impl AsRef<[u8]>, major: u32, minor: u32) -> Item {
    item(path, EntryKind::CharDevice { major, minor }, 0o600, b"")
}

pub(crate) fn block_device(path: impl AsRef<[u8]>, major: u32, minor: u32) -> Item {
    item(path, EntryKind::BlockDevice { major, minor }, 0o660, b"")
}

pub(crate) fn fifo(path: impl AsRef<[u8]>) -> Item {
    item(path, EntryKind::Fifo, 0o620, b"")
}

/// The item with other attributes.
pub(crate) fn with(mut item: Item, change: impl FnOnce(&mut Metadata)) -> Item {
    change(&mut item.0.metadata);
    item
}

/// The plain tar of a layer, written apart from the library's writer, which refuses some of what a layer may hold.
pub(crate) fn layer(items: &[Item]) -> Vec<u8> {
    archive(&items.iter().map(|(entry, content)| member(entry, content)).collect::<Vec<_>>())
}

fn member(Entry { path, kind, metadata, .. }: &Entry, content: &[u8]) -> Vec<u8> {
    let (letter, target, device) = match kind {
        EntryKind::File { .. } => (b'0', None, None),
        EntryKind::HardLink { target } => (b'1', Some(target.as_bytes()), None),
        EntryKind::Symlink { target } => (b'2', Some(&target[..]), None),
        EntryKind::CharDevice { major, minor } => (b'3', None, Some((major, minor))),
        EntryKind::BlockDevice { major, minor } => (b'4', None, Some((major, minor))),
        EntryKind::Directory => (b'5', None, None),
        EntryKind::Fifo => (b'6', None, None),
    };
    let mut records = Vec::new();
    // The root has no name, and a record may not be empty.
    records.push(record("path", if path.is_root() { b"./" } else { path.as_bytes() }));
    records.extend(target.map(|target| record("linkpath", target)));
    records.push(record("uid", metadata.uid.to_string().as_bytes()));
    records.push(record("gid", metadata.gid.to_string().as_bytes()));
    records.push(record("mtime", decimal(metadata.mtime).as_bytes()));
    let xattrs = metadata.xattrs.iter();
    records.extend(xattrs.map(|(name, value)| record(&format!("SCHILY.xattr.{}", name.escape_ascii()), value)));
    let mut header = Raw::new(letter, b"member", content.len() as u64);
    header = header.with(100, format!("{:07o}", metadata.mode).as_bytes());
    if let Some((major, minor)) = device {
        header = header.with(329, format!("{major:07o}").as_bytes()).with(337, format!("{minor:07o}").as_bytes());
    }
    [extended(b'x', &records.concat()), header.data(content)].concat()
}

/// Seconds and their fraction, as PAX has them: the fraction counts away from zero.
fn decimal(time: Timestamp) -> String {
    let nanoseconds = i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanoseconds());
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let nanoseconds = nanoseconds.unsigned_abs();
    format!("{sign}{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
}
