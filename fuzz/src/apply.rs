//! Two layers of entries made of any bytes, applied to a directory: nothing beside it changes, and the tree that is
//! merged without applying is of the same shape. Needs no privilege; as root it goes further.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use image_core::Ctx;
use image_overlay::{ApplyOptions, ImageTree, LayerToc, Limits, Root, apply_layer};

const NAMES: [&str; 12] =
    ["a", "b", "c", ".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq", ".wh..wh.x", "..", ".", "", ".wh.."];

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (target, outside) = (dir.path().join("target"), dir.path().join("outside"));
    fs::create_dir(&target).expect("a directory");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("a"), "canary").expect("a file");
    let before = canary(&outside);
    let root = Root::open(&target).expect("the target");
    let mut tree = ImageTree::new();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for (position, layer) in [first, second].into_iter().map(layer).enumerate() {
        let applied = apply_layer(&layer[..], &root, &ApplyOptions::default(), &Ctx::default());
        let merged =
            LayerToc::read(&layer[..], &Limits::default(), &Ctx::default()).and_then(|toc| tree.push(position, &toc));
        assert_eq!(canary(&outside), before);
        assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 2);
        assert_eq!(applied.is_ok(), merged.is_ok(), "{applied:?} {merged:?}");
        if applied.is_err() {
            return;
        }
        let names: Vec<_> = tree.walk(tree.root()).skip(1).map(|node| node.path().as_bytes().to_vec()).collect();
        assert_eq!(names, on_disk(&target));
    }
}

/// Four bytes for each entry: kind, two names, a target.
fn layer(bytes: &[u8]) -> Vec<u8> {
    let name = |byte: u8| NAMES[usize::from(byte) % NAMES.len()];
    let mut tar = Vec::new();
    for entry in bytes.chunks_exact(4) {
        let path = match entry[0] >> 4 {
            0..8 => format!("{}/{}", name(entry[1]), name(entry[2])),
            8..10 => format!("{}/{}/{}", name(entry[1]), name(entry[2]), name(entry[1] / 16)),
            _ => name(entry[1]).to_owned(),
        };
        let target = match entry[0] >> 3 & 1 {
            0 => format!("{}/{}", name(entry[3]), name(entry[3] / 12)),
            _ => format!("{}/{}/{}", name(entry[2]), name(entry[3]), name(entry[3] / 12)),
        };
        tar.extend(header(b"01255602"[usize::from(entry[0] & 7)], &path, &target));
    }
    tar
}

fn header(kind: u8, path: &str, target: &str) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path.as_bytes());
    put(100, b"0000755\0");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    put(148, b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn canary(outside: &Path) -> Vec<(u64, i64, i64, u64)> {
    [outside.to_owned(), outside.join("a")]
        .iter()
        .map(|path| fs::symlink_metadata(path).expect("the canary"))
        .map(|meta| (meta.size(), meta.ctime(), meta.ctime_nsec(), meta.nlink()))
        .collect()
}

fn on_disk(root: &Path) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let mut pending = vec![(root.to_owned(), Vec::new())];
    while let Some((path, name)) = pending.pop() {
        if fs::symlink_metadata(&path).expect("a node").is_dir() {
            let mut children: Vec<_> =
                fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
            children.sort();
            for child in children.into_iter().rev() {
                let child_name = [&name[..], b"/", child.as_encoded_bytes()].concat();
                pending.push((path.join(&child), child_name));
            }
        }
        if !name.is_empty() {
            names.push(name[1..].to_vec());
        }
    }
    names
}
