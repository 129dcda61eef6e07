//! From an archive into a store, and into a layout.

use std::{collections::HashMap, io::Read, path::Path};

use image_core::{
    Ctx, Descriptor, Digest, Document, Error as CoreError, ImageIndex, ImageManifest, Reference,
    blob::BlobStore,
    codec::EncodeOptions,
    observer::{NoticeKind, Outcome, TaskKind},
};

use super::{
    budget::Budget,
    docker_json::{DockerImages, MANIFEST, MAX_MANIFEST_SIZE},
    docker_read,
    index::{Index, within},
    oci,
};
use crate::{
    error::{Error, Result, excerpt},
    index_file::{INDEX, MAX_INDEX_SIZE},
    layout::{MARKER, MAX_MARKER, OciLayout, check_marker},
    ref_name::{IMAGE_NAME, REF_NAME, check_ref_name},
    tag,
};

/// How many images an archive may have: each is looked for among those before it.
const MAX_IMAGES: u64 = 4096;

/// How many names they may have together.
const MAX_NAMES: u64 = 10_000;

/// How an archive is loaded, and how much it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The name to give to the archive's only image, instead of those that it has there.
    pub name: Option<String>,
    /// What layers are compressed with that the archive has uncompressed; `None`, the default, keeps all as they are.
    pub encode: Option<EncodeOptions>,
    /// How many members an archive may have; 1,000,000 by default.
    pub members: u64,
    /// How many bytes their names may have together; 64 MiB by default.
    pub name_bytes: u64,
    /// How many bytes a layer may have when uncompressed; `None`, the default, is unlimited.
    pub layer_bytes: Option<u64>,
    /// How many bytes the archive may have when uncompressed, together with what its compressed layers
    /// have; `None`, the default, is unlimited.
    pub total_bytes: Option<u64>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            name: None,
            encode: None,
            members: 1_000_000,
            name_bytes: 64 << 20,
            layer_bytes: None,
            total_bytes: None,
        }
    }
}

impl LoadOptions {
    /// With this name for the archive's only image.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// With this compression for layers that the archive has uncompressed.
    #[must_use]
    pub fn with_encode(self, encode: EncodeOptions) -> Self {
        Self { encode: Some(encode), ..self }
    }

    /// With this bound on the number of members.
    #[must_use]
    pub fn with_members(self, members: u64) -> Self {
        Self { members, ..self }
    }

    /// With this bound on the bytes of all names together.
    #[must_use]
    pub fn with_name_bytes(self, name_bytes: u64) -> Self {
        Self { name_bytes, ..self }
    }

    /// With this bound on the bytes of an uncompressed layer.
    #[must_use]
    pub fn with_layer_bytes(self, layer_bytes: Option<u64>) -> Self {
        Self { layer_bytes, ..self }
    }

    /// With this bound on the bytes of the uncompressed archive, together with those of its compressed layers.
    #[must_use]
    pub fn with_total_bytes(self, total_bytes: Option<u64>) -> Self {
        Self { total_bytes, ..self }
    }
}

/// An image, or an index of images, out of an archive.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// What points at it in the store.
    pub descriptor: Descriptor,
    /// The names that it has in the archive; may be none.
    pub names: Vec<String>,
}

/// Stores all images of an archive, in the order in which it names them.
///
/// Of an archive that has `manifest.json` and `index.json`, as Docker has written them since version 25, the images of
/// `index.json` are taken as they are, with the names of both files; what only `manifest.json` has is taken
/// as well. An image of `index.json` that is not whole in the archive is passed over, with a notice, where
/// there is a `manifest.json`. An image that only that describes gets a new OCI manifest, which depends on
/// its config and its layers alone. Configs and layers are stored byte for byte: image IDs and diffIDs stay.
///
/// Where layers are to be compressed ([`LoadOptions::encode`]), those that are not are, and all images of the archive get new manifests
/// if there are any such; image IDs and diffIDs stay. Of an index of several images that is taken which `manifest.json` has; where that is
/// none, the archive is refused, since its manifests name plain layers by their digests.
///
/// Every member that an image consists of is verified: documents by their digests, layers by
/// their diffIDs. An image's blobs are stored when all of the archive has been read.
///
/// Memory is bounded, whatever the archive's size, by 16 MiB of documents, fixed buffers, and the names of members and of what
/// links lead to. An archive may have 4,096 images with 10,000 names, 1,000 indexes, 10,000 manifests and 100,000 other blobs, and
/// documents of 256 MiB, each as often as it is named.
///
/// # Errors
/// [`Error::is_corrupt`] where the archive or an image in it is not right, or a layer compressed with anything but
/// gzip and zstd; [`Error::is_unsupported`] where the archive itself is, or an image layout of another version than 1.0.0; [`image_core::Error::LimitExceeded`]; [`Error::is_cancelled`]; errors of
/// the reader and the store.
///
/// # Spec
/// Docker image specification 1.3, § Combined Image JSON + Filesystem Changeset Format; OCI image-spec 1.1,
/// image-layout.md.
pub fn load(reader: impl Read, store: &dyn BlobStore, options: &LoadOptions, ctx: &Ctx) -> Result<Vec<Loaded>> {
    let task = ctx.begin(TaskKind::Copy, "archive", None);
    let batch = store.batch()?;
    let store: &dyn BlobStore = &*batch;
    let budget = Budget::new(options, ctx);
    let mut index = Index::read(reader, store, options, &task, &budget)?;
    let has_docker = index.has(MANIFEST.as_bytes());
    let mut images = Images::default();
    if index.has(MARKER.as_bytes()) {
        check_marker(&index.document(MARKER.as_bytes(), MAX_MARKER)?, Path::new(MARKER))?;
    }
    let has_index = index.has(INDEX.as_bytes());
    if has_index && !index.has_compressed() {
        plan_oci(&mut images, &index, has_docker, ctx)?;
    } else if !has_index && !has_docker {
        return Err(Error::archive(b"", "it has neither a file manifest.json nor a file index.json"));
    }
    if has_docker {
        plan_docker(&mut images, &index, ctx)?;
    }
    if has_index && index.has_compressed() {
        plan_anew(&mut images, &index, has_docker, ctx)?;
    }
    let mut images = images.found;
    if let Some(name) = &options.name {
        rename(&mut images, name)?;
    }
    let loaded = images.into_iter().map(|image| image.commit(&mut index, store, ctx)).collect::<Result<_>>()?;
    drop(index);
    batch.commit()?;
    task.end(Outcome::Done);
    Ok(loaded)
}

