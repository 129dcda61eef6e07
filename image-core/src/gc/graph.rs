//! What points at what.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    blob::{BlobSource, BlobSourceExt},
    descriptor::Descriptor,
    digest::Digest,
    document::MAX_DOCUMENT_SIZE,
    error::{Error, Result},
    media_type::MediaType,
};

/// How many descriptors are followed at most; what is remembered of each is small.
const MAX_NODES: usize = 20_000_000;

/// Blobs and the documents among them, each of which is read once.
pub(super) struct Graph<'a> {
    source: &'a dyn BlobSource,
    sizes: &'a HashMap<&'a Digest, u64>,
    ids: HashMap<Digest, usize>,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    /// The size of the blob, in bytes; zero where there is none.
    size: u64,
    /// How it is pointed at, where that makes it a document.
    document: Option<Descriptor>,
    /// What it points at, once it was read.
    below: Option<Vec<usize>>,
    /// What is kept together with it.
    followers: Vec<usize>,
}

/// Which nodes are needed.
#[derive(Default, Clone)]
pub(super) struct Marks {
    of: HashMap<usize, Level>,
    /// The size of all that is marked, in bytes.
    pub(super) bytes: u64,
}

/// How far a node is marked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// It alone.
    Itself,
    /// All below it too.
    Below,
}

/// What marking changed, to be taken back.
pub(super) struct Change {
    before: Vec<(usize, Option<Level>)>,
    bytes: u64,
}

impl Marks {
    fn set(&mut self, id: usize, level: Level, change: &mut Change) {
        change.before.push((id, self.of.insert(id, level)));
    }

    /// Takes a change back, which must be the last one.
    pub(super) fn undo(&mut self, change: Change) {
        for (id, level) in change.before.into_iter().rev() {
            match level {
                Some(level) => self.of.insert(id, level),
                None => self.of.remove(&id),
            };
        }
        self.bytes = change.bytes;
    }
}

impl<'a> Graph<'a> {
    /// A graph of the blobs of a source, whose sizes may be known.
    pub(super) fn new(source: &'a dyn BlobSource, sizes: &'a HashMap<&'a Digest, u64>) -> Self {
        Self { source, sizes, ids: HashMap::new(), nodes: Vec::new() }
    }

    /// Whether a blob is marked.
    pub(super) fn is_marked(&self, marks: &Marks, digest: &Digest) -> bool {
        self.ids.get(digest).is_some_and(|id| marks.of.contains_key(id))
    }

    /// Whether there is such a blob.
    pub(super) fn is_there(&self, digest: &Digest) -> Result<bool> {
        if self.sizes.contains_key(digest) || !digest.algorithm().is_supported() {
            return Ok(self.sizes.contains_key(digest));
        }
        Ok(self.source.stat(digest)?.is_some())
    }

    /// From now on, what `follower` points at is marked together with a blob.
    pub(super) fn attach(&mut self, subject: &Digest, follower: &Descriptor) -> Result<()> {
        let (subject, follower) = (self.id(subject)?, self.node(follower)?);
        if let Some(node) = self.nodes.get_mut(subject) {
            node.followers.push(follower);
        }
        Ok(())
    }

    /// Marks one blob, whatever it is.
    pub(super) fn mark_blob(&mut self, marks: &mut Marks, digest: &Digest) -> Result<()> {
        let id = self.id(digest)?;
        let mut change = Change { before: Vec::new(), bytes: marks.bytes };
        let followers = self.mark_itself(marks, id, &mut change).to_vec();
        self.mark_all(marks, followers, &mut change)
    }

    /// Marks what a descriptor points at, and all below it.
    ///
    /// A document that is not there has nothing below it. One that is not what its name says is an error: what it
    /// pointed at cannot be known, and is not to be lost.
    pub(super) fn mark(&mut self, marks: &mut Marks, root: &Descriptor) -> Result<Change> {
        let mut change = Change { before: Vec::new(), bytes: marks.bytes };
        let root = self.node(root)?;
        self.mark_all(marks, vec![root], &mut change)?;
        Ok(change)
    }

