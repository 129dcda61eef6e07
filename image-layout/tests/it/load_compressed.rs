//! Archives whose layers are compressed on their way in.

use image_core::{
    Compression, Ctx, Descriptor, Digest, Document, ImageIndex, ImageManifest, MediaType, codec::EncodeOptions,
};
use image_layout::{Error, LoadOptions, Loaded};

use crate::{
    archive::{Archive, compress, config, diff_id, layer, manifest},
    fixture::Fixture,
};

const FORMS: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

fn load(fixture: &Fixture, archive: &[u8], form: Compression) -> Result<Vec<Loaded>, Error> {
    fixture.layout.load(archive, &LoadOptions::default().with_encode(EncodeOptions::new(form)), &Ctx::default())
}

/// A layer that is held in memory until it is known what it is.
fn small() -> Vec<u8> {
    Archive::default().file("small", "x").end()
}

/// The digests and compressions of the layers of the image `app:1`.
fn layers(fixture: &Fixture) -> Vec<(Digest, MediaType)> {
    let image = fixture.layout.image("app:1", None).expect("an image");
    image.layers().map(|layer| (layer.descriptor.digest.clone(), layer.descriptor.media_type.clone())).collect()
}

fn as_layer(bytes: &[u8], form: Compression) -> (Digest, MediaType) {
    (Digest::sha256_of(bytes), MediaType::layer(form))
}

#[test]
fn plain_layers_are_compressed_and_others_kept() {
    for form in FORMS {
        let plain = [layer("large"), small(), layer("gzip"), layer("zstd")];
        let config = config(&plain.each_ref().map(Vec::as_slice));
        let kept = [compress(&plain[2], Compression::Gzip), compress(&plain[3], Compression::Zstd)];
        let archive = Archive::default()
            .file("1.tar", &plain[0])
            .file("2.tar", &plain[1])
            .file("3.tar", &kept[0])
            .file("4.tar", &kept[1])
            .file("config.json", config.bytes())
            .file("manifest.json", manifest("config.json", &["app:1"], &["1.tar", "2.tar", "3.tar", "4.tar"]))
            .end();
        let fixture = Fixture::new();
        load(&fixture, &archive, form).unwrap();
        let expected = [
            as_layer(&compress(&plain[0], form), form),
            as_layer(&compress(&plain[1], form), form),
            as_layer(&kept[0], Compression::Gzip),
            as_layer(&kept[1], Compression::Zstd),
        ];
        assert_eq!(layers(&fixture), expected);
        assert_eq!(fixture.layout.image("app:1", None).unwrap().id().as_digest(), config.digest());
        assert!(fixture.is_whole());

        // As they are.
        let kept = Fixture::new();
        load(&kept, &archive, Compression::None).unwrap();
        assert_eq!(layers(&kept)[0], as_layer(&plain[0], Compression::None));
    }
}

/// An image in OCI form: its members, its descriptor, and the name of its config.
fn oci(plain: &[u8]) -> (Archive, Descriptor, String) {
    let config = config(&[plain]);
    let blob = Descriptor::new(MediaType::layer(Compression::None), Digest::sha256_of(plain), plain.len() as u64);
    let image =
        Document::new(ImageManifest::new(config.descriptor(MediaType::OciConfig), vec![blob])).expect("a manifest");
    let archive = Archive::default().file(&name(plain), plain).file(&name(config.bytes()), config.bytes());
    (archive.file(&name(image.bytes()), image.bytes()), image.descriptor(MediaType::OciManifest), name(config.bytes()))
}

/// The name of a blob's file.
fn name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::sha256_of(bytes).encoded())
}

fn index(image: Descriptor) -> Document<ImageIndex> {
    Document::new(ImageIndex::new(vec![image])).expect("an index")
}