/// An image that was found whole.
enum Planned {
    Oci(Box<Loaded>, Box<oci::Plan>),
    Docker(Box<docker_read::Plan>),
}

impl Planned {
    fn names(&mut self) -> &mut Vec<String> {
        match self {
            Self::Oci(loaded, _) => &mut loaded.names,
            Self::Docker(plan) => &mut plan.names,
        }
    }

    fn commit(self, index: &mut Index<'_>, store: &dyn BlobStore, ctx: &Ctx) -> Result<Loaded> {
        ctx.check()?;
        match self {
            Self::Oci(loaded, plan) => plan.commit(index).map(|()| *loaded),
            Self::Docker(plan) => Ok(Loaded { descriptor: plan.commit(index, store)?, names: plan.names }),
        }
    }
}

/// The images that were found, and how many names they have.
#[derive(Default)]
struct Images {
    found: Vec<Planned>,
    names: u64,
}

impl Images {
    fn add(&mut self, image: Planned) -> Result<()> {
        self.found.push(image);
        within(self.found.len() as u64, "number of the archive's images", MAX_IMAGES)
    }

    /// The places of the images of `manifest.json` by the digests of their configs.
    fn by_id(&self) -> HashMap<Digest, usize> {
        let images = self.found.iter().enumerate().filter_map(|(place, image)| match image {
            Planned::Docker(plan) => Some((plan.id().clone(), place)),
            Planned::Oci(..) => None,
        });
        images.collect()
    }

    /// Counts names, before they are looked at.
    fn admit_names(&mut self, count: usize) -> Result<()> {
        self.names = self.names.saturating_add(count as u64);
        within(self.names, "number of the archive's names of images", MAX_NAMES)
    }
}

