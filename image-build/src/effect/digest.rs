//! What the files that a COPY takes come to: one digest, and the list of them that explanations compare.

use std::collections::{BTreeMap, HashMap, HashSet};

use image_core::{
    Digest,
    hasher::{Sha256, ThreadedHasher},
};
use image_overlay::{EntryKind, FileTree, LayerPath, NodeId, NodeRef};

use super::select::Selected;
use crate::{
    cache::files::ListedFile,
    context::FileFingerprint,
    error::Result,
    files::{SourceFiles, Xattrs},
};

/// The digest of all that a copy takes from the sources: names, kinds, modes, owners where they are
/// kept, link targets, which names are one file, extended attributes and content. Times do not count. With it comes how
/// many names of regular files there were, of each source.
///
/// Every part is preceded by its length, so that no two selections encode alike.
pub(crate) fn digest<'s, 'a: 's, S: SourceFiles>(
    files: &'a S,
    sources: impl Iterator<Item = &'s Selected<'a, S::Content>>,
) -> Result<(Digest, usize)>
where
    S::Content: 'a,
{
    let (mut parts, mut file_count) = (Parts::default(), 0);
    for source in sources {
        // A directory's own name and attributes are not copied, only what is in it.
        let directory = source.node.is_directory();
        let (mut count, mut linked) = (0_u64, HashMap::new());
        parts.put(if directory { b"directory" } else { b"file" });
        // Paths begin with a slash, but where they begin at the root of the tree.
        let (mut paths, above) = (Paths::default(), source.node.path().as_bytes().len());
        for node in source.walk(files.tree()).skip(usize::from(directory)) {
            parts.put(if directory { &paths.of(node)[above..] } else { &source.name });
            file_count += usize::from(is_file(node));
            if node.is_linked() {
                let first = *linked.entry(node.inode_id()).or_insert(count);
                if first != count {
                    parts.put(b"link");
                    parts.put(&first.to_le_bytes());
                    continue;
                }
            }
            count += 1;
            put_node(&mut parts, files, node)?;
        }
        parts.put(b"end");
    }
    Ok((parts.finish(), file_count))
}

/// Hashes parts, each behind its length.
#[derive(Default)]
struct Parts {
    hasher: ThreadedHasher,
    /// What is hashed next: the hasher is quicker with much at once.
    next: Vec<u8>,
}

impl Parts {
    fn put(&mut self, part: &[u8]) {
        self.next.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.next.extend_from_slice(part);
        if self.next.len() >= 16 << 10 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.hasher.update(&self.next);
        self.next.clear();
    }

    fn finish(mut self) -> Digest {
        self.flush();
        self.hasher.finish()
    }
}

/// The paths of names in the order of a walk, in which a directory comes before what is in it.
#[derive(Default)]
struct Paths {
    path: Vec<u8>,
    /// The directories of the path, each with the length of its own path.
    above: Vec<(NodeId, usize)>,
}

