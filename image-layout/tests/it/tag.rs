//! Names: tag, untag, list, find.

use image_core::{Descriptor, Digest, ImageResolver, MediaType, Platform};
use image_layout::{
    Error, Tag,
    ref_name::{IMAGE_NAME, REF_NAME, check_ref_name},
};

use crate::fixture::Fixture;

fn names(fixture: &Fixture) -> Vec<(String, Digest)> {
    let tags = fixture.layout.tags().expect("the index is read");
    tags.iter().map(|tag| (tag.name().to_owned(), tag.descriptor().digest.clone())).collect()
}

/// The grammar of annotations.md, with its own examples and Docker's names.
#[test]
fn ref_names() {
    let valid = [
        "v1.0",
        "latest",
        "stable-release",
        "1",
        "a--b",
        "a@b",
        "a+b",
        "docker.io/library/busybox:1.36",
        "a/b:c@d+e_f",
        "localhost:5000/x",
        "Upper.Case",
    ];
    for name in valid {
        check_ref_name(name).expect(name);
    }
    let long = "a".repeat(1025);
    for name in [
        "", "/", "a/", "/a", "a//b", "-a", "a-", "a---b", "a..b", "a b", "a\n", "a:/b", "ä", ".", "..", "a/../b", &long,
    ] {
        let error = check_ref_name(name).expect_err(name);
        assert!(matches!(error, Error::InvalidRefName { .. }), "{error}");
    }
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    assert!(matches!(fixture.layout.tag("../x", &image), Err(Error::InvalidRefName { .. })));
}

#[test]
fn a_name_moves() {
    let fixture = Fixture::new();
    let [one, two, three] = ["1", "2", "3"].map(|text| fixture.image("linux/amd64", text));
    for (name, image) in [("a", &one), ("b", &one), ("c", &two)] {
        fixture.layout.tag(name, image).unwrap();
    }
    fixture.layout.tag("b", &three).unwrap();
    let expected =
        [("a", &one), ("b", &three), ("c", &two)].map(|(name, image)| (name.to_owned(), image.digest.clone()));
    assert_eq!(names(&fixture), expected);
    fixture.layout.tag("b", &three).unwrap();
    assert_eq!(names(&fixture), expected);

    assert!(fixture.layout.untag("b").unwrap());
    assert!(!fixture.layout.untag("b").unwrap());
    assert!(!fixture.layout.untag("docker.io/library/a:latest").unwrap(), "a name goes only as it is written");
    assert_eq!(names(&fixture), [expected[0].clone(), expected[2].clone()]);
    assert_eq!(fixture.layout.roots().unwrap().len(), 2);
}

#[test]
fn what_is_not_there_gets_no_name() {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    let missing = Descriptor::new(MediaType::OciManifest, Digest::sha256_of(b"missing"), 7);
    assert!(fixture.layout.tag("a", &missing).unwrap_err().is_not_found());
    let lie = Descriptor::new(MediaType::OciManifest, image.digest, image.size + 1);
    assert!(fixture.layout.tag("a", &lie).unwrap_err().is_corrupt());
    assert!(names(&fixture).is_empty());
}

/// As `docker save` writes it: the tag alone in one annotation, the full name in the other.
fn docker_saved(fixture: &Fixture) -> [Descriptor; 2] {
    let images = ["alpine", "busybox"].map(|name| {
        let full_name = format!("docker.io/library/{name}:latest");
        fixture.image("linux/amd64", name).with_annotation(IMAGE_NAME, full_name).with_annotation(REF_NAME, "latest")
    });
    fixture
        .layout
        .update_index(|index| {
            index.manifests = images.to_vec();
            Ok(())
        })
        .expect("the index is written");
    images
}

#[test]
fn full_names_of_docker() {
    let fixture = Fixture::new();
    let [alpine, busybox] = docker_saved(&fixture);
    for name in ["busybox", "busybox:latest", "docker.io/library/busybox:latest", "index.docker.io/busybox"] {
        assert_eq!(fixture.layout.resolve(name).expect(name), busybox);
    }
    let error = fixture.layout.resolve("latest").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::AmbiguousName { .. }), "{text}");
    assert!(text.contains(&alpine.digest.to_string()) && text.contains(&busybox.digest.to_string()), "{text}");
    assert!(fixture.layout.find("alpine:3").unwrap().is_none());

    // A short name that both had goes to a third image; their full names stay.
    let third = fixture.image("linux/amd64", "third");
    fixture.layout.tag("latest", &third).unwrap();
    assert_eq!(fixture.layout.resolve("latest").unwrap().digest, third.digest);
    assert_eq!(fixture.layout.resolve("alpine").unwrap().digest, alpine.digest);
    let tags = fixture.layout.tags().unwrap();
    let both: Vec<_> = tags.iter().map(|tag| (tag.ref_name(), tag.image_name())).collect();
    assert_eq!(
        both,
        [
            (Some("latest"), None),
            (None, Some("docker.io/library/alpine:latest")),
            (None, Some("docker.io/library/busybox:latest"))
        ]
    );

    // A full name that comes along moves too, and the entry that had only that goes.
    fixture.layout.tag("new", &third.with_annotation(IMAGE_NAME, "docker.io/library/alpine:latest")).unwrap();
    assert_ne!(fixture.layout.resolve("alpine").unwrap().digest, alpine.digest);
    assert!(fixture.layout.untag("docker.io/library/busybox:latest").unwrap());
    let names: Vec<String> = fixture.layout.tags().unwrap().iter().map(Tag::name).map(str::to_owned).collect();
    assert_eq!(names, ["latest", "docker.io/library/alpine:latest"]);
}

