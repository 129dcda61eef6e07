//! Names of images: tag, untag, list, find.

use std::collections::HashMap;

use image_core::{
    Descriptor, Digest, Error as CoreError, ImageIndex, Reference,
    blob::{BlobSourceExt, BlobStore},
};

use crate::{
    error::{Error, Result, list},
    layout::OciLayout,
    ref_name::{IMAGE_NAME, REF_NAME, check_ref_name},
};

/// An entry of `index.json` that has a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    descriptor: Descriptor,
}

impl Tag {
    /// The name in the layout, by the annotation [`REF_NAME`].
    #[must_use]
    pub fn ref_name(&self) -> Option<&str> {
        name_of(&self.descriptor, REF_NAME)
    }

    /// The full name that Docker or containerd wrote, by the annotation [`IMAGE_NAME`].
    #[must_use]
    pub fn image_name(&self) -> Option<&str> {
        name_of(&self.descriptor, IMAGE_NAME)
    }

    /// The name to ask for it by: the full one where it has one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.image_name().or_else(|| self.ref_name()).unwrap_or_default()
    }

    /// What is named: a manifest or an index.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
}

fn name_of<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    descriptor.annotations.get(key).map(String::as_str)
}

impl OciLayout {
    /// Names a manifest or index that is in the layout's blobs.
    ///
    /// An entry that had the name loses it; if it has no other name, by [`IMAGE_NAME`], it goes, and its
    /// blobs wait for garbage collection. A full name that `descriptor` brings along moves in the same way.
    ///
    /// # Errors
    /// [`Error::InvalidRefName`]; [`Error::is_not_found`] where the blob is not there; those of
    /// [`OciLayout::update_index`].
    pub fn tag(&self, name: &str, descriptor: &Descriptor) -> Result<()> {
        check_ref_name(name)?;
        // From here on until it has its name, no collection takes it away.
        let _hold = self.blobs().hold()?;
        drop(self.blobs().open_verified(descriptor)?);
        self.blobs().renew(&descriptor.digest, descriptor.size)?;
        let entry = descriptor.clone().with_annotation(REF_NAME, name);
        self.update_index(|index| {
            place(index, vec![entry]);
            Ok(())
        })
    }

    /// Takes a name away, exactly as it is written, and says whether it was there.
    ///
    /// It is looked for as [`REF_NAME`], then as [`IMAGE_NAME`]. An entry left without a name goes.
    ///
    /// # Errors
    /// Those of [`OciLayout::update_index`].
    pub fn untag(&self, name: &str) -> Result<bool> {
        self.update_index(|index| {
            let key = [REF_NAME, IMAGE_NAME]
                .into_iter()
                .find(|key| index.manifests.iter().any(|entry| name_of(entry, key) == Some(name)));
            if let Some(key) = key {
                index.manifests =
                    index.manifests.drain(..).filter_map(|entry| without(entry, key, Some(name))).collect();
            }
            Ok(key.is_some())
        })
    }

    /// Adds a manifest or index that is in the layout's blobs as an entry without a name, unless there is an entry for it,
    /// named or not. What is about an image is added so: see [`crate::referrers`].
    ///
    /// # Errors
    /// [`Error::is_not_found`] where the blob is not there; those of [`OciLayout::update_index`].
    pub fn add(&self, descriptor: &Descriptor) -> Result<()> {
        // As for a name: no collection takes it away until its entry is there.
        let _hold = self.blobs().hold()?;
        drop(self.blobs().open_verified(descriptor)?);
        self.blobs().renew(&descriptor.digest, descriptor.size)?;
        let mut entry = descriptor.clone();
        entry.annotations.retain(|key, _| ![REF_NAME, IMAGE_NAME].contains(&key.as_str()));
        self.update_index(|index| {
            add(index, entry);
            Ok(())
        })
    }

    /// The entries that have names, in the order of `index.json`.
    ///
    /// # Errors
    /// Those of [`OciLayout::index`].
    pub fn tags(&self) -> Result<Vec<Tag>> {
        let entries = self.index()?.into_value().manifests;
        Ok(entries.into_iter().map(|descriptor| Tag { descriptor }).filter(|tag| !tag.name().is_empty()).collect())
    }

    /// Finds what a name means: the entry whose [`REF_NAME`] it is, else whose [`IMAGE_NAME`] it is, else
    /// one of whose names means the same reference, as [`OciLayout::find_reference`] compares them. A sha256
    /// or sha512 digest, with or without `@` before it, finds the entry of that digest, named or not.
    ///
    /// # Errors
    /// [`Error::AmbiguousName`] where several entries of different digests have the name; those of
    /// [`OciLayout::index`].
    pub fn find(&self, name: &str) -> Result<Option<Descriptor>> {
        let entries = self.index()?.into_value().manifests;
        for key in [REF_NAME, IMAGE_NAME] {
            if let Some(found) = self.single(name, entries.iter().filter(|entry| name_of(entry, key) == Some(name)))? {
                return Ok(Some(found));
            }
        }
        if let Ok(digest) = name.strip_prefix('@').unwrap_or(name).parse::<Digest>()
            && digest.algorithm().is_supported()
        {
            return Ok(entries.into_iter().find(|entry| entry.digest == digest));
        }
        match name.parse() {
            Ok(reference) => self.find_among(&entries, &reference),
            Err(_) => Ok(None),
        }
    }

