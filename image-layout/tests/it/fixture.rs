//! Small images in small layouts.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use image_core::{
    BlobStoreExt, Compression, Ctx, Descriptor, DiffId, Digest, Document, ImageConfig, ImageIndex, ImageManifest,
    MediaType, Platform,
    codec::{EncodeOptions, Encoder},
};
use image_layout::{OciLayout, fsck::VerifyOptions};
use tempfile::TempDir;

/// A layout in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) layout: OciLayout,
    dir: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let layout = OciLayout::create(dir.path().join("layout")).expect("a new layout");
        Self { layout, dir }
    }

    /// Whether all that is in the layout is right, named or not.
    pub(crate) fn is_whole(&self) -> bool {
        let report = self.layout.verify(None, &VerifyOptions::default().with_unreachable(), &Ctx::default());
        report.expect("the layout is verified").is_clean()
    }

    pub(crate) fn path(&self) -> &Path {
        self.layout.path()
    }

    /// A place beside the layout.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path().join("blobs").join(digest.algorithm().as_str()).join(digest.encoded())
    }

    /// Puts other content in a blob's place.
    pub(crate) fn corrupt(&self, digest: &Digest, content: &[u8]) {
        let path = self.blob_path(digest);
        fs::remove_file(&path).expect("the blob is there");
        fs::write(path, content).expect("the blob is written");
    }

    pub(crate) fn remove(&self, digest: &Digest) {
        fs::remove_file(self.blob_path(digest)).expect("the blob is there");
    }

    pub(crate) fn write_index(&self, json: &str) {
        fs::write(self.path().join("index.json"), json).expect("index.json is written");
    }

    pub(crate) fn put(&self, bytes: &[u8], media_type: MediaType) -> Descriptor {
        let blob = self.layout.blobs().put_bytes(bytes).expect("the blob is stored");
        Descriptor::new(media_type, blob.digest, blob.size)
    }

    /// A layer of an empty tar with `text` in a block that nothing reads.
    pub(crate) fn layer(&self, text: &str, compression: Compression) -> (Descriptor, DiffId) {
        let mut tar = vec![0; 1024];
        tar.extend(text.as_bytes());
        tar.resize(2048, 0);
        let diff_id = DiffId::from_digest(Digest::sha256_of(&tar));
        let mut encoder = Encoder::new(Vec::new(), &EncodeOptions::new(compression)).expect("an encoder");
        encoder.write_all(&tar).expect("the tar is compressed");
        let stored = encoder.finish().expect("the tar is compressed");
        (self.put(&stored, MediaType::layer(compression)), diff_id)
    }

    pub(crate) fn config(&self, platform: &str, diff_ids: &[DiffId]) -> Descriptor {
        let platform = if platform.is_empty() { Platform::default() } else { platform.parse().expect("a platform") };
        let mut config = ImageConfig::new(&platform);
        config.rootfs.diff_ids = diff_ids.to_vec();
        let config = Document::new(config).expect("a config");
        self.layout.blobs().put_document(&config).expect("the config is stored");
        config.descriptor(MediaType::OciConfig)
    }

    pub(crate) fn manifest(&self, config: Descriptor, layers: Vec<Descriptor>) -> Descriptor {
        let manifest = Document::new(ImageManifest::new(config, layers)).expect("a manifest");
        self.layout.blobs().put_document(&manifest).expect("the manifest is stored");
        manifest.descriptor(MediaType::OciManifest)
    }

    /// An image of one layer, that is different for each text; its descriptor names no platform.
    pub(crate) fn image(&self, platform: &str, text: &str) -> Descriptor {
        let (layer, diff_id) = self.layer(text, Compression::Gzip);
        self.manifest(self.config(platform, &[diff_id]), vec![layer])
    }

    /// The same, with the platform in the descriptor.
    pub(crate) fn image_for(&self, platform: &str) -> Descriptor {
        self.image(platform, platform).with_platform(platform.parse().expect("a platform"))
    }

    pub(crate) fn index(&self, manifests: Vec<Descriptor>) -> Descriptor {
        let index = Document::new(ImageIndex::new(manifests)).expect("an index");
        self.layout.blobs().put_document(&index).expect("the index is stored");
        index.descriptor(MediaType::OciIndex)
    }
}

/// The content of a file that a test wrote.
#[expect(clippy::disallowed_methods, reason = "small files of the tests' own")]
pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path).expect("a file")
}
