//! From a name to the image for a platform, through nested indexes.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::Arc,
};

use image_core::{
    Descriptor, Digest, Error as CoreError, Image, ImageConfig, ImageIndex, ImageManifest, Platform,
    blob::{BlobSource, BlobSourceExt},
};

use crate::{
    bounds::{Bounds, within},
    error::{Result, excerpt, list},
    layout::OciLayout,
};

/// How many configs are read for the sake of their platform, for one image.
const MAX_CONFIGS: usize = 1000;

/// How many platforms are remembered for an error.
const MAX_PLATFORMS: usize = 32;

/// The annotation by which BuildKit marks a manifest that is about another and is no image.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

impl OciLayout {
    /// The image of a name, as [`OciLayout::resolve`] finds it, for a platform.
    ///
    /// Without a platform it is the only image there is under the name, or else the one for the platform
    /// that this program was compiled for.
    ///
    /// # Errors
    /// [`crate::Error::is_not_found`] where nothing has the name, or none of what has it is for the platform:
    /// the error says what there is; those of [`OciLayout::find`] and [`Image::open`].
    pub fn image(&self, name: &str, platform: Option<&Platform>) -> Result<Image> {
        self.image_at(name, &self.resolve(name)?, platform)
    }

    /// The image for a platform that `descriptor` points at, being its manifest or an index with it.
    /// `name` is for errors.
    ///
    /// Of several the first with the best [`Platform::rank`] is taken. A manifest without a platform has
    /// that of its config; an image that names none suits every platform, but any other suits it better.
    /// Attestations and unknown media types are passed over. Where the layout can be written to, it is noted that
    /// `descriptor` was used now, for [`OciLayout::collect`].
    ///
    /// # Errors
    /// As [`OciLayout::image`]; [`CoreError::LimitExceeded`] for indexes nested deeper than 8, or more than 1000.
    ///
    /// # Spec
    /// OCI image-spec 1.1, image-index.md, `manifests`: of several matches the first is used, and unknown
    /// media types are ignored.
    pub fn image_at(&self, name: &str, descriptor: &Descriptor, platform: Option<&Platform>) -> Result<Image> {
        let place = self.path().display().to_string();
        self.note_use(descriptor)?;
        image_in(Arc::new(self.blobs().clone()), &place, name, descriptor, platform)
    }
}

/// The image for a platform that `descriptor` points at in any source, as [`OciLayout::image_at`] finds it in a layout.
/// `place` and `name` are for errors.
///
/// # Errors
/// As [`OciLayout::image_at`].
pub fn image_in(
    source: Arc<dyn BlobSource>,
    place: &str,
    name: &str,
    descriptor: &Descriptor,
    platform: Option<&Platform>,
) -> Result<Image> {
    if is_manifest(descriptor) && platform.is_none() {
        return Ok(Image::open(source, descriptor)?);
    }
    let wanted = platform.cloned().unwrap_or_else(Platform::of_target);
    let mut search = Search::new(&*source, &wanted);
    search.run(descriptor)?;
    let found = match (search.best.take(), search.only.take()) {
        (Some(best), _) => best.descriptor,
        (None, Only::One(image)) if platform.is_none() => *image,
        (None, Only::None) if is_manifest(descriptor) => descriptor.clone(),
        (None, _) => return Err(search.nothing(name, place).into()),
    };
    Ok(Image::open(source, &found)?)
}

/// A walk over what can be reached from one descriptor, in which one document is held at a time.
struct Search<'a> {
    source: &'a dyn BlobSource,
    wanted: &'a Platform,
    queue: VecDeque<(Descriptor, Vec<usize>)>,
    indexes: HashSet<Digest>,
    bounds: Bounds,
    configs: usize,
    best: Option<Candidate>,
    only: Only,
    platforms: BTreeSet<String>,
}

/// An image, how well it suits, and its position in each index on the way.
struct Candidate {
    rank: u32,
    path: Vec<usize>,
    descriptor: Descriptor,
}

/// Whether there is one image.
#[derive(Default)]
enum Only {
    #[default]
    None,
    One(Box<Descriptor>),
    Several,
}

