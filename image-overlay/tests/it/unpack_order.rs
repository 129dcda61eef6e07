//! Unpacking from the top layer down: the same tree as from the lowest up, without what is hidden.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex},
};

use image_core::{Ctx, History, Image, ImageConfig, ImageEdit, MemoryBlobStore, Platform, Timestamp, observer::Event};
use image_overlay::{ApplyOptions, PathFilter, Result, UnpackOptions, Unpacked, unpack};
use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;
use test_support::{require_root, temp::SmallDisk};

use super::{
    apply_model::{arb_item, arb_layers},
    layers::{Item, dir, file, hard_link, layer, symlink},
    on_disk::{causes, full, shape, walk},
    trees::{arb_stack, empty, pack, said, scan},
    unpack::{Stored, image},
};

/// Such that layers are laid one over the other.
fn upwards() -> UnpackOptions {
    UnpackOptions::default().with_apply(ApplyOptions::default().with_filter(PathFilter::new(|_| true)))
}

fn image_of(layers: &[Vec<Item>]) -> Image {
    image(layers.iter().map(|items| Stored::plain(&layer(items))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_left_of_the_layers_is_what_laying_them_over_each_other_makes(layers in arb_layers()) {
        if !require_root() {
            return Ok(());
        }
        let temp = TempDir::new().unwrap();
        let at = |name: &str| temp.path().join(name);
        let image = image_of(&layers);
        let over = unpack(&image, &at("over"), &upwards(), &Ctx::default());
        let left = unpack(&image, &at("left"), &UnpackOptions::default(), &Ctx::default());
        prop_assert_eq!(over.is_ok(), left.is_ok(), "{:?} {:?}", over, left);
        if let (Ok(over), Ok(left)) = (over, left) {
            prop_assert_eq!((over.layers, over.entries), (left.layers, left.entries));
            prop_assert!(over.content_bytes >= left.content_bytes);
            prop_assert_eq!(full(&at("over")), full(&at("left")));
            prop_assert_eq!(shape(&at("over")), shape(&at("left")));
        }
    }

    #[test]
    fn layers_of_changes_are_written_once(stack in arb_stack()) {
        if !require_root() {
            return Ok(());
        }
        let temp = TempDir::new().unwrap();
        let store = MemoryBlobStore::default();
        let mut edit = ImageEdit::new(ImageConfig::new(&Platform::of_target()));
        let (mut below, mut last) = (None, None);
        for (number, spec) in stack.iter().enumerate() {
            let path = temp.path().join(format!("tree-{number}"));
            spec.write(&path);
            let tree = scan(&path);
            let layer = match &below {
                Some(below) => pack(below, &tree, &store),
                None => pack(&empty(), &tree, &store),
            };
            edit.push_layer(&layer.descriptor, layer.diff_id, History::new(Timestamp::UNIX_EPOCH, "a tree"));
            (below, last) = (Some(tree), Some(path));
        }
        let manifest = edit.write(&store).unwrap();
        let image = Image::open(Arc::new(store), &manifest).unwrap();
        let at = |name: &str| temp.path().join(name);
        unpack(&image, &at("over"), &upwards(), &Ctx::default()).unwrap();
        let left = unpack(&image, &at("left"), &UnpackOptions::default(), &Ctx::default()).unwrap();
        prop_assert_eq!(full(&at("over")), full(&at("left")));
        prop_assert_eq!(shape(&at("over")), shape(&at("left")));
        said(&at("left")).assert_same(&said(&last.unwrap()));
        // What was written is what is there, each file once, unless one of its names was hidden.
        if stack.iter().all(|spec| !spec.has_links()) {
            prop_assert_eq!(left.content_bytes, content_bytes(&at("left")));
        }
    }
}

/// The bytes of a tree's regular files, each once.
fn content_bytes(root: &Path) -> u64 {
    let mut files = BTreeMap::new();
    walk(root, &mut |_, _, meta| {
        if meta.is_file() {
            files.insert(meta.ino(), meta.len());
        }
    });
    files.values().sum()
}

/// What an observer is told of what is odd in layers, in the order of the text.
fn oddities(unpack: impl FnOnce(&Ctx) -> Result<Unpacked>) -> (bool, Vec<String>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let ctx = Ctx::default().with_observer(Arc::new(move |event: &Event<'_>| {
        if let Event::Notice { kind, subject, message, .. } = event {
            teller.lock().unwrap().push(format!("{kind:?} {subject}: {message}"));
        }
    }));
    let done = unpack(&ctx).is_ok();
    let mut told = told.lock().unwrap().clone();
    told.retain(|line| !line.contains("extended attribute"));
    told.sort();
    (done, told)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn of_what_is_odd_the_same_is_told(layers in vec(vec(arb_item(), 0..9), 1..4)) {
        if !require_root() {
            return Ok(());
        }
        let temp = TempDir::new().unwrap();
        let image = image_of(&layers);
        let over = oddities(|ctx| unpack(&image, &temp.path().join("over"), &upwards(), ctx));
        let left = oddities(|ctx| unpack(&image, &temp.path().join("left"), &UnpackOptions::default(), ctx));
        prop_assert_eq!(over.0, left.0);
        if over.0 {
            prop_assert_eq!(over.1, left.1);
        }
    }
}

#[test]
fn of_duplicates_and_odd_markers_notices_are_given() {
    let image = image_of(&[
        vec![dir("d"), file("d/a", "1"), file("f", "1"), file("g", "1"), dir("h"), symlink("l", "d")],
        vec![
            file("f", "2"),
            file("f", "3"),
            dir("d"),
            dir("d"),
            hard_link("l", "f"),
            hard_link("l", "d/a"),
            file("g/x", "4"),
            file("g", "5"),
            file(".wh.h", "content"),
            file(".wh..wh.plnk", ""),
            file("d/b/c", ""),
            file("d/b/c/e", ""),
        ],
    ]);
    let temp = TempDir::new().unwrap();
    let expected = [
        "Altered /.wh.h: it is a marker, and should be an empty file",
        "Altered /d/b/c: a file is in the way of the directory it stands in",
        "Altered /d/b/c: it replaces what the same layer brought before",
        "Altered /d: it replaces what the same layer brought before",
        "Altered /f: it replaces what the same layer brought before",
        "Altered /g: a file is in the way of the directory it stands in",
        "Altered /g: it replaces what the same layer brought before",
        "Altered /l: it replaces what the same layer brought before",
        "Skipped /.wh..wh.plnk: the name is reserved for aufs",
    ];
    for (name, options) in [("over", upwards()), ("left", UnpackOptions::default())] {
        let (done, told) = oddities(|ctx| unpack(&image, &temp.path().join(name), &options, ctx));
        assert!(done, "{name}");
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn what_is_hidden_is_not_written() {
    let Some(disk) = SmallDisk::mount(256 << 10) else { return };
    let large = "x".repeat(1 << 20);
    let hidden =
        vec![dir("d"), file("d/large", &large), file("d/one", &large), hard_link("n", "d/one"), file("o", "2")];
    let image = image_of(&[
        hidden,
        vec![file("d/.wh..wh..opq", ""), file("n", "1"), file("o", &large), symlink("l", "d")],
        vec![file("o", "3"), dir("d"), file("d/f", "4"), hard_link("p", "o")],
    ]);
    let error = unpack(&image, &disk.path().join("over"), &upwards(), &Ctx::default()).unwrap_err();
    assert!(causes(&error).contains("No space left"), "{error}");
    let unpacked = unpack(&image, &disk.path().join("left"), &UnpackOptions::default(), &Ctx::default()).unwrap();
    assert_eq!((unpacked.layers, unpacked.content_bytes), (3, 3));
    let expected = ["d/", "d/f = 4", "l -> d", "n = 1", "o = 3", "p = 3 (also o)"];
    assert_eq!(shape(&disk.path().join("left")), expected);
}

#[test]
fn layers_are_verified_though_nothing_of_them_is_written() {
    let temp = TempDir::new().unwrap();
    let mut broken = Stored::gzip(&layer(&[file("a", "1")]));
    broken.damage();
    let image = image(vec![broken, Stored::plain(&layer(&[file("a", "2")]))]);
    let error = unpack(&image, &temp.path().join("dest"), &UnpackOptions::default(), &Ctx::default()).unwrap_err();
    assert!(error.is_corrupt(), "{error:?}");
    assert!(fs::read_dir(temp.path()).unwrap().next().is_none());
}

/// The trees that two orders make; each with whether it was made in one go, as what was written tells.
fn check(layers: &[Vec<Item>], is_descending: bool) {
    let temp = TempDir::new().unwrap();
    let at = |name: &str| temp.path().join(name);
    let image = image_of(layers);
    let up = unpack(&image, &at("up"), &upwards(), &Ctx::default()).unwrap();
    let down = unpack(&image, &at("down"), &UnpackOptions::default(), &Ctx::default()).unwrap();
    assert_eq!(shape(&at("up")), shape(&at("down")), "{layers:?}");
    assert_eq!(full(&at("up")), full(&at("down")), "{layers:?}");
    assert_eq!(down.content_bytes < up.content_bytes, is_descending, "{layers:?}");
}

/// Each hides one byte at least.
#[test]
fn layers_that_mean_the_same_in_any_order_are_written_once() {
    if !require_root() {
        return;
    }
    let base = || vec![dir("d"), file("d/a", "1"), file("f", "2"), symlink("l", "d")];
    for upper in [
        vec![file("f", "")],
        vec![file("d/.wh.a", "")],
        vec![file(".wh.d", "")],
        vec![dir("d"), file("d/.wh..wh..opq", "")],
        vec![file("d/.wh..wh..opq", ""), file("d/b", "")],
        vec![file(".wh.d", ""), dir("d"), file("d/b", "")],
        vec![file("d/b", ""), file(".wh.d", "")],
        vec![symlink("d", "elsewhere"), file("x/y/z", ""), hard_link("x/z", "x/y/z")],
        vec![file(".wh..wh..opq", ""), dir("e")],
        vec![file(".wh.l", ""), file(".wh.f", ""), dir("l"), file("l/a", "")],
    ] {
        check(&[base(), upper.clone()], true);
        check(&[base(), upper, vec![dir("new"), dir("d"), file("d/a", "3")]], true);
    }
}

#[test]
fn layers_that_mean_something_else_in_another_order_are_not_written_in_it() {
    if !require_root() {
        return;
    }
    let hidden = || file("hidden", "1");
    let hides = || file(".wh.hidden", "");
    for layers in [
        // Through a link of a lower layer.
        vec![vec![hidden(), dir("d"), symlink("l", "d")], vec![hides(), file("l/a", "2")]],
        vec![vec![hidden(), dir("d"), file("d/a", "2"), symlink("l", "d")], vec![hides(), file("l/.wh.a", "")]],
        vec![vec![hidden(), dir("d"), file("d/a", "2"), symlink("l", "d")], vec![hides(), file("l/.wh..wh..opq", "")]],
        // The link goes afterwards, or a directory takes its place.
        vec![vec![hidden(), dir("d"), symlink("l", "d")], vec![hides(), file("l/a", "2")], vec![file(".wh.l", "")]],
        vec![vec![hidden(), dir("d"), symlink("l", "d")], vec![hides(), file("l/a", "2")], vec![dir("l")]],
        vec![vec![hidden(), dir("d"), symlink("l", "d")], vec![hides(), file("l/a", "2")], vec![symlink("l", "x")]],
        // Through a link of its own, which an upper layer hides or not.
        vec![vec![hidden(), dir("d"), symlink("l", "d"), file("l/a", "2")], vec![hides()]],
        vec![vec![hidden(), dir("d"), symlink("l", "d"), file("l/a", "2")], vec![hides(), file(".wh.l", "")]],
        vec![vec![hidden(), dir("d"), symlink("l", "d"), file("l/a", "2")], vec![hides(), file("l", "")]],
        // Names of files of other layers, and of hidden ones.
        vec![vec![hidden(), file("f", "2")], vec![hides(), hard_link("n", "f")]],
        vec![vec![hidden(), hard_link("n", "hidden")], vec![hides()]],
        vec![vec![hidden(), file("f", "2")], vec![hides(), hard_link("n", "f")], vec![file(".wh.f", "")]],
        // What is told of.
        vec![vec![hidden(), file("f", "2"), file("f", "3")], vec![hides()]],
        vec![vec![hidden(), file("f", "2"), dir("f")], vec![hides(), symlink("f", "x")]],
        vec![vec![hidden(), dir("f"), file("f", "2")], vec![hides(), symlink("f", "x")]],
        vec![vec![hidden(), file("f", "2")], vec![hides(), file("f/a", "3")]],
    ] {
        check(&layers, false);
    }
}

#[test]
fn what_is_hidden_still_implies_the_directories_that_are_shown() {
    if !require_root() {
        return;
    }
    for upper in [file("a/.wh..wh..opq", ""), file("a/.wh.b", ""), file("a/b/.wh..wh..opq", "")] {
        check(&[vec![file("a/b/c", "1")], vec![upper]], true);
    }
}

#[test]
fn hard_links_to_nothing_are_refused_though_they_are_hidden() {
    let temp = TempDir::new().unwrap();
    for upper in [dir("l"), file("l", ""), file(".wh.l", "")] {
        let image = image_of(&[vec![hard_link("l", "nothing")], vec![upper]]);
        let error = unpack(&image, &temp.path().join("dest"), &UnpackOptions::default(), &Ctx::default()).unwrap_err();
        assert!(causes(&error).contains("which does not exist"), "{error}");
    }
}

/// A file under a name that hides what is between it and a directory further down.
#[test]
fn what_was_hidden_once_does_not_come_back() {
    if !require_root() {
        return;
    }
    let lowest = || vec![dir("d"), file("d/a", "1"), dir("d/e"), file("d/e/b", "2")];
    for between in [file("d", "3"), symlink("d", "x"), file(".wh.d", ""), file("d/.wh..wh..opq", "")] {
        for upper in
            [vec![dir("d")], vec![dir("d"), file("d/c", "4")], vec![file(".wh.d", ""), dir("d"), file("d/c", "4")]]
        {
            check(&[lowest(), vec![between.clone()], upper], true);
        }
    }
}
