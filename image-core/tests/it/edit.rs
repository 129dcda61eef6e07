//! New images made from old ones.

#![expect(clippy::unwrap_used, reason = "tests fail by panic")]

use std::sync::Arc;

use image_core::{
    Artifact, BlobStoreExt, Compression, Ctx, Descriptor, DiffId, Digest, Document, History, Image, ImageConfig,
    ImageEdit, ImageIndex, ImageManifest, MediaType, MemoryBlobStore, Platform, Timestamp,
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

#[test]
fn what_nobody_knows_stays_in_the_manifest_too() {
    let store = MemoryBlobStore::default();
    let old = old(&store, "");
    let text = std::str::from_utf8(old.manifest().bytes()).unwrap();
    let text = text.replacen('{', r#"{"future":{"b":[1,null],"a":2},"artifactType":"a/b","#, 1);
    let subject = format!(r#"{{"digest":"{}","size":7,"mediaType":"x/y"}}"#, old.manifest().digest());
    let text = text.replace(r#""annotations""#, &format!(r#""subject":{subject},"annotations""#));
    let text = text.replacen(r#""config":{"#, r#""config":{"annotations":{"of":"config"},"future":3,"#, 1);
    let manifest = Document::<ImageManifest>::parse(text.into_bytes(), "manifest").unwrap();
    store.put_document(&manifest).unwrap();
    let mut edit = ImageEdit::of(&open(&store, &manifest.descriptor(MediaType::DockerManifest)));
    edit.annotations.insert("new".into(), "1".into());
    edit.config.config.user = "nobody".into();
    let new = open(&store, &edit.write(&store).unwrap());

    let mut expected = manifest.into_value();
    expected.media_type = Some(MediaType::OciManifest);
    expected.layers[0].media_type = MediaType::OciLayerGzip;
    expected.annotations.insert("new".into(), "1".into());
    let config = new.config().descriptor(MediaType::OciConfig);
    (expected.config.media_type, expected.config.digest) = (config.media_type, config.digest);
    expected.config.size = config.size;
    assert_eq!(new.manifest().value(), &expected);
    assert_eq!(expected.config.extra["future"], 3);
    assert_eq!(expected.extra["future"]["b"][0], 1);
}

#[test]
fn layers_and_what_is_said_of_them_are_written_in_step_only() {
    let store = MemoryBlobStore::default();
    let (upper, diff_id) = layer(&store, b"upper");
    let edit = || {
        let mut edit = ImageEdit::of(&old(&store, ""));
        edit.push_layer(&upper, diff_id.clone(), step(7, "commit"));
        edit
    };
    let mut no_diff_id = edit();
    no_diff_id.config.rootfs.diff_ids.pop();
    let mut no_step = edit();
    no_step.config.history.pop();
    let mut no_layer = edit();
    no_layer.config.history.push(step(8, "nothing"));
    for edit in [no_diff_id, no_step, no_layer] {
        let error = edit.write(&store).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        assert!(error.to_string().contains("new image: 2 layers"), "{error}");
    }
    let mut no_history = edit();
    no_history.config.history.clear();
    no_history.write(&store).unwrap();
}

/// An image of these layers: of each content and step; steps without content make no layer.
fn image(store: &MemoryBlobStore, steps: &[(&str, &str)]) -> Image {
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    for (time, (content, by)) in (0..).zip(steps) {
        if content.is_empty() {
            edit.push_step(step(time, by));
        } else {
            let (layer, diff_id) = layer(store, content.as_bytes());
            edit.push_layer(&layer, diff_id, step(time, by));
        }
    }
    open(store, &edit.write(store).unwrap())
}

fn told(image: &Image) -> Vec<&str> {
    image.config().value().history.iter().map(|step| step.created_by.as_deref().unwrap_or("")).collect()
}

fn contents(store: &MemoryBlobStore, image: &Image) -> Vec<String> {
    let read = |layer: image_core::image::Layer<'_>| {
        let bytes = image_core::BlobSourceExt::read_bytes(store, layer.descriptor, 100).unwrap();
        assert_eq!(layer.diff_id.as_digest(), &Digest::sha256_of(&bytes));
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    image.layers().map(read).collect()
}

#[test]
fn an_image_moves_to_a_newer_base() {
    let store = MemoryBlobStore::default();
    let old_base = image(&store, &[("a1", "ADD"), ("", "CMD old"), ("b1", "RUN"), ("", "ENV old")]);
    let new_base = image(&store, &[("a2", "ADD new"), ("b2", "RUN new"), ("c2", "RUN more"), ("", "ENV new")]);
    let mut edit = ImageEdit::of(&old_base);
    edit.annotations.insert("org.opencontainers.image.base.digest".into(), "sha256:old".into());
    edit.push_step(step(10, "ENV own"));
    let (layer, diff_id) = layer(&store, b"own");
    edit.push_layer(&layer, diff_id, step(11, "COPY"));
    edit.config.config.env = vec!["OWN=1".into()];
    let app = open(&store, &edit.write(&store).unwrap());

    let mut edit = ImageEdit::of(&app);
    edit.rebase(&old_base, &new_base).unwrap();
    let rebased = open(&store, &edit.write(&store).unwrap());
    assert_eq!(contents(&store, &rebased), ["a2", "b2", "c2", "own"]);
    assert_eq!(told(&rebased), ["ADD new", "RUN new", "RUN more", "ENV new", "ENV own", "COPY"]);
    assert_eq!(rebased.config().value().config.env, ["OWN=1"]);
    assert_eq!(rebased.config().value().created, Some(Timestamp::from_seconds(11)));
    let base = &rebased.manifest().value().annotations["org.opencontainers.image.base.digest"];
    assert_eq!(*base, new_base.manifest().digest().to_string());

    // And back: nothing is lost on the way.
    let mut edit = ImageEdit::of(&rebased);
    edit.rebase(&new_base, &old_base).unwrap();
    let back = open(&store, &edit.write(&store).unwrap());
    assert_eq!(back.config().value(), app.config().value());
    assert_eq!(back.manifest().value().layers, app.manifest().value().layers);
}

/// Histories that do not begin with the base's, as squashing and other tools leave them.
#[test]
fn a_history_that_is_not_the_base_s_is_divided_by_its_layers() {
    let store = MemoryBlobStore::default();
    let old_base = image(&store, &[("a1", "ADD"), ("", "CMD old"), ("b1", "RUN")]);
    let new_base = image(&store, &[("a2", "ADD new")]);
    let own = [("a1", "edited"), ("b1", "too"), ("", "ENV own"), ("own", "COPY"), ("a1", "again")];
    let mut edit = ImageEdit::of(&image(&store, &own));
    edit.rebase(&old_base, &new_base).unwrap();
    let rebased = open(&store, &edit.write(&store).unwrap());
    assert_eq!(contents(&store, &rebased), ["a2", "own", "a1"]);
    assert_eq!(told(&rebased), ["ADD new", "ENV own", "COPY", "again"]);

    // Bases without a history, and an image that is its base.
    let bare = |content: &str| {
        let mut edit = ImageEdit::of(&image(&store, &[(content, "x")]));
        edit.config.history.clear();
        open(&store, &edit.write(&store).unwrap())
    };
    let (old_base, new_base) = (bare("a1"), bare("a3"));
    let mut edit = ImageEdit::of(&old_base);
    edit.rebase(&old_base, &new_base).unwrap();
    assert_eq!(contents(&store, &open(&store, &edit.write(&store).unwrap())), ["a3"]);
}

#[test]
fn an_image_moves_from_its_own_base_only() {
    let store = MemoryBlobStore::default();
    let app = image(&store, &[("a1", "ADD"), ("own", "COPY")]);
    let (old_base, new_base) = (image(&store, &[("a1", "ADD")]), image(&store, &[("a2", "ADD")]));
    let refused = |old_base: &Image, new_base: &Image, reason: &str| {
        let mut edit = ImageEdit::of(&app);
        let error = edit.rebase(old_base, new_base).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(reason), "{error}");
        assert_eq!(edit.write(&store).unwrap().digest, *app.manifest().digest(), "nothing is changed");
    };
    refused(&new_base, &old_base, "not built on it: its layer 0 is sha256:");
    let longer = image(&store, &[("a1", "ADD"), ("own", "COPY"), ("more", "COPY")]);
    refused(&longer, &new_base, "its layer 2 is not there");
    let mut other = ImageEdit::of(&new_base);
    other.config.architecture = "arm64".into();
    let other = open(&store, &other.write(&store).unwrap());
    refused(&old_base, &other, "it is for linux/arm64, the old base is for linux/amd64");
}

#[cfg(all(feature = "gzip", feature = "zstd"))]
#[test]
fn layers_are_compressed_anew_and_stay_the_same_layers() {
    let store = MemoryBlobStore::default();
    let content = "content ".repeat(10_000);
    let image = image(&store, &[(&content, "ADD"), ("small", "COPY"), (&content, "ADD again")]);
    let compressed = |image: &Image, options: &str| {
        let mut edit = ImageEdit::of(image);
        edit.recompress(&store, &options.parse().unwrap(), &Ctx::default()).unwrap();
        open(&store, &edit.write(&store).unwrap())
    };
    let (gzip, zstd) = (compressed(&image, "gzip"), compressed(&image, "zstd"));
    for (other, media_type) in [(&gzip, MediaType::OciLayerGzip), (&zstd, MediaType::OciLayerZstd)] {
        assert_eq!(other.id(), image.id(), "the config stays, to the byte");
        for (layer, plain) in other.layers().zip(image.layers()) {
            assert_eq!((layer.diff_id, &layer.descriptor.media_type), (plain.diff_id, &media_type));
        }
        assert_eq!(other.manifest().value().layers[0], other.manifest().value().layers[2]);
        assert!(other.manifest().value().layers[0].size < 1000);
    }
    // What it was before does not matter.
    assert_eq!(compressed(&zstd, "gzip").descriptor(), gzip.descriptor());
    assert_eq!(compressed(&gzip, "none").descriptor(), image.descriptor());
}

#[cfg(all(feature = "gzip", feature = "zstd"))]
#[test]
fn what_is_said_of_a_blob_goes_with_it() {
    let store = MemoryBlobStore::default();
    let mut manifest = image(&store, &[("a", "ADD")]).manifest().value().clone();
    let layer = &mut manifest.layers[0];
    layer.urls = vec!["https://example.org/a".into()];
    for key in ["of.the/layer", "containerd.io/snapshot/stargz/toc.digest", "io.github.containers.zstd-chunked.x"] {
        layer.annotations.insert(key.into(), "x".into());
    }
    let mut foreign = layer.clone();
    foreign.media_type = MediaType::OciLayerNondistributable;
    foreign.digest = Digest::sha256_of(b"elsewhere");
    manifest.layers.push(foreign.clone());
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    config.rootfs.diff_ids =
        vec![DiffId::from_digest(Digest::sha256_of(b"a")), DiffId::from_digest(foreign.digest.clone())];
    let config = Document::new(config).unwrap();
    store.put_document(&config).unwrap();
    manifest.config = config.descriptor(MediaType::OciConfig);
    let manifest = Document::new(manifest).unwrap();
    store.put_document(&manifest).unwrap();

    let mut edit = ImageEdit::of(&open(&store, &manifest.descriptor(MediaType::OciManifest)));
    edit.recompress(&store, &"zstd".parse().unwrap(), &Ctx::default()).unwrap();
    let [layer, untouched] = edit.layers() else { panic!("two layers") };
    assert_eq!(layer.annotations.keys().collect::<Vec<_>>(), ["of.the/layer"]);
    assert!(layer.urls.is_empty());
    assert_eq!(untouched, &foreign);
}

#[cfg(all(feature = "gzip", feature = "zstd"))]
#[test]
fn a_layer_that_is_not_its_diff_id_is_not_compressed() {
    let store = MemoryBlobStore::default();
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    let ((wrong, _), (_, diff_id)) = (layer(&store, b"a"), layer(&store, b"b"));
    edit.push_layer(&wrong, diff_id, step(0, "ADD"));
    let error = edit.recompress(&store, &"gzip".parse().unwrap(), &Ctx::default()).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains(&wrong.digest.to_string()), "{error}");
    assert_eq!(edit.layers()[0].media_type.layer_compression(), Some(Compression::None));
}

#[test]
fn an_index_is_made_of_images_for_different_platforms() {
    let store = MemoryBlobStore::default();
    let for_platform = |platform: &str| {
        let edit = ImageEdit::new(ImageConfig::new(&platform.parse().unwrap()));
        open(&store, &edit.write(&store).unwrap())
    };
    let (amd64, arm64, armv7) =
        (for_platform("linux/amd64"), for_platform("linux/arm64/v8"), for_platform("linux/arm/v7"));
    let index = ImageIndex::of_images([&arm64, &amd64, &armv7]).unwrap();
    let found: Vec<_> = index.manifests.iter().map(|entry| (&entry.digest, entry.platform.clone().unwrap())).collect();
    let expected = [&arm64, &amd64, &armv7].map(|image| (image.manifest().digest(), image.platform()));
    assert_eq!(found, expected);

    let refused = |images: &[&Image], reason: &str| {
        let error = ImageIndex::of_images(images.iter().copied()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refused(&[&arm64, &for_platform("linux/aarch64")], "there is an image for linux/arm64 before it");
    let nameless = open(&store, &ImageEdit::new(ImageConfig::default()).write(&store).unwrap());
    refused(&[&nameless], "does not say what platform");
}

#[test]
fn an_artifact_is_about_an_image_and_has_no_config() {
    let store = MemoryBlobStore::default();
    let image = image(&store, &[("a", "ADD")]);
    let mut artifact = Artifact::new("application/vnd.example+json");
    artifact.subject = Some(image.descriptor().clone().with_annotation("not", "kept"));
    artifact.annotations.insert("k".into(), "v".into());
    let descriptor = artifact.clone().write(&store).unwrap();
    assert_eq!(descriptor.artifact_type.as_deref(), Some("application/vnd.example+json"));
    assert_eq!(descriptor.annotations["k"], "v");
    let manifest = image_core::BlobSourceExt::read_document::<ImageManifest>(&store, &descriptor).unwrap();
    // As the specification has it for artifacts without files.
    let empty = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example+json","config":{empty},"layers":[{empty}],"subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{}}},"annotations":{{"k":"v"}}}}"#,
        image.manifest().digest(),
        image.manifest().bytes().len(),
    );
    assert_eq!(std::str::from_utf8(manifest.bytes()).unwrap(), expected);

    let elsewhere = layer(&MemoryBlobStore::default(), b"x").0;
    let mut missing = artifact;
    missing.blobs.push(elsewhere);
    assert!(missing.write(&store).unwrap_err().is_not_found());
    for wrong in ["", "text", "/plain", "text/", "a b/c", "a/b/c", &format!("a/{}", "b".repeat(128))] {
        let error = Artifact::new(wrong).write(&store).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("artifactType"), "{error}");
    }
}
