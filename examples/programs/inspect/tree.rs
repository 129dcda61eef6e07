//! The files of an image.

use std::io::{self, Write};

use examples::text::printable_bytes;
use image_overlay::{EntryKind, ImageTree, LayerContent, NodeRef};
use serde_json::{Value, json};

/// Prints a line for each file: mode, owner, size or device number, layer, path, and where a link leads.
pub(crate) fn print(tree: &ImageTree, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nfiles:")?;
    for node in tree.walk(tree.root()) {
        let meta = node.metadata();
        let owner = format!("{}:{}", meta.uid, meta.gid);
        let size = match node.kind() {
            EntryKind::File { size } => size.to_string(),
            EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
                format!("{major},{minor}")
            }
            _ => String::new(),
        };
        write!(out, "  {}{:04o} {owner:>9} {size:>10} {}", letter(node.kind()), meta.mode, path(node))?;
        match node.kind() {
            EntryKind::Symlink { target } => writeln!(out, " -> {}", printable_bytes(target))?,
            _ => writeln!(out)?,
        }
    }
    Ok(())
}

/// The letter that `ls` has for it.
fn letter(kind: &EntryKind) -> char {
    match kind {
        EntryKind::Directory => 'd',
        EntryKind::File { .. } | EntryKind::HardLink { .. } => '-',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::CharDevice { .. } => 'c',
        EntryKind::BlockDevice { .. } => 'b',
        EntryKind::Fifo => 'p',
    }
}

fn path(node: NodeRef<'_, LayerContent>) -> String {
    format!("/{}", printable_bytes(node.path().as_bytes()))
}

/// The files as JSON.
pub(crate) fn to_json(tree: &ImageTree) -> Value {
    tree.walk(tree.root()).map(file_to_json).collect()
}

fn name(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::Directory => "directory",
        EntryKind::File { .. } | EntryKind::HardLink { .. } => "file",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::CharDevice { .. } => "char-device",
        EntryKind::BlockDevice { .. } => "block-device",
        EntryKind::Fifo => "fifo",
    }
}

fn file_to_json(node: NodeRef<'_, LayerContent>) -> Value {
    let meta = node.metadata();
    let mut value = json!({
        "path": path(node),
        "type": name(node.kind()),
        "mode": meta.mode,
        "uid": meta.uid,
        "gid": meta.gid,
        "mtime": meta.mtime,
    });
    match node.kind() {
        EntryKind::File { size } => value["size"] = json!(size),
        EntryKind::Symlink { target } => value["target"] = json!(printable_bytes(target)),
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            value["device"] = json!([major, minor]);
        }
        _ => {}
    }
    if let Some(content) = node.content() {
        value["layer"] = json!(content.layer);
    }
    value
}
