//! Saving images, and loading what was saved.

use std::io::{Read, Seek, Write};

use image_core::{
    BlobStoreExt, CancelToken, Compression, Ctx, Descriptor, DiffId, Digest, Image, MediaType,
    blob::{BlobSource, BlobSourceExt, BlobStore, Expected},
    codec::{EncodeOptions, Encoder},
    hasher::Hasher,
};
use image_layout::{
    ArchiveFormat, Error, LoadOptions, OciLayout, SaveOptions, fsck::VerifyOptions, save, save_to_file,
};

use crate::fixture::Fixture;

const FORMATS: [ArchiveFormat; 2] = [ArchiveFormat::Docker, ArchiveFormat::Oci];

fn write(images: &[(Image, Vec<String>)], format: ArchiveFormat) -> Result<Vec<u8>, Error> {
    let (mut archive, options, ctx) = (Vec::new(), SaveOptions::default().with_format(format), Ctx::default());
    let written = save(images, &mut archive, &options, &ctx).map(|()| archive);
    // A file gets the same, wherever its position is and whatever is in it.
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[7; 100_000]).expect("space");
    let to_file = save_to_file(images, &file, &options, &ctx).map(|()| {
        file.rewind().expect("a file");
        let mut archive = Vec::new();
        file.read_to_end(&mut archive).expect("memory");
        archive
    });
    assert!(written.as_ref().map_err(causes) == to_file.as_ref().map_err(causes), "{:?}", to_file.err());
    written
}

fn causes(error: &Error) -> Vec<String> {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect()
}

fn named(layout: &OciLayout, descriptor: &Descriptor, names: &[&str]) -> (Image, Vec<String>) {
    let image = layout.image_at("it", descriptor, None).expect("an image");
    (image, names.iter().map(|name| (*name).to_owned()).collect())
}

/// The names of an archive's members with their contents, read without a line of ours.
fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    for entry in tar::Archive::new(archive).entries().expect("a tar") {
        let mut entry = entry.expect("a member");
        let name = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("memory");
        assert_eq!(entry.header().mtime().ok(), Some(0));
        members.push((name, content));
    }
    members
}

/// Three images of layers of all compressions, two of which share one.
fn three(fixture: &Fixture) -> Vec<(Image, Vec<String>)> {
    let (shared, shared_id) = fixture.layer("shared", Compression::Gzip);
    let (own, own_id) = fixture.layer("own", Compression::Zstd);
    let (plain, plain_id) = fixture.layer("plain", Compression::None);
    let one = fixture.manifest(fixture.config("linux/amd64", std::slice::from_ref(&shared_id)), vec![shared.clone()]);
    let config = fixture.config("linux/amd64", &[shared_id.clone(), own_id, shared_id]);
    let two = fixture.manifest(config, vec![shared.clone(), own, shared]);
    let three = fixture.manifest(fixture.config("linux/arm64", &[plain_id]), vec![plain]);
    vec![
        named(&fixture.layout, &one, &["app:1", "localhost:5000/a/b:2"]),
        named(&fixture.layout, &two, &[]),
        named(&fixture.layout, &three, &["latest"]),
        named(&fixture.layout, &one, &["app:1", "app:latest"]),
    ]
}

#[test]
fn what_is_saved_is_loaded_as_the_same_images() {
    let fixture = Fixture::new();
    let images = three(&fixture);
    for format in FORMATS {
        let archive = write(&images, format).unwrap();
        assert_eq!(archive, write(&images, format).unwrap());
        let to = Fixture::new();
        let loaded = to.layout.load(&*archive, &LoadOptions::default(), &Ctx::default()).unwrap();
        assert_eq!(loaded.len(), 3, "{format:?}");
        assert_eq!(loaded[0].names, ["app:1", "localhost:5000/a/b:2", "app:latest"]);
        assert!(loaded[1].names.is_empty());
        assert_eq!(loaded[2].names, ["latest"]);
        for (loaded, (image, _)) in loaded.iter().zip(&images) {
            let found = to.layout.image_at("it", &loaded.descriptor, None).unwrap();
            assert_eq!(found.id(), image.id());
            assert_eq!(found.chain_id(), image.chain_id());
            if format == ArchiveFormat::Oci {
                assert_eq!(found.descriptor().digest, image.descriptor().digest);
            }
        }
        let report = to.layout.verify(None, &VerifyOptions::default().with_unreachable(), &Ctx::default()).unwrap();
        assert!(report.is_clean());

        // What was loaded is saved as the same bytes.
        let again = loaded.iter().map(|loaded| {
            let names: Vec<&str> = loaded.names.iter().map(String::as_str).collect();
            named(&to.layout, &loaded.descriptor, &names)
        });
        assert_eq!(write(&again.collect::<Vec<_>>(), format).unwrap(), archive, "{format:?}");
    }
}

