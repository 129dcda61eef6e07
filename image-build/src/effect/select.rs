//! Which files of a source tree a COPY means.

use std::collections::HashMap;

use image_core::{
    Digest,
    hasher::{Hasher, Sha256},
};
use image_overlay::{EntryKind, FileTree, Follow, LayerPath, NodeRef};

use crate::{
    cache::files::ListedFile,
    error::{Error, Result, excerpt},
    files::{SourceFiles, Xattrs},
    pattern,
};

/// One source of a COPY, found in its tree.
pub(crate) struct Selected<'a, C> {
    /// The last component of the path as it was asked for, which names a file in its new place.
    pub(crate) name: Vec<u8>,
    /// The file, or the directory whose children are meant.
    pub(crate) node: NodeRef<'a, C>,
}

/// What one source argument selects; nothing where a wildcard matches nothing.
///
/// A source path is taken below the root of the tree, whatever `..` and links it holds; a symlink
/// named as the source itself is followed, those inside a copied directory are not.
///
/// # Spec
/// Dockerfile reference, § COPY, source.
pub(crate) fn select<'a, S: SourceFiles>(files: &'a S, source: &str) -> Result<Vec<Selected<'a, S::Content>>> {
    let path = clean(source.as_bytes());
    if pattern::has_wildcard(&path) {
        return pattern::expand(files.tree(), &path)?.into_iter().map(|path| follow(files, &path)).collect();
    }
    Ok(vec![follow(files, &path)?])
}

fn follow<'a, S: SourceFiles>(files: &'a S, path: &[u8]) -> Result<Selected<'a, S::Content>> {
    let node = files.tree().lookup(path, Follow::Last)?;
    let node = node.ok_or_else(|| Error::SourceNotFound {
        path: excerpt(&String::from_utf8_lossy(path), 256),
        tree: files.name().into(),
    })?;
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    Ok(Selected { name, node })
}

/// The path without leading slashes, `.`, and `..` that would lead above the root.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join(&b'/')
}