#[test]
fn the_exact_name_goes_first() {
    let fixture = Fixture::new();
    let [short, long, quay] = ["short", "long", "quay"].map(|text| fixture.image("linux/amd64", text));
    fixture.layout.tag("base", &short).unwrap();
    fixture.layout.tag("docker.io/library/base:latest", &long).unwrap();
    fixture.layout.tag("quay.io/org/base:1", &quay).unwrap();
    let found = |name: &str| fixture.layout.find(name).map(|found| found.map(|found| found.digest));
    assert_eq!(found("base").unwrap(), Some(short.digest.clone()));
    assert_eq!(found("docker.io/library/base:latest").unwrap(), Some(long.digest.clone()));
    assert_eq!(found("quay.io/org/base:1").unwrap(), Some(quay.digest.clone()));
    assert_eq!(found("quay.io/org/base").unwrap(), None);
    assert!(matches!(found("base:latest"), Err(Error::AmbiguousName { .. })));

    // By digest, whatever the name.
    assert_eq!(found(&format!("anything:1@{}", quay.digest)).unwrap(), Some(quay.digest.clone()));
    assert_eq!(found(&format!("base@{}", Digest::sha256_of(b""))).unwrap(), None);

    assert_eq!(found(&quay.digest.to_string()).unwrap(), Some(quay.digest.clone()));
    assert_eq!(found(&format!("@{}", quay.digest)).unwrap(), Some(quay.digest.clone()));
    assert_eq!(found(&Digest::sha256_of(b"").to_string()).unwrap(), None);

    // One image under one name twice is not ambiguous.
    fixture.layout.untag("base").unwrap();
    fixture.layout.tag("base", &long).unwrap();
    assert_eq!(found("base:latest").unwrap(), Some(long.digest));
}

#[test]
fn a_name_that_is_not_there() {
    let fixture = Fixture::new();
    let error = fixture.layout.resolve("nope").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.to_string(), format!("image nope not found: {} has no names", fixture.path().display()));
    let image = fixture.image("linux/amd64", "a");
    for n in 10..22 {
        fixture.layout.tag(&format!("v{n}"), &image).unwrap();
    }
    let text = fixture.layout.resolve("nope").unwrap_err().to_string();
    assert!(text.ends_with("has v10, v11, v12, v13, v14, v15, v16, v17, v18, v19 and 2 more"), "{text}");
    assert!(fixture.layout.resolve("not a reference").unwrap_err().is_not_found());
}

#[test]
fn layouts_resolve_references() {
    let (one, two) = (Fixture::new(), Fixture::new());
    let platform: Platform = "linux/amd64".parse().unwrap();
    one.layout.tag("first", &one.image("linux/amd64", "1")).unwrap();
    let second = two.image("linux/amd64", "2");
    two.layout.tag("docker.io/library/second:latest", &second).unwrap();
    let layouts = vec![one.layout.clone(), two.layout.clone()];
    let resolve = |name: &str, platform: &Platform| layouts.resolve(&name.parse().expect("a reference"), platform);
    assert_eq!(resolve("second", &platform).unwrap().unwrap().descriptor().digest, second.digest);
    assert!(resolve("first", &platform).unwrap().is_some());
    assert!(resolve("third", &platform).unwrap().is_none());
    let error = resolve("second", &"linux/s390x".parse().unwrap()).unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("linux/amd64"), "{error}");
    assert_eq!(layouts.names(), ["first", "docker.io/library/second:latest"]);

    one.layout
        .update_index(|index| {
            index.manifests.push(second.clone().with_annotation(REF_NAME, "first:latest"));
            Ok(())
        })
        .unwrap();
    assert!(resolve("first", &platform).unwrap_err().to_string().contains("ambiguous"));
}
