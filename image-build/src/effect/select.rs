//! Which files of a source tree a COPY means.

use std::collections::HashSet;

use image_overlay::{EntryKind, FileTree, Follow, LayerPath, NodeId, NodeRef};

use crate::{
    error::{Error, Result, excerpt},
    files::SourceFiles,
    ignore::{Ignore, Verdict},
    pattern,
    suggest::nearest,
};

/// What else than its sources decides what a COPY takes.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// `--parents`: the directories of a source's path are kept.
    pub(crate) parents: bool,
    /// `--exclude`: what is left out.
    pub(crate) exclude: Ignore,
}

impl Choice {
    /// Whether all of a tree is wanted by sources of which these are some.
    pub(crate) fn wants_all<'s>(&self, mut sources: impl Iterator<Item = &'s str>) -> bool {
        !self.parents && self.exclude.is_empty() && sources.any(|source| clean(source.as_bytes()).is_empty())
    }
}

/// One source of a COPY, found in its tree.
pub(crate) struct Selected<'a, C> {
    /// The last component of the path as it was asked for, which names a file in its new place.
    pub(crate) name: Vec<u8>,
    /// The file, or the directory whose children are meant.
    pub(crate) node: NodeRef<'a, C>,
    /// The path as it was asked for, where links lead from there to the file.
    pub(super) through: Option<LayerPath>,
    /// What of a directory is meant; all of it where this is `None`.
    pub(super) only: Option<HashSet<NodeId>>,
}

impl<'a, C> Selected<'a, C> {
    /// A file under a name, or all that is in a directory.
    pub(crate) fn new(name: &[u8], node: NodeRef<'a, C>) -> Self {
        Self { name: name.to_vec(), node, through: None, only: None }
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
    follow(files, path, &clean(path.as_bytes()))
}

fn named<'a, S: SourceFiles>(files: &'a S, source: &[u8]) -> Result<Vec<Selected<'a, S::Content>>> {
    let path = clean(source);
    if pattern::has_wildcard(&path) {
        return pattern::expand(files.tree(), &path)?
            .into_iter()
            .map(|path| follow(files, &String::from_utf8_lossy(&path), &path))
            .collect();
    }
    Ok(vec![follow(files, &String::from_utf8_lossy(source), &path)?])
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
    let missing = || missing(files, source, &clean(source.as_bytes()), true);
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

/// What is at a path, which was asked for as `source`.
fn follow<'a, S: SourceFiles>(files: &'a S, source: &str, path: &[u8]) -> Result<Selected<'a, S::Content>> {
    let node = files.tree().lookup(path, Follow::Last)?;
    let node = node.ok_or_else(|| missing(files, source, path, false))?;
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    let through = LayerPath::parse(path).ok().filter(|asked| *asked != node.path());
    Ok(Selected { name, node, through, only: None })
}

/// The error that a source is not there: with what keeps it out, where its link leads, or what may have been meant.
fn missing<S: SourceFiles>(files: &S, source: &str, path: &[u8], parents: bool) -> Error {
    let hint = if !path.is_empty() && files.is_ignored(path) {
        String::from("the ignore file leaves it out")
    } else if let Some(target) = link_on_the_way(files.tree(), path) {
        if parents {
            format!("the link there, to {target}, is not followed by --parents")
        } else {
            format!("the link there leads to {target}, which is looked up in {} too", files.name())
        }
    } else {
        likely(files.tree(), path).map(|path| format!("did you mean {path}?")).unwrap_or_default()
    };
    Error::SourceNotFound { path: excerpt(source, 256), tree: files.name().into(), hint }
}

/// What the first symlink on a path points at, escaped.
fn link_on_the_way<C>(tree: &FileTree<C>, path: &[u8]) -> Option<String> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end).chain([path.len()]);
    ends.into_iter().find_map(|end| match tree.lookup(&path[..end], Follow::NotLast).ok()??.kind() {
        EntryKind::Symlink { target } => Some(excerpt(&String::from_utf8_lossy(target), 256)),
        _ => None,
    })
}

/// A path in the same directory whose name is nearly this one's, escaped.
fn likely<C>(tree: &FileTree<C>, path: &[u8]) -> Option<String> {
    let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..=slash], &path[slash + 1..]),
        None => (&path[..0], path),
    };
    let names = tree.lookup(directory, Follow::Last).ok()??.children();
    let names: Vec<&str> = names.filter_map(|node| std::str::from_utf8(node.name()).ok()).collect();
    let near = nearest(std::str::from_utf8(name).ok()?, names)?;
    Some(excerpt(&format!("{}{near}", String::from_utf8_lossy(directory)), 256))
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

/// The regular files at and below the sources, under each of their names.
///
/// Devices and fifos of a context are this machine's, and reading them may never end: they are refused.
pub(crate) fn regular_files<'s, 'a: 's, S: SourceFiles>(
    files: &'a S,
    sources: impl Iterator<Item = &'s Selected<'a, S::Content>>,
) -> Result<Vec<NodeRef<'a, S::Content>>>
where
    S::Content: 'a,
{
    let mut found = Vec::new();
    for node in sources.flat_map(|source| source.walk(files.tree())) {
        match node.kind() {
            EntryKind::File { .. } => found.push(node),
            EntryKind::Fifo | EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } if !files.keeps_owner() => {
                return Err(Error::SpecialFile { path: node.path().to_string(), tree: files.name().into() });
            }
            _ => {}
        }
    }
    Ok(found)
}
