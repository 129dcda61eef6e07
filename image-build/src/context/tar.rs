//! A build context that comes as an archive: `docker build - < context.tar`.

use std::{fmt, io::Read, path::PathBuf};

use image_core::Ctx;
use image_overlay::{
    Contents, Entry, EntryKind, FileTree, Follow, InodeId, LayerBlob, LayerContent, LayerPath, Limits, NodeRef,
};

use super::given::{ContextSource, SourceEntry, place};
use crate::{
    effect::archive::{decompress, spool},
    error::{Error, Result},
    state::BuildState,
};

/// The files of a tar stream, as a context.
///
/// The stream is read once, to its end, and kept without its compression in a nameless file of the state directory, which is gone
/// with this value, whatever ends the process. Nothing is unpacked: files are read where they lie in it, so that no name and no link
/// in it leads anywhere.
///
/// ```
/// use image_build::{BuildContext, BuildState, Dockerfile, Ignore, TarContext};
/// use image_core::Ctx;
/// use image_overlay::{Entry, EntryKind, LayerPath, Limits, Metadata, TarWriter};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let mut tar = TarWriter::new(Vec::new());
/// # let path = LayerPath::parse(b"Dockerfile")?;
/// # tar.append(&Entry::new(path, EntryKind::File { size: 13 }, Metadata::new(0o644)), &mut &b"FROM scratch\n"[..])?;
/// # let stdin = &tar.finish()?[..];
/// let state = BuildState::open(dir.path())?;
/// let files = TarContext::read(stdin, &state, &Limits::default(), &Ctx::default())?;
/// let dockerfile = Dockerfile::open_in(&files, "Dockerfile")?;
/// let ignore = Ignore::of_source(&files, "Dockerfile")?;
/// let context = BuildContext::from_source(files, ignore);
/// assert_eq!(dockerfile.instructions().len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct TarContext {
    name: String,
    layer: [LayerBlob; 1],
    tree: FileTree<LayerContent>,
    temporary: PathBuf,
}

impl fmt::Debug for TarContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarContext").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TarContext {
    /// Reads a stream to its end: plain, or compressed by gzip or zstd, or by bzip2 or xz where those features are on.
    ///
    /// Of two entries of one path the later counts. [`Limits::layer_bytes`] bounds the file that is kept.
    ///
    /// # Errors
    /// [`Error::Archive`] for what is no archive, or one with names that lead out of it, links to nothing, or files
    /// below what is no directory; a stream that is larger than `limits`; a full disk; [`Error::is_cancelled`].
    pub fn read(stream: impl Read, state: &BuildState, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        let name = String::from("the context archive");
        let temporary = state.temporary().to_owned();
        let read = || {
            let (layer, toc) = spool(decompress(stream)?, &temporary, limits, ctx)?;
            let mut tree = FileTree::new();
            for entry in toc.entries() {
                ctx.check()?;
                place(&mut tree, entry.entry, entry.content.map(|content| LayerContent::new(0, content)))?;
            }
            Ok((layer, tree))
        };
        let (layer, tree) = read().map_err(|error: Error| error.in_archive(&name))?;
        Ok(Self { name, layer: [layer], tree, temporary })
    }

    /// Under another name in progress and errors.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    fn entry(&self, node: NodeRef<'_, LayerContent>, first: Option<&LayerPath>) -> SourceEntry {
        let kind = match first {
            Some(target) => EntryKind::HardLink { target: target.clone() },
            None => node.kind().clone(),
        };
        let entry = SourceEntry::new(Entry::new(node.path(), kind, node.metadata()));
        match node.content() {
            // Of a file with holes, the digest is that of its data alone.
            Some(LayerContent { content, .. }) if first.is_none() && content.sparse.is_none() => {
                entry.with_sha256(content.sha256)
            }
            _ => entry,
        }
    }
}

impl ContextSource for TarContext {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn list(&self, found: &mut dyn FnMut(SourceEntry) -> Result<()>, ctx: &Ctx) -> Result<()> {
        let mut names = std::collections::HashMap::<InodeId, LayerPath>::new();
        for node in self.tree.walk(self.tree.root()) {
            ctx.check()?;
            let first = names.get(&node.inode_id());
            found(self.entry(node, first))?;
            if first.is_none() && !node.is_directory() {
                names.insert(node.inode_id(), node.path());
            }
        }
        Ok(())
    }

    fn open(&self, path: &LayerPath) -> Result<Option<Box<dyn Read + Send>>> {
        let node = self.tree.lookup(path.as_bytes(), Follow::Last)?;
        let Some(file) = node.and_then(NodeRef::content) else { return Ok(None) };
        let contents = Contents::fetch(&self.layer, [file], &self.temporary, &Ctx::default())?;
        Ok(Some(Box::new(contents.open(file)?)))
    }
}