/// The names of members are digests, and not those of what is stored. Names of images are taken from wherever they are.
#[test]
fn images_of_layouts_get_new_manifests_and_keep_their_names() {
    for plain in [layer("one"), small()] {
        let (archive, image, config) = oci(&plain);
        let named = image.clone().with_annotation("org.opencontainers.image.ref.name", "app:1");
        let expected = [as_layer(&compress(&plain, Compression::Gzip), Compression::Gzip)];

        let oci = archive.clone().file("index.json", index(named.clone()).bytes());
        // Docker writes no names that are no references.
        let both = oci.clone().file("manifest.json", manifest(&config, &[], &[&name(&plain)]));
        let of_docker = archive.clone().file("index.json", index(image.clone()).bytes());
        let of_docker = of_docker.file("manifest.json", manifest(&config, &["app:1"], &[&name(&plain)]));
        // An index of several platforms, of which one is there.
        let absent = Descriptor::new(MediaType::OciManifest, Digest::sha256_of(b"absent"), 6);
        let platforms = Document::new(ImageIndex::new(vec![image.clone(), absent])).unwrap();
        let nested =
            platforms.descriptor(MediaType::OciIndex).with_annotation("org.opencontainers.image.ref.name", "app:1");
        let nested =
            archive.clone().file(&name(platforms.bytes()), platforms.bytes()).file("index.json", index(nested).bytes());
        let of_one = nested.clone().file("manifest.json", manifest(&config, &[], &[&name(&plain)]));
        for archive in [oci, both, of_docker, of_one] {
            let fixture = Fixture::new();
            let loaded = load(&fixture, &archive.end(), Compression::Gzip).unwrap();
            assert_eq!((loaded.len(), &*loaded[0].names), (1, &["app:1".to_owned()][..]));
            assert_eq!(layers(&fixture), expected);
            assert!(fixture.is_whole());
        }

        // Nothing says which of its images is meant.
        let fixture = Fixture::new();
        let error = load(&fixture, &nested.end(), Compression::Gzip).unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains("no single image"), "{error}");
        assert!(fixture.layout.roots().unwrap().is_empty());
    }
}

/// A manifest whose layers are compressed already is kept.
#[test]
fn images_without_plain_layers_keep_their_manifests() {
    let plain = layer("one");
    let stored = compress(&plain, Compression::Zstd);
    let config = config(&[&plain]);
    let blob = Descriptor::new(MediaType::layer(Compression::Zstd), Digest::sha256_of(&stored), stored.len() as u64);
    let image = Document::new(ImageManifest::new(config.descriptor(MediaType::OciConfig), vec![blob])).unwrap();
    let archive = Archive::default()
        .file(&name(&stored), &stored)
        .file(&name(config.bytes()), config.bytes())
        .file(&name(image.bytes()), image.bytes())
        .file("index.json", index(image.descriptor(MediaType::OciManifest)).bytes());
    let loaded = load(&Fixture::new(), &archive.end(), Compression::Gzip).unwrap();
    assert_eq!(&loaded[0].descriptor.digest, image.digest());
}

/// One file may be a layer of an image many times, and of many images.
#[test]
fn a_small_layer_that_is_named_often_is_compressed_once() {
    let plain = small();
    let config = config(&[&plain, &plain]);
    let image = serde_json::json!({"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["1.tar", "./1.tar"]});
    let archive = Archive::default()
        .file("1.tar", &plain)
        .file("config.json", config.bytes())
        .file("manifest.json", serde_json::to_vec(&[image]).unwrap())
        .end();
    let fixture = Fixture::new();
    load(&fixture, &archive, Compression::Gzip).unwrap();
    let expected = as_layer(&compress(&plain, Compression::Gzip), Compression::Gzip);
    assert_eq!(layers(&fixture), [expected.clone(), expected]);
    assert!(fixture.is_whole());
}

#[test]
fn a_layer_that_is_another_is_refused() {
    for plain in [layer("other"), small()] {
        let config = config(&[&layer("expected")]);
        let archive = Archive::default()
            .file("1.tar", &plain)
            .file("config.json", config.bytes())
            .file("manifest.json", manifest("config.json", &["app:1"], &["1.tar"]))
            .end();
        let fixture = Fixture::new();
        let error = load(&fixture, &archive, Compression::Gzip).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(&diff_id(&plain).to_string()), "{error}");
        assert!(fixture.layout.roots().unwrap().is_empty());
    }
}

/// The size of a layer counts before it is compressed.
#[test]
fn limits_are_those_of_plain_layers() {
    let plain = layer("large");
    let config = config(&[&plain]);
    let archive = Archive::default()
        .file("1.tar", &plain)
        .file("config.json", config.bytes())
        .file("manifest.json", manifest("config.json", &["app:1"], &["1.tar"]))
        .end();
    let options = LoadOptions::default().with_encode(EncodeOptions::default());
    let limited = options.clone().with_layer_bytes(Some(plain.len() as u64 - 1));
    let fixture = Fixture::new();
    let error = fixture.layout.load(&*archive, &limited, &Ctx::default()).unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
    let allowed = options.with_layer_bytes(Some(plain.len() as u64));
    fixture.layout.load(&*archive, &allowed, &Ctx::default()).unwrap();
}

/// An unknown level is refused before anything is stored.
#[test]
fn options_that_no_format_has_are_refused() {
    let plain = layer("large");
    let archive = Archive::default().file("1.tar", &plain).end();
    let fixture = Fixture::new();
    let options = LoadOptions::default().with_encode(EncodeOptions::default().with_level(77));
    let error = fixture.layout.load(&*archive, &options, &Ctx::default()).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("level 77"), "{error}");
}
