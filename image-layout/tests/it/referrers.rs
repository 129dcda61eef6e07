//! What is about an image, and entries without a name.

use std::{
    fs::{File, FileTimes},
    time::{Duration, SystemTime},
};

use image_core::{
    Artifact, Ctx, Descriptor, Document, ImageIndex, MediaType, Timestamp,
    blob::{BlobSource, BlobStoreExt},
    gc::GcOptions,
};
use image_layout::{CopyOptions, fsck::VerifyOptions};

use crate::fixture::Fixture;

fn artifact(fixture: &Fixture, kind: &str, subject: &Descriptor) -> Descriptor {
    let mut artifact = Artifact::new(kind);
    artifact.subject = Some(subject.clone());
    artifact.annotations.insert("org.example.kind".into(), kind.into());
    artifact.write(fixture.layout.blobs()).expect("an artifact")
}

fn referrers(fixture: &Fixture, subject: &Descriptor) -> Vec<Descriptor> {
    fixture.layout.referrers(&subject.digest, &Ctx::default()).expect("referrers")
}

#[test]
fn referrers_are_found_by_their_subject() {
    let fixture = Fixture::new();
    let (image, other) = (fixture.image("linux/amd64", "a"), fixture.image("linux/amd64", "b"));
    fixture.layout.tag("image", &image).unwrap();
    fixture.layout.tag("other", &other).unwrap();
    assert!(referrers(&fixture, &image).is_empty());

    let sbom = artifact(&fixture, "application/spdx+json", &image);
    let signature = artifact(&fixture, "application/vnd.example.signature", &image);
    let of_other = artifact(&fixture, "application/spdx+json", &other);
    let of_sbom = artifact(&fixture, "application/vnd.example.signature", &sbom);
    // An index may be about something too.
    let mut index = ImageIndex::new(vec![of_other.clone()]);
    index.subject = Some(image.clone());
    let index = Document::new(index).unwrap();
    fixture.layout.blobs().put_document(&index).unwrap();
    let mut index = index.descriptor(MediaType::OciIndex);
    for entry in [&sbom, &index, &of_sbom, &sbom] {
        fixture.layout.add(entry).unwrap();
    }
    // As a registry without a list of referrers has it: an index under a name that the subject's digest makes.
    let fallback = format!("sha256-{}", image.digest.encoded());
    fixture.layout.tag(&fallback, &fixture.index(vec![sbom.clone(), signature.clone()])).unwrap();

    index.artifact_type = None;
    assert_eq!(referrers(&fixture, &image), [sbom.clone(), index, signature]);
    assert_eq!(referrers(&fixture, &other), [of_other]);
    assert_eq!(referrers(&fixture, &sbom), [of_sbom]);
    assert_eq!(sbom.annotations["org.example.kind"], "application/spdx+json");
    assert_eq!(fixture.layout.roots().unwrap().len(), 6, "each is added once");
}

#[test]
fn an_image_about_another_is_of_the_kind_of_its_config() {
    let fixture = Fixture::new();
    let subject = fixture.image("linux/amd64", "a");
    let image = fixture.layout.image_at("it", &fixture.image("linux/amd64", "b"), None).unwrap();
    let mut edit = image_core::ImageEdit::of(&image);
    edit.subject = Some(subject.clone());
    fixture.layout.add(&edit.write(fixture.layout.blobs()).unwrap()).unwrap();
    let found = referrers(&fixture, &subject);
    assert_eq!(found[0].artifact_type.as_deref(), Some("application/vnd.oci.image.config.v1+json"));
}

#[test]
fn what_is_not_there_refers_to_nothing_and_what_is_corrupt_is_an_error() {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    let (gone, broken) = (artifact(&fixture, "a/gone", &image), artifact(&fixture, "a/broken", &image));
    fixture.layout.tag("list", &fixture.index(vec![gone.clone(), broken.clone()])).unwrap();
    fixture.remove(&gone.digest);
    assert_eq!(referrers(&fixture, &image).len(), 1);
    fixture.corrupt(&broken.digest, &vec![b' '; usize::try_from(broken.size).unwrap()]);
    let error = fixture.layout.referrers(&image.digest, &Ctx::default()).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains(&broken.digest.to_string()), "{error}");
}

#[test]
fn indexes_that_nest_too_deep_are_not_searched() {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    let mut chain = artifact(&fixture, "a/b", &image);
    for depth in 1..=9 {
        chain = fixture.index(vec![chain]);
        fixture.layout.tag("chain", &chain).unwrap();
        let found = fixture.layout.referrers(&image.digest, &Ctx::default());
        match found {
            Ok(found) => assert!(depth <= 8 && found.len() == 1, "{depth}"),
            Err(error) => assert!(depth == 9 && error.to_string().contains("limit of 8"), "{depth}: {error}"),
        }
    }
}

