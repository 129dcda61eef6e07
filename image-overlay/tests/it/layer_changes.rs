//! What each layer changes, and which directories hold the bytes.

use std::collections::{BTreeMap, BTreeSet};

use image_core::Ctx;
use image_overlay::{
    DirectorySize, EntryKind, FileTree, ImageTree, LayerChanges, LayerContent, LayerToc, Limits, PathChangeKind, Usage,
};
use proptest::{collection::vec, prelude::*};

use super::{
    apply_model::arb_item,
    layers::{Item, dir, file, hard_link, layer, symlink, with},
};

const ALL: usize = usize::MAX;

fn tocs(layers: &[Vec<Item>]) -> Vec<LayerToc> {
    let toc = |items: &Vec<Item>| LayerToc::read(&layer(items)[..], &Limits::default(), &Ctx::default()).unwrap();
    layers.iter().map(toc).collect()
}

/// The changes of the last layer: `A path size`, `C path before→size`, `D path before (paths)`.
fn check(layers: &[Vec<Item>], expected: &[&str]) {
    let changes = LayerChanges::of_layers(&tocs(layers), ALL).unwrap();
    let last = changes.last().unwrap();
    let lines: Vec<_> = last
        .paths
        .iter()
        .map(|change| {
            let slash = if change.is_directory && !change.path.is_root() { "/" } else { "" };
            let path = format!("{}{slash}", change.path);
            match change.kind {
                PathChangeKind::Added => format!("A {path} {}", change.size),
                PathChangeKind::Modified => format!("C {path} {}→{}", change.before, change.size),
                PathChangeKind::Removed => format!("D {path} {} ({})", change.before, change.gone),
            }
        })
        .collect();
    assert_eq!(lines, expected, "{layers:#?}");
    assert_eq!(last.omitted, 0);
    let of_kind = |kind| last.paths.iter().filter(move |change| change.kind == kind);
    assert_eq!(last.added.paths, of_kind(PathChangeKind::Added).count() as u64);
    assert_eq!(last.modified.paths, of_kind(PathChangeKind::Modified).count() as u64);
    assert_eq!(last.removed.paths, of_kind(PathChangeKind::Removed).map(|change| change.gone).sum::<u64>());
}

#[test]
fn the_base_layer_adds_everything() {
    let base = vec![dir("d"), file("d/f", "12"), file("g", "1234"), symlink("l", "g")];
    check(&[base], &["A /g 4", "A /d/f 2", "A /d/ 0", "A /l 0"]);
}

#[test]
fn directories_count_only_where_they_are_others() {
    let base = vec![dir("d"), file("d/f", "12")];
    check(&[base.clone(), vec![dir("d"), file("d/g", "1")]], &["A /d/g 1"]);
    let private = with(dir("d"), |metadata| metadata.mode = 0o700);
    check(&[base.clone(), vec![private]], &["C /d/ 0→0"]);
    let later = with(dir("d"), |metadata| metadata.mtime = image_core::Timestamp::from_seconds(5));
    check(&[base, vec![later]], &[]);
}

#[test]
fn what_is_replaced_and_removed_is_told_with_what_was_there() {
    let base = vec![file("a", "12345"), dir("d"), file("d/f", "12"), dir("d/e"), file("d/e/g", "1")];
    check(&[base.clone(), vec![file("a", "123")]], &["C /a 5→3"]);
    check(&[base.clone(), vec![file(".wh.a", ""), file(".wh.d", "")]], &["D /a 5 (1)", "D /d/ 3 (4)"]);
    check(&[base.clone(), vec![file("d/.wh..wh..opq", "")]], &["D /d/f 2 (1)", "D /d/e/ 1 (2)"]);
    check(&[base.clone(), vec![file("d", "x")]], &["D /d/f 2 (1)", "C /d 0→1", "D /d/e/ 1 (2)"]);
    // A directory that is replaced by another: what is in both is no other path.
    check(&[base, vec![file(".wh.d", ""), file("d/f", "123")]], &["C /d/f 2→3", "D /d/e/ 1 (2)", "C /d/ 0→0"]);
}

