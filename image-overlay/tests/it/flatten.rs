//! Many layers as one.

use std::sync::Arc;

use image_core::{BlobStoreExt, Ctx, Descriptor, DiffId, MediaType, MemoryBlobStore};
use image_overlay::{Changes, DirSource, ImageSource, LayerBlob, Limits, PackOptions, PackedLayer, flatten};
use proptest::{collection::vec, prelude::*};
use test_support::{Tree, TreeOptions, require_root, temp_dir};

use super::{
    apply_model::{Model, arb_item, sensible},
    layers::{Item, dir, file, hard_link, layer, symlink},
    on_disk::{Sandbox, shape},
    trees::{apply, arb_stack, image, pack, said, scan},
};

/// An image of layers that another tool may have written.
fn foreign(store: &MemoryBlobStore, layers: &[Vec<Item>]) -> ImageSource {
    let blob = |items: &Vec<Item>| {
        let committed = store.put_bytes(&layer(items)).unwrap();
        let descriptor = Descriptor::new(MediaType::OciLayer, committed.digest.clone(), committed.size);
        LayerBlob::new(Arc::new(store.clone()), descriptor, DiffId::from_digest(committed.digest))
    };
    let layers = layers.iter().map(blob).collect();
    ImageSource::new(layers, std::env::temp_dir(), &Limits::default(), &Ctx::default()).unwrap()
}

fn flat(image: &ImageSource, store: &MemoryBlobStore) -> PackedLayer {
    flatten(image, store, PackOptions::default(), &Ctx::default()).unwrap()
}

/// The diffID of all of a directory.
fn whole(tree: &DirSource, store: &MemoryBlobStore) -> DiffId {
    Changes::whole(tree).pack(store, PackOptions::default(), &Ctx::default()).unwrap().diff_id
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// One layer holds, byte for byte, what a scan finds after all layers were applied; and it makes that tree.
    #[test]
    fn flattening_is_applying_all_and_scanning(layers in vec(vec(arb_item(), 0..9), 1..5)) {
        if !require_root() {
            return Ok(());
        }
        let sandbox = Sandbox::new();
        let root = dir(".");
        let mut model = Model::new(root.0.metadata.clone());
        let mut stack = vec![vec![root]];
        for items in layers {
            let items = sensible(items, &model);
            model.apply(&items);
            stack.push(items);
        }
        stack.iter().for_each(|items| sandbox.apply(items).unwrap());
        let store = MemoryBlobStore::default();
        let layer = flat(&foreign(&store, &stack), &store);
        prop_assert_eq!(&layer.diff_id, &whole(&scan(&sandbox.target()), &store));
        let again = temp_dir();
        apply(&store, &layer, again.path());
        let options = TreeOptions::default().with_whole_seconds();
        Tree::scan_with(again.path(), options).assert_same(&Tree::scan_with(&sandbox.target(), options));
    }

    /// Layers that diffs made, compressed or not, come to the last tree, but for the times of directories, which alone are
    /// no change; and to the bytes of what they come to.
    #[test]
    fn flattening_diffs_gives_the_last_tree(trees in arb_stack()) {
        if !require_root() {
            return Ok(());
        }
        let store = MemoryBlobStore::default();
        let mut layers: Vec<PackedLayer> = Vec::new();
        let mut last = temp_dir();
        for tree in trees {
            last = temp_dir();
            tree.write(last.path());
            let below = image(&store, &layers.iter().collect::<Vec<_>>());
            layers.push(pack(&below, &scan(last.path()), &store));
        }
        let flat = flat(&image(&store, &layers.iter().collect::<Vec<_>>()), &store);
        let again = temp_dir();
        apply(&store, &flat, again.path());
        said(again.path()).assert_same(&said(last.path()));
        prop_assert_eq!(flat.diff_id, whole(&scan(again.path()), &store));
    }
}

/// What the layers come to when they are one.
fn check(layers: &[Vec<Item>], expected: &[&str]) {
    let store = MemoryBlobStore::default();
    let layer = flat(&foreign(&store, layers), &store);
    let dir = temp_dir();
    if require_root() {
        apply(&store, &layer, dir.path());
        assert_eq!(shape(dir.path()), expected, "of {layers:#?}");
    }
}

/// <https://github.com/google/go-containerregistry/issues/977>: the file goes, and its other name stays.
#[test]
fn a_link_outlives_the_name_that_it_was_made_of() {
    let base = vec![file("a", "content"), hard_link("b", "a")];
    check(&[base.clone(), vec![file(".wh.a", "")]], &["b = content"]);
    check(&[base.clone(), vec![file(".wh.b", "")]], &["a = content"]);
    let link_above = vec![hard_link("c", "b"), file("a", "other")];
    check(&[base, link_above, vec![file(".wh.a", "")]], &["b = content", "c = content (also b)"]);
}

/// <https://github.com/google/go-containerregistry/issues/2002>: one name is written anew, and the others keep the content.
#[test]
fn a_link_keeps_the_content_of_a_name_that_was_replaced() {
    let layers = [vec![file("t2", "123")], vec![hard_link("t1", "t2"), hard_link("t3", "t1")], vec![file("t1", "456")]];
    check(&layers, &["t1 = 456", "t2 = 123", "t3 = 123 (also t2)"]);
}

/// <https://github.com/google/go-containerregistry/issues/2029>: a directory that was removed and made again in one step.
#[test]
fn a_directory_that_was_made_anew_has_nothing_of_before() {
    let lower = vec![dir("test"), file("test/hello.txt", "1")];
    let upper = vec![dir("test"), file("test/.wh..wh..opq", ""), file("test/hello2.txt", "2")];
    check(&[lower, upper], &["test/", "test/hello2.txt = 2"]);
}

/// <https://github.com/google/go-containerregistry/issues/1897>: opaque directories, the marker before and after what its
/// layer brings.
#[test]
fn an_opaque_directory_hides_what_is_below_it() {
    let base = vec![dir("a"), dir("a/b"), file("a/b/foo", "x")];
    check(&[base.clone(), vec![dir("a"), file("a/.wh..wh..opq", "")]], &["a/"]);
    check(&[base.clone(), vec![file("a/.wh..wh..opq", ""), file("a/new", "y")]], &["a/", "a/new = y"]);
    check(&[base, vec![file("a/b/new", "y"), file("a/.wh..wh..opq", "")]], &["a/", "a/b/", "a/b/new = y"]);
}

/// <https://github.com/google/go-containerregistry/pull/2191>: a directory that went and came again.
#[test]
fn a_directory_that_came_again_has_only_what_came_with_it() {
    let layers = [vec![file("a/foo", "x"), file("b/bar", "y")], vec![file(".wh.a", "")], vec![file("a/baz", "z")]];
    check(&layers, &["a/", "a/baz = z", "b/", "b/bar = y"]);
}

#[test]
fn no_marker_is_left() {
    check(&[vec![file(".wh.a", ""), file("d/.wh..wh..opq", ""), file("d/f", "x")]], &["d/", "d/f = x"]);
}

#[test]
fn what_stood_where_another_kind_came_is_gone() {
    let base = vec![file("d/f", "x"), symlink("l", "d"), file("f", "y")];
    let upper = vec![file("d", "file"), dir("l"), file("f/in", "z")];
    check(&[base, upper], &["d = file", "f/", "f/in = z", "l/"]);
}
