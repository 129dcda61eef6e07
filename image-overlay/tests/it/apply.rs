//! What applying layers makes of a tree.

use image_overlay::Resolution;

use super::{
    layers::{Item, dir, fifo, file, hard_link, symlink},
    on_disk::{Sandbox, shape},
    raw_tar::{Raw, archive},
};

fn in_each_resolution(test: impl Fn(Sandbox)) {
    test(Sandbox::new().resolving(Resolution::Kernel));
    test(Sandbox::new().resolving(Resolution::Walk));
}

#[track_caller]
fn check(layers: &[&[Item]], expected: &[&str]) {
    in_each_resolution(|sandbox| {
        for items in layers {
            sandbox.apply(items).unwrap();
        }
        assert_eq!(shape(&sandbox.target()), expected, "{:?}", sandbox.resolution);
    });
}

/// The last layer is refused with this text.
#[track_caller]
fn check_refused(layers: &[&[Item]], expected: &str) {
    in_each_resolution(|sandbox| {
        let (last, before) = layers.split_last().unwrap();
        for items in before {
            sandbox.apply(items).unwrap();
        }
        let error = sandbox.apply(last).unwrap_err();
        assert_eq!(error, expected, "{:?}", sandbox.resolution);
    });
}

/// Every order of the items gives this tree on top of the layer below.
#[track_caller]
fn check_in_every_order(below: &[Item], items: &[Item], expected: &[&str]) {
    for order in permutations(items) {
        check(&[below, &order], expected);
    }
}

fn permutations(items: &[Item]) -> Vec<Vec<Item>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in permutations(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first.clone());
            all.push(order);
        }
    }
    all
}

#[test]
fn all_kinds_are_made() {
    check(
        &[&[dir("d"), file("d/f", "x"), symlink("l", "anything at all"), hard_link("h", "d/f"), fifo("p")]],
        &["d/", "d/f = x", "h = x (also d/f)", "l -> anything at all", "p p"],
    );
}

#[test]
fn an_empty_layer_changes_nothing() {
    check(&[&[file("f", "x")], &[]], &["f = x"]);
    let sandbox = Sandbox::new();
    sandbox.apply_tar(b"").unwrap();
    assert!(shape(&sandbox.target()).is_empty());
}

#[test]
fn parents_that_are_links_are_followed_inside_the_root() {
    let merged_usr = [dir("usr"), dir("usr/lib"), symlink("lib", "usr/lib")];
    let tree = ["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x = 1"];
    // In a lower layer, and in the same.
    check(&[&merged_usr, &[file("lib/x", "1")]], &tree);
    check(&[&[&merged_usr[..], &[file("lib/x", "1")]].concat()], &tree);
    // Absolute: from the root of the tree.
    check(&[&[dir("a"), symlink("l", "/a"), file("l/x", "1")]], &["a/", "a/x = 1", "l -> /a"]);
    // Up past the root: stays at the root.
    check(
        &[&[dir("a"), dir("d"), symlink("d/l", "../../../../a"), file("d/l/x", "1")]],
        &["a/", "a/x = 1", "d/", "d/l -> ../../../../a"],
    );
    // Through several.
    check(
        &[&[dir("a"), symlink("l1", "l2"), symlink("l2", "./a/."), file("l1/x", "1")]],
        &["a/", "a/x = 1", "l1 -> l2", "l2 -> ./a/."],
    );
}

#[test]
fn a_link_to_a_directory_of_the_host_leads_to_the_same_path_inside() {
    in_each_resolution(|sandbox| {
        let outside = sandbox.outside();
        let outside = outside.to_str().unwrap();
        sandbox.apply(&[symlink("l", outside), file("l/file", "evil"), dir("l/dir"), symlink("l/link", "x")]).unwrap();
        let inside = sandbox.target().join(outside.trim_start_matches('/'));
        assert_eq!(shape(&inside), ["dir/", "file = evil", "link -> x"]);
    });
    in_each_resolution(|sandbox| {
        sandbox.apply(&[dir("d"), symlink("d/up", "../../outside"), file("d/up/file", "evil")]).unwrap();
        assert_eq!(shape(&sandbox.target()), ["d/", "d/up -> ../../outside", "outside/", "outside/file = evil"]);
    });
}

#[test]
fn a_parent_that_is_a_file_makes_way() {
    check(&[&[file("a", "x")], &[file("a/b/c", "1")]], &["a/", "a/b/", "a/b/c = 1"]);
    check(&[&[file("a", "x"), file("a/b", "1")]], &["a/", "a/b = 1"]);
    check(&[&[fifo("a")], &[dir("a/b")]], &["a/", "a/b/"]);
    // The file that a link leads to.
    check(&[&[file("f", "x"), symlink("l", "f")], &[file("l/b", "1")]], &["f/", "f/b = 1", "l -> f"]);
}

