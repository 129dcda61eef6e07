//! From stores into one file.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{self, Read, Write},
};

use image_core::{
    Compression, Ctx, Descriptor, Digest, Document, Error as CoreError, Image, ImageIndex, ImageManifest, MediaType,
    Reference,
    blob::{Blob, BlobSource, BlobSourceExt},
    codec::{DecodeOptions, Decoder},
    observer::{Outcome, Task, TaskKind},
    verify::VerifyingReader,
};

use super::{
    docker_json::{DockerImage, DockerImages, MANIFEST, Repositories},
    header,
    members::padding,
    names::blob_name,
};
use crate::{
    error::{Error, Result},
    index_file::INDEX,
    layout::{MARKER, MARKER_CONTENT},
    ref_name::{IMAGE_NAME, REF_NAME},
};

/// How much is copied at once, in bytes.
const BUFFER: usize = 256 << 10;

/// Which form an archive has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveFormat {
    /// What Docker writes since version 25: an OCI layout in a tar, with Docker's `manifest.json` and
    /// `repositories` beside it, and layers uncompressed. Older versions, podman and containerd read it too.
    #[default]
    Docker,
    /// An OCI layout in a tar, images byte for byte as they are.
    Oci,
}

/// How images are saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveOptions {
    /// The form of the archive.
    pub format: ArchiveFormat,
}

impl SaveOptions {
    /// With this form of the archive.
    #[must_use]
    pub fn with_format(self, format: ArchiveFormat) -> Self {
        Self { format }
    }
}

/// Writes images into one archive, each with the names that it is to have.
///
/// The archive depends on the images and their names alone: members are in a fixed order, of root, at time 0. An image
/// that is given several times is there once, with all its names; so is a blob that several images share.
///
/// Names are given to Docker, in `manifest.json`, where they are references with a tag; others stay names of the
/// OCI layout only.
///
/// Every blob is verified on the way, also that layers have their diffIDs where they are uncompressed. A compressed layer is
/// decompressed twice then, since its size stands before it in the archive. Nothing but documents is in memory.
///
/// # Errors
/// [`crate::Error::is_not_found`] and [`crate::Error::is_corrupt`] where a blob is missing or not what it should be,
/// [`crate::Error::is_cancelled`], and errors of the writer. What was written is no archive then.
///
/// # Spec
/// Docker image specification 1.3, § Combined Image JSON + Filesystem Changeset Format; OCI image-spec 1.1,
/// image-layout.md.
pub fn save(images: &[(Image, Vec<String>)], writer: impl Write, options: &SaveOptions, ctx: &Ctx) -> Result<()> {
    let mut plan = Plan::default();
    for (image, names) in images {
        plan.add(image, names, options.format, ctx)?;
    }
    plan.write(writer, options.format, ctx)
}

/// What a blob of the archive is made of.
enum Content<'a> {
    Document(Vec<u8>),
    /// A blob as it is stored.
    Stored(&'a dyn BlobSource, &'a Descriptor),
    /// A layer, uncompressed.
    Plain(&'a dyn BlobSource, &'a Descriptor),
}

/// All that goes into an archive.
#[derive(Default)]
struct Plan<'a> {
    blobs: BTreeMap<Digest, (u64, Content<'a>)>,
    images: Vec<Planned>,
}

struct Planned {
    descriptor: Descriptor,
    config: Digest,
    layers: Vec<Digest>,
    names: Vec<String>,
}

impl Planned {
    fn add_names(&mut self, names: &[String]) {
        for name in names {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
    }
}

impl<'a> Plan<'a> {
    fn add(&mut self, image: &'a Image, names: &[String], format: ArchiveFormat, ctx: &Ctx) -> Result<()> {
        let manifest = match format {
            ArchiveFormat::Oci => self.as_it_is(image),
            ArchiveFormat::Docker => self.uncompressed(image, ctx)?,
        };
        let (descriptor, document) = manifest;
        let config = image.config();
        self.blobs
            .insert(config.digest().clone(), (config.bytes().len() as u64, Content::Document(config.bytes().to_vec())));
        let bytes = document.bytes();
        self.blobs.insert(descriptor.digest.clone(), (bytes.len() as u64, Content::Document(bytes.to_vec())));
        let same = self.images.iter_mut().find(|other| other.descriptor.digest == descriptor.digest);
        if let Some(same) = same {
            same.add_names(names);
            return Ok(());
        }
        let layers = document.value().layers.iter().map(|layer| layer.digest.clone()).collect();
        let mut image = Planned { descriptor, config: config.digest().clone(), layers, names: Vec::new() };
        image.add_names(names);
        self.images.push(image);
        Ok(())
    }

