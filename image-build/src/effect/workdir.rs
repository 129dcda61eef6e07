//! WORKDIR: a directory that is there from then on.

use std::io;

use image_core::Ctx;
use image_overlay::{Follow, ImageTree, LayerWriter, NodeRef, PackOptions, PackedLayer};

use super::place::{Attributes, Placement};
use crate::{error::Result, state::BuildState};

/// Where a WORKDIR leads: from the one before, or from the root.
pub(crate) fn resolve(before: &str, path: &str) -> String {
    absolute(before, path, false)
}

/// An absolute path from one that may be relative to a directory, without `.`, `..` and double
/// slashes; a slash or `/.` at its end is kept as a slash where `keep_slash` says so.
pub(crate) fn absolute(directory: &str, path: &str, keep_slash: bool) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    let mut names: Vec<&str> = Vec::new();
    for name in joined.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    let mut out = format!("/{}", names.join("/"));
    let is_directory = path.is_empty() || path.ends_with('/') || path == "." || path.ends_with("/.");
    if keep_slash && is_directory && !out.ends_with('/') {
        out.push('/');
    }
    out
}

/// Whether the directory is there already.
pub(crate) fn is_there(root: &ImageTree, path: &str) -> Result<bool> {
    Ok(root.lookup(path.as_bytes(), Follow::Last)?.is_some_and(NodeRef::is_directory))
}

/// Makes the layer with the directory, and those above it that are missing; `None` where it is there.
pub(crate) fn pack(
    root: &ImageTree,
    path: &str,
    attributes: Attributes<'_>,
    options: PackOptions,
    state: &BuildState,
    ctx: &Ctx,
) -> Result<Option<PackedLayer>> {
    let path = root.resolve(path.as_bytes(), Follow::Last)?.path;
    let mut placement = Placement::new(root, attributes);
    placement.directory(&path)?;
    if placement.is_empty() {
        return Ok(None);
    }
    let mut writer = LayerWriter::new(state.blobs(), options)?;
    for entry in placement.directories() {
        writer.append(entry, &mut io::empty(), ctx)?;
    }
    Ok(Some(writer.finish()?))
}
