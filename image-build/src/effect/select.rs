//! Which files of a source tree a COPY means.

use std::collections::{HashMap, HashSet};

use image_core::{
    Digest,
    hasher::{Hasher, Sha256},
};
use image_overlay::{EntryKind, FileTree, Follow, NodeId, NodeRef};

use crate::{
    cache::files::ListedFile,
    error::{Error, Result, excerpt},
    files::{SourceFiles, Xattrs},
    ignore::{Ignore, Verdict},
    pattern,
};

/// What else than its sources decides what a COPY takes.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// `--parents`: the directories of a source's path are kept.
    pub(crate) parents: bool,
    /// `--exclude`: what is left out.
    pub(crate) exclude: Ignore,
}

/// One source of a COPY, found in its tree.
pub(crate) struct Selected<'a, C> {
    /// The last component of the path as it was asked for, which names a file in its new place.
    pub(crate) name: Vec<u8>,
    /// The file, or the directory whose children are meant.
    pub(crate) node: NodeRef<'a, C>,
    /// What of a directory is meant; all of it where this is `None`.
    only: Option<HashSet<NodeId>>,
}

impl<'a, C> Selected<'a, C> {
    /// A file under a name, or all that is in a directory.
    pub(crate) fn new(name: &[u8], node: NodeRef<'a, C>) -> Self {
        Self { name: name.to_vec(), node, only: None }
    }

    /// The directory's own children of these, in order.
    pub(crate) fn children(&self, directory: NodeRef<'a, C>) -> impl Iterator<Item = NodeRef<'a, C>> {
        directory.children().filter(|node| self.has(*node))
    }

    /// The file, or the directory and what of it is meant.
    pub(crate) fn walk(&self, tree: &'a FileTree<C>) -> impl Iterator<Item = NodeRef<'a, C>> {
        let root = self.node.id();
        tree.walk(self.node).filter(move |node| node.id() == root || self.has(*node))
    }

    fn has(&self, node: NodeRef<'_, C>) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&node.id()))
    }
}

/// What one source argument selects; nothing where a wildcard matches nothing.
///
/// A source path is taken below the root of the tree, whatever `..` and links it holds; a symlink
/// named as the source itself is followed, those inside a copied directory are not.
///
/// # Spec
/// Dockerfile reference, § COPY, source, § COPY --parents and § COPY --exclude.
pub(crate) fn select<'a, S: SourceFiles>(
    files: &'a S,
    source: &str,
    choice: &Choice,
) -> Result<Vec<Selected<'a, S::Content>>> {
    if choice.parents {
        return with_parents(files, source, choice);
    }
    let mut found = named(files, source.as_bytes())?;
    if !choice.exclude.is_empty() {
        // A file that the source itself names is known by its name alone.
        found.retain(|source| source.node.is_directory() || !choice.exclude.matches(&source.name));
        for source in &mut found {
            source.only = Some(chosen(source.node, None, &choice.exclude).nodes);
        }
    }
    Ok(found)
}

/// What is at exactly this path below the root, whatever characters it holds.
pub(crate) fn exact<'a, S: SourceFiles>(files: &'a S, path: &str) -> Result<Selected<'a, S::Content>> {
    follow(files, &clean(path.as_bytes()))
}

fn named<'a, S: SourceFiles>(files: &'a S, source: &[u8]) -> Result<Vec<Selected<'a, S::Content>>> {
    let path = clean(source);
    if pattern::has_wildcard(&path) {
        return pattern::expand(files.tree(), &path)?.into_iter().map(|path| follow(files, &path)).collect();
    }
    Ok(vec![follow(files, &path)?])
}

/// With `--parents`, a source is a pattern of paths below the root or below what stands before `/./`.
/// It is one of `.dockerignore`'s kind: `**` is any number of directories, and what is in a
/// directory that matches is meant too.
fn with_parents<'a, S: SourceFiles>(
    files: &'a S,
    source: &str,
    choice: &Choice,
) -> Result<Vec<Selected<'a, S::Content>>> {
    let (pivot, path) = source.split_once("/./").unwrap_or(("", source));
    let path = clean(path.as_bytes());
    let mut wanted = Ignore::default();
    wanted.push(&path).map_err(|_| Error::InvalidSource { pattern: excerpt(source, 256) })?;
    let wanted = Some(&wanted).filter(|_| !path.is_empty());
    let is_plain = !pattern::has_wildcard(source.as_bytes());
    let missing = || Error::SourceNotFound { path: excerpt(source, 256), tree: files.name().into() };
    let mut found = Vec::new();
    for mut root in named(files, pivot.as_bytes())? {
        let chosen = chosen(root.node, wanted, &choice.exclude);
        if is_plain && !(root.node.is_directory() && chosen.matched) {
            return Err(missing());
        }
        if !chosen.nodes.is_empty() {
            root.only = Some(chosen.nodes);
            found.push(root);
        }
    }
    Ok(found)
}

