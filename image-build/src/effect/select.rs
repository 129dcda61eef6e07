//! Which files of a source tree a COPY means.

use std::collections::HashSet;

use image_core::{Digest, hasher::Sha256};
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

/// The regular files at and below the sources, once for each, in the order in which their tree got them: those of a
/// directory are together.
pub(crate) fn regular_files<'s, 'a: 's, C>(
    tree: &'a FileTree<C>,
    sources: impl Iterator<Item = &'s Selected<'a, C>>,
) -> Vec<NodeRef<'a, C>> {
    let mut by_inode = Vec::new();
    for source in sources {
        for node in source.walk(tree).filter(|node| matches!(node.kind(), EntryKind::File { .. })) {
            let place = node.inode_id().index();
            if by_inode.len() <= place {
                by_inode.resize(place + 1, None);
            }
            by_inode[place].get_or_insert(node);
        }
    }
    by_inode.into_iter().flatten().collect()
}

/// The names of regular files at and below the sources, each with its path, as often as it is selected.
pub(crate) fn file_names<'s, 'a: 's, C: 'a>(
    tree: &'a FileTree<C>,
    sources: impl Iterator<Item = &'s Selected<'a, C>>,
) -> Vec<(NodeRef<'a, C>, Vec<u8>)> {
    let mut names = Vec::new();
    for source in sources {
        let mut paths = Paths::default();
        for node in source.walk(tree) {
            let path = paths.of(node);
            if matches!(node.kind(), EntryKind::File { .. }) {
                names.push((node, path.to_vec()));
            }
        }
    }
    names
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
    let mut parts = Parts::default();
    for source in sources {
        // A directory's own name and attributes are not copied, only what is in it.
        let directory = source.node.is_directory();
        let mut numbers = Numbers::default();
        parts.put(if directory { b"directory" } else { b"file" });
        // Paths begin with a slash, but where they begin at the root of the tree.
        let (mut paths, above) = (Paths::default(), source.node.path().as_bytes().len());
        for node in source.walk(files.tree()).skip(usize::from(directory)) {
            parts.put(if directory { &paths.of(node)[above..] } else { &source.name });
            if let Some(first) = numbers.number(node)
                && !node.is_directory()
            {
                parts.put(b"link");
                parts.put(&first.to_le_bytes());
                continue;
            }
            put_node(&mut parts, files, node)?;
        }
        parts.put(b"end");
    }
    Ok(parts.finish())
}

/// Numbers files in the order in which their first names come.
#[derive(Default)]
struct Numbers {
    /// By inode, and one more than they are.
    numbers: Vec<u64>,
    count: u64,
}

impl Numbers {
    /// The number of a file that came before; a new one gets the next.
    fn number<C>(&mut self, node: NodeRef<'_, C>) -> Option<u64> {
        let place = node.inode_id().index();
        if self.numbers.len() <= place {
            self.numbers.resize(place + 1, 0);
        }
        let number = &mut self.numbers[place];
        if *number > 0 {
            return Some(*number - 1);
        }
        self.count += 1;
        *number = self.count;
        None
    }
}

/// Hashes parts, each behind its length.
#[derive(Default)]
struct Parts {
    hasher: Sha256,
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
        Digest::from_sha256(self.hasher.finish())
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

/// Tells of every file that the digest covers, once, in canonical order of paths.
pub(crate) fn list<'s, 'a: 's, S: SourceFiles>(
    files: &'a S,
    sources: impl Iterator<Item = &'s Selected<'a, S::Content>> + Clone,
    visit: &mut dyn FnMut(&ListedFile) -> Result<()>,
) -> Result<()>
where
    S::Content: 'a,
{
    let tree = files.tree();
    let (mut paths, mut numbers, mut firsts) = (Paths::default(), Numbers::default(), Vec::new());
    for node in once_each(tree, sources) {
        let mut file = listed(files, node, paths.of(node).to_vec())?;
        match numbers.number(node) {
            None => firsts.push(node),
            Some(number) => {
                let first = usize::try_from(number).ok().and_then(|number| firsts.get(number)).unwrap_or(&node);
                file.kind = b'h';
                file.content = beginning(&sha256(first.path().as_bytes()));
            }
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
