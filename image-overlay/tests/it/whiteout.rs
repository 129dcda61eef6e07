//! Whiteout markers, and extended attributes that are no content.

use image_core::Timestamp;
use image_overlay::{EntryKind, LayerPath, Whiteout, XattrClass, whiteout::plain_name};

fn path(raw: &str) -> LayerPath {
    LayerPath::parse(raw.as_bytes()).unwrap()
}

fn classify(raw: &str) -> Option<Whiteout> {
    Whiteout::classify(&path(raw)).unwrap()
}

#[test]
fn markers_and_what_they_hide() {
    for (marker, target) in [(".wh.a", "a"), ("d/.wh.a", "d/a"), ("d/.wh..hidden", "d/.hidden"), (".wh....", "...")] {
        let whiteout = Whiteout::Plain { target: path(target) };
        assert_eq!(classify(marker), Some(whiteout.clone()), "{marker}");
        assert_eq!(whiteout.marker_path().unwrap(), Some(path(marker)));
    }
    for (marker, dir) in [(".wh..wh..opq", ""), ("a/b/.wh..wh..opq", "a/b")] {
        let whiteout = Whiteout::Opaque { dir: path(dir) };
        assert_eq!(classify(marker), Some(whiteout.clone()), "{marker}");
        assert_eq!(whiteout.marker_path().unwrap(), Some(path(marker)));
    }
    for ordinary in ["", "a", "a.wh.b", ".wh", "wh.a", ".whx/a", ".WH.a"] {
        assert_eq!(classify(ordinary), None, "{ordinary}");
    }
    for reserved in
        [".wh..wh.plnk", ".wh..wh.plnk/12.34", "d/.wh..wh.orph", ".wh..wh.aufs", ".wh..wh.", ".wh..wh..opq2"]
    {
        assert_eq!(classify(reserved), Some(Whiteout::Reserved), "{reserved}");
    }
    assert_eq!(Whiteout::Reserved.marker_path().unwrap(), None);
    assert_eq!(Whiteout::Plain { target: LayerPath::root() }.marker_path().unwrap(), None);
}

#[test]
fn markers_that_hide_nothing_are_refused() {
    for (marker, reason) in [
        (".wh.", "names nothing to hide"),
        ("d/.wh..", "names nothing to hide"),
        ("d/.wh...", "names nothing to hide"),
        (".wh.a/b", "stands for a directory"),
        ("a/.wh..wh..opq/b", "stands for a directory"),
        (".wh.a/.wh..wh..opq", "stands for a directory"),
    ] {
        let error = Whiteout::classify(&path(marker)).unwrap_err();
        assert!(error.to_string().contains(reason) && error.to_string().contains(marker), "{error}");
        assert!(error.is_corrupt());
    }
}

#[test]
fn a_marker_is_an_empty_file() {
    let mtime = Timestamp::from_seconds(5);
    let entry = Whiteout::Plain { target: path("d/a") }.to_entry(mtime).unwrap().unwrap();
    assert_eq!((entry.path, entry.kind), (path("d/.wh.a"), EntryKind::File { size: 0 }));
    assert_eq!((entry.metadata.mode, entry.metadata.mtime), (0, mtime));
    assert_eq!(plain_name(b"a"), b".wh.a");
    let long = Whiteout::Plain { target: path(&"a".repeat(252)) };
    assert!(long.to_entry(mtime).unwrap_err().to_string().contains("longer than 255"));
}

#[test]
fn attributes_that_are_no_content() {
    for (name, class) in [
        ("user.comment", XattrClass::Content),
        ("user.overlay", XattrClass::Content),
        ("user.overlayx.a", XattrClass::Content),
        ("security.capability", XattrClass::Content),
        ("system.posix_acl_default", XattrClass::Content),
        ("trusted.overlay.opaque", XattrClass::Overlay),
        ("trusted.overlay.overlay.opaque", XattrClass::Overlay),
        ("user.overlay.whiteout", XattrClass::Overlay),
        ("security.selinux", XattrClass::HostLabel),
        ("system.nfs4_acl", XattrClass::NfsAcl),
    ] {
        assert_eq!(XattrClass::of(name.as_bytes()), class, "{name}");
        assert_eq!(class.reason().is_none(), class == XattrClass::Content);
    }
}