    fn as_it_is(&mut self, image: &'a Image) -> (Descriptor, Document<ImageManifest>) {
        let source = &**image.source();
        for layer in image.layers() {
            let Descriptor { digest, size, .. } = layer.descriptor;
            self.blobs.entry(digest.clone()).or_insert((*size, Content::Stored(source, layer.descriptor)));
        }
        let mut descriptor = image.descriptor().clone();
        descriptor.annotations.remove(REF_NAME);
        descriptor.annotations.remove(IMAGE_NAME);
        (descriptor, image.manifest().clone())
    }

    /// The image with uncompressed layers; its manifest is a new one unless it has them already.
    fn uncompressed(&mut self, image: &'a Image, ctx: &Ctx) -> Result<(Descriptor, Document<ImageManifest>)> {
        let source = &**image.source();
        let mut layers = Vec::with_capacity(image.layers().len());
        for layer in image.layers() {
            let digest = layer.diff_id.as_digest();
            let size = match self.blobs.entry(digest.clone()) {
                Entry::Occupied(known) => known.get().0,
                Entry::Vacant(new) => {
                    let size = plain_size(source, layer.descriptor, ctx);
                    let size = size.map_err(|error| in_layer(source, layer.descriptor, error, ctx))?;
                    new.insert((size, Content::Plain(source, layer.descriptor)));
                    size
                }
            };
            layers.push(Descriptor::new(MediaType::OciLayer, digest.clone(), size));
        }
        let old = image.manifest();
        let is_plain = old.value().layers.iter().zip(&layers).all(|(old, new)| old.digest == new.digest);
        if is_plain && old.value().media_type == Some(MediaType::OciManifest) {
            return Ok((old.descriptor(MediaType::OciManifest), old.clone()));
        }
        let manifest = Document::new(ImageManifest::new(image.config().descriptor(MediaType::OciConfig), layers))?;
        Ok((manifest.descriptor(MediaType::OciManifest), manifest))
    }

    fn write(&self, writer: impl Write, format: ArchiveFormat, ctx: &Ctx) -> Result<()> {
        let mut archive = Writer { inner: writer };
        archive.document(MARKER, MARKER_CONTENT.as_bytes())?;
        archive.document(INDEX, self.index(format)?.bytes())?;
        if format == ArchiveFormat::Docker {
            archive.document(MANIFEST, Document::new(self.docker())?.bytes())?;
            archive.document("repositories", Document::new(self.repositories())?.bytes())?;
        }
        for (digest, (size, content)) in &self.blobs {
            archive.blob(digest, *size, content, ctx)?;
        }
        archive.write(&[0; 2 * header::BLOCK])?;
        archive.inner.flush().map_err(|error| CoreError::stream("write the archive", error))?;
        Ok(())
    }

    /// An entry for each name of each image.
    fn index(&self, format: ArchiveFormat) -> Result<Document<ImageIndex>> {
        let mut entries = Vec::new();
        for Planned { descriptor, names, .. } in &self.images {
            if names.is_empty() {
                entries.push(descriptor.clone());
            }
            for name in names {
                let entry = descriptor.clone();
                entries.push(match tagged(name).filter(|_| format == ArchiveFormat::Docker) {
                    // As Docker and containerd have it: the tag here, the full name there.
                    Some((reference, tag)) => {
                        entry.with_annotation(IMAGE_NAME, reference.to_string()).with_annotation(REF_NAME, tag)
                    }
                    None => entry.with_annotation(REF_NAME, name),
                });
            }
        }
        Ok(Document::new(ImageIndex::new(entries))?)
    }

    fn docker(&self) -> DockerImages {
        let name = |digest: &Digest| blob_name(digest);
        let images = self.images.iter().map(|image| DockerImage {
            config: name(&image.config),
            repo_tags: image.names.iter().filter_map(|name| Some(tagged(name)?.0.familiar())).collect(),
            layers: image.layers.iter().map(name).collect(),
        });
        DockerImages(images.collect())
    }