impl Paths {
    /// The path of the next name.
    fn of<C>(&mut self, node: NodeRef<'_, C>) -> &[u8] {
        let parent = node.parent();
        while self.above.last().is_some_and(|(id, _)| *id != parent.id()) {
            self.above.pop();
        }
        match self.above.last() {
            Some((_, length)) => self.path.truncate(*length),
            None => {
                self.path = parent.path().as_bytes().to_vec();
                self.above.push((parent.id(), self.path.len()));
            }
        }
        if !(self.path.is_empty() || node.name().is_empty()) {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(node.name());
        if node.is_directory() && node.id() != parent.id() {
            self.above.push((node.id(), self.path.len()));
        }
        &self.path
    }
}

/// The regular files at and below the sources, each under all its names, in order of paths.
pub(crate) fn fingerprints<'s, 'a: 's, S: SourceFiles>(
    files: &'a S,
    sources: impl Iterator<Item = &'s Selected<'a, S::Content>>,
) -> Result<Vec<FileFingerprint>>
where
    S::Content: 'a,
{
    let mut found = Vec::new();
    for source in sources {
        let mut paths = Paths::default();
        for node in source.walk(files.tree()) {
            let path = paths.of(node);
            if is_file(node) {
                found.push(FileFingerprint::new(path.to_vec(), files.facts(node)?.sha256));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// How many names of regular files are at and below the sources.
pub(crate) fn file_count<'s, 'a: 's, C: 'a>(
    tree: &'a FileTree<C>,
    sources: impl Iterator<Item = &'s Selected<'a, C>> + Clone,
) -> usize {
    once_each(tree, sources).filter(|node| is_file(*node)).count()
}

fn is_file<C>(node: NodeRef<'_, C>) -> bool {
    matches!(node.kind(), EntryKind::File { .. })
}

/// Tells of every file that the digest covers, and of the links by which sources name them, once, in canonical order of
/// paths.
pub(crate) fn list<'s, 'a: 's, S: SourceFiles>(
    files: &'a S,
    sources: impl Iterator<Item = &'s Selected<'a, S::Content>> + Clone,
    visit: &mut dyn FnMut(&ListedFile) -> Result<()>,
) -> Result<()>
where
    S::Content: 'a,
{
    let (mut paths, mut linked) = (Paths::default(), HashMap::new());
    let tree = files.tree();
    let links = sources.clone().filter_map(|source| Some((source.through.clone()?, source.node.path())));
    let links: BTreeMap<LayerPath, LayerPath> = links.collect();
    let (mut links, has_links) = (links.iter().peekable(), !links.is_empty());
    for node in once_each(tree, sources) {
        let here = has_links.then(|| node.path());
        while let Some((link, target)) = links.next_if(|(link, _)| here.as_ref().is_some_and(|here| *link <= here)) {
            // One that is taken itself is listed as what it is.
            if here.as_ref() != Some(link) {
                visit(&listed_link(link, target))?;
            }
        }
        let mut file = listed(files, node, paths.of(node).to_vec())?;
        let id = node.id();
        let first = if node.is_linked() { *linked.entry(node.inode_id()).or_insert(id) } else { id };
        if first != id {
            file.kind = b'h';
            file.content = beginning(&sha256(tree.node(first).path().as_bytes()));
        }
        visit(&file)?;
    }
    links.try_for_each(|(link, target)| visit(&listed_link(link, target)))
}

/// A link by which a source names what is taken.
fn listed_link(link: &LayerPath, target: &LayerPath) -> ListedFile {
    ListedFile {
        path: link.as_bytes().to_vec(),
        kind: b'l',
        mode: 0o777,
        owner: (0, 0),
        content: beginning(&sha256(target.as_bytes())),
        attributes: [0; 4],
    }
}

/// What the sources are made of, each name once, in canonical order.
fn once_each<'s, 'a: 's, C>(
    tree: &'a FileTree<C>,
    sources: impl Iterator<Item = &'s Selected<'a, C>> + Clone,
) -> Box<dyn Iterator<Item = NodeRef<'a, C>> + 'a> {
    let below = |source: &Selected<'a, C>| usize::from(source.node.is_directory());
    if sources.clone().any(|source| source.only.is_some()) {
        let names = sources.flat_map(|source| source.walk(tree).skip(below(source)));
        let names: HashSet<NodeId> = names.map(NodeRef::id).collect();
        return Box::new(tree.walk(tree.root()).filter(move |node| names.contains(&node.id())));
    }
    let mut roots: Vec<_> = sources.map(|source| (source.node.path(), source.node, below(source))).collect();
    roots.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    // What is in another one comes with that.
    roots.dedup_by(|(path, ..), (before, ..)| path.starts_with(before));
    Box::new(roots.into_iter().flat_map(move |(_, node, below)| tree.walk(node).skip(below)))
}

fn listed<S: SourceFiles>(files: &S, node: NodeRef<'_, S::Content>, path: Vec<u8>) -> Result<ListedFile> {
    let metadata = node.attributes();
    let (kind, content, xattrs) = match node.kind() {
        EntryKind::File { .. } => {
            let facts = files.facts(node)?;
            match facts.holes {
                Some(holes) => (b's', sha256(&[holes, facts.sha256].concat()), facts.xattrs),
                None => (b'f', facts.sha256, facts.xattrs),
            }
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
        path,
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

fn put_node<S: SourceFiles>(parts: &mut Parts, files: &S, node: NodeRef<'_, S::Content>) -> Result<()> {
    let metadata = node.attributes();
    parts.put(&metadata.mode.to_le_bytes());
    if files.keeps_owner() {
        parts.put(&metadata.uid.to_le_bytes());
        parts.put(&metadata.gid.to_le_bytes());
    }
    match node.kind() {
        EntryKind::Directory => parts.put(b"d"),
        EntryKind::Symlink { target } => {
            parts.put(b"l");
            parts.put(target);
        }
        EntryKind::File { .. } => {
            let facts = files.facts(node)?;
            match &facts.holes {
                Some(holes) => {
                    parts.put(b"s");
                    parts.put(holes);
                }
                None => parts.put(b"f"),
            }
            parts.put(&facts.size.to_le_bytes());
            parts.put(&facts.sha256);
            put_xattrs(parts, facts.xattrs.as_deref().unwrap_or(&Xattrs::new()));
        }
        EntryKind::CharDevice { major, minor } => put_device(parts, b"c", *major, *minor),
        EntryKind::BlockDevice { major, minor } => put_device(parts, b"b", *major, *minor),
        EntryKind::Fifo => parts.put(b"p"),
        EntryKind::HardLink { target } => {
            parts.put(b"h");
            parts.put(target.as_bytes());
        }
    }
    put_xattrs(parts, &metadata.xattrs);
    Ok(())
}

fn put_device(parts: &mut Parts, tag: &[u8], major: u32, minor: u32) {
    parts.put(tag);
    parts.put(&major.to_le_bytes());
    parts.put(&minor.to_le_bytes());
}

fn put_xattrs(parts: &mut Parts, xattrs: &Xattrs) {
    parts.put(&(xattrs.len() as u64).to_le_bytes());
    for (name, value) in xattrs {
        parts.put(name);
        parts.put(value);
    }
}
