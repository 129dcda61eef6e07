//! Writing what is left of all layers of an image, where their tables of contents say it ahead.
//!
//! The tables are merged to the tree of the image. What has no content is made at once, by the tree; files as the layers
//! pass by that have their content; further names of files at the end. All layers are read to their ends and
//! verified all the same, and each entry is compared with its table: so the tree does not rest on where
//! the tables came from.

use std::{collections::HashMap, io::Read};

use image_core::{
    Ctx, Image,
    observer::{Outcome, Task, TaskKind},
};

use super::{LayerStreams, UnpackOptions, Unpacked, decode::LayerStream, in_layer};
use crate::{
    apply::{Applier, BATCH, STRIDE, Target, Told},
    entry::{Entry, EntryKind},
    error::{Error, Result},
    image_tree::ImageTree,
    oddity::Oddity,
    path::{LayerPath, escape},
    root::Root,
    tar::{TarEntry, TarReader},
    toc::{LayerToc, TocEntry},
    tree::{InodeId, NodeId, NodeRef},
};

/// Writes the tree of an image to an empty root.
pub(super) fn write(
    image: &Image,
    root: &Root,
    options: &UnpackOptions,
    mut streams: LayerStreams,
    ctx: &Ctx,
) -> Result<Unpacked> {
    let tree = merge(image, &options.tocs, ctx)?;
    let plan = Plan::new(&tree, options.tocs.len());
    let mut told = Told::above(&options.apply);
    let mut applier = Applier::new(Target::Plain(root), &options.apply, &mut told, None, ctx)?;
    plan.dataless.iter().try_for_each(|node| applier.dataless(&entry(tree.node(*node))))?;
    let (mut unpacked, mut before) = (Unpacked::default(), options.apply.bytes_below);
    for ((layer, toc), files) in image.layers().zip(&*options.tocs).zip(&plan.files) {
        let task = ctx.begin(TaskKind::Extract, &layer.descriptor.digest.to_string(), None);
        let mut pass = Pass { tree: &tree, files, applier: &mut applier, task: &task, ctx };
        let mut reader = TarReader::after(before, streams.next_layer(), &options.apply.limits);
        unpacked.entries += pass.run(toc, &mut reader).map_err(|error| in_layer(image, &layer, error, ctx))?;
        before = before.saturating_add(reader.bytes());
        unpacked.layers += 1;
        task.end(Outcome::Done);
    }
    for (file, name) in &plan.names {
        let mut link = entry(tree.node(*name));
        link.kind = EntryKind::HardLink { target: tree.node(*file).path() };
        applier.dataless(&link)?;
    }
    unpacked.content_bytes = applier.finish()?.content_bytes;
    Ok(unpacked)
}

fn merge(image: &Image, tocs: &[LayerToc], ctx: &Ctx) -> Result<ImageTree> {
    let mut tree = ImageTree::new();
    let mut tell = |oddity: Oddity, path: &LayerPath| {
        ctx.notice(oddity.notice_kind(), &path.to_string(), &oddity.to_string());
    };
    for (layer, toc) in image.layers().zip(tocs) {
        tree.push_telling(layer.position, toc, &mut tell).map_err(|error| in_layer(image, &layer, error, ctx))?;
    }
    Ok(tree)
}

fn entry(node: NodeRef<'_, crate::image_tree::LayerContent>) -> Entry {
    Entry::new(node.path(), node.kind().clone(), node.metadata())
}

/// When what is made.
struct Plan {
    /// Directories before what is in them, and what is neither file nor directory.
    dataless: Vec<NodeId>,
    /// For each layer, the files with content in it, by where it begins.
    files: Vec<HashMap<u64, NodeId>>,
    /// Further names of a file, each with the one that is made first.
    names: Vec<(NodeId, NodeId)>,
}

impl Plan {
    fn new(tree: &ImageTree, layers: usize) -> Self {
        let mut plan = Self { dataless: Vec::new(), files: vec![HashMap::new(); layers], names: Vec::new() };
        let mut first_names: HashMap<InodeId, NodeId> = HashMap::new();
        for node in tree.walk(tree.root()) {
            let id = node.id();
            let first = if node.is_linked() { *first_names.entry(node.inode_id()).or_insert(id) } else { id };
            if first != id {
                plan.names.push((first, id));
            } else if let Some(at) = node.content() {
                plan.files.get_mut(at.layer).map(|files| files.insert(at.content.offset, id));
            } else {
                plan.dataless.push(id);
            }
        }
        plan
    }
}

/// One layer passing by.
struct Pass<'p, 'a> {
    tree: &'p ImageTree,
    files: &'p HashMap<u64, NodeId>,
    applier: &'p mut Applier<'a>,
    task: &'p Task<'p>,
    ctx: &'p Ctx,
}

impl Pass<'_, '_> {
    /// Writes the files that have their content in this layer, and gives how many entries it has.
    fn run(&mut self, toc: &LayerToc, reader: &mut TarReader<LayerStream<'_>>) -> Result<u64> {
        let mut known = toc.entries();
        let mut progress = Progress { task: self.task, entries: 0, bytes: self.applier.applied().content_bytes };
        let mut entries = 0;
        while let Some(mut entry) = reader.next_entry()? {
            self.ctx.check()?;
            entries += 1;
            compare(known.next(), &entry)?;
            if let Some(node) = self.files.get(&entry.data_offset()).filter(|_| is_file(&entry)) {
                self.applier.file(&self::entry(self.tree.node(*node)), &mut entry)?;
            }
            progress.report(entries, self.applier.applied().content_bytes, BATCH);
        }
        progress.report(entries, self.applier.applied().content_bytes, 1);
        if known.next().is_some() {
            return Err(Error::ForeignToc { number: entries + 1, name: String::new() });
        }
        reader.drain()?;
        Ok(entries)
    }
}

fn is_file<R>(entry: &TarEntry<'_, R>) -> bool {
    matches!(entry.entry().kind, EntryKind::File { .. })
}

/// Fails where an entry is another one than the table of its layer says.
fn compare<R: Read>(known: Option<TocEntry>, entry: &TarEntry<'_, R>) -> Result<()> {
    let is_known = known.is_some_and(|known| {
        known.entry == *entry.entry() && known.content.is_none_or(|content| content.offset == entry.data_offset())
    });
    if is_known {
        return Ok(());
    }
    Err(Error::ForeignToc { number: entry.number(), name: escape(entry.entry().path.as_bytes()) })
}

/// What the observer knows of a layer.
struct Progress<'a> {
    task: &'a Task<'a>,
    entries: u64,
    bytes: u64,
}

impl Progress<'_> {
    /// Tells how far it is, if at least so many entries are news.
    fn report(&mut self, entries: u64, bytes: u64, batch: u64) {
        if entries - self.entries >= batch || bytes - self.bytes >= STRIDE {
            self.task.advance(bytes - self.bytes, entries - self.entries);
            (self.entries, self.bytes) = (entries, bytes);
        }
    }
}