/// What patterns choose of a directory.
struct Chosen {
    /// The names, with the directories that they are in.
    nodes: HashSet<NodeId>,
    /// Whether anything is wanted, be it left out again or not.
    matched: bool,
}

/// Chooses what is below a directory, by its path from there: what is `wanted`, if that is given, and is
/// not left out.
fn chosen<C>(root: NodeRef<'_, C>, wanted: Option<&Ignore>, exclude: &Ignore) -> Chosen {
    let mut chosen = Chosen { nodes: HashSet::new(), matched: wanted.is_none() };
    let mut todo = vec![(root, Vec::new(), Verdict::default(), Verdict::default())];
    while let Some((directory, path, include, skip)) = todo.pop() {
        for node in directory.children() {
            let mut path = path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(node.name());
            let skip = exclude.verdict(skip, &path);
            let include = wanted.map_or_else(Verdict::default, |wanted| wanted.verdict(include, &path));
            let is_wanted = wanted.is_none() || include.is_excluded();
            chosen.matched |= is_wanted;
            if is_wanted && !skip.is_excluded() {
                let ancestors = std::iter::successors(Some(node), |node| Some(node.parent()));
                for node in ancestors.take_while(|node| node.id() != root.id()) {
                    if !chosen.nodes.insert(node.id()) {
                        break;
                    }
                }
            }
            if node.is_directory() && !(is_wanted && exclude.may_skip(skip, &path)) {
                todo.push((node, path, include, skip));
            }
        }
    }
    chosen
}

fn follow<'a, S: SourceFiles>(files: &'a S, path: &[u8]) -> Result<Selected<'a, S::Content>> {
    let node = files.tree().lookup(path, Follow::Last)?;
    let node = node.ok_or_else(|| Error::SourceNotFound {
        path: excerpt(&String::from_utf8_lossy(path), 256),
        tree: files.name().into(),
    })?;
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    Ok(Selected { name, node, only: None })
}

/// The path without leading slashes, `.`, and `..` that would lead above the root.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
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
pub(crate) fn regular_files<'s, 'a: 's, C>(
    tree: &'a FileTree<C>,
    sources: impl Iterator<Item = &'s Selected<'a, C>>,
) -> Vec<NodeRef<'a, C>> {
    let mut files: Vec<_> = sources
        .flat_map(|source| source.walk(tree))
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
pub(crate) fn digest<'s, 'a: 's, S: SourceFiles>(
    files: &'a S,
    sources: impl Iterator<Item = &'s Selected<'a, S::Content>>,
) -> Result<Digest>
where
    S::Content: 'a,
{
    let mut hasher = Hasher::sha256();
    for source in sources {
        // A directory's own name and attributes are not copied, only what is in it.
        let directory = source.node.is_directory();
        let mut inodes = HashMap::new();
        put(&mut hasher, if directory { b"directory" } else { b"file" });
        let above = source.node.path().as_bytes().len();
        for node in source.walk(files.tree()).skip(usize::from(directory)) {
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
pub(crate) fn list<'s, 'a: 's, S: SourceFiles>(
    files: &'a S,
    sources: impl Iterator<Item = &'s Selected<'a, S::Content>> + Clone,
    visit: &mut dyn FnMut(&ListedFile) -> Result<()>,
) -> Result<()>
where
    S::Content: 'a,
{
    let mut inodes = HashMap::new();
    let tree = files.tree();
    for node in once_each(tree, sources) {
        let id = node.id();
        let first = *inodes.entry(node.inode_id()).or_insert(id);
        let mut file = listed(files, node)?;
        if first != id {
            file.kind = b'h';
            file.content = beginning(&sha256(tree.node(first).path().as_bytes()));
        }
        visit(&file)?;
    }
    Ok(())
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