impl Only {
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    fn add(&mut self, descriptor: &Descriptor) {
        match self {
            Self::None => *self = Self::One(Box::new(descriptor.clone())),
            Self::One(one) if one.digest != descriptor.digest => *self = Self::Several,
            _ => {}
        }
    }
}

impl<'a> Search<'a> {
    fn new(source: &'a dyn BlobSource, wanted: &'a Platform) -> Self {
        Self {
            source,
            wanted,
            queue: VecDeque::new(),
            indexes: HashSet::new(),
            bounds: Bounds::default(),
            configs: 0,
            best: None,
            only: Only::None,
            platforms: BTreeSet::new(),
        }
    }

    fn run(&mut self, root: &Descriptor) -> Result<(), CoreError> {
        self.visit(root, Vec::new)?;
        while let Some((descriptor, path)) = self.queue.pop_front() {
            let index = self.source.read_document::<ImageIndex>(&descriptor)?;
            for (position, child) in index.value().manifests.iter().enumerate() {
                self.visit(child, || path.iter().copied().chain([position]).collect())?;
            }
        }
        Ok(())
    }

    fn visit(&mut self, descriptor: &Descriptor, path: impl FnOnce() -> Vec<usize>) -> Result<(), CoreError> {
        if is_attestation(descriptor) {
            return Ok(());
        }
        if descriptor.media_type.is_index() {
            return self.enqueue(descriptor, path());
        }
        if !is_manifest(descriptor) {
            return Ok(());
        }
        let platform = match descriptor.platform.as_ref().filter(|platform| is_named(platform)) {
            Some(platform) => platform.clone(),
            None => match self.platform_by_config(descriptor)? {
                Some(platform) => platform,
                None => return Ok(()),
            },
        };
        self.only.add(descriptor);
        if self.platforms.len() < MAX_PLATFORMS {
            self.platforms.insert(excerpt(&platform.to_string()));
        }
        let rank = if is_named(&platform) { self.wanted.rank(&platform) } else { Some(u32::MAX) };
        if let Some(rank) = rank {
            let path = path();
            if self.best.as_ref().is_none_or(|best| (rank, &path) < (best.rank, &best.path)) {
                self.best = Some(Candidate { rank, path, descriptor: descriptor.clone() });
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, descriptor: &Descriptor, path: Vec<usize>) -> Result<(), CoreError> {
        if !self.indexes.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        self.bounds.admit_index(descriptor, path.len() + 1)?;
        self.queue.push_back((descriptor.clone(), path));
        Ok(())
    }

    /// The platform in the config of an image; `None` where it is an artifact of another kind.
    fn platform_by_config(&mut self, descriptor: &Descriptor) -> Result<Option<Platform>, CoreError> {
        self.configs += 1;
        within(self.configs, "manifests without a platform", MAX_CONFIGS, &descriptor.digest)?;
        let manifest = self.source.read_document::<ImageManifest>(descriptor)?;
        let config = &manifest.value().config;
        if !config.media_type.is_config() {
            return Ok(None);
        }
        Ok(Some(self.source.read_document::<ImageConfig>(config)?.value().platform()))
    }

    fn nothing(&self, name: &str, place: &str) -> CoreError {
        let platforms: Vec<&String> = self.platforms.iter().collect();
        let there = if platforms.is_empty() { "no image".to_owned() } else { format!("it for {}", list(&platforms)) };
        let hint = format!("{place} has {there}");
        CoreError::image_not_found(format!("{name} for {}", self.wanted), hint)
    }
}

/// Whether it is said to be a manifest, or nothing is said.
fn is_manifest(descriptor: &Descriptor) -> bool {
    descriptor.media_type.is_manifest() || descriptor.media_type.as_str().is_empty()
}

fn is_named(platform: &Platform) -> bool {
    !platform.os.is_empty() && !platform.architecture.is_empty()
}

fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_some_and(Platform::is_unknown)
        || descriptor.annotations.contains_key(REFERENCE_TYPE)
}
