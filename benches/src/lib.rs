//! Inputs of the benches, made from seeds: the same on every machine.

use std::sync::Arc;

use image_core::{
    BlobStoreExt, Ctx, Document, Image, ImageConfig, ImageManifest, MediaType, MemoryBlobStore, Platform, Timestamp,
};
use image_overlay::{Entry, EntryKind, LayerPath, LayerWriter, Metadata, PackOptions, PackedLayer, Result, TarWriter};

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The numbers of this seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Bytes that compress to a little less than half.
#[must_use]
pub fn content(numbers: &mut Numbers, size: usize) -> Vec<u8> {
    let words: Vec<[u8; 8]> = (0..512).map(|_| numbers.next_number().to_le_bytes()).collect();
    let mut bytes = Vec::with_capacity(size + 16);
    while bytes.len() < size {
        let number = numbers.next_number();
        let [low, high, rest @ ..] = number.to_le_bytes();
        let word = usize::from(u16::from_le_bytes([low, high])) % words.len();
        bytes.extend_from_slice(&words[word]);
        if number.is_multiple_of(3) {
            bytes.extend_from_slice(&rest);
        }
    }
    bytes.truncate(size);
    bytes
}

/// A layer's entries with their content, in canonical order.
pub type Files = Vec<(Entry, Vec<u8>)>;

/// Files in directories of sixteen; half of them small, one in sixteen of half a MiB.
///
/// # Errors
/// None: the paths are short.
pub fn files(seed: u64, directories: u32) -> Result<Files> {
    let mut numbers = Numbers::of_seed(seed);
    let metadata = |mode| Metadata::new(mode).with_mtime(Timestamp::from_seconds(1_700_000_000));
    let mut files = Vec::new();
    for directory in 0..directories {
        let path = LayerPath::parse(format!("layer{seed}-{directory:05}").as_bytes())?;
        files.push((Entry::new(path.clone(), EntryKind::Directory, metadata(0o755)), Vec::new()));
        for file in 0..16 {
            let size = match file {
                0..8 => 700,
                8..15 => 9_000,
                _ => 512 << 10,
            };
            let content = content(&mut numbers, size);
            let kind = EntryKind::File { size: content.len() as u64 };
            files.push((Entry::new(path.join(format!("file{file:02}").as_bytes())?, kind, metadata(0o644)), content));
        }
    }
    Ok(files)
}

/// The size of all files, in bytes.
#[must_use]
pub fn total(files: &Files) -> u64 {
    files.iter().map(|(_, content)| content.len() as u64).sum()
}

/// The files as a plain tar.
///
/// # Errors
/// Those of the writer.
pub fn tar(files: &Files) -> Result<Vec<u8>> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, content) in files {
        writer.append(entry, &mut content.as_slice())?;
    }
    writer.finish()
}

/// The files as a layer in a store.
///
/// # Errors
/// Those of the writer.
pub fn pack(files: &Files, store: &MemoryBlobStore, options: PackOptions, ctx: &Ctx) -> Result<PackedLayer> {
    let mut writer = LayerWriter::new(store, options)?;
    for (entry, content) in files {
        writer.append(entry.clone(), &mut content.as_slice(), ctx)?;
    }
    writer.finish()
}

/// An image of these layers, in memory.
///
/// # Errors
/// Those of the writer.
pub fn image(layers: &[Files]) -> Result<Image> {
    let (store, ctx) = (MemoryBlobStore::default(), Ctx::default());
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    let mut descriptors = Vec::new();
    for files in layers {
        let layer = pack(files, &store, PackOptions::default(), &ctx)?;
        config.rootfs.diff_ids.push(layer.diff_id);
        descriptors.push(layer.descriptor);
    }
    let config = Document::new(config)?;
    store.put_document(&config)?;
    let manifest = Document::new(ImageManifest::new(config.descriptor(MediaType::OciConfig), descriptors))?;
    store.put_document(&manifest)?;
    Ok(Image::open(Arc::new(store), &manifest.descriptor(MediaType::OciManifest))?)
}

/// A Dockerfile of so many small steps that change the configuration alone.
#[must_use]
pub fn steps(count: u64) -> String {
    let step = |n: u64| match n % 4 {
        0 => format!("LABEL org.example.label-{n}=value-{n}\n"),
        1 => format!("EXPOSE {}\n", 1 + n % 65_535),
        _ => format!("ENV VARIABLE_{n}=\"value {n} of $VARIABLE_{}\"\n", n.saturating_sub(1)),
    };
    std::iter::once("FROM scratch\n".into()).chain((0..count).map(step)).collect()
}