/// The regular files at and below the sources, once for each.
pub(crate) fn regular_files<'a, C>(tree: &'a FileTree<C>, sources: &[Selected<'a, C>]) -> Vec<NodeRef<'a, C>> {
    let mut files: Vec<_> = sources
        .iter()
        .flat_map(|source| tree.walk(source.node))
        .filter(|node| matches!(node.kind(), EntryKind::File { .. }))
        .collect();
    files.sort_unstable_by_key(|node| node.inode_id());
    files.dedup_by_key(|node| node.inode_id());
    files
}

/// The digest of all that a copy takes from the sources: names, kinds, modes, owners where they are
/// kept, link targets, which names are one file, extended attributes and content. Times do not count.
///
/// Every part is preceded by its length, so that no two selections encode alike.
pub(crate) fn digest<S: SourceFiles>(files: &S, sources: &[Selected<'_, S::Content>]) -> Result<Digest> {
    let mut hasher = Hasher::sha256();
    for source in sources {
        // A directory's own name and attributes are not copied, only what is in it.
        let directory = source.node.is_directory();
        let mut inodes = HashMap::new();
        put(&mut hasher, if directory { b"directory" } else { b"file" });
        let above = source.node.path().as_bytes().len();
        for node in files.tree().walk(source.node).skip(usize::from(directory)) {
            let path = node.path();
            let name = if directory { path.as_bytes().get(above..).unwrap_or_default() } else { &source.name };
            put(&mut hasher, name);
            let count = inodes.len();
            let first = *inodes.entry(node.inode_id()).or_insert(count);
            if first != count && !node.is_directory() {
                put(&mut hasher, b"link");
                put(&mut hasher, &(first as u64).to_le_bytes());
                continue;
            }
            put_node(&mut hasher, files, node)?;
        }
        put(&mut hasher, b"end");
    }
    Ok(hasher.finish())
}

/// Tells of every file that the digest covers, once, in canonical order of paths.
pub(crate) fn list<S: SourceFiles>(
    files: &S,
    sources: &[Selected<'_, S::Content>],
    visit: &mut dyn FnMut(&ListedFile) -> Result<()>,
) -> Result<()> {
    let mut sources: Vec<_> = sources.iter().map(|source| (source.node.path(), source.node)).collect();
    sources.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut last: Option<LayerPath> = None;
    let mut inodes = HashMap::new();
    for (path, node) in sources {
        if last.as_ref().is_some_and(|last| path.starts_with(last)) {
            continue;
        }
        for node in files.tree().walk(node).skip(usize::from(node.is_directory())) {
            let id = node.id();
            let first = *inodes.entry(node.inode_id()).or_insert(id);
            let mut file = listed(files, node)?;
            if first != id {
                file.kind = b'h';
                file.content = beginning(&sha256(files.tree().node(first).path().as_bytes()));
            }
            visit(&file)?;
        }
        last = Some(path);
    }
    Ok(())
}

fn listed<S: SourceFiles>(files: &S, node: NodeRef<'_, S::Content>) -> Result<ListedFile> {
    let metadata = node.metadata();
    let (kind, content, xattrs) = match node.kind() {
        EntryKind::File { .. } => {
            let facts = files.facts(node)?;
            (if facts.sparse { b's' } else { b'f' }, facts.sha256, facts.xattrs)
        }
        EntryKind::Directory => (b'd', [0; 32], None),
        EntryKind::Symlink { target } => (b'l', sha256(target), None),
        EntryKind::HardLink { target } => (b'h', sha256(target.as_bytes()), None),
        EntryKind::CharDevice { major, minor } => (b'c', sha256(format!("{major}:{minor}").as_bytes()), None),
        EntryKind::BlockDevice { major, minor } => (b'b', sha256(format!("{major}:{minor}").as_bytes()), None),
        EntryKind::Fifo => (b'p', [0; 32], None),
    };
    let xattrs = xattrs.as_deref().unwrap_or(&metadata.xattrs);
    Ok(ListedFile {
        path: node.path().as_bytes().to_vec(),
        kind,
        mode: metadata.mode,
        owner: if files.keeps_owner() { (metadata.uid, metadata.gid) } else { (0, 0) },
        content: beginning(&content),
        attributes: if xattrs.is_empty() { [0; 4] } else { beginning(&digest_of_xattrs(xattrs)) },
    })
}

fn digest_of_xattrs(xattrs: &Xattrs) -> [u8; 32] {
    let parts: Vec<_> = xattrs.iter().flat_map(|(name, value)| [&**name, value]).collect();
    sha256(&parts.iter().flat_map(|part| [&(part.len() as u64).to_le_bytes(), *part].concat()).collect::<Vec<_>>())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::default();
    hasher.update(bytes);
    hasher.finish()
}

/// The first bytes of a digest: enough to tell two states of a file apart.
fn beginning<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| digest[at])
}

fn put_node<S: SourceFiles>(hasher: &mut Hasher, files: &S, node: NodeRef<'_, S::Content>) -> Result<()> {
    let metadata = node.metadata();
    put(hasher, &metadata.mode.to_le_bytes());
    if files.keeps_owner() {
        put(hasher, &metadata.uid.to_le_bytes());
        put(hasher, &metadata.gid.to_le_bytes());
    }
    match node.kind() {
        EntryKind::Directory => put(hasher, b"d"),
        EntryKind::Symlink { target } => {
            put(hasher, b"l");
            put(hasher, target);
        }
        EntryKind::File { .. } => {
            let facts = files.facts(node)?;
            put(hasher, if facts.sparse { b"s" } else { b"f" });
            put(hasher, &facts.size.to_le_bytes());
            put(hasher, &facts.sha256);
            put_xattrs(hasher, facts.xattrs.as_deref().unwrap_or(&Xattrs::new()));
        }
        EntryKind::CharDevice { major, minor } => put_device(hasher, b"c", *major, *minor),
        EntryKind::BlockDevice { major, minor } => put_device(hasher, b"b", *major, *minor),
        EntryKind::Fifo => put(hasher, b"p"),
        EntryKind::HardLink { target } => {
            put(hasher, b"h");
            put(hasher, target.as_bytes());
        }
    }
    put_xattrs(hasher, &metadata.xattrs);
    Ok(())
}

fn put_device(hasher: &mut Hasher, tag: &[u8], major: u32, minor: u32) {
    put(hasher, tag);
    put(hasher, &major.to_le_bytes());
    put(hasher, &minor.to_le_bytes());
}

fn put_xattrs(hasher: &mut Hasher, xattrs: &Xattrs) {
    put(hasher, &(xattrs.len() as u64).to_le_bytes());
    for (name, value) in xattrs {
        put(hasher, name);
        put(hasher, value);
    }
}

fn put(hasher: &mut Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}
