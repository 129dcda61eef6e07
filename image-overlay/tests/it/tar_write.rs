//! The writer: its bytes, and that they say what was written.

use std::io;

use image_core::{Timestamp, hasher::Hasher};
use image_overlay::{Entry, EntryKind, LayerPath, Limits, Metadata, TarReader, TarWriter, Whiteout};
use proptest::prelude::*;

use crate::{arb, raw_tar::read};

fn path(raw: &str) -> LayerPath {
    LayerPath::parse(raw.as_bytes()).unwrap()
}

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        writer.append(entry, &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn fixed_entries() -> Vec<(Entry, Vec<u8>)> {
    let metadata = || Metadata::new(0o755).with_owner(1000, 100).with_mtime(Timestamp::from_seconds(1_700_000_000));
    let entry = |name: &str, kind| (Entry::new(path(name), kind, metadata()), Vec::new());
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let mut entries = vec![
        entry("", EntryKind::Directory),
        entry("dev", EntryKind::Directory),
        entry("dev/null", EntryKind::CharDevice { major: 1, minor: 3 }),
        entry("dev/sda", EntryKind::BlockDevice { major: 8, minor: 0 }),
        entry("run/fifo", EntryKind::Fifo),
        entry("lib", EntryKind::Symlink { target: b"usr/lib".to_vec() }),
        entry("bin/b", EntryKind::HardLink { target: path("bin/a") }),
        entry(&long, EntryKind::Symlink { target: vec![b't'; 150] }),
        entry(&format!("{}/{}", "p".repeat(90), "n".repeat(60)), EntryKind::File { size: 0 }),
    ];
    let mut special = Metadata::new(0o4755).with_owner(3_000_000, 4_000_000_000);
    special = special.with_mtime(Timestamp::new(-5, 300).unwrap());
    special = special.with_xattr("user.b", "2\n").with_xattr("security.capability", [1, 0, 0, 2, 0]);
    entries.push((Entry::new(path("ping"), EntryKind::File { size: 3 }, special), b"abc".to_vec()));
    let marker = Whiteout::Plain { target: path("etc/motd") }.to_entry(Timestamp::UNIX_EPOCH).unwrap().unwrap();
    entries.push((marker, Vec::new()));
    entries
}

/// The bytes of a layer are its digest: a change of the writer that changes them must not go unnoticed.
#[test]
fn the_same_entries_are_the_same_bytes_for_ever() {
    let mut hasher = Hasher::sha256();
    hasher.update(&write(&fixed_entries()));
    assert_eq!(hasher.finish().to_string(), "sha256:34fb0f778be5f60efdfcd376ea2d572f22b08088cbed45b8da2cc2da41b64472");
    let mut hasher = Hasher::sha256();
    hasher.update(&write(&[]));
    assert_eq!(
        hasher.finish().to_string(),
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        "the empty layer is the one that all tools know"
    );
}

#[test]
fn extended_headers_only_where_a_header_cannot_say_it() {
    let records = |entry: &Entry| {
        let mut writer = TarWriter::new(Vec::new());
        writer.append(entry, &mut io::empty()).unwrap();
        let bytes = writer.finish().unwrap();
        let is_extended = bytes[156] == b'x';
        String::from_utf8_lossy(if is_extended { &bytes[512..1024] } else { b"" }).trim_end_matches('\0').to_owned()
    };
    let plain = |name: &str| Entry::new(path(name), EntryKind::Directory, Metadata::new(0o755));
    let with = |change: &dyn Fn(&mut Metadata)| {
        let mut entry = plain("a");
        change(&mut entry.metadata);
        entry
    };
    let long = "n".repeat(100);
    for (entry, expected) in [
        (plain("a"), String::new()),
        (plain(&long[1..]), String::new()),
        (plain(&long), format!("111 path={long}/\n")),
        (plain(&format!("{}/{}", "p".repeat(155), &long[1..])), String::new()),
        (plain(&format!("{}/b", "p".repeat(156))), format!("169 path={}/b/\n", "p".repeat(156))),
        (with(&|m| m.uid = 2_097_151), String::new()),
        (with(&|m| m.uid = 2_097_152), "15 uid=2097152\n".into()),
        (with(&|m| m.gid = 4_294_967_294), "18 gid=4294967294\n".into()),
        (with(&|m| m.mtime = Timestamp::from_seconds(0o77_777_777_777)), String::new()),
        (with(&|m| m.mtime = Timestamp::from_seconds(0o100_000_000_000)), "20 mtime=8589934592\n".into()),
        (with(&|m| m.mtime = Timestamp::new(-1, 500_000_000).unwrap()), "12 mtime=-1\n".into()),
        (with(&|m| m.mtime = Timestamp::new(7, 999_999_999).unwrap()), String::new()),
    ] {
        assert_eq!(records(&entry), expected, "{entry:?}");
    }
    let mut link = plain("l");
    link.kind = EntryKind::Symlink { target: vec![b't'; 101] };
    assert_eq!(records(&link), format!("115 linkpath={}\n", "t".repeat(101)));
}

#[test]
fn sizes_past_what_octal_digits_hold() {
    for (size, record) in [(0o77_777_777_777, ""), (8 << 30, "19 size=8589934592\n"), (i64::MAX as u64, "28 size=")] {
        let entry = Entry::new(path("big"), EntryKind::File { size }, Metadata::new(0o644));
        let mut bytes = Vec::new();
        let error = TarWriter::new(&mut bytes).append(&entry, &mut &b"start"[..]).unwrap_err();
        assert!(error.to_string().contains("5 bytes of content"), "{error}");
        let header = if record.is_empty() { 0 } else { 1024 };
        assert_eq!(bytes.len(), header + 512 + 5);
        assert!(record.is_empty() || bytes[512..].starts_with(record.as_bytes()));
        let mut reader = TarReader::new(&bytes[..], &Limits::default());
        let mut read = reader.next_entry().unwrap().unwrap();
        assert_eq!(read.entry(), &entry);
        assert_eq!(read.data_offset(), header as u64 + 512);
        assert_eq!(read.next_chunk().unwrap().unwrap().bytes, b"start");
        assert_eq!(read.next_chunk().unwrap_err().to_string(), "tar entry 1 (big): the stream ends inside it");
    }
}

#[test]
fn content_must_be_as_long_as_its_entry_says() {
    for (size, content, expected) in [
        (3, &b"ab"[..], "f: 2 bytes of content where its entry says 3"),
        (3, b"abcd", "f: 4 bytes of content where its entry says 3"),
        (0, b"a", "f: 1 bytes of content where its entry says 0"),
        (1 << 40, b"", "f: 0 bytes of content where its entry says 1099511627776"),
    ] {
        let mut writer = TarWriter::new(Vec::new());
        let entry = Entry::new(path("f"), EntryKind::File { size }, Metadata::new(0o644));
        assert_eq!(writer.append(&entry, &mut &content[..]).unwrap_err().to_string(), expected);
        let error = writer.append(&entry, &mut io::empty()).unwrap_err();
        assert!(error.to_string().contains("an entry before it"), "{error}");
        assert!(writer.finish().unwrap_err().to_string().contains("ends inside an entry"));
    }
}

#[test]
fn what_no_layer_may_hold_is_refused_before_a_byte_is_written() {
    let entry = |name: &str, kind, change: &dyn Fn(&mut Metadata)| {
        let mut metadata = Metadata::new(0o644);
        change(&mut metadata);
        Entry::new(path(name), kind, metadata)
    };
    let xattr = |name: &'static str| {
        move |m: &mut Metadata| {
            m.xattrs.insert(name.into(), b"y".to_vec());
        }
    };
    let symlink = |target: &[u8]| EntryKind::Symlink { target: target.to_vec() };
    let file = EntryKind::File { size: 0 };
    for (entry, reason) in [
        (entry("f", file.clone(), &|m| m.uid = u32::MAX), "4294967295"),
        (entry("f", file.clone(), &|m| m.gid = u32::MAX), "4294967295"),
        (entry("f", file.clone(), &xattr("trusted.overlay.opaque")), "command to overlayfs"),
        (entry("f", file.clone(), &xattr("user.overlay.whiteout")), "command to overlayfs"),
        (entry("f", file.clone(), &xattr("security.selinux")), "security policy"),
        (entry("f", file.clone(), &xattr("user.a=b")), "holds `=`"),
        (entry("f", file.clone(), &xattr("")), "is empty"),
        (entry("", file, &|_| {}), "the root can only be a directory"),
        (entry("f", EntryKind::File { size: 1 << 63 }, &|_| {}), "longer than 2^63-1"),
        (entry("f", symlink(b""), &|_| {}), "target is empty"),
        (entry("f", symlink(b"a\0"), &|_| {}), "NUL byte"),
        (entry("f", symlink(&[b'a'; 4096]), &|_| {}), "longer than 4095"),
        (entry("f", EntryKind::HardLink { target: LayerPath::root() }, &|_| {}), "link to the root"),
        (entry("f", EntryKind::CharDevice { major: 4096, minor: 0 }, &|_| {}), "out of range"),
    ] {
        let mut writer = TarWriter::new(Vec::new());
        let error = writer.append(&entry, &mut io::empty()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error} has no {reason:?}");
        assert_eq!(writer.finish().unwrap(), [0; 1024], "nothing was written");
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(entries in prop::collection::vec(arb::arb_entry(), 0..6)) {
        let bytes = write(&entries);
        prop_assert_eq!(bytes.len() % 512, 0);
        let seen: Vec<_> = read(&bytes).unwrap().into_iter().map(|seen| (seen.entry, seen.content)).collect();
        prop_assert_eq!(seen, entries);
    }
}
