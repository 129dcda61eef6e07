//! The documents of a layout, from the top down.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use image_core::{
    Compression, Ctx, Descriptor, DiffId, Digest, Document, Error as CoreError, ImageConfig, ImageIndex, ImageManifest,
    MediaType,
    blob::{BlobSource, BlobSourceExt},
    document::Body,
};

use super::{Finding, Problem, Report, finding::reason};
use crate::bounds::Bounds;

/// What the documents say of a blob that is no document, or not one that is read.
#[derive(Debug, Default)]
pub(super) struct Want {
    /// Sizes, each with one place that says so.
    pub(super) sizes: BTreeMap<u64, String>,
    /// How it is compressed, if it is a layer.
    pub(super) layer: Option<Compression>,
    /// DiffIDs, each with one place that says so.
    pub(super) diff_ids: BTreeMap<DiffId, String>,
    /// Whether it may be missing.
    pub(super) is_optional: bool,
}

/// A way in which a document is pointed at.
type Pointer = (Digest, u64, MediaType);

/// Whether a document is read of what is so described: where it is not said what it is, it is read as a manifest, as it is
/// by all that looks for an image.
fn is_document(media_type: &MediaType) -> bool {
    media_type.is_index() || media_type.is_manifest() || media_type.as_str().is_empty()
}

fn pointer(descriptor: &Descriptor) -> Pointer {
    (descriptor.digest.clone(), descriptor.size, descriptor.media_type.clone())
}

/// A document that is to be read: who points at it, and how many indexes deep it is.
struct Met {
    descriptor: Descriptor,
    place: String,
    depth: usize,
}

