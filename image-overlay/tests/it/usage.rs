//! What layers add, hide and waste.

use image_core::Ctx;
use image_overlay::{ImageTree, LayerContent, LayerToc, Limits, NodeRef, Usage};
use proptest::{collection::vec, prelude::*};

use super::{
    apply_model::arb_item,
    layers::{Item, dir, file, hard_link, layer},
};

fn tocs(layers: &[Vec<Item>]) -> Vec<LayerToc> {
    let toc = |items: &Vec<Item>| LayerToc::read(&layer(items)[..], &Limits::default(), &Ctx::default()).unwrap();
    layers.iter().map(toc).collect()
}

/// Added, hidden and wasted bytes of each layer, and least and total bytes of all paths.
fn check(layers: &[Vec<Item>], expected: &[[u64; 3]], efficiency: (u32, u32), repeated: &[(&str, u64, u64)]) {
    let usage = Usage::of_layers(&tocs(layers)).unwrap();
    let found: Vec<_> = usage.layers.iter().map(|layer| [layer.added, layer.hidden, layer.wasted]).collect();
    assert_eq!(found, expected, "{layers:#?}");
    let (least, total) = efficiency;
    assert!((usage.efficiency - f64::from(least) / f64::from(total)).abs() < 1e-12, "{usage:?}");
    let found: Vec<_> = usage.repeated.iter().map(|path| (path.path.to_string(), path.count, path.size)).collect();
    let repeated: Vec<_> = repeated.iter().map(|(path, count, size)| ((*path).to_owned(), *count, *size)).collect();
    assert_eq!(found, repeated);
    assert_eq!(usage.wasted(), usage.layers.iter().map(|layer| layer.hidden).sum::<u64>());
}

#[test]
fn no_layer_wastes_nothing() {
    check(&[], &[], (1, 1), &[]);
    check(&[vec![dir("d")]], &[[0, 0, 0]], (1, 1), &[]);
}

#[test]
fn what_is_replaced_is_wasted() {
    let layers =
        [vec![file("d/f", "1234567"), file("g", "x")], vec![dir("d"), file("d/f", "123")], vec![file("d/f", "12345")]];
    check(&layers, &[[8, 0, 7], [3, 7, 3], [5, 3, 0]], (3 + 1, 15 + 1), &[("/d/f", 3, 15)]);
}

#[test]
fn what_is_whited_out_is_wasted() {
    let base = vec![dir("d"), file("d/f", "1234"), file("d/g", "12"), file("h", "123")];
    // dive takes a file that went for a path that needs nothing.
    check(&[base.clone(), vec![file(".wh.h", "")]], &[[9, 0, 3], [0, 3, 0]], (6, 9), &[("/h", 2, 3)]);
    // And a directory that went for a path of its own, which takes what it hides.
    check(&[base.clone(), vec![file(".wh.d", "")]], &[[9, 0, 6], [0, 6, 0]], (9 + 6, 9 + 6), &[]);
    check(&[base, vec![file("d/.wh..wh..opq", "")]], &[[9, 0, 6], [0, 6, 0]], (9, 9), &[]);
}

#[test]
fn a_file_of_several_names_counts_once_and_as_long_as_one_is_left() {
    let base = vec![file("a", "12345"), hard_link("b", "a")];
    check(&[base.clone(), vec![file(".wh.a", "")]], &[[5, 0, 0], [0, 0, 0]], (0, 5), &[("/a", 2, 5)]);
    check(
        &[base, vec![file(".wh.a", ""), file(".wh.b", "")]],
        &[[5, 0, 5], [0, 5, 0]],
        (0, 5),
        &[("/a", 2, 5), ("/b", 2, 0)],
    );
}

#[test]
fn what_its_own_layer_replaces_is_wasted_too() {
    check(&[vec![file("a", "12345"), file("a", "12")]], &[[7, 5, 5]], (2, 2), &[]);
}

#[test]
fn wasted_bytes_have_a_path() {
    let layers = [
        vec![file("a", "12345"), file("a", "12"), dir("d"), file("d/f", "1"), hard_link("d/g", "a")],
        vec![file(".wh.a", ""), file("d/f", "123"), file("z", "")],
        vec![file(".wh.d", ""), file(".wh.z", "")],
    ];
    let usage = Usage::of_layers(&tocs(&layers)).unwrap();
    let found: Vec<_> = usage.wasted_paths.iter().map(|path| (path.path.to_string(), path.count, path.size)).collect();
    assert_eq!(found, [("/a".into(), 2, 7), ("/d/f".into(), 2, 4)], "a file without content wastes nothing");
}

/// The bytes of those files that a tree shows, each once whatever its names.
fn seen(tree: &ImageTree, of: impl Fn(&NodeRef<'_, LayerContent>) -> bool) -> u64 {
    let mut files: Vec<_> = tree.walk(tree.root()).filter(|node| node.content().is_some()).filter(of).collect();
    files.sort_by_key(|file| file.inode_id());
    files.dedup_by_key(|file| file.inode_id());
    files.iter().map(|file| file.kind().size()).sum()
}

proptest! {
    /// Of all that was added, what is not wasted is in the tree; and what is wasted was hidden by a layer.
    #[test]
    fn the_ledger_balances(layers in vec(vec(arb_item(), 0..9), 1..5)) {
        let tocs = tocs(&layers);
        let Ok(tree) = ImageTree::of_layers(&tocs) else { return Ok(()) };
        let usage = Usage::of_layers(&tocs).unwrap();
        let seen = seen(&tree, |_| true);
        let added: u64 = usage.layers.iter().map(|layer| layer.added).sum();
        let hidden: u64 = usage.layers.iter().map(|layer| layer.hidden).sum();
        prop_assert_eq!(added - usage.wasted(), seen);
        prop_assert_eq!(hidden, usage.wasted());
        prop_assert!((0.0..=1.0).contains(&usage.efficiency));
    }

    /// A layer hides what the trees without it and with it say that it does, and wastes what the last one does not show.
    #[test]
    fn layers_hide_what_trees_do_not_show(layers in vec(vec(arb_item(), 0..9), 1..6)) {
        let tocs = tocs(&layers);
        let Ok(tree) = ImageTree::of_layers(&tocs) else { return Ok(()) };
        let usage = Usage::of_layers(&tocs).unwrap();
        let mut below = 0;
        for (position, layer) in usage.layers.iter().enumerate() {
            let now = seen(&ImageTree::of_layers(&tocs[..=position]).unwrap(), |_| true);
            prop_assert_eq!(layer.hidden, below + layer.added - now, "{}", position);
            let left = seen(&tree, |file| file.content().is_some_and(|content| content.layer == position));
            prop_assert_eq!(layer.wasted, layer.added - left, "{}", position);
            below = now;
        }
    }
}
