//! Trees and maps of paths, beside simple ones that say the same.

use std::collections::BTreeMap;

use image_overlay::{EntryKind, FileTree, LayerPath, Metadata, NodeRef, PathMap};
use proptest::{collection::vec, prelude::*, sample::select};

/// What is done with a map of paths.
#[derive(Debug, Clone)]
enum Step {
    Insert(LayerPath, u32),
    RemoveBelow(LayerPath),
}

fn paths() -> impl Strategy<Value = LayerPath> {
    let names = vec(select(vec!["a", "b", "a-", "a.b", "c"]), 0..4);
    names.prop_map(|names| LayerPath::parse(names.join("/").as_bytes()).unwrap())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let insert = (paths(), any::<u32>()).prop_map(|(path, value)| Step::Insert(path, value));
    vec(prop_oneof![4 => insert, 1 => paths().prop_map(Step::RemoveBelow)], 0..40)
}

proptest! {
    #[test]
    fn a_map_of_paths_is_a_map_in_canonical_order(steps in steps()) {
        let (mut map, mut model) = (PathMap::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Insert(path, value) => {
                    map.insert(&path, value);
                    model.insert(path, value);
                }
                Step::RemoveBelow(path) => {
                    map.remove_below(&path);
                    model.retain(|other, _| *other == path || !other.starts_with(&path));
                }
            }
        }
        let all: Vec<_> = map.iter().map(|(path, value)| (path, *value)).collect();
        prop_assert_eq!(&all, &model.clone().into_iter().collect::<Vec<_>>());
        prop_assert!(map.values().eq(model.values()));
        for (path, value) in &model {
            prop_assert_eq!(map.get(path), Some(value));
        }
    }

    /// Thousands of names, in any order: more than one chunk of a directory's, and of the tree's.
    #[test]
    fn names_stand_in_order_however_they_came(
        numbers in vec(0_u32..4000, 0..4000),
        removed in vec(0_u32..4000, 0..1000),
    ) {
        let (mut tree, mut model) = (FileTree::new(), BTreeMap::new());
        let root = tree.root().id();
        for number in numbers {
            let name = number.to_string().into_bytes();
            let id = tree.insert(root, &name, EntryKind::Fifo, Metadata::new(number), None::<()>);
            prop_assert_eq!(tree.node(id).name(), &name[..]);
            model.insert(name, number);
        }
        for number in removed {
            let name = number.to_string().into_bytes();
            let id = tree.root().child(&name).map(NodeRef::id);
            prop_assert_eq!(id.is_some(), model.remove(&name).is_some());
            id.into_iter().for_each(|id| tree.remove(id));
        }
        let children = || tree.root().children();
        prop_assert!(children().map(|node| (node.name().to_vec(), node.attributes().mode)).eq(model.clone()));
        prop_assert_eq!(tree.walk(tree.root()).count(), model.len() + 1);
        for name in model.keys() {
            prop_assert!(tree.root().child(name).is_some());
        }
    }
}

#[test]
fn a_clone_and_its_original_go_their_own_ways() {
    let mut tree = FileTree::new();
    let root = tree.root().id();
    for number in 0..3000 {
        tree.insert(root, format!("{number:04}").as_bytes(), EntryKind::Fifo, Metadata::new(0o644), None::<u8>);
    }
    let old = tree.clone();
    let file = tree.root().child(b"1500").unwrap().id();
    tree.set_metadata(file, Metadata::new(0o600));
    tree.set_content(file, 7);
    tree.remove(tree.root().child(b"0002").unwrap().id());
    tree.insert(root, b"new", EntryKind::Directory, Metadata::new(0o755), None);
    tree.link(root, b"other", file);

    let names = |tree: &FileTree<u8>| tree.root().children().count();
    assert_eq!((names(&old), names(&tree)), (3000, 3001));
    let before = old.root().child(b"1500").unwrap();
    assert_eq!((before.attributes().mode, before.content(), before.is_linked()), (0o644, None, false));
    let after = tree.root().child(b"other").unwrap();
    assert_eq!((after.attributes().mode, after.content(), after.is_linked()), (0o600, Some(&7), true));
    assert!(old.root().child(b"0002").is_some() && old.root().child(b"new").is_none());
}