#[test]
fn links_that_go_in_circles_are_an_error() {
    check_refused(
        &[&[symlink("a", "b"), symlink("b", "a"), file("a/x", "1")]],
        "tar entry 3 (a/x): cannot open the directory it stands in: Too many levels of symbolic links (os error 40)",
    );
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let chain = |links: usize| {
        let mut items = vec![dir("d0")];
        items.extend((1..=links).map(|n| symlink(format!("d{n}"), &format!("d{}", n - 1))));
        items.push(file(format!("d{links}/x"), "1"));
        items
    };
    in_each_resolution(|sandbox| sandbox.apply(&chain(40)).unwrap());
    in_each_resolution(|sandbox| assert!(sandbox.apply(&chain(41)).is_err()));
}

#[test]
fn leaves_are_replaced_and_never_followed() {
    let lower = [file("f", "old"), dir("d"), file("d/x", "1"), symlink("to_file", "f"), symlink("to_dir", "d")];
    let rest = ["d/", "d/x = 1", "f = old"];
    let tree = |links: &[&str]| -> Vec<String> { rest.iter().chain(links).map(|&line| line.to_owned()).collect() };
    for (items, links) in [
        (vec![file("to_file", "new")], ["to_dir -> d", "to_file = new"]),
        (vec![file("to_dir", "new")], ["to_dir = new", "to_file -> f"]),
        (vec![dir("to_dir")], ["to_dir/", "to_file -> f"]),
        (vec![symlink("to_file", "z")], ["to_dir -> d", "to_file -> z"]),
        (vec![fifo("to_file")], ["to_dir -> d", "to_file p"]),
    ] {
        let expected = tree(&links);
        check(&[&lower, &items], &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn files_and_directories_replace_each_other() {
    check(&[&[dir("a"), file("a/b", "1"), dir("a/c")], &[file("a", "x")]], &["a = x"]);
    check(&[&[file("a", "x")], &[dir("a")]], &["a/"]);
    check(&[&[dir("a"), file("a/b", "1")], &[dir("a"), file("a/c", "2")]], &["a/", "a/b = 1", "a/c = 2"]);
    check(&[&[dir("a"), file("a/b", "1")], &[symlink("a", "b")]], &["a -> b"]);
    // What replaces a directory in which work went on, within one layer.
    check(&[&[dir("a"), file("a/b", "1"), file("a", "x"), file("a/c", "2")]], &["a/", "a/c = 2"]);
    check(
        &[&[dir("a"), file("a/b", "1"), dir("d"), symlink("a", "d"), file("a/c", "2")]],
        &["a -> d", "d/", "d/c = 2"],
    );
}

#[test]
fn a_directory_replaces_the_link_that_led_to_its_place() {
    let expected = &["l/", "l/l/", "l/l/a = 1"];
    let items = [dir("l/l"), file("l/l/a", "1")];
    check(&[&[symlink("l", "/")], &items], expected);
    check(&[&[&[symlink("l", ".")], &items[..]].concat()], expected);
    check(
        &[&[dir("d"), symlink("d/l", "..")], &[dir("d/l/d"), dir("d/l/d/x"), file("d/l/d/x/a", "1")]],
        &["d/", "d/l -> ..", "d/x/", "d/x/a = 1"],
    );
}

#[test]
fn hard_links_join_names_of_one_file() {
    check(&[&[file("a", "1"), hard_link("d/b", "a")]], &["a = 1", "d/", "d/b = 1 (also a)"]);
    // To a lower layer.
    check(&[&[file("a", "1")], &[hard_link("b", "a")]], &["a = 1", "b = 1 (also a)"]);
    // Through a link among the parents, from the root.
    check(
        &[&[dir("d"), file("d/f", "1"), symlink("l", "/d"), hard_link("h", "l/f")]],
        &["d/", "d/f = 1", "h = 1 (also d/f)", "l -> /d"],
    );
    // To a link: the link itself.
    check(&[&[file("f", "1"), symlink("l", "f"), hard_link("h", "l")]], &["f = 1", "h -> f", "l -> f (also h)"]);
    // In place of something else, of the same file, and of what the target is below.
    check(&[&[file("a", "1"), file("b", "2"), hard_link("b", "a")]], &["a = 1", "b = 1 (also a)"]);
    check(&[&[file("a", "1"), hard_link("b", "a"), hard_link("b", "a")]], &["a = 1", "b = 1 (also a)"]);
    // Then the lower name goes.
    check(&[&[file("a", "1")], &[hard_link("b", "a"), file(".wh.a", "")]], &["b = 1"]);
}

#[test]
fn hard_links_that_cannot_be_name_both_paths() {
    check_refused(&[&[hard_link("h", "x/y")]], "tar entry 1 (h): it is a hard link to /x/y, which does not exist");
    check_refused(
        &[&[dir("d"), hard_link("h", "d")]],
        "tar entry 2 (h): it is a hard link to /d, which is a directory",
    );
    check_refused(
        &[&[file("h", "1"), hard_link("h", "h")]],
        "tar entry 2 (h): it is a hard link to /h, which is itself",
    );
    check_refused(
        &[&[dir("d"), symlink("l", "d"), file("d/h", "1"), hard_link("l/h", "d/h")]],
        "tar entry 4 (l/h): it is a hard link to /d/h, which is itself",
    );
    check_refused(
        &[&[file("d/f", "1"), hard_link("d", "d/f")]],
        "tar entry 2 (d): it is a hard link to /d/f, which it replaces",
    );
    // A link to the outside leads nowhere inside.
    check_refused(
        &[&[symlink("l", "../outside"), hard_link("h", "l/file")]],
        "tar entry 2 (h): it is a hard link to /l/file, which does not exist",
    );
}

#[test]
fn the_root_stays_a_directory() {
    for name in ["./", "/", ".", "./."] {
        for kind in [b'0', b'2', b'1', b'3', b'6'] {
            let tar = archive(&[Raw::new(kind, name.as_bytes(), 0).with(157, b"etc").block()]);
            in_each_resolution(|sandbox| {
                sandbox.apply(&[file("a", "1")]).unwrap();
                let error = sandbox.apply_tar(&tar).unwrap_err();
                assert_eq!(error, format!("tar entry 1 ({name}): the root can only be a directory"));
                assert_eq!(shape(&sandbox.target()), ["a = 1"]);
            });
        }
    }
    in_each_resolution(|sandbox| {
        let error = sandbox.apply_tar(&archive(&[Raw::new(b'1', b"h", 0).with(157, b"/").block()])).unwrap_err();
        assert_eq!(error, "tar entry 1 (h): it is a hard link to nothing or to the root");
    });
    check(&[&[file("a", "1")], &[dir("./")]], &["a = 1"]);
}

#[test]
fn whiteouts_hide_lower_layers() {
    let lower = [dir("d"), file("d/a", "1"), file("d/b", "2"), dir("d/s"), file("d/s/x", "3"), symlink("l", "d")];
    check(&[&lower, &[file("d/.wh.a", "")]], &["d/", "d/b = 2", "d/s/", "d/s/x = 3", "l -> d"]);
    check(&[&lower, &[file(".wh.d", "")]], &["l -> d"]);
    // The link, not what it leads to.
    check(&[&lower, &[file(".wh.l", "")]], &["d/", "d/a = 1", "d/b = 2", "d/s/", "d/s/x = 3"]);
    // Through a link, as under chroot.
    check(&[&lower, &[file("l/.wh.s", "")]], &["d/", "d/a = 1", "d/b = 2", "l -> d"]);
    check(&[&lower, &[file("l/.wh..wh..opq", "")]], &["d/", "l -> d"]);
    check(&[&lower, &[file(".wh..wh..opq", "")]], &[]);
    // What is not there, or not a directory.
    let all = ["d/", "d/a = 1", "d/b = 2", "d/s/", "d/s/x = 3", "l -> d"];
    check(&[&lower, &[file(".wh.z", ""), file("z/.wh.a", ""), file("z/.wh..wh..opq", "")]], &all);
    check(&[&lower, &[file("d/a/.wh.x", ""), file("d/a/.wh..wh..opq", "")]], &all);
    check(&[&[symlink("a", "a")], &[file("a/.wh.x", ""), file("a/.wh..wh..opq", "")]], &["a -> a"]);
    // Names that aufs keeps for itself.
    check(&[&lower, &[file(".wh..wh.plnk", ""), dir(".wh..wh.orph"), file(".wh..wh.orph/x", "")]], &all);
}

#[test]
fn whiteouts_lead_nowhere_outside() {
    in_each_resolution(|sandbox| {
        let outside = sandbox.outside();
        let outside = outside.to_str().unwrap();
        sandbox.apply(&[symlink("l", outside), symlink("m", "../outside")]).unwrap();
        let markers = ["l/.wh.file", "l/.wh..wh..opq", "m/.wh.dir", "m/.wh..wh..opq", "m/dir/.wh.file"];
        sandbox.apply(&markers.map(|marker| file(marker, ""))).unwrap();
        sandbox.apply(&[file(".wh.l", ""), file(".wh.m", "")]).unwrap();
        assert!(shape(&sandbox.target()).is_empty());
    });
}

#[test]
fn whiteouts_that_name_nothing_are_refused() {
    for name in [".wh.", "d/.wh..", ".wh..."] {
        check_refused(&[&[file(name, "")]], &format!("tar entry 1 ({name}): a whiteout that names nothing to hide"));
    }
}

#[test]
fn a_whiteout_spares_its_own_layer_in_any_order() {
    let lower = [dir("d"), file("d/a", "old"), dir("d/s"), file("d/s/x", "old"), file("d/s/y", "old")];
    check_in_every_order(
        &lower,
        &[file("d/a", "new"), file("d/.wh.a", "")],
        &["d/", "d/a = new", "d/s/", "d/s/x = old", "d/s/y = old"],
    );
    check_in_every_order(
        &lower,
        &[file("d/s/x", "new"), file("d/.wh.s", "")],
        &["d/", "d/a = old", "d/s/", "d/s/x = new"],
    );
    check_in_every_order(
        &lower,
        &[dir("d/s"), file("d/s/z", "new"), file(".wh.d", "")],
        &["d/", "d/s/", "d/s/z = new"],
    );
    check_in_every_order(&lower, &[file("d/s/x", "new"), file("d/.wh..wh..opq", "")], &["d/", "d/s/", "d/s/x = new"]);
    check_in_every_order(
        &lower,
        &[file("d/n/m", "new"), file("d/.wh.n", ""), file("d/.wh..wh..opq", "")],
        &["d/", "d/n/", "d/n/m = new"],
    );
    check_in_every_order(&lower, &[file("d", "new"), file(".wh.d", "")], &["d = new"]);
    check_in_every_order(
        &lower,
        &[file("d/s", "new"), file("d/.wh..wh..opq", ""), file("d/.wh.s", "")],
        &["d/", "d/s = new"],
    );
    // The directory behind a link is the same directory.
    let linked = [&lower[..], &[symlink("l", "d/s")]].concat();
    check_in_every_order(
        &linked,
        &[file("l/x", "new"), file("d/.wh.s", "")],
        &["d/", "d/a = old", "d/s/", "d/s/x = new", "l -> d/s"].map(|line| line),
    );
}

#[test]
fn what_one_layer_brings_the_next_can_hide() {
    check(&[&[file("a", "1")], &[file("a", "2")], &[file(".wh.a", "")]], &[]);
    check(
        &[&[dir("d")], &[file("d/a", "1"), file("b", "1")], &[file("d/.wh..wh..opq", ""), file(".wh.b", "")]],
        &["d/"],
    );
}

#[test]
fn the_later_of_two_entries_wins() {
    check(&[&[file("a", "1"), file("a", "2")]], &["a = 2"]);
    check(&[&[file("a", "1"), dir("a"), file("a/b", "2"), symlink("a", "c")]], &["a -> c"]);
    // A link made before keeps what it was made to.
    check(&[&[file("a", "1"), hard_link("h", "a"), file("a", "2")]], &["a = 2", "h = 1"]);
}

#[test]
fn names_are_bytes() {
    check(&[&[file(b"\xff\n\x01", "1"), dir("é")]], &["\\xc3\\xa9/", "\\xff\\n\\x01 = 1"]);
    let long = "x".repeat(255);
    check(&[&[file(&long, "1")]], &[&format!("{long} = 1")]);
}

#[test]
fn deep_paths_are_made_and_hidden() {
    let deep = vec!["d"; 2000].join("/");
    in_each_resolution(|sandbox| {
        sandbox.apply(&[file(format!("{deep}/f"), "1"), file("d/g", "2")]).unwrap();
        sandbox.apply(&[file(format!("{deep}/.wh.f"), ""), file(format!("{deep}/h"), "3")]).unwrap();
        sandbox.apply(&[file(format!("{deep}/i"), "3"), file("d/.wh..wh..opq", "")]).unwrap();
        let lines = shape(&sandbox.target());
        assert_eq!(lines.len(), 2001);
        assert!(lines.last().unwrap().ends_with("d/i = 3"), "{:?}", lines.last());
        sandbox.apply(&[file("d", "1")]).unwrap();
        assert_eq!(shape(&sandbox.target()), ["d = 1"]);
    });
}

#[test]
fn many_directories_are_worked_in_at_once() {
    let mut items: Vec<Item> = (0..400).map(|n| dir(format!("d{n:03}"))).collect();
    items.extend((0..1200).map(|n| file(format!("d{:03}/{}", n % 400, n / 400), "x")));
    in_each_resolution(|sandbox| {
        sandbox.apply(&items).unwrap();
        assert_eq!(shape(&sandbox.target()).len(), 1600);
        let time = super::layers::TIME;
        let full = super::on_disk::full(&sandbox.target());
        assert!(full.iter().skip(1).all(|line| line.contains(&format!(" {time}."))), "{full:?}");
    });
}