    /// Finds what a reference means: the entry of its digest if it has one, else the entry one of whose
    /// names, read as a reference, is the same, where no tag means `latest`.
    ///
    /// # Errors
    /// As [`OciLayout::find`].
    pub fn find_reference(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        self.find_among(&self.index()?.into_value().manifests, reference)
    }

    /// Finds what a name means, as [`OciLayout::find`] does, where it must be there.
    ///
    /// # Errors
    /// [`Error::is_not_found`], saying which names are there, and those of [`OciLayout::find`].
    pub fn resolve(&self, name: &str) -> Result<Descriptor> {
        if let Some(found) = self.find(name)? {
            return Ok(found);
        }
        let tags = self.tags()?;
        let names: Vec<&str> = tags.iter().map(Tag::name).collect();
        let path = self.path().display();
        let hint =
            if names.is_empty() { format!("{path} has no names") } else { format!("{path} has {}", list(&names)) };
        Err(CoreError::image_not_found(name, hint).into())
    }

    fn find_among(&self, entries: &[Descriptor], reference: &Reference) -> Result<Option<Descriptor>> {
        let wanted = reference.clone().with_default_tag();
        let is_wanted = |entry: &&Descriptor| match wanted.digest() {
            Some(digest) => entry.digest == *digest,
            None => [REF_NAME, IMAGE_NAME]
                .into_iter()
                .filter_map(|key| name_of(entry, key)?.parse::<Reference>().ok())
                .any(|name| name.with_default_tag() == wanted),
        };
        self.single(&reference.familiar(), entries.iter().filter(is_wanted))
    }

    /// The one thing that entries of one name point at.
    fn single<'a>(&self, name: &str, entries: impl Iterator<Item = &'a Descriptor>) -> Result<Option<Descriptor>> {
        let mut found: Option<&Descriptor> = None;
        let mut digests: Vec<Digest> = Vec::new();
        for entry in entries {
            found.get_or_insert(entry);
            if !digests.contains(&entry.digest) && digests.len() < 100 {
                digests.push(entry.digest.clone());
            }
        }
        if digests.len() > 1 {
            return Err(Error::AmbiguousName { path: self.path().to_owned(), name: name.to_owned(), digests });
        }
        Ok(found.cloned())
    }
}

/// Adds an entry unless there is one for the same thing.
pub(crate) fn add(index: &mut ImageIndex, entry: Descriptor) {
    if !index.manifests.iter().any(|other| other.digest == entry.digest) {
        index.manifests.push(entry);
    }
}

/// Puts entries in the places of those that have their [`REF_NAME`], or at the end. Others lose the names that they have, also
/// among themselves: of one name the last counts. It takes one pass, however many there are.
pub(crate) fn place(index: &mut ImageIndex, entries: Vec<Descriptor>) {
    let mut owners: HashMap<(&str, String), usize> = HashMap::new();
    for (number, entry) in entries.iter().enumerate() {
        for key in [REF_NAME, IMAGE_NAME] {
            owners.extend(name_of(entry, key).map(|name| ((key, name.to_owned()), number)));
        }
    }
    let owner = |entry: &Descriptor, key| owners.get(&(key, name_of(entry, key)?.to_owned())).copied();
    // Takes from an entry the names that others have.
    let strip = |mut entry: Descriptor, number: Option<usize>| {
        for key in [REF_NAME, IMAGE_NAME] {
            if let Some(name) = name_of(&entry, key).filter(|_| owner(&entry, key).is_some_and(|of| Some(of) != number))
            {
                let name = name.to_owned();
                entry = without(entry, key, Some(&name))?;
            }
        }
        Some(entry)
    };
    let entries = entries.into_iter().enumerate();
    let mut entries: Vec<Option<Descriptor>> = entries.map(|(number, entry)| strip(entry, Some(number))).collect();
    let mut placed = Vec::with_capacity(index.manifests.len() + entries.len());
    for old in index.manifests.drain(..) {
        let new = owner(&old, REF_NAME).and_then(|number| entries.get_mut(number));
        placed.extend(new.and_then(Option::take));
        placed.extend(strip(old, None));
    }
    placed.extend(entries.into_iter().flatten());
    index.manifests = placed;
}

/// The entry without `name` under `key`, if it has that; `None` where that leaves it without a name.
fn without(mut entry: Descriptor, key: &str, name: Option<&str>) -> Option<Descriptor> {
    if name.is_none() || name_of(&entry, key) != name {
        return Some(entry);
    }
    entry.annotations.remove(key);
    [REF_NAME, IMAGE_NAME].into_iter().any(|key| name_of(&entry, key).is_some()).then_some(entry)
}