    fn mark_all(&mut self, marks: &mut Marks, mut todo: Vec<usize>, change: &mut Change) -> Result<()> {
        while let Some(id) = todo.pop() {
            todo.extend(self.mark_itself(marks, id, change));
            let is_document = self.nodes.get(id).is_some_and(|node| node.document.is_some());
            if is_document && marks.of.get(&id) != Some(&Level::Below) {
                marks.set(id, Level::Below, change);
                self.read(id)?;
                todo.extend(self.nodes.get(id).and_then(|node| node.below.as_deref()).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Marks a node alone; gives what follows it, if it was not marked before.
    fn mark_itself(&self, marks: &mut Marks, id: usize, change: &mut Change) -> &[usize] {
        let Some(node) = self.nodes.get(id).filter(|_| !marks.of.contains_key(&id)) else { return &[] };
        marks.set(id, Level::Itself, change);
        marks.bytes = marks.bytes.saturating_add(node.size);
        &node.followers
    }

    /// The number of what a descriptor points at.
    fn node(&mut self, descriptor: &Descriptor) -> Result<usize> {
        let id = self.id(&descriptor.digest)?;
        if let Some(node) = self.nodes.get_mut(id)
            && node.document.is_none()
            && is_document(&descriptor.media_type)
        {
            // The blob's own size: what a descriptor says of it decides nothing here.
            node.document = Some(Descriptor { size: node.size, data: None, ..descriptor.clone() });
        }
        Ok(id)
    }

    fn id(&mut self, digest: &Digest) -> Result<usize> {
        if let Some(id) = self.ids.get(digest) {
            return Ok(*id);
        }
        let size = match self.sizes.get(digest) {
            Some(size) => *size,
            None if digest.algorithm().is_supported() => self.source.stat(digest)?.unwrap_or(0),
            None => 0,
        };
        let id = self.nodes.len();
        if id >= MAX_NODES {
            return Err(Error::limit(format!("number of blobs that are pointed at, up to {digest}"), MAX_NODES as u64));
        }
        self.nodes.push(Node { size, ..Node::default() });
        self.ids.insert(digest.clone(), id);
        Ok(id)
    }

    /// Reads a document, if it was not.
    fn read(&mut self, id: usize) -> Result<()> {
        let Some(node) = self.nodes.get(id).filter(|node| node.below.is_none()) else { return Ok(()) };
        let Some(document) = node.document.clone().filter(|document| document.digest.algorithm().is_supported()) else {
            return Ok(());
        };
        let is_said_to_be_one = document.media_type.is_index() || document.media_type.is_manifest();
        let found = match self.source.read_bytes(&document, MAX_DOCUMENT_SIZE) {
            Ok(bytes) => descriptors(&bytes),
            // Not one after all, but content that is named like one: no document of any kind is as large.
            Err(Error::LimitExceeded { .. }) if !is_said_to_be_one => Vec::new(),
            Err(error) if error.is_not_found() => Vec::new(),
            // A document that was not there when its size was taken, and is now.
            Err(Error::SizeMismatch { expected: 0, actual, .. }) => {
                let document = Descriptor { size: actual, ..document };
                descriptors(&self.source.read_bytes(&document, MAX_DOCUMENT_SIZE)?)
            }
            Err(error) => return Err(error),
        };
        let below = found.iter().map(|descriptor| self.node(descriptor)).collect::<Result<_>>()?;
        if let Some(node) = self.nodes.get_mut(id) {
            node.below = Some(below);
        }
        Ok(())
    }
}

/// Whether blobs of a media type point at others: indexes, manifests, also those of artifacts that are no images, and
/// whatever is pointed at without saying what it is.
fn is_document(media_type: &MediaType) -> bool {
    let text = media_type.as_str();
    let is_manifest = text.contains("manifest") || text.contains("index");
    media_type.is_index() || media_type.is_manifest() || text.is_empty() || (is_manifest && text.ends_with("json"))
}

/// Everything in a document that looks like a descriptor, wherever it stands: `manifests`, `config`, `layers`, `subject`,
/// and what other specifications add. What is no JSON points at nothing.
fn descriptors(bytes: &[u8]) -> Vec<Descriptor> {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return Vec::new() };
    let mut found = Vec::new();
    let mut todo = vec![document];
    while let Some(value) = todo.pop() {
        match value {
            Value::Array(values) => todo.extend(values),
            Value::Object(fields) => {
                if let Some(digest) = fields.get("digest").and_then(Value::as_str).and_then(|text| text.parse().ok()) {
                    let media_type = fields.get("mediaType").and_then(Value::as_str).unwrap_or_default();
                    found.push(Descriptor::new(media_type.into(), digest, 0));
                }
                todo.extend(fields.into_iter().map(|(_, value)| value));
            }
            _ => {}
        }
    }
    found
}
