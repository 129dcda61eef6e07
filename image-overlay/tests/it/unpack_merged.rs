//! Unpacking with tables of contents at hand: the same tree, without what is hidden.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use image_core::{Ctx, Image, observer::Event};
use image_overlay::{LayerBlob, LayerToc, Limits, Result, UnpackOptions, Unpacked, unpack};
use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;
use test_support::{require_root, temp::SmallDisk};

use super::{
    apply_model::{arb_item, arb_layers},
    layers::{Item, dir, file, hard_link, layer, symlink},
    on_disk::{causes, full, shape},
    unpack::{Stored, image},
};

fn tocs(image: &Image) -> Vec<LayerToc> {
    let toc = |layer: &LayerBlob| layer.toc(&Limits::default(), &Ctx::default()).unwrap();
    LayerBlob::of_image(image).iter().map(toc).collect()
}

fn image_of(layers: &[Vec<Item>]) -> Image {
    image(layers.iter().map(|items| Stored::plain(&layer(items))).collect())
}

fn unpack_known(image: &Image, tocs: Vec<LayerToc>, dest: &Path) -> Result<Unpacked> {
    unpack(image, dest, &UnpackOptions::default().with_tocs(tocs), &Ctx::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: test_support::cases(200), ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_of_the_layers_is_what_laying_them_over_each_other_makes(
        layers in arb_layers(),
    ) {
        if !require_root() {
            return Ok(());
        }
        let temp = TempDir::new().unwrap();
        let at = |name: &str| temp.path().join(name);
        let image = image_of(&layers);
        let over = unpack(&image, &at("over"), &UnpackOptions::default(), &Ctx::default());
        let left = unpack_known(&image, tocs(&image), &at("left"));
        prop_assert_eq!(over.is_ok(), left.is_ok(), "{:?} {:?}", over, left);
        if let (Ok(over), Ok(left)) = (over, left) {
            prop_assert_eq!((over.layers, over.entries), (left.layers, left.entries));
            prop_assert!(over.content_bytes >= left.content_bytes);
            prop_assert_eq!(full(&at("over")), full(&at("left")));
            prop_assert_eq!(shape(&at("over")), shape(&at("left")));
        }
    }
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
    #![proptest_config(ProptestConfig { cases: test_support::cases(200), ..ProptestConfig::default() })]

    #[test]
    fn of_what_is_odd_the_same_is_told(layers in vec(vec(arb_item(), 0..9), 1..4)) {
        if !require_root() {
            return Ok(());
        }
        let temp = TempDir::new().unwrap();
        let image = image_of(&layers);
        let over = oddities(|ctx| unpack(&image, &temp.path().join("over"), &UnpackOptions::default(), ctx));
        let known = UnpackOptions::default().with_tocs(tocs(&image));
        let left = oddities(|ctx| unpack(&image, &temp.path().join("left"), &known, ctx));
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
    for (name, options) in
        [("over", UnpackOptions::default()), ("left", UnpackOptions::default().with_tocs(tocs(&image)))]
    {
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
        vec![file("o", "3"), file("l/f", "4"), hard_link("p", "o")],
    ]);
    let error = unpack(&image, &disk.path().join("over"), &UnpackOptions::default(), &Ctx::default()).unwrap_err();
    assert!(causes(&error).contains("No space left"), "{error}");
    let unpacked = unpack_known(&image, tocs(&image), &disk.path().join("left")).unwrap();
    assert_eq!((unpacked.layers, unpacked.content_bytes), (3, 3));
    let expected = ["d/", "d/f = 4", "l -> d", "n = 1", "o = 3", "p = 3 (also o)"];
    assert_eq!(shape(&disk.path().join("left")), expected);
}

#[test]
fn a_file_whose_first_name_is_hidden_is_written_by_the_next() {
    if !require_root() {
        return;
    }
    let temp = TempDir::new().unwrap();
    let layers = [
        vec![file("a", "1"), hard_link("z", "a"), hard_link("b", "a")],
        vec![file(".wh.a", ""), hard_link("y", "z"), file("c", "2")],
        vec![file(".wh.b", "")],
    ];
    let image = image_of(&layers);
    unpack_known(&image, tocs(&image), &temp.path().join("dest")).unwrap();
    assert_eq!(shape(&temp.path().join("dest")), ["c = 2", "y = 1", "z = 1 (also y)"]);
}

#[test]
fn layers_are_verified_though_nothing_of_them_is_written() {
    let temp = TempDir::new().unwrap();
    let hidden = layer(&[file("a", "1")]);
    let mut broken = Stored::gzip(&hidden);
    let layers = |lowest| vec![lowest, Stored::plain(&layer(&[file("a", "2")]))];
    let known = tocs(&image(layers(Stored::gzip(&hidden))));
    broken.damage();
    let error = unpack_known(&image(layers(broken)), known, &temp.path().join("dest")).unwrap_err();
    assert!(error.is_corrupt(), "{error:?}");
    assert!(fs::read_dir(temp.path()).unwrap().next().is_none());
}

#[test]
fn tables_of_other_layers_are_refused() {
    let temp = TempDir::new().unwrap();
    let check = |layers: &[Item], table: &[Item], expected: &str| {
        let known = tocs(&image_of(&[table.to_vec()]));
        let dest = temp.path().join("dest");
        let error = unpack_known(&image_of(&[layers.to_vec()]), known, &dest).unwrap_err();
        let text = causes(&error);
        assert!(error.is_corrupt() && text.ends_with(expected), "{text}");
        assert!(fs::read_dir(temp.path()).unwrap().next().is_none());
    };
    let differs =
        |entry: &str| format!("tar entry {entry}: not what the table of contents says that was given for the layer");
    check(&[file("a", "1"), file("b", "")], &[file("a", "1"), file("c", "")], &differs("2 (b)"));
    check(&[file("a", "1")], &[file("a", "1"), file("c", "")], &differs("2"));
    check(&[file("a", "1"), file("b", "")], &[file("a", "1")], &differs("2 (b)"));
    // Not one for each layer: as without any.
    let image = image_of(&[vec![file("a", "1")], vec![file("b", "2")]]);
    let one = tocs(&image).split_off(1);
    unpack_known(&image, one, &temp.path().join("dest")).unwrap();
    assert_eq!(shape(&temp.path().join("dest")), ["a = 1", "b = 2"]);
}
