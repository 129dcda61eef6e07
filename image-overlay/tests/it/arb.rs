//! Arbitrary entries.

use std::collections::BTreeMap;

use image_core::Timestamp;
use image_overlay::{Entry, EntryKind, LayerPath, Metadata, XattrClass};
use proptest::{collection::vec, prelude::*};

fn arb_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-z.-]{1,12}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 1..30),
        1 => vec(any::<u8>(), 250..=255),
    ]
    .prop_map(|name| name.into_iter().map(|b| if b == 0 || b == b'/' { b'\n' } else { b }).collect::<Vec<u8>>())
    .prop_filter("a name", |name| name != b"." && name != b"..")
}

/// Paths other than the root, of raw bytes, now and then very long.
pub(crate) fn arb_path() -> impl Strategy<Value = LayerPath> {
    prop_oneof![9 => vec(arb_name(), 1..6), 1 => vec(arb_name(), 6..16)]
        .prop_map(|names| LayerPath::parse(&names.join(&b'/')).unwrap())
}

fn arb_bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_map(|b| b.max(1)), 1..=max)
}

/// Every kind but regular files.
fn arb_dataless_kind() -> impl Strategy<Value = EntryKind> {
    let device = || (0..=0xfff_u32, 0..=0xf_ffff_u32);
    prop_oneof![
        Just(EntryKind::Directory),
        Just(EntryKind::Fifo),
        arb_bytes(4095).prop_map(|target| EntryKind::Symlink { target }),
        arb_bytes(120).prop_map(|target| EntryKind::Symlink { target }),
        arb_path().prop_map(|target| EntryKind::HardLink { target }),
        device().prop_map(|(major, minor)| EntryKind::CharDevice { major, minor }),
        device().prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
    ]
}

fn arb_xattrs() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
    let name = arb_bytes(40).prop_map(|n| n.into_iter().map(|b| if b == b'=' { b' ' } else { b }).collect::<Vec<u8>>());
    let name = prop_oneof![name, "user\\.[a-z]{1,9}".prop_map(String::into_bytes)];
    let name = name.prop_filter("content", |name| XattrClass::of(name) == XattrClass::Content);
    let value = prop_oneof![vec(any::<u8>(), 0..60), Just(b"\n30 path=evil\n\0=".to_vec())];
    prop_oneof![3 => Just(BTreeMap::new()), 1 => prop::collection::btree_map(name, value, 0..4)]
}

pub(crate) fn arb_metadata() -> impl Strategy<Value = Metadata> {
    let id = || prop_oneof![0..3000_u32, 0..=Metadata::MAX_ID];
    let seconds = prop_oneof![0..2_000_000_000_i64, any::<i64>(), Just(i64::MIN)];
    (0..=0o7777_u32, id(), id(), seconds, arb_xattrs()).prop_map(|(mode, uid, gid, seconds, xattrs)| {
        let mut metadata = Metadata::new(mode).with_owner(uid, gid).with_mtime(Timestamp::from_seconds(seconds));
        metadata.xattrs = xattrs;
        metadata
    })
}

/// An entry of any kind that a layer may hold, and its content.
pub(crate) fn arb_entry() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let content = prop_oneof![vec(any::<u8>(), 0..1200), Just(vec![7; 512]), Just(vec![7; 1024])];
    let file = (arb_path(), arb_metadata(), content).prop_map(|(path, metadata, content)| {
        (Entry::new(path, EntryKind::File { size: content.len() as u64 }, metadata), content)
    });
    let other = (arb_path(), arb_dataless_kind(), arb_metadata())
        .prop_map(|(path, kind, metadata)| (Entry::new(path, kind, metadata), Vec::new()));
    let root =
        arb_metadata().prop_map(|metadata| (Entry::new(LayerPath::root(), EntryKind::Directory, metadata), Vec::new()));
    prop_oneof![6 => file, 6 => other, 1 => root]
}
