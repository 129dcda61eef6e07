//! What is in an archive, and where it goes.

use std::{
    collections::HashSet,
    io::{self, Read},
};

use image_core::Ctx;
use image_overlay::{
    Contents, EntryKind, Follow, ImageTree, LayerBlob, LayerContent, LayerPath, LayerToc, Limits, NodeId, NodeRef,
    Whiteout, XattrClass,
};

use super::{decode::decompress, spool::spool};
use crate::{
    effect::{
        part::{Opener, Original, Part},
        place::{Copied, Item, Placement, Standing},
    },
    error::{Error, Result},
    files::FileFacts,
    state::BuildState,
};

/// How many symlinks of the image an archive's paths lead through before that is an error.
const MAX_SYMLINKS: usize = 40;

/// The files of an archive, to be unpacked.
pub(crate) struct ArchivePart {
    name: String,
    layer: [LayerBlob; 1],
    tree: ImageTree,
    /// The directories that the archive names itself.
    named: HashSet<NodeId>,
}

impl ArchivePart {
    /// Reads an archive; errors call it by its name.
    pub(crate) fn read(name: &str, archive: impl Read, state: &BuildState, ctx: &Ctx) -> Result<Self> {
        let unpack = || {
            let (layer, toc) = spool(decompress(archive)?, state.temporary(), &Limits::default(), ctx)?;
            refuse_markers(&toc)?;
            let tree = ImageTree::of_layers([&toc])?;
            let mut named = HashSet::new();
            for directory in toc.entries().filter(|entry| entry.entry.kind.is_directory()) {
                named.extend(tree.lookup(directory.entry.path.as_bytes(), Follow::NotLast)?.map(NodeRef::id));
            }
            Ok(Self { name: name.to_owned(), layer: [layer], tree, named })
        };
        unpack().map_err(|error: Error| error.in_archive(name))
    }

    /// The kind of a file in the layer, which holds no marker.
    fn item(&self, number: usize, node: NodeRef<'_, LayerContent>) -> Item {
        if node.is_directory() && !self.named.contains(&node.id()) {
            return Item::Implied;
        }
        Item::Copied(Copied::new(number, 0, node))
    }

    /// Where a directory that the archive has goes. It replaces what is no directory, but for one that the
    /// archive only implies: that is found through links of the image that stay below the destination.
    fn directory(
        &self,
        number: usize,
        node: NodeRef<'_, LayerContent>,
        path: LayerPath,
        base: &LayerPath,
        placement: &mut Placement<'_>,
    ) -> Result<LayerPath> {
        let item = self.item(number, node);
        let path = if matches!(item, Item::Implied) { beneath(placement.root(), base, &path)? } else { path };
        match (placement.standing(&path), &item) {
            (Standing::Directory, Item::Implied) => placement.directory(&path)?,
            (Standing::Other, Item::Implied) => {
                return Err(Error::destination(&path, "the archive has files below it, but it is no directory"));
            }
            _ => {
                placement.directory(&path.parent().unwrap_or_default())?;
                placement.replace(&path, item);
            }
        }
        Ok(path)
    }
}

/// A layer hides by names, and nobody who unpacks an archive asks for that.
fn refuse_markers(toc: &LayerToc) -> Result<()> {
    for entry in toc.entries() {
        let path = &entry.entry.path;
        if Whiteout::classify(path)?.is_some() {
            let reason = "layers keep names that begin with .wh. for what they hide, so it cannot be unpacked";
            return Err(Error::Destination { path: path.to_string(), reason });
        }
        if entry.entry.kind == (EntryKind::CharDevice { major: 0, minor: 0 }) {
            let reason = "a character device 0:0 hides files where layers are mounted, so it cannot be unpacked";
            return Err(Error::Destination { path: path.to_string(), reason });
        }
    }
    Ok(())
}

/// Where a path below `base` leads, links followed as if `base` were the root.
fn beneath(root: &ImageTree, base: &LayerPath, path: &LayerPath) -> Result<LayerPath> {
    let below = |path: &LayerPath| path.components().skip(base.components().count()).map(<[u8]>::to_vec).collect();
    let mut todo: Vec<Vec<u8>> = below(path);
    todo.reverse();
    let mut here: Vec<Vec<u8>> = Vec::new();
    let mut hops = 0;
    while let Some(name) = todo.pop() {
        match &*name {
            b"" | b"." => continue,
            b".." => {
                here.pop();
                continue;
            }
            _ => here.push(name),
        }
        let reached = base.join(&here.join(&b'/'))?;
        let Some(EntryKind::Symlink { target }) = root.get(&reached).map(NodeRef::kind) else { continue };
        hops += 1;
        if hops > MAX_SYMLINKS {
            return Err(Error::destination(path, "too many links on the way"));
        }
        here.pop();
        if target.starts_with(b"/") {
            here.clear();
        }
        todo.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
    }
    Ok(base.join(&here.join(&b'/'))?)
}

impl Part for ArchivePart {
    fn len(&self) -> usize {
        1
    }

    /// # Spec
    /// Dockerfile reference, § ADD: as `tar -x` in the destination, which is a directory.
    fn place(&self, number: usize, target: &str, _: bool, placement: &mut Placement<'_>) -> Result<()> {
        let base = placement.resolve(target)?;
        placement.directory(&base)?;
        let mut todo = vec![(self.tree.root(), base.clone())];
        while let Some((directory, path)) = todo.pop() {
            for child in directory.children() {
                let path = path.join(child.name())?;
                if child.is_directory() {
                    let path = self.directory(number, child, path, &base, placement)?;
                    todo.push((child, path));
                } else {
                    placement.replace(&path, self.item(number, child));
                }
            }
        }
        Ok(())
    }

    fn original(&self, node: NodeId) -> Result<Original> {
        let node = self.tree.node(node);
        let mut metadata = node.metadata();
        metadata.xattrs.retain(|name, _| XattrClass::of(name) == XattrClass::Content);
        let facts = node.content().map(|file| FileFacts::of_content(&file.content));
        Ok(Original { kind: node.kind().clone(), metadata, facts })
    }

    fn fetch<'p>(&'p self, wanted: &[NodeId], state: &BuildState, ctx: &Ctx) -> Result<Box<dyn Opener + 'p>> {
        let files = wanted.iter().filter_map(|node| self.tree.node(*node).content());
        let contents = Contents::fetch(&self.layer, files, state.temporary(), ctx)?;
        Ok(Box::new(OpenArchive { tree: &self.tree, contents }))
    }

    fn path(&self, node: NodeId) -> String {
        format!("{} of {}", self.tree.node(node).path(), self.name)
    }

    fn takes_mode(&self) -> bool {
        false
    }
}

struct OpenArchive<'a> {
    tree: &'a ImageTree,
    contents: Contents<'a>,
}

impl Opener for OpenArchive<'_> {
    fn open(&self, node: NodeId) -> Result<Box<dyn Read>> {
        match self.tree.node(node).content() {
            Some(file) => Ok(Box::new(self.contents.open(file)?)),
            None => Ok(Box::new(io::empty())),
        }
    }
}
