//! OCI layouts made file by file, right and wrong.

use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::symlink, path::Path};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sha2::{Digest, Sha256};

/// The media types of OCI.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The digest of some bytes, as it is written: `sha256:…`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Compressed by gzip.
///
/// # Panics
/// Never: memory can be written to.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory can be written to")
}

/// Compressed by zstd, with a checksum.
///
/// # Panics
/// Never: memory can be written to.
#[must_use]
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.include_checksum(true).expect("a checksum");
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory can be written to")
}

/// What a descriptor says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// What the content is said to be.
    pub media_type: String,
    /// Its name.
    pub digest: String,
    /// In bytes, or anything else that a document may say.
    pub size: String,
}

impl Described {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self { media_type: media_type.to_owned(), digest: digest(bytes), size: bytes.len().to_string() }
    }

    fn json(&self) -> String {
        let Self { media_type, digest, size } = self;
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    }
}

/// A layer as it is stored, and what manifest and configuration say of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Layer {
    /// What is stored; nothing where it is missing.
    pub stored: Option<Vec<u8>>,
    /// What the manifest says.
    pub described: Described,
    /// What the configuration says.
    pub diff_id: String,
}

impl Layer {
    /// An uncompressed layer.
    #[must_use]
    pub fn plain(tar: &[u8]) -> Self {
        Self::new("application/vnd.oci.image.layer.v1.tar", tar.to_vec(), tar)
    }

    /// A layer compressed by gzip.
    #[must_use]
    pub fn gzip(tar: &[u8]) -> Self {
        Self::new("application/vnd.oci.image.layer.v1.tar+gzip", gzip(tar), tar)
    }

    /// A layer compressed by zstd.
    #[must_use]
    pub fn zstd(tar: &[u8]) -> Self {
        Self::new("application/vnd.oci.image.layer.v1.tar+zstd", zstd(tar), tar)
    }

    /// What is stored under a media type, and what it is when it is plain.
    #[must_use]
    pub fn new(media_type: &str, stored: Vec<u8>, tar: &[u8]) -> Self {
        Self { described: Described::of(media_type, &stored), diff_id: digest(tar), stored: Some(stored) }
    }

    /// With other bytes stored under the same name and size.
    #[must_use]
    pub fn storing(self, stored: Vec<u8>) -> Self {
        Self { stored: Some(stored), ..self }
    }
}

/// What stands in a file's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each is made in its own way")]
pub enum Impostor {
    /// A pipe that nobody writes to.
    Fifo,
    /// A directory.
    Directory,
    /// A link to a device that never ends.
    Endless,
}

/// A layout in a directory: its files by name.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    files: BTreeMap<String, Vec<u8>>,
    impostors: Vec<(String, Impostor)>,
    manifest: Option<Described>,
}

impl Layout {
    /// What `index.json` calls the image.
    pub const NAME: &str = "it";

    /// A layout with nothing but its marker.
    #[must_use]
    pub fn new() -> Self {
        Self::default().with_file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    /// A layout of one image of these layers.
    #[must_use]
    pub fn of(layers: &[Layer]) -> Self {
        Self::edited(layers, &str::to_owned, &str::to_owned)
    }

    /// The same, with configuration and manifest changed before anything names them.
    pub fn edited(layers: &[Layer], config: &dyn Fn(&str) -> String, manifest: &dyn Fn(&str) -> String) -> Self {
        let list = |items: Vec<String>| items.join(",");
        let diff_ids = list(layers.iter().map(|layer| format!("\"{}\"", layer.diff_id)).collect());
        let text =
            format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#);
        let text = config(&text);
        let described = Described::of(CONFIG, text.as_bytes());
        let listed = list(layers.iter().map(|layer| layer.described.json()).collect());
        let config = described.json();
        let mut layout = Self::new().with_blob(text.as_bytes());
        for layer in layers {
            if let Some(stored) = &layer.stored {
                layout = layout.with_file(&blob_name(&layer.described.digest), stored);
            }
        }
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{listed}]}}"#);
        layout.naming(MANIFEST, &manifest(&text))
    }

    /// With a blob under its name.
    #[must_use]
    pub fn with_blob(self, bytes: &[u8]) -> Self {
        self.with_file(&blob_name(&digest(bytes)), bytes)
    }

    /// With a file, of which the name says where.
    #[must_use]
    pub fn with_file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(name.to_owned(), content.as_ref().to_vec());
        self
    }

    /// With something else in place of a file.
    #[must_use]
    pub fn with_impostor(mut self, name: &str, impostor: Impostor) -> Self {
        self.files.remove(name);
        self.impostors.push((name.to_owned(), impostor));
        self
    }

    /// With an index of the document that was named last in its place, so many times one in the other.
    #[must_use]
    pub fn nested(mut self, depth: usize, width: usize) -> Self {
        for _ in 0..depth {
            let Some(named) = self.manifest.clone() else { return self };
            // Each pointer is another one, by an annotation.
            let pointer = |n| named.json().replacen('{', &format!(r#"{{"annotations":{{"n":"{n}"}},"#), 1);
            let pointers: Vec<String> = (0..width).map(pointer).collect();
            let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, pointers.join(","));
            self = self.naming(INDEX, &text);
        }
        self
    }

    /// With a document that `index.json` names.
    #[must_use]
    pub fn naming(self, media_type: &str, document: &str) -> Self {
        let described = Described::of(media_type, document.as_bytes());
        let layout = Self { manifest: Some(described.clone()), ..self.with_blob(document.as_bytes()) };
        layout.with_entry(&described)
    }

    /// With another descriptor in `index.json`, of what was stored before.
    #[must_use]
    pub fn described(self, change: impl FnOnce(&mut Described)) -> Self {
        let Some(mut described) = self.manifest.clone() else { return self };
        change(&mut described);
        self.with_entry(&described)
    }

    fn with_entry(self, described: &Described) -> Self {
        let name = format!(r#"{{"annotations":{{"org.opencontainers.image.ref.name":"{}"}},"#, Self::NAME);
        let entry = described.json().replacen('{', &name, 1);
        self.with_file("index.json", format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#))
    }

    /// What the document is that `index.json` is to name.
    #[must_use]
    pub fn manifest(&self) -> Option<&Described> {
        self.manifest.as_ref()
    }

    /// Makes the layout in a new directory.
    ///
    /// # Panics
    /// Where a file cannot be written.
    pub fn write_to(&self, dir: &Path) {
        fs::create_dir_all(dir.join("blobs/sha256")).expect("a directory");
        for (name, content) in &self.files {
            fs::write(dir.join(name), content).expect("a file of the layout");
        }
        for (name, impostor) in &self.impostors {
            let path = dir.join(name);
            match impostor {
                Impostor::Fifo => {
                    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).map_err(Into::into)
                }
                Impostor::Directory => fs::create_dir(&path),
                Impostor::Endless => symlink("/dev/zero", &path),
            }
            .expect("an impostor");
        }
    }
}

/// Where a blob lies; a digest that is none has no place.
#[must_use]
pub fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}
