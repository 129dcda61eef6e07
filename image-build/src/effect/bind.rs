//! Files that a command sees for the time of its run: copies of what a mount takes of a context, a stage or an image.

use std::{
    collections::HashMap,
    error, fs,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    thread,
};

use image_core::{Ctx, Digest, hasher::Sha256};
use image_overlay::{ApplyOptions, Entry, EntryKind, LayerPath, NodeRef, Root, TarWriter, Whiteout, apply_layer};

use super::{
    copy::{Run, Selection},
    part::{Original, Part},
};
use crate::{
    error::{Error, Result},
    files::SourceFiles,
    miss::Listing,
    state::BuildState,
};

/// The name of the directory that a mount shows, or that holds the file.
const TREE: &str = "tree";

/// The name of the file there that a mount shows: none of the input's names becomes one of this machine.
const FILE: &str = "file";

/// What a mount takes of a tree, whatever the tree knows of its files.
pub(crate) trait Bound {
    /// The digest of all of it.
    fn digest(&self) -> Result<Digest>;

    /// The files, to be told apart from those of another time.
    fn listing(&self) -> &dyn Listing;

    /// The name of the tree, for people.
    fn tree_name(&self) -> &str;

    /// Copies it below a directory, which is empty, and tells where it is: a file, or a directory.
    fn copy_out(&self, directory: &Path, state: &BuildState, ctx: &Ctx) -> Result<PathBuf>;
}

/// A file or a directory of a tree.
pub(crate) struct Piece<'a, S: SourceFiles> {
    files: &'a S,
    selection: Selection<'a, S>,
}

impl<'a, S: SourceFiles> Piece<'a, S> {
    /// What is at a path, links being followed inside the tree.
    pub(crate) fn new(files: &'a S, path: &str, ctx: &Ctx) -> Result<Self> {
        Ok(Self { files, selection: Selection::exact(files, path, ctx)? })
    }
}

impl<S: SourceFiles> Bound for Piece<'_, S> {
    fn digest(&self) -> Result<Digest> {
        self.selection.digest()
    }

    fn listing(&self) -> &dyn Listing {
        &self.selection
    }

    fn tree_name(&self) -> &str {
        self.files.name()
    }

    fn copy_out(&self, directory: &Path, state: &BuildState, ctx: &Ctx) -> Result<PathBuf> {
        let tree = empty_tree(directory)?;
        let Some((_, source)) = self.selection.of_argument(0).next() else { return Ok(tree) };
        let (top, root) = (source.node, Root::open(&tree)?);
        let (reader, writer) = io::pipe().map_err(|e| Error::stream("make a pipe", e))?;
        // Written and read at once: nothing is on disk twice.
        let (written, applied) = thread::scope(|scope| {
            let options = ApplyOptions::default();
            let applied = scope.spawn(move || apply_layer(BufReader::new(reader), &root, &options, ctx));
            let written = self.write(top, BufWriter::new(writer), state, ctx);
            (written, applied.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        match (written, applied) {
            (Err(error), _) if !is_broken_pipe(&error) => Err(error),
            // It is why the pipe broke.
            (_, Err(error)) => Err(error.into()),
            (written, Ok(_)) => written,
        }?;
        Ok(if top.is_directory() { tree } else { tree.join(FILE) })
    }
}

impl<S: SourceFiles> Piece<'_, S> {
    /// Writes all of it as a tar stream.
    fn write(&self, top: NodeRef<'_, S::Content>, output: impl Write, state: &BuildState, ctx: &Ctx) -> Result<()> {
        let tree = self.files.tree();
        let part = Run::new(&self.selection, 0..1);
        let nodes: Vec<_> = tree.walk(tree.node(top.id())).map(NodeRef::id).collect();
        let opener = part.fetch(&nodes, state, ctx)?;
        let mut tar = TarWriter::new(output);
        let (above, mut first_names) = (top.path().as_bytes().len(), HashMap::new());
        for node in nodes.into_iter().map(|id| tree.node(id)) {
            ctx.check()?;
            let path = if top.is_directory() {
                LayerPath::parse(node.path().as_bytes().get(above..).unwrap_or_default())?
            } else {
                LayerPath::parse(FILE.as_bytes())?
            };
            if Whiteout::classify(&path)?.is_some() {
                return Err(Error::destination(&node.path(), "its name is that of a whiteout"));
            }
            let Original { kind, metadata, facts } = part.original(node.id())?;
            let first = first_names.entry(node.inode_id()).or_insert_with(|| path.clone());
            if !node.is_directory() && *first != path {
                let entry = Entry::new(path, EntryKind::HardLink { target: first.clone() }, metadata);
                tar.append(&entry, &mut io::empty())?;
                continue;
            }
            let entry = Entry::new(path, kind, metadata);
            let Some(facts) = facts else {
                tar.append(&entry, &mut io::empty())?;
                continue;
            };
            let mut content = Hashed { inner: opener.open(node.id())?, hasher: Sha256::default() };
            tar.append(&entry, &mut content)?;
            if !facts.sparse && content.hasher.finish() != facts.sha256 {
                return Err(Error::changed(part.path(node.id())));
            }
        }
        let mut output = tar.finish()?;
        output.flush().map_err(|e| Error::stream("write to a pipe", e))
    }
}

/// Makes the directory that a mount of nothing shows.
pub(crate) fn empty_tree(directory: &Path) -> Result<PathBuf> {
    let tree = directory.join(TREE);
    fs::create_dir(&tree).map_err(|e| Error::io("create", &tree, e))?;
    Ok(tree)
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.hasher.update(buf.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let first: Option<&(dyn error::Error + 'static)> = Some(error);
    std::iter::successors(first, |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
