//! Archives made byte by byte.

use std::io::Write;

use image_core::{
    Compression, DiffId, Digest, Document, ImageConfig, Platform,
    codec::{EncodeOptions, Encoder},
};

/// A tar stream as anybody may write one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive(Vec<u8>);

impl Archive {
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.header(name, b'0', content.len() as u64, "");
        self.0.extend(content);
        self.pad();
        self
    }

    pub(crate) fn files(self, files: &[(&str, &[u8])]) -> Self {
        files.iter().fold(self, |archive, (name, content)| archive.file(name, content))
    }

    /// A member without content: a link, a directory or something that no image has.
    pub(crate) fn other(mut self, name: &str, kind: u8, target: &str) -> Self {
        self.header(name, kind, 0, target);
        self
    }

    /// An extended header.
    pub(crate) fn extended(mut self, kind: u8, body: &[u8]) -> Self {
        self.header("extended", kind, body.len() as u64, "");
        self.0.extend(body);
        self.pad();
        self
    }

    /// The header of a file of another size than what follows.
    pub(crate) fn lying(mut self, name: &str, size: u64) -> Self {
        self.header(name, b'0', size, "");
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }

    fn header(&mut self, name: &str, kind: u8, size: u64, target: &str) {
        let mut block = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, b"0000644\x000000000\x000000000\x00");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"00000000000\x00        ");
        put(156, &[kind]);
        put(157, target.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(block);
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }
}

/// A PAX record.
pub(crate) fn record(keyword: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {keyword}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

pub(crate) fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), &EncodeOptions::new(compression)).expect("an encoder");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A layer that is larger than what is held in memory, compressed too; different for each text.
pub(crate) fn layer(text: &str) -> Vec<u8> {
    let mut noise = Vec::new();
    for n in 0..200 {
        noise.extend(Digest::sha256_of(format!("{text} {n}").as_bytes()).encoded().bytes());
    }
    Archive::default().file("content", noise).end()
}

pub(crate) fn diff_id(layer: &[u8]) -> DiffId {
    DiffId::from_digest(Digest::sha256_of(layer))
}

pub(crate) fn config(layers: &[&[u8]]) -> Document<ImageConfig> {
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    config.rootfs.diff_ids = layers.iter().map(|layer| diff_id(layer)).collect();
    Document::new(config).expect("a config")
}

/// `manifest.json` of one image.
pub(crate) fn manifest(config: &str, tags: &[&str], layers: &[&str]) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!([{"Config": config, "RepoTags": tags, "Layers": layers}])).expect("JSON")
}
