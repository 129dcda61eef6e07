//! Any bytes are a table of contents or none, and what is one can be merged into a tree and read.
//! The checksum at the end is mended first.

use image_core::Digest;
use image_overlay::{ImageTree, LayerToc};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let mut table = b"image-overlay toc 1\n".to_vec();
    table.extend_from_slice(bytes);
    let checksum = Digest::sha256_of(&table);
    table.extend_from_slice(checksum.encoded().as_bytes());
    let Ok(toc) = LayerToc::from_bytes(&table) else { return };
    assert_eq!(toc.entries().count() as u64, toc.len());
    for entry in toc.entries() {
        if let Some(content) = entry.content {
            assert!(content.stored_size() <= content.size);
            assert!(content.offset + content.stored_size() <= toc.tar_size());
        }
    }
    let Ok(tree) = ImageTree::of_layers([&toc, &toc]) else { return };
    for node in tree.walk(tree.root()) {
        assert_eq!(tree.get(&node.path()).map(|found| found.id()), Some(node.id()));
    }
}