#[test]
fn what_an_archive_holds() {
    let fixture = Fixture::new();
    let images = three(&fixture);
    let archive = write(&images, ArchiveFormat::Docker).unwrap();
    let members = members(&archive);
    let names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names[..4], ["oci-layout", "index.json", "manifest.json", "repositories"]);
    // Three layers, and of each image config and manifest, each once and under its digest.
    assert_eq!(names.len(), 4 + 3 + 6);
    for (name, content) in &members[4..] {
        assert_eq!(*name, format!("blobs/sha256/{}", Digest::sha256_of(content).encoded()));
    }
    let json = |name: &str| -> serde_json::Value {
        let member = members.iter().find(|(member, _)| member == name);
        serde_json::from_slice(&member.unwrap().1).unwrap()
    };
    let manifest = json("manifest.json");
    assert_eq!(manifest[0]["RepoTags"], serde_json::json!(["app:1", "localhost:5000/a/b:2", "app:latest"]));
    assert_eq!(manifest[1]["Layers"].as_array().unwrap().len(), 3);
    assert_eq!(manifest[1]["Layers"][0], manifest[1]["Layers"][2]);
    assert_eq!(manifest[2]["RepoTags"], serde_json::json!([]));
    let top = manifest[0]["Layers"][0].as_str().unwrap().trim_start_matches("blobs/sha256/");
    assert_eq!(
        json("repositories"),
        serde_json::json!({
            "app": {"1": top, "latest": top},
            "localhost:5000/a/b": {"2": top},
        })
    );
    let annotations = &json("index.json")["manifests"][0]["annotations"];
    assert_eq!(annotations["io.containerd.image.name"], "docker.io/library/app:1");
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "1");

    let oci = write(&images, ArchiveFormat::Oci).unwrap();
    let oci = self::members(&oci);
    assert!(oci.iter().all(|(name, _)| name != "manifest.json"));
    assert_eq!(oci.len(), 2 + 3 + 6);
}

/// The names of such blobs have no room in a header.
#[test]
fn an_image_of_sha512_blobs_is_saved_and_loaded() {
    let fixture = Fixture::new();
    let (gzip, diff_id) = fixture.layer("layer", Compression::Gzip);
    let content = fixture.layout.blobs().read_bytes(&gzip, gzip.size).unwrap();
    let any = format!("sha512:{}", "0".repeat(128));
    let mut hasher = Hasher::for_digest(&any.parse().unwrap()).unwrap();
    hasher.update(&content);
    let digest = hasher.finish();
    let mut writer = fixture.layout.blobs().create(&Expected::of(digest.clone())).unwrap();
    writer.write_all(&content).unwrap();
    writer.commit().unwrap();
    let layer = Descriptor::new(gzip.media_type, digest.clone(), gzip.size);
    let image = fixture.manifest(fixture.config("linux/amd64", &[diff_id]), vec![layer]);
    for format in FORMATS {
        let archive = write(&[named(&fixture.layout, &image, &["app:1"])], format).unwrap();
        let name = format!("blobs/sha512/{}", digest.encoded());
        let is_there = members(&archive).iter().any(|(member, bytes)| *member == name && *bytes == content);
        assert_eq!(is_there, format == ArchiveFormat::Oci, "{format:?}");
        let to = Fixture::new();
        to.layout.load(&*archive, &LoadOptions::default(), &Ctx::default()).unwrap();
        assert!(to.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).unwrap().is_clean());
        assert_eq!(to.layout.blobs().stat(&digest).unwrap().is_some(), format == ArchiveFormat::Oci);
    }
}

#[test]
fn an_image_that_is_not_right_is_not_saved() {
    for format in FORMATS {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let fixture = Fixture::new();
            let (layer, diff_id) = fixture.layer("a", compression);
            let (other, _) = fixture.layer("b", compression);
            let image = |layer: &Descriptor| {
                let config = fixture.config("linux/amd64", std::slice::from_ref(&diff_id));
                [named(&fixture.layout, &fixture.manifest(config, vec![layer.clone()]), &["a:1"])]
            };
            let (right, wrong) = (image(&layer), image(&other));
            // An OCI archive has images as they are; what is in their layers is not looked into.
            assert_eq!(write(&wrong, format).is_ok(), format == ArchiveFormat::Oci, "{compression}");
            fixture.corrupt(&layer.digest, b"something else");
            assert!(write(&right, format).unwrap_err().is_corrupt(), "{compression}");
            let same_size = vec![0; usize::try_from(layer.size).unwrap()];
            fixture.corrupt(&layer.digest, &same_size);
            assert!(write(&right, format).unwrap_err().is_corrupt(), "{compression}");
            fixture.remove(&layer.digest);
            assert!(write(&right, format).unwrap_err().is_not_found(), "{compression}");
        }
    }
}

#[test]
fn it_stops_when_asked() {
    let fixture = Fixture::new();
    let cancel = CancelToken::default();
    cancel.cancel();
    let ctx = Ctx::default().with_cancel(cancel);
    let error = save(&three(&fixture), Vec::new(), &SaveOptions::default(), &ctx).unwrap_err();
    assert!(error.is_cancelled());
}

#[test]
fn a_layer_of_several_gzip_members_is_as_large_as_all_of_them() {
    let fixture = Fixture::new();
    let pieces: [&[u8]; 3] = [&[1; 70_000], &[2; 300_000], &[3; 5]];
    let (plain, mut stored) = (pieces.concat(), Vec::new());
    for member in pieces {
        let mut encoder = Encoder::new(&mut stored, &EncodeOptions::new(Compression::Gzip)).unwrap();
        encoder.write_all(member).unwrap();
        encoder.finish().unwrap();
    }
    let blob = fixture.layout.blobs().put_bytes(&stored).unwrap();
    let layer = Descriptor::new(MediaType::OciLayerGzip, blob.digest, blob.size);
    let diff_id = DiffId::from_digest(Digest::sha256_of(&plain));
    let image = fixture.manifest(fixture.config("linux/amd64", std::slice::from_ref(&diff_id)), vec![layer]);
    let archive = write(&[named(&fixture.layout, &image, &["app:1"])], ArchiveFormat::Docker).unwrap();
    let name = format!("blobs/sha256/{}", diff_id.as_digest().encoded());
    assert!(members(&archive).contains(&(name, plain)));
}
