//! The tree of an image in a store.

use std::sync::Arc;

use image_core::{
    BlobStoreExt, Ctx, DiffId, Digest, Document, Image, ImageConfig, ImageManifest, MediaType, MemoryBlobStore,
    Platform,
};
use image_overlay::{
    Entry, EntryKind, ImageTree, LayerBlob, LayerPath, LayerWriter, Limits, Metadata, PackOptions, PackedLayer,
    Whiteout,
};

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text.as_bytes()).unwrap()
}

/// A layer that hides `hidden` and brings files of their own names.
fn layer(store: &MemoryBlobStore, hidden: Option<&str>, files: &[&str]) -> PackedLayer {
    let ctx = Ctx::default();
    let mut writer = LayerWriter::new(store, PackOptions::default()).unwrap();
    if let Some(hidden) = hidden {
        writer.whiteout(&Whiteout::Plain { target: path(hidden) }, &ctx).unwrap();
    }
    for file in files {
        let entry = Entry::new(path(file), EntryKind::File { size: file.len() as u64 }, Metadata::new(0o644));
        writer.append(entry, &mut file.as_bytes(), &ctx).unwrap();
    }
    writer.finish().unwrap()
}

fn image(store: &MemoryBlobStore, layers: &[PackedLayer]) -> Image {
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = Document::new(config).unwrap();
    store.put_document(&config).unwrap();
    let layers = layers.iter().map(|layer| layer.descriptor.clone()).collect();
    let manifest = ImageManifest::new(config.descriptor(MediaType::OciConfig), layers);
    let manifest = Document::new(manifest).unwrap();
    store.put_document(&manifest).unwrap();
    Image::open(Arc::new(store.clone()), &manifest.descriptor(MediaType::OciManifest)).unwrap()
}

#[test]
fn the_layers_of_an_image_make_one_tree() {
    let store = MemoryBlobStore::default();
    let image = image(&store, &[layer(&store, None, &["a", "b/c"]), layer(&store, Some("a"), &["b/d"])]);
    let tree = ImageTree::of_image(&image, &Limits::default(), &Ctx::default()).unwrap();
    let files: Vec<(String, Option<usize>)> =
        tree.walk(tree.root()).map(|node| (node.path().to_string(), node.content().map(|at| at.layer))).collect();
    let expected = [("/", None), ("/b", None), ("/b/c", Some(0)), ("/b/d", Some(1))];
    assert_eq!(files, expected.map(|(path, layer)| (path.to_owned(), layer)));
}

#[test]
fn a_layer_of_another_diff_id_is_corrupt() {
    let store = MemoryBlobStore::default();
    let mut wrong = layer(&store, None, &["a"]);
    wrong.diff_id = DiffId::from_digest(Digest::sha256_of(b"another"));
    let image = image(&store, &[wrong]);
    let error = LayerBlob::of_image(&image)[0].toc(&Limits::default(), &Ctx::default()).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    assert!(ImageTree::of_image(&image, &Limits::default(), &Ctx::default()).unwrap_err().is_corrupt());
}

#[test]
fn entries_beyond_the_limit_are_refused() {
    let store = MemoryBlobStore::default();
    let image = image(&store, &[layer(&store, None, &["a", "b"])]);
    let limits = Limits::default().with_entries(1);
    assert!(ImageTree::of_image(&image, &limits, &Ctx::default()).is_err());
}
