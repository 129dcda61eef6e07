//! Layers as they are written.

use std::io::{self, Read};

use image_core::{
    BlobSource, BlobStore, Ctx, Digest, MemoryBlobStore,
    codec::{Compression, DecodeOptions, Decoder},
};
use image_overlay::{Entry, EntryKind, Error, LayerPath, LayerWriter, Metadata, PackOptions, PackedLayer, Result};

const MIB: usize = 1 << 20;

/// A layer of one file of `size` bytes, which `content` gives.
fn layer(store: &MemoryBlobStore, form: &str, size: u64, content: &mut dyn Read) -> Result<PackedLayer> {
    let options = PackOptions::default().with_encode(form.parse().unwrap());
    let mut writer = LayerWriter::new(store, options)?;
    let path = LayerPath::parse(b"file").unwrap();
    let entry = Entry::new(path, EntryKind::File { size }, Metadata::new(0o644));
    writer.append(entry, content, &Ctx::default())?;
    writer.finish()
}

/// Whatever the tar and the compression cut it into.
#[test]
fn diff_ids_of_layers_of_every_length() {
    let around = 4 * 512;
    // Pieces of gzip are of 1 MiB, those of zstd of 4.
    let edges = [MIB, 4 * MIB].into_iter().flat_map(|edge| (edge - around..=edge).step_by(512));
    for size in [0, 1, 12 * MIB + 7].into_iter().chain(edges) {
        for (form, compression) in
            [("none", Compression::None), ("gzip:1", Compression::Gzip), ("zstd:1", Compression::Zstd)]
        {
            let store = MemoryBlobStore::default();
            let content: Vec<u8> = (0..=250).cycle().take(size).collect();
            let packed = layer(&store, form, size as u64, &mut content.as_slice()).unwrap();
            let blob = store.open(&packed.descriptor.digest).unwrap().unwrap();
            let mut plain = Vec::new();
            let mut decoder = Decoder::new(blob, compression, &DecodeOptions::default()).unwrap();
            decoder.read_to_end(&mut plain).unwrap();
            assert_eq!(packed.diff_id.as_digest(), &Digest::sha256_of(&plain), "{form}, {size} bytes");
            assert_eq!(plain.len(), 512 + size.next_multiple_of(512) + 1024, "{form}, {size} bytes");
        }
    }
}

#[test]
fn a_layer_that_cannot_be_written_to_its_end_leaves_nothing() {
    for form in ["none", "gzip", "zstd"] {
        let store = MemoryBlobStore::default();
        let error = layer(&store, form, 30 << 20, &mut io::repeat(1).take(20 << 20)).unwrap_err();
        assert!(matches!(error, Error::ContentLength { .. }), "{error:?}");
        store.for_each(&mut |blob, _| panic!("{blob} is in the store")).unwrap();
    }
}
