//! Paths of a layer.

use image_overlay::LayerPath;
use proptest::prelude::*;

fn path(raw: &[u8]) -> LayerPath {
    LayerPath::parse(raw).unwrap()
}

#[test]
fn names_are_cleaned() {
    for (raw, clean) in [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("/", ""),
        ("//./", ""),
        ("a", "a"),
        ("./a", "a"),
        ("/a/", "a"),
        ("a//b/./c/", "a/b/c"),
        ("...", "..."),
        ("..a/b..", "..a/b.."),
        (" a ", " a "),
    ] {
        let path = path(raw.as_bytes());
        assert_eq!(path.as_bytes(), clean.as_bytes(), "{raw:?}");
        assert_eq!(path.is_root(), clean.is_empty());
    }
}

#[test]
fn names_that_are_no_paths_are_refused() {
    let long = [b'a'; 256];
    let deep = b"a/".repeat(2049);
    for (raw, reason) in [
        (&b".."[..], "invalid path ..: it has a `..` component"),
        (b"a/../b", "invalid path a/../b: it has a `..` component"),
        (b"a/..", "`..` component"),
        (b"a\0b", "invalid path a\\0b: it holds a NUL byte"),
        (&long, "a component longer than 255 bytes"),
        (&deep, "longer than 4096 bytes"),
    ] {
        let error = LayerPath::parse(raw).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.is_corrupt());
        assert!(error.to_string().len() < 400, "{error}");
    }
    assert_eq!(path(&long[1..]).as_bytes().len(), 255);
    assert_eq!(path(&b"a/".repeat(2048)).as_bytes().len(), 4095);
    assert_eq!(path(&[&b"a/".repeat(2047)[..], b"aa"].concat()).as_bytes().len(), 4096);
}

#[test]
fn parts_of_a_path() {
    let usr_lib = path(b"usr/lib/x");
    assert_eq!(usr_lib.file_name(), Some(&b"x"[..]));
    assert_eq!(usr_lib.parent(), Some(path(b"usr/lib")));
    assert_eq!(usr_lib.ancestors().collect::<Vec<_>>(), [path(b"usr/lib"), path(b"usr"), LayerPath::root()]);
    assert_eq!(usr_lib.components().collect::<Vec<_>>(), [&b"usr"[..], b"lib", b"x"]);
    let root = LayerPath::root();
    assert_eq!((root.file_name(), root.parent(), root.components().count()), (None, None, 0));
    assert_eq!(root.join(b"a").unwrap(), path(b"a"));
    assert_eq!(path(b"a").join(b"./b/").unwrap(), path(b"a/b"));
    assert!(path(b"a").join(b"..").is_err());
    assert!(path(b"a/b").starts_with(&path(b"a")) && path(b"a/b").starts_with(&root));
    assert!(path(b"a").starts_with(&path(b"a")));
    assert!(!path(b"ab").starts_with(&path(b"a")) && !path(b"a").starts_with(&path(b"a/b")));
}

#[test]
fn a_directory_stands_directly_before_what_is_below_it() {
    let mut paths: Vec<_> = ["a.b", "a/b/c", "a b", "a", "", "a/b", "a/b.c", "b"].map(|p| path(p.as_bytes())).into();
    paths.sort();
    assert_eq!(paths, ["", "a", "a/b", "a/b/c", "a/b.c", "a b", "a.b", "b"].map(|p| path(p.as_bytes())));
}

#[test]
fn what_is_not_printable_is_escaped() {
    for (raw, shown) in [
        (&b"a b"[..], "/a b"),
        (b"", "/"),
        (b"a\n\x1b[1m", "/a\\n\\u{1b}[1m"),
        ("ä/'\u{202e}".as_bytes(), "/ä/'\\u{202e}"),
        (b"\xff\\", "/\\xff\\\\"),
    ] {
        assert_eq!(path(raw).to_string(), shown);
    }
    let long = path(&b"abc/".repeat(1000)).to_string();
    assert!(long.len() <= 257 && long.ends_with('…'), "{long}");
}

proptest! {
    #[test]
    fn order_is_that_of_the_components(a in "[ab./!]{0,8}", b in "[ab./!]{0,8}") {
        if let (Ok(a), Ok(b)) = (LayerPath::parse(a.as_bytes()), LayerPath::parse(b.as_bytes())) {
            prop_assert_eq!(a.cmp(&b), a.components().cmp(b.components()));
        }
    }

    #[test]
    fn a_clean_path_stays_as_it_is(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(clean) = LayerPath::parse(&raw) {
            prop_assert_eq!(LayerPath::parse(clean.as_bytes()).unwrap(), clean);
        }
    }
}
