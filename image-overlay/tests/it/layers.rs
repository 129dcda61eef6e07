//! Layers as literals.

use image_core::Timestamp;
use image_overlay::{Entry, EntryKind, LayerPath, Metadata, TarWriter};

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

/// The plain tar of a layer.
pub(crate) fn layer(items: &[Item]) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, content) in items {
        writer.append(entry, &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}