    /// What readers before `manifest.json` looked for: the top layer of each name and tag.
    fn repositories(&self) -> Repositories {
        let mut repositories = Repositories::default();
        for image in &self.images {
            let Some(top) = image.layers.last() else { continue };
            for (reference, tag) in image.names.iter().filter_map(|name| tagged(name)) {
                let familiar = reference.familiar();
                let repository = familiar.strip_suffix(&format!(":{tag}")).unwrap_or(&familiar);
                repositories.0.entry(repository.to_owned()).or_default().insert(tag, top.encoded().to_owned());
            }
        }
        repositories
    }
}

/// A name that Docker understands: a reference with a tag.
fn tagged(name: &str) -> Option<(Reference, String)> {
    let reference: Reference = name.parse().ok()?;
    match (reference.tag(), reference.digest()) {
        (Some(tag), None) => {
            let tag = tag.to_owned();
            Some((reference, tag))
        }
        _ => None,
    }
}

/// The size of a layer when uncompressed.
fn plain_size(source: &dyn BlobSource, layer: &Descriptor, ctx: &Ctx) -> Result<u64> {
    let declared = layer.media_type.layer_compression().unwrap_or(Compression::None);
    let task = ctx.begin(TaskKind::Index, &layer.digest.to_string(), Some(layer.size));
    let mut plain = Decoder::detect(source.open_verified(layer)?, declared, &DecodeOptions::default())?;
    let size = if plain.compression() == Compression::None {
        layer.size
    } else {
        let mut size = 0;
        transfer(&mut plain, &task, ctx, |bytes| {
            size += bytes.len() as u64;
            Ok(())
        })?;
        size
    };
    task.end(Outcome::Done);
    Ok(size)
}

/// Says which layer cannot be read; where that is because its blob was damaged, that.
fn in_layer(source: &dyn BlobSource, layer: &Descriptor, error: Error, ctx: &Ctx) -> Error {
    if !error.is_corrupt() {
        return error;
    }
    match source.damage(layer, ctx) {
        Some(damage) => damage.into(),
        None => Error::Layer { digest: layer.digest.clone(), source: Box::new(error) },
    }
}

/// Hands all of a stream on in large pieces.
fn transfer(from: &mut impl Read, task: &Task<'_>, ctx: &Ctx, mut to: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        ctx.check()?;
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to(buffer.get(..count).unwrap_or_default())?;
                task.advance(count as u64, 0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CoreError::stream("read the layer", error).into()),
        }
    }
}

/// Writes members one after another.
struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let size = bytes.len() as u64;
        self.write(&header::file(name, size))?;
        self.write(bytes)?;
        self.pad(size)
    }

    /// Writes a blob, which must be what its digest says.
    fn blob(&mut self, digest: &Digest, size: u64, content: &Content<'_>, ctx: &Ctx) -> Result<()> {
        let name = blob_name(digest);
        match content {
            Content::Document(bytes) => self.document(&name, bytes),
            Content::Stored(source, layer) => {
                let mut stored: Blob = source.require(&layer.digest)?;
                self.stream(&name, digest, size, &mut stored, ctx)
            }
            Content::Plain(source, layer) => {
                let declared = layer.media_type.layer_compression().unwrap_or(Compression::None);
                let stored = source.open_verified(layer)?;
                let mut plain = Decoder::detect(stored, declared, &DecodeOptions::default())?;
                let written = self.stream(&name, digest, size, &mut plain, ctx);
                written.map_err(|error| in_layer(*source, layer, error, ctx))
            }
        }
    }

    fn stream(&mut self, name: &str, digest: &Digest, size: u64, from: &mut impl Read, ctx: &Ctx) -> Result<()> {
        let task = ctx.begin(TaskKind::Copy, &digest.to_string(), Some(size));
        self.write(&header::file(name, size))?;
        let mut verified = VerifyingReader::new(from, digest.clone(), size)?;
        transfer(&mut verified, &task, ctx, |bytes| self.write(bytes))?;
        task.end(Outcome::Done);
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let count = usize::try_from(padding(size)).unwrap_or_default();
        self.write([0; header::BLOCK].get(..count).unwrap_or_default())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).map_err(|error| CoreError::stream("write the archive", error).into())
    }
}