/// The images of `index.json`; entries of one digest are one image with several names.
fn plan_oci(images: &mut Images, index: &Index<'_>, has_docker: bool, ctx: &Ctx) -> Result<()> {
    let document = Document::<ImageIndex>::parse(index.document(INDEX.as_bytes(), MAX_INDEX_SIZE)?, INDEX)?;
    let mut totals = oci::Totals::default();
    for mut entry in document.into_value().manifests {
        ctx.check()?;
        let name = take_name(&mut entry)?;
        images.admit_names(usize::from(name.is_some()))?;
        let same = images.found.iter_mut().find_map(|image| match image {
            Planned::Oci(loaded, _) if loaded.descriptor.digest == entry.digest => Some(loaded),
            _ => None,
        });
        if let Some(same) = same {
            name.into_iter().for_each(|name| add_name(&mut same.names, name));
            continue;
        }
        match oci::Plan::new(&entry, index, &mut totals) {
            Ok(plan) => {
                let loaded = Loaded { descriptor: entry, names: name.into_iter().collect() };
                images.add(Planned::Oci(Box::new(loaded), Box::new(plan)))?;
            }
            Err(error @ Error::InvalidArchive { .. }) if has_docker => {
                let message = format!("is not taken from {INDEX}: {error}");
                ctx.notice(NoticeKind::Skipped, &entry.digest.to_string(), &message);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The images of `index.json` where layers are not stored as its manifests name them: each gets a new manifest, unless
/// `manifest.json` has it, and its name.
fn plan_anew(images: &mut Images, index: &Index<'_>, has_docker: bool, ctx: &Ctx) -> Result<()> {
    let mut by_id = images.by_id();
    let document = Document::<ImageIndex>::parse(index.document(INDEX.as_bytes(), MAX_INDEX_SIZE)?, INDEX)?;
    for mut entry in document.into_value().manifests {
        let name = take_name(&mut entry)?;
        images.admit_names(usize::from(name.is_some()))?;
        // Docker names an index of platforms, and in `manifest.json` the image of one of them.
        let is_index = entry.media_type.is_index();
        let manifests = if is_index {
            oci::document::<ImageIndex>(&entry, index)?.into_value().manifests
        } else {
            vec![entry.clone()]
        };
        let mut is_taken = false;
        for descriptor in &manifests {
            ctx.check()?;
            let manifest = match oci::document::<ImageManifest>(descriptor, index) {
                Ok(manifest) => manifest.into_value(),
                Err(Error::InvalidArchive { .. }) if is_index => continue,
                Err(error) => return Err(error),
            };
            if let Some(image) = by_id.get(&manifest.config.digest).and_then(|place| images.found.get_mut(*place)) {
                name.iter().for_each(|name| add_name(image.names(), name.clone()));
                is_taken = true;
            } else if !is_index && manifest.config.media_type.is_config() {
                let plan = docker_read::Plan::of_manifest(&manifest, name.clone(), index)?;
                by_id.insert(plan.id().clone(), images.found.len());
                images.add(Planned::Docker(Box::new(plan)))?;
                is_taken = true;
            }
        }
        if !is_taken && !has_docker {
            let what = "compressing on the way what is no single image";
            let hint = "what names an image's layers names them as they are; load the archive without";
            return Err(CoreError::unsupported(what, hint).into());
        }
        if !is_taken {
            ctx.notice(NoticeKind::Skipped, &entry.digest.to_string(), "is no image, and manifest.json has none of it");
        }
    }
    Ok(())
}

/// The images of `manifest.json`, and the names that it has for others.
fn plan_docker(images: &mut Images, index: &Index<'_>, ctx: &Ctx) -> Result<()> {
    for image in DockerImages::parse(index.document(MANIFEST.as_bytes(), MAX_MANIFEST_SIZE)?)? {
        ctx.check()?;
        images.admit_names(image.repo_tags.len())?;
        let plan = docker_read::Plan::new(image, index)?;
        let same = images.found.iter_mut().find_map(|image| match image {
            Planned::Oci(loaded, oci) if oci.ids.contains(plan.id()) => Some(&mut loaded.names),
            Planned::Docker(docker) if docker.is_same(&plan) => Some(&mut docker.names),
            _ => None,
        });
        match same {
            Some(names) => plan.names.into_iter().for_each(|name| add_name(names, name)),
            None => images.add(Planned::Docker(Box::new(plan)))?,
        }
    }
    Ok(())
}

fn add_name(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// Takes the name out of an entry: the full one if it has one, as people write it.
fn take_name(entry: &mut Descriptor) -> Result<Option<String>> {
    let name = entry.annotations.remove(REF_NAME);
    if let Some(full) = entry.annotations.remove(IMAGE_NAME) {
        let reference = full.parse::<Reference>();
        let invalid = |_| Error::archive(INDEX.as_bytes(), format!("invalid name {:?}", excerpt(&full)));
        return reference.map(|reference| Some(reference.familiar())).map_err(invalid);
    }
    if let Some(name) = &name {
        check_ref_name(name)?;
    }
    Ok(name)
}

/// Says that there is one image, and gives it the only name that it is to have.
fn rename(images: &mut [Planned], name: &str) -> Result<()> {
    check_ref_name(name)?;
    let count = images.len();
    let [image] = images else {
        return Err(Error::archive(b"", format!("it has {count} images, and one is to be named {name}")));
    };
    *image.names() = vec![name.to_owned()];
    Ok(())
}

/// An entry for each name of an image.
fn named(image: &Loaded) -> impl Iterator<Item = Descriptor> {
    image.names.iter().map(|name| {
        // Some names that Docker takes may not stand where OCI has them.
        let key = if check_ref_name(name).is_ok() { REF_NAME } else { IMAGE_NAME };
        image.descriptor.clone().with_annotation(key, name)
    })
}

impl OciLayout {
    /// Loads all images of an archive, as [`load`] does, and names them, all at once.
    ///
    /// A name that is taken moves to the image of the archive. An image without a name becomes an entry
    /// without one, unless the layout has an entry for it.
    ///
    /// # Errors
    /// Those of [`load`] and [`OciLayout::update_index`]; nothing is named then.
    pub fn load(&self, reader: impl Read, options: &LoadOptions, ctx: &Ctx) -> Result<Vec<Loaded>> {
        let leased = self.clone().leased()?;
        let loaded = load(reader, leased.blobs(), options, ctx)?;
        leased.update_index(|index| {
            tag::place(index, loaded.iter().flat_map(named).collect());
            for Loaded { descriptor, .. } in loaded.iter().filter(|image| image.names.is_empty()) {
                tag::add(index, descriptor.clone());
            }
            Ok(())
        })?;
        Ok(loaded)
    }
}