#[test]
fn a_path_is_where_something_stands() {
    let base = vec![dir("usr"), dir("usr/lib"), symlink("lib", "usr/lib"), file("usr/lib/x", "1")];
    check(&[base, vec![file("lib/x", "12"), file("lib/y", "123")]], &["A /usr/lib/y 3", "C /usr/lib/x 1→2"]);
}

#[test]
fn bytes_of_a_file_with_several_names_count_once() {
    check(&[vec![file("a", "12345"), hard_link("b", "a")]], &["A /a 5", "A /b 0"]);
    let base = vec![file("a", "12345"), hard_link("b", "a")];
    check(&[base.clone(), vec![file(".wh.a", "")]], &["D /a 0 (1)"]);
    check(&[base.clone(), vec![file(".wh.a", ""), file(".wh.b", "")]], &["D /a 5 (1)", "D /b 0 (1)"]);
    check(&[base, vec![hard_link("c", "a")]], &["A /c 0"]);
}

#[test]
fn lists_are_cut_to_the_largest_and_shared_among_layers() {
    let many: Vec<Item> = (0..40).map(|i| file(format!("m{i:02}"), &"x".repeat(i))).collect();
    let few: Vec<Item> = (0..3).map(|i| file(format!("f{i}"), "y")).collect();
    let more: Vec<Item> = (0..40).map(|i| file(format!("n{i:02}"), "z")).collect();
    let all = LayerChanges::of_layers(&tocs(&[many, few, more]), 23).unwrap();
    let lengths: Vec<_> = all.iter().map(|changes| (changes.paths.len(), changes.omitted)).collect();
    assert_eq!(lengths, [(10, 30), (3, 0), (10, 30)]);
    assert_eq!(all[0].paths[0].path.to_string(), "/m39");
    assert_eq!(all[0].paths[9].path.to_string(), "/m30");
    assert_eq!(all[0].added.paths, 40, "what is cut is counted");
}

#[test]
fn directories_are_listed_by_size_and_hold_what_is_not_listed() {
    let base = vec![file("a/b/c/x", "12345678"), file("a/b/y", "1234"), file("k/z", "123"), file("r", "12")];
    let upper = vec![file("a/b/c/w", "1"), dir("empty")];
    let tocs = tocs(&[base, upper]);
    let tree = ImageTree::of_layers(&tocs).unwrap();
    let list = |limit| -> Vec<String> {
        let line = |dir: &DirectorySize| {
            let own: Vec<_> = dir.own.iter().map(|share| format!("{}:{}", share.layer, share.size)).collect();
            format!("{} {:?} {} {} [{}]", dir.path, dir.parent, dir.files, dir.size, own.join(" "))
        };
        DirectorySize::of_tree(&tree, limit).iter().map(line).collect()
    };
    let whole = [
        "/ None 5 18 [0:2]",
        "/a Some(0) 3 13 []",
        "/a/b Some(1) 3 13 [0:4]",
        "/a/b/c Some(2) 2 9 [0:8 1:1]",
        "/k Some(0) 1 3 [0:3]",
    ];
    assert_eq!(list(100), whole, "one that is empty is not listed");
    assert_eq!(list(3), ["/ None 5 18 [0:5]", "/a Some(0) 3 13 []", "/a/b Some(1) 3 13 [0:12 1:1]"]);
    assert_eq!(list(0), ["/ None 5 18 [0:17 1:1]"], "the root always is");
}

/// What a tree shows: each path, with the layer of a file.
fn paths(tree: &FileTree<LayerContent>) -> BTreeMap<String, (EntryKind, Option<usize>)> {
    let said = |node: image_overlay::NodeRef<'_, LayerContent>| {
        (node.path().to_string(), (node.kind().clone(), node.content().map(|content| content.layer)))
    };
    tree.walk(tree.root()).map(said).collect()
}

