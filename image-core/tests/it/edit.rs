//! New images made from old ones.

#![expect(clippy::unwrap_used, reason = "tests fail by panic")]

use std::sync::Arc;

use image_core::{
    BlobStoreExt, Descriptor, DiffId, Document, History, Image, ImageConfig, ImageEdit, ImageManifest, MediaType,
    MemoryBlobStore, Platform, Timestamp,
};

fn layer(store: &MemoryBlobStore, content: &[u8]) -> (Descriptor, DiffId) {
    let blob = store.put_bytes(content).unwrap();
    (Descriptor::new(MediaType::OciLayer, blob.digest.clone(), blob.size), DiffId::from_digest(blob.digest))
}

fn step(seconds: i64, by: &str) -> History {
    History::new(Timestamp::from_seconds(seconds), by)
}

fn open(store: &MemoryBlobStore, manifest: &Descriptor) -> Image {
    Image::open(Arc::new(store.clone()), manifest).unwrap()
}

/// An image of one layer, with fields that nobody knows, as Docker names things, and with this history.
fn old(store: &MemoryBlobStore, history: &str) -> Image {
    let (mut layer, diff_id) = layer(store, b"base");
    let config = format!(
        r#"{{"architecture":"arm64","os":"linux","variant":"v8","future":[1],"config":{{"Env":["A=b"],"Future":2}},
           "rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}{history}}}"#
    );
    let config = Document::<ImageConfig>::parse(config.into_bytes(), "config").unwrap();
    store.put_document(&config).unwrap();
    layer.media_type = MediaType::DockerLayerGzip;
    let mut manifest = ImageManifest::new(config.descriptor(MediaType::DockerConfig), vec![layer]);
    manifest.media_type = Some(MediaType::DockerManifest);
    manifest.annotations.insert("k".into(), "v".into());
    let manifest = Document::new(manifest).unwrap();
    store.put_document(&manifest).unwrap();
    open(store, &manifest.descriptor(MediaType::DockerManifest))
}

#[test]
fn a_layer_comes_on_top_and_all_else_stays() {
    let store = MemoryBlobStore::default();
    let old = old(&store, r#","history":[{"created_by":"base","future":3},{"created_by":"ENV","empty_layer":true}]"#);
    let (upper, diff_id) = layer(&store, b"upper");
    let mut edit = ImageEdit::of(&old);
    edit.push_layer(&upper, diff_id.clone(), step(7, "commit"));
    edit.push_step(step(8, "CMD"));
    let manifest = edit.write(&store).unwrap();
    assert_eq!(manifest.platform.as_ref().unwrap().variant.as_deref(), Some("v8"));

    let new = open(&store, &manifest);
    let mut base = old.manifest().value().layers[0].clone();
    base.media_type = MediaType::OciLayerGzip;
    assert_eq!(new.manifest().value().layers, [base, upper]);
    assert_eq!(new.manifest().value().media_type, Some(MediaType::OciManifest));
    assert_eq!(new.manifest().value().annotations["k"], "v");
    let mut expected = old.config().value().clone();
    expected.rootfs.diff_ids.push(diff_id);
    expected.history.extend([step(7, "commit"), step(8, "CMD").without_layer()]);
    expected.created = Some(Timestamp::from_seconds(8));
    assert_eq!(new.config().value(), &expected);
    assert_eq!(expected.extra["future"][0], 1);
}

#[test]
fn nothing_edited_is_the_same_config() {
    let store = MemoryBlobStore::default();
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    let (layer, diff_id) = layer(&store, b"base");
    edit.push_layer(&layer, diff_id, step(1, "import"));
    let first = edit.write(&store).unwrap();
    assert_eq!(ImageEdit::of(&open(&store, &first)).write(&store).unwrap(), first);
}

/// A reader pairs layers with steps: one too few, and the new step would tell of an old layer.
#[test]
fn layers_without_a_step_get_one() {
    for history in ["", r#","history":null"#, r#","history":[{"created_by":"ENV","empty_layer":true}]"#] {
        let store = MemoryBlobStore::default();
        let (upper, diff_id) = layer(&store, b"upper");
        let mut edit = ImageEdit::of(&old(&store, history));
        edit.push_layer(&upper, diff_id, step(7, "commit"));
        let steps: Vec<_> = edit.config.history.iter().filter(|step| !step.empty_layer).collect();
        assert_eq!(steps, [&History::default(), &step(7, "commit")], "{history}");
    }
}

#[test]
fn layers_go_with_their_history() {
    let store = MemoryBlobStore::default();
    let mut edit = ImageEdit::of(&old(&store, ""));
    edit.clear_layers();
    let (flat, diff_id) = layer(&store, b"flat");
    edit.push_layer(&flat, diff_id, step(7, "flatten"));
    let image = open(&store, &edit.write(&store).unwrap());
    assert_eq!(image.manifest().value().layers, [flat]);
    assert_eq!(image.config().value().history, [step(7, "flatten")]);
    assert_eq!(image.config().value().config.env, ["A=b"]);
}

#[test]
fn an_image_never_names_a_layer_that_is_not_there() {
    let (elsewhere, store) = (MemoryBlobStore::default(), MemoryBlobStore::default());
    let (layer, diff_id) = layer(&elsewhere, b"base");
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    edit.push_layer(&layer, diff_id, step(1, "import"));
    let error = edit.write(&store).unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains(&layer.digest.to_string()), "{error}");
}
