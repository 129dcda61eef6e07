//! Documents: a value together with the exact bytes that it was read from.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, Result, excerpt},
    json,
    media_type::MediaType,
};

/// The largest manifest, index blob or config that is read, in bytes, unless the caller says otherwise.
pub const MAX_DOCUMENT_SIZE: u64 = 4 << 20;

/// The most layers that an image may have.
pub const MAX_LAYERS: usize = 4096;

/// A kind of JSON document: manifest, index or config.
pub trait Body: Serialize + DeserializeOwned {
    /// What it is called in an error.
    const KIND: &'static str;

    /// Whether a descriptor of this media type points at such a document. None does where the kind has no media type.
    fn is_media_type(_: &MediaType) -> bool {
        false
    }

    /// What the document says of itself; nothing, unless the kind has fields for it.
    fn facts(&self) -> Facts<'_> {
        Facts::default()
    }

    /// Takes note of what the value itself does not say of how the document is written, so that it is written alike.
    fn note_form(&mut self, _: &[u8]) {}

    /// Checks the rules of this kind, beyond those that its fields have.
    ///
    /// # Errors
    /// The rule that the document breaks, in words.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What a document says of itself.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by implementers of Body, whose contract it is")]
pub struct Facts<'a> {
    /// Its `schemaVersion`; `None` for a kind that has none.
    pub schema_version: Option<u64>,
    /// Its `mediaType`; `None` where it has none.
    pub media_type: Option<&'a MediaType>,
}

/// A document: its value, its bytes, and the digest of those bytes.
///
/// Bytes with a known digest are never written anew: what was read is stored and copied byte
/// for byte, whatever fields this crate has no name for. An edit makes a new document.
///
/// ```
/// use image_core::{Document, ImageIndex};
/// let text = &br#"{ "schemaVersion": 2, "manifests": null }"#[..];
/// let index = Document::<ImageIndex>::parse(text, "index.json")?;
/// assert!(index.value().manifests.is_empty());
/// assert_eq!(index.bytes(), text);
/// # Ok::<(), image_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Document<T> {
    value: T,
    bytes: Bytes,
    digest: Digest,
}

impl<T: Body> Document<T> {
    /// Reads a document; `name` says which in errors: its digest, or its path.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where it is not one JSON value, has a key twice, breaks the rules
    /// of its kind, or could be read as another kind.
    ///
    /// # Spec
    /// OCI image-spec 1.1, manifest.md, image-index.md, config.md and media-types.md.
    pub fn parse(bytes: impl Into<Bytes>, name: &str) -> Result<Self> {
        let bytes = bytes.into();
        let document = || format!("{} {name}", T::KIND);
        let mut value: T = json::from_slice(&bytes).map_err(|source| Error::Json { document: document(), source })?;
        value.note_form(&bytes);
        let facts = value.facts();
        if let Some(version) = facts.schema_version.filter(|version| *version != 2) {
            return Err(Error::document(document(), format!("schemaVersion is {version}, not 2")));
        }
        if let Some(media_type) = facts.media_type
            && !T::is_media_type(media_type)
            && !media_type.as_str().is_empty()
        {
            return Err(Error::document(
                document(),
                format!("its mediaType is {:?}, not that of an {}", excerpt(media_type.as_str()), T::KIND),
            ));
        }
        value.check().map_err(|reason| Error::document(document(), reason))?;
        let digest = Digest::sha256_of(&bytes);
        Ok(Self { value, bytes, digest })
    }

    /// Reads the document that a descriptor points at, whose bytes were verified against it.
    ///
    /// # Errors
    /// As [`Document::parse`], and where the descriptor's media type is another than the document's.
    pub fn parse_for(bytes: impl Into<Bytes>, descriptor: &Descriptor) -> Result<Self> {
        let mut document = Self::parse(bytes, &descriptor.digest.to_string())?;
        if let Some(said) = document.value.facts().media_type
            && *said != descriptor.media_type
            && !descriptor.media_type.as_str().is_empty()
            && !said.as_str().is_empty()
        {
            return Err(Error::document(
                format!("{} {}", T::KIND, descriptor.digest),
                format!(
                    "its mediaType is {:?}, its descriptor says {:?}",
                    excerpt(said.as_str()),
                    excerpt(descriptor.media_type.as_str())
                ),
            ));
        }
        document.digest = descriptor.digest.clone();
        Ok(document)
    }

    /// Writes a value as a document.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where the value breaks the rules of its kind.
    pub fn new(value: T) -> Result<Self> {
        let document = || format!("new {}", T::KIND);
        value.check().map_err(|reason| Error::document(document(), reason))?;
        let bytes = json::to_vec(&value).map_err(|source| Error::Json { document: document(), source })?;
        let digest = Digest::sha256_of(&bytes);
        Ok(Self { value, bytes: bytes.into(), digest })
    }
}

impl<T> Document<T> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The exact bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The value alone, to be edited.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    /// A descriptor of the document.
    #[must_use]
    pub fn descriptor(&self, media_type: MediaType) -> Descriptor {
        Descriptor::new(media_type, self.digest.clone(), self.bytes.len() as u64)
    }
}