proptest! {
    /// The lists say which paths come and go between the trees before and after a layer, and no others.
    #[test]
    fn changes_lead_from_tree_to_tree(layers in vec(vec(arb_item(), 0..9), 1..5)) {
        let tocs = tocs(&layers);
        if ImageTree::of_layers(&tocs).is_err() {
            return Ok(());
        }
        let all = LayerChanges::of_layers(&tocs, ALL).unwrap();
        let usage = Usage::of_layers(&tocs).unwrap();
        for (layer, changes) in all.iter().enumerate() {
            let tree = |count: usize| paths(&ImageTree::of_layers(&tocs[..count]).unwrap());
            let (before, after) = (tree(layer), tree(layer + 1));
            let names = |kind| -> BTreeSet<String> {
                changes.paths.iter().filter(|change| change.kind == kind).map(|change| change.path.to_string()).collect()
            };
            let (added, modified, removed) =
                (names(PathChangeKind::Added), names(PathChangeKind::Modified), names(PathChangeKind::Removed));
            for path in after.keys() {
                prop_assert_eq!(!before.contains_key(path) , added.contains(path), "{}", path);
            }
            for path in before.keys().filter(|path| !after.contains_key(*path)) {
                let mut above = removed.iter();
                prop_assert!(above.any(|gone| path == gone || path.starts_with(&format!("{gone}/"))), "{}", path);
            }
            for path in &removed {
                prop_assert!(before.contains_key(path) && !after.contains_key(path), "{}", path);
            }
            for path in &modified {
                prop_assert!(before.contains_key(path) && after.contains_key(path), "{}", path);
            }
            for (path, what) in after.iter().filter(|(path, _)| before.contains_key(*path)) {
                prop_assert!(before.get(path) == Some(what) || modified.contains(path), "{}", path);
            }
            let gone: u64 = changes.paths.iter().map(|change| change.before).sum();
            let brought: u64 = changes.paths.iter().map(|change| change.size).sum();
            let replaced_at_once = usage.layers[layer].added - brought;
            prop_assert_eq!(gone + replaced_at_once, usage.layers[layer].hidden);
        }
    }

    /// Each byte of the tree counts for one directory, whatever the limit.
    #[test]
    fn directories_hold_every_byte_once(layers in vec(vec(arb_item(), 0..9), 1..5), limit in 0_usize..6) {
        let tocs = tocs(&layers);
        let Ok(tree) = ImageTree::of_layers(&tocs) else { return Ok(()) };
        let usage = Usage::of_layers(&tocs).unwrap();
        let list = DirectorySize::of_tree(&tree, limit);
        prop_assert!(list.len() <= limit.max(1));
        let mut left: Vec<u64> = usage.layers.iter().map(|layer| layer.added - layer.wasted).collect();
        for share in list.iter().flat_map(|dir| &dir.own) {
            left[share.layer] -= share.size;
        }
        prop_assert!(left.iter().all(|left| *left == 0), "{:?}", list);
        for (place, dir) in list.iter().enumerate() {
            prop_assert_eq!(dir.parent.is_none(), place == 0);
            prop_assert!(dir.parent.is_none_or(|parent| parent < place));
            let own: u64 = dir.own.iter().map(|share| share.size).sum();
            let below: u64 = list.iter().filter(|child| child.parent == Some(place)).map(|child| child.size).sum();
            prop_assert_eq!(own + below, dir.size);
        }
    }

    /// What is wasted is wasted at some path.
    #[test]
    fn wasted_paths_add_up(layers in vec(vec(arb_item(), 0..9), 1..5)) {
        let Ok(usage) = Usage::of_layers(&tocs(&layers)) else { return Ok(()) };
        let sum: u64 = usage.wasted_paths.iter().map(|path| path.size).sum();
        prop_assert_eq!(sum, usage.wasted());
        prop_assert!(usage.wasted_paths.is_sorted_by(|a, b| a.size >= b.size));
        prop_assert!(usage.wasted_paths.iter().all(|path| path.size > 0 && path.count > 0));
    }
}