/// A walk over documents, each read once for each way in which it is pointed at.
pub(super) struct Walk<'a> {
    source: &'a dyn BlobSource,
    ctx: &'a Ctx,
    queue: VecDeque<Met>,
    seen: HashSet<Pointer>,
    bounds: Bounds,
    configs: HashMap<Pointer, Option<Arc<[DiffId]>>>,
    documents: HashSet<Digest>,
    pub(super) report: Report,
    pub(super) wants: BTreeMap<Digest, Want>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a dyn BlobSource, ctx: &'a Ctx) -> Self {
        Self {
            source,
            ctx,
            queue: VecDeque::new(),
            seen: HashSet::new(),
            bounds: Bounds::default(),
            configs: HashMap::new(),
            documents: HashSet::new(),
            report: Report::default(),
            wants: BTreeMap::new(),
        }
    }

    /// Reads every document, notes what is wrong with it, and what it wants of other blobs.
    pub(super) fn run(&mut self, roots: Vec<Descriptor>) -> Result<(), CoreError> {
        self.enqueue(roots, 1, |position| format!("entry {position} of index.json"))?;
        while let Some(met) = self.queue.pop_front() {
            self.ctx.check()?;
            if met.descriptor.media_type.is_index() {
                self.index(met)?;
            } else {
                self.manifest(&met)?;
            }
        }
        Ok(())
    }

    fn index(&mut self, met: Met) -> Result<(), CoreError> {
        let Met { descriptor, place, depth } = met;
        if let Err(error) = self.bounds.admit_index(&descriptor, depth) {
            self.find(&descriptor.digest, &place, problem(error));
            return Ok(());
        }
        let Some(index) = self.document::<ImageIndex>(&descriptor, &place) else { return Ok(()) };
        let name = descriptor.digest;
        let ImageIndex { manifests, subject, .. } = index.into_value();
        self.subject(subject, &name, depth)?;
        self.enqueue(manifests, depth + 1, |position| format!("entry {position} of index {name}"))
    }

    /// Wants the content of a blob to be what its name says, whatever else it is.
    pub(super) fn want_content(&mut self, digest: &Digest) {
        if !self.documents.contains(digest) {
            self.wants.entry(digest.clone()).or_default();
        }
    }

    fn enqueue(
        &mut self,
        descriptors: Vec<Descriptor>,
        depth: usize,
        place: impl Fn(usize) -> String,
    ) -> Result<(), CoreError> {
        for (position, descriptor) in descriptors.into_iter().enumerate() {
            if !is_document(&descriptor.media_type) {
                self.want(&descriptor, place(position))?;
            } else if self.seen.insert(pointer(&descriptor)) {
                self.bounds.admit_blob(&descriptor.digest)?;
                self.queue.push_back(Met { descriptor, place: place(position), depth });
            }
        }
        Ok(())
    }

    /// What a document is about may be elsewhere. Where it is here, it is looked at.
    fn subject(&mut self, subject: Option<Descriptor>, of: &Digest, depth: usize) -> Result<(), CoreError> {
        match subject {
            Some(subject) if !matches!(self.source.stat(&subject.digest), Ok(None)) => {
                self.enqueue(vec![subject], depth, |_| format!("subject of {of}"))
            }
            _ => Ok(()),
        }
    }

    fn manifest(&mut self, met: &Met) -> Result<(), CoreError> {
        let Met { descriptor, place, depth } = met;
        let Some(manifest) = self.document::<ImageManifest>(descriptor, place) else { return Ok(()) };
        let manifest = manifest.into_value();
        let name = &descriptor.digest;
        self.subject(manifest.subject, name, *depth)?;
        let config_place = format!("config of {name}");
        let layer_place = |position| format!("layer {position} of {name}");
        if !manifest.config.media_type.is_config() {
            self.want(&manifest.config, config_place)?;
            for (position, layer) in manifest.layers.iter().enumerate() {
                self.want(layer, layer_place(position))?;
            }
            return Ok(());
        }
        let diff_ids = self.diff_ids(&manifest.config, &config_place)?;
        if let Some(diff_ids) = &diff_ids
            && diff_ids.len() != manifest.layers.len()
        {
            let problem = Problem::LayerCount { layers: manifest.layers.len(), diff_ids: diff_ids.len() };
            self.find(name, place, problem);
        }
        let mut diff_ids = diff_ids.iter().flat_map(|diff_ids| diff_ids.iter());
        for (position, layer) in manifest.layers.iter().enumerate() {
            self.layer(layer, layer_place(position), diff_ids.next())?;
        }
        Ok(())
    }

    /// The diffIDs in a config; `None` where it cannot be read. Images may share one, which is read once.
    fn diff_ids(&mut self, config: &Descriptor, place: &str) -> Result<Option<Arc<[DiffId]>>, CoreError> {
        let key = pointer(config);
        if let Some(known) = self.configs.get(&key) {
            return Ok(known.clone());
        }
        self.bounds.admit_blob(&config.digest)?;
        let config = self.document::<ImageConfig>(config, place);
        let diff_ids = config.map(|config| config.into_value().rootfs.diff_ids.into());
        self.configs.insert(key, diff_ids.clone());
        Ok(diff_ids)
    }

    fn layer(&mut self, layer: &Descriptor, place: String, diff_id: Option<&DiffId>) -> Result<(), CoreError> {
        let compression = layer.media_type.layer_compression();
        if compression.is_none() {
            let problem = Problem::NotALayer { media_type: layer.media_type.to_string() };
            self.find(&layer.digest, &place, problem);
        }
        let want = self.want(layer, place.clone())?;
        want.layer = want.layer.or(compression);
        if let Some(diff_id) = diff_id.filter(|_| compression.is_some()) {
            want.diff_ids.entry(diff_id.clone()).or_insert(place);
        }
        Ok(())
    }

    /// Notes a blob that is checked later.
    fn want(&mut self, descriptor: &Descriptor, place: String) -> Result<&mut Want, CoreError> {
        let is_first = !self.wants.contains_key(&descriptor.digest);
        if is_first {
            self.bounds.admit_blob(&descriptor.digest)?;
        }
        let want = self.wants.entry(descriptor.digest.clone()).or_default();
        let is_optional = descriptor.media_type.is_nondistributable();
        want.is_optional = is_optional && (is_first || want.is_optional);
        want.sizes.entry(descriptor.size).or_insert(place);
        Ok(want)
    }

    /// Reads a document, or notes why it cannot be read.
    fn document<T: Body>(&mut self, descriptor: &Descriptor, place: &str) -> Option<Document<T>> {
        let is_new = self.documents.insert(descriptor.digest.clone());
        self.report.blobs += u64::from(is_new);
        match self.source.read_document::<T>(descriptor) {
            Ok(document) => {
                self.report.bytes += if is_new { descriptor.size } else { 0 };
                Some(document)
            }
            Err(error) => {
                self.find(&descriptor.digest, place, problem(error));
                None
            }
        }
    }

    fn find(&mut self, digest: &Digest, place: &str, problem: Problem) {
        self.report.findings.push(Finding { digest: digest.clone(), place: place.to_owned(), problem });
    }
}

/// What an error of reading a blob says of the blob.
pub(super) fn problem(error: CoreError) -> Problem {
    match error {
        CoreError::BlobNotFound { .. } => Problem::Missing,
        CoreError::SizeMismatch { expected, actual, .. } => Problem::WrongSize { expected, actual },
        CoreError::DigestMismatch { actual, .. } => Problem::WrongContent { actual },
        CoreError::UnsupportedAlgorithm { .. } => Problem::UnknownAlgorithm,
        CoreError::InvalidDocument { reason, .. } => Problem::InvalidDocument { reason },
        CoreError::Json { source, .. } => {
            Problem::InvalidDocument { reason: format!("not a valid document: {source}") }
        }
        CoreError::LimitExceeded { .. } => Problem::InvalidDocument { reason: error.to_string() },
        CoreError::InvalidBlob { reason, .. } => Problem::Unreadable { reason: reason.to_owned() },
        other => Problem::Unreadable { reason: reason(&other) },
    }
}
