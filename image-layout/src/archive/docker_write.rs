//! From stores into one file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
};

use image_core::{
    Compression, Ctx, Descriptor, Digest, Document, Error as CoreError, Image, ImageIndex, ImageManifest, MediaType,
    Reference,
    blob::{Blob, BlobSource, BlobSourceExt},
    codec::{DecodeOptions, Decoder},
    observer::{Outcome, Task, TaskKind},
    parallel::{self, read_ahead},
    verify::VerifyingReader,
};

use super::{
    docker_json::{DockerImage, DockerImages, MANIFEST, Repositories},
    header,
    members::padding,
    names::blob_name,
    plain_size::{Sizing, plain_size},
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
    let plan = Plan::of(images, options.format, Sizing::Exact, ctx)?;
    plan.write(&mut Writer::new(writer), options.format, ctx)
}

/// Writes images into an archive that is a file, as [`save`] does: the same bytes, sooner.
///
/// Most compressed layers end with their uncompressed size, which is taken to be right, so that they are decompressed once.
/// Where one is not, what was written is taken back, and all is written as [`save`] does.
///
/// The file is to be empty, and is written from its beginning, whatever its position.
///
/// # Errors
/// As [`save`].
pub fn save_to_file(images: &[(Image, Vec<String>)], file: &File, options: &SaveOptions, ctx: &Ctx) -> Result<()> {
    match write_to_file(images, file, options, Sizing::Told, ctx)? {
        Written::Whole => Ok(()),
        Written::Misled => write_to_file(images, file, options, Sizing::Exact, ctx).map(drop),
    }
}

/// What became of a file.
enum Written {
    Whole,
    /// A layer is not as large as it tells.
    Misled,
}

fn write_to_file(
    images: &[(Image, Vec<String>)],
    mut file: &File,
    options: &SaveOptions,
    sizing: Sizing,
    ctx: &Ctx,
) -> Result<Written> {
    let plan = Plan::of(images, options.format, sizing, ctx)?;
    file.set_len(0).and_then(|()| file.rewind()).map_err(|error| CoreError::stream("write the archive", error))?;
    let mut archive = Writer::new(BufWriter::with_capacity(BUFFER, file));
    let written = plan.write(&mut archive, options.format, ctx);
    if archive.was_misled { Ok(Written::Misled) } else { written.map(|()| Written::Whole) }
}

/// What a blob of the archive is made of.
enum Content<'a> {
    Document(Vec<u8>),
    /// A blob as it is stored.
    Stored(&'a dyn BlobSource, &'a Descriptor),
    /// A layer, uncompressed, and whether it is certain how large it is then.
    Plain(&'a dyn BlobSource, &'a Descriptor, bool),
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
    fn of(images: &'a [(Image, Vec<String>)], format: ArchiveFormat, sizing: Sizing, ctx: &Ctx) -> Result<Self> {
        let mut plan = Self::default();
        for (image, names) in images {
            let (descriptor, manifest) = match format {
                ArchiveFormat::Oci => plan.as_it_is(image),
                ArchiveFormat::Docker => plan.uncompressed(image, sizing, ctx)?,
            };
            plan.add(image, names, descriptor, &manifest);
        }
        Ok(plan)
    }

    fn add(&mut self, image: &Image, names: &[String], descriptor: Descriptor, document: &Document<ImageManifest>) {
        let config = image.config();
        self.blobs
            .insert(config.digest().clone(), (config.bytes().len() as u64, Content::Document(config.bytes().to_vec())));
        let bytes = document.bytes();
        self.blobs.insert(descriptor.digest.clone(), (bytes.len() as u64, Content::Document(bytes.to_vec())));
        let same = self.images.iter_mut().find(|other| other.descriptor.digest == descriptor.digest);
        if let Some(same) = same {
            same.add_names(names);
            return;
        }
        let layers = document.value().layers.iter().map(|layer| layer.digest.clone()).collect();
        let mut image = Planned { descriptor, config: config.digest().clone(), layers, names: Vec::new() };
        image.add_names(names);
        self.images.push(image);
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
    fn uncompressed(
        &mut self,
        image: &'a Image,
        sizing: Sizing,
        ctx: &Ctx,
    ) -> Result<(Descriptor, Document<ImageManifest>)> {
        let source = &**image.source();
        let mut unknown: BTreeMap<&Digest, &'a Descriptor> = BTreeMap::new();
        for layer in image.layers().filter(|layer| !self.blobs.contains_key(layer.diff_id.as_digest())) {
            unknown.entry(layer.diff_id.as_digest()).or_insert(layer.descriptor);
        }
        let unknown: Vec<_> = unknown.into_iter().collect();
        let sizes = parallel::map(parallel::threads(), &unknown, |(_, layer)| {
            plain_size(source, layer, sizing, ctx).map_err(|error| in_layer(source, layer, error, ctx))
        })?;
        for ((digest, layer), (size, is_certain)) in unknown.into_iter().zip(sizes) {
            self.blobs.insert(digest.clone(), (size, Content::Plain(source, layer, is_certain)));
        }
        let size = |digest: &Digest| self.blobs.get(digest).map_or(0, |(size, _)| *size);
        let plain = |digest: &Digest| Descriptor::new(MediaType::OciLayer, digest.clone(), size(digest));
        let layers: Vec<_> = image.layers().map(|layer| plain(layer.diff_id.as_digest())).collect();
        let old = image.manifest();
        let is_plain = old.value().layers.iter().zip(&layers).all(|(old, new)| old.digest == new.digest);
        if is_plain && old.value().media_type == Some(MediaType::OciManifest) {
            return Ok((old.descriptor(MediaType::OciManifest), old.clone()));
        }
        let manifest = Document::new(ImageManifest::new(image.config().descriptor(MediaType::OciConfig), layers))?;
        Ok((manifest.descriptor(MediaType::OciManifest), manifest))
    }

    fn write<W: Write>(&self, archive: &mut Writer<W>, format: ArchiveFormat, ctx: &Ctx) -> Result<()> {
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
pub(super) fn transfer(
    from: &mut impl Read,
    task: &Task<'_>,
    ctx: &Ctx,
    mut to: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
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
    /// A layer was not as large as it was said to be.
    was_misled: bool,
}

impl<W: Write> Writer<W> {
    fn new(inner: W) -> Self {
        Self { inner, was_misled: false }
    }

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
            Content::Plain(source, layer, is_certain) => {
                let declared = layer.media_type.layer_compression().unwrap_or(Compression::None);
                let stored = source.open_verified(layer)?;
                let plain = Decoder::detect(stored, declared, &DecodeOptions::default())?;
                let written = read_ahead(plain, |mut plain| self.stream(&name, digest, size, &mut plain, ctx));
                written.map_err(|error| {
                    self.was_misled = !is_certain && matches!(&error, Error::Core(CoreError::SizeMismatch { .. }));
                    if self.was_misled { error } else { in_layer(*source, layer, error, ctx) }
                })
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