#[test]
fn an_entry_is_added_without_its_names_and_only_if_it_is_there() {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    let named = image.clone().with_annotation("org.opencontainers.image.ref.name", "x").with_annotation("k", "v");
    fixture.layout.add(&named).unwrap();
    assert_eq!(fixture.layout.roots().unwrap(), [image.clone().with_annotation("k", "v")]);
    assert!(fixture.layout.tags().unwrap().is_empty());
    fixture.layout.tag("a", &image).unwrap();
    fixture.remove(&image.digest);
    assert!(fixture.layout.add(&image).unwrap_err().is_not_found());
}

#[test]
fn what_is_added_is_as_new_as_what_is_named() {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    let long_ago = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
    File::open(fixture.blob_path(&image.digest)).unwrap().set_times(long_ago).unwrap();
    fixture.layout.add(&image).unwrap();
    assert_ne!(fixture.layout.blobs().last_used(&image.digest).unwrap(), Some(Timestamp::UNIX_EPOCH));
}

#[test]
fn what_is_about_an_image_is_copied_with_it() {
    let (from, to) = (Fixture::new(), Fixture::new());
    let (image, other) = (from.image_for("linux/amd64"), from.image_for("linux/arm64"));
    let root = from.index(vec![image.clone()]);
    from.layout.tag("image", &root).unwrap();
    from.layout.tag("other", &other).unwrap();
    // About the index, an image in it, and what is about that; one also about something that is not copied.
    let of_root = artifact(&from, "a/of-root", &root);
    let of_image = artifact(&from, "a/of-image", &image);
    let of_that = artifact(&from, "a/of-that", &of_image);
    let of_other = artifact(&from, "a/of-other", &other);
    for entry in [&of_root, &of_that, &of_other] {
        from.layout.add(entry).unwrap();
    }
    // As copies from registries without a list of referrers leave it.
    from.layout.tag("sha256-of-the-image", &from.index(vec![of_image.clone()])).unwrap();

    let layout = to.layout.clone().leased().unwrap();
    let copy = || from.layout.copy_with_referrers(&layout, &root, &CopyOptions::default(), &Ctx::default()).unwrap();
    let copied = copy();
    layout.tag("image", &root).unwrap();
    // Index, manifest, config and layer, three artifacts and the empty object.
    assert_eq!((copied.blobs, copied.already_present, copied.referrers), (8, 0, 3));
    let again = copy();
    assert_eq!((again.blobs, again.already_present, again.bytes, again.referrers), (8, 8, 0, 3));
    for (subject, expected) in [(&root, &of_root), (&image, &of_image), (&of_image, &of_that)] {
        assert_eq!(referrers(&to, subject), std::slice::from_ref(expected));
    }
    assert!(to.layout.blobs().stat(&of_other.digest).unwrap().is_none());
    assert_eq!(to.layout.roots().unwrap().len(), 4, "each is added once");
    drop(layout);
    assert!(to.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).unwrap().is_clean());

    // They stay with the image, and go with it.
    let collect = || to.layout.collect(&GcOptions::default().with_grace(Duration::ZERO), &Ctx::default()).unwrap();
    assert_eq!(collect().removed, 0);
    to.layout.untag("image").unwrap();
    collect();
    assert_eq!(collect().kept, 0);
}

#[test]
fn what_an_index_holds_and_what_is_about_itself_is_copied_once() {
    let (from, to) = (Fixture::new(), Fixture::new());
    let image = from.image_for("linux/amd64");
    let attestation = artifact(&from, "a/attestation", &image);
    let root = from.index(vec![image, attestation]);
    from.layout.tag("image", &root).unwrap();
    let copied = from.layout.copy_with_referrers(&to.layout, &root, &CopyOptions::default(), &Ctx::default()).unwrap();
    assert_eq!((copied.blobs, copied.referrers), (6, 0));
    assert!(to.layout.roots().unwrap().is_empty());
}

/// What is about something verifies, whether that is there or not; where it is, it is looked at.
#[test]
fn subjects_are_verified_where_they_are_there() {
    let fixture = Fixture::new();
    let verify = || fixture.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).expect("it is verified");
    let image = fixture.image("linux/amd64", "a");
    let artifact = artifact(&fixture, "a/b", &image);
    fixture.layout.add(&artifact).unwrap();
    let report = verify();
    assert!(report.is_clean(), "{:#?}", report.findings);
    // The artifact, the empty object, and of the image manifest, config and layer.
    assert_eq!(report.blobs, 5);

    fixture.corrupt(&image.digest, &vec![b' '; usize::try_from(image.size).unwrap()]);
    let report = verify();
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert_eq!(report.findings[0].digest, image.digest);
    assert_eq!(report.findings[0].place, format!("subject of {}", artifact.digest));

    fixture.remove(&image.digest);
    let report = verify();
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!(report.blobs, 2);
}
