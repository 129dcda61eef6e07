//! From an index to the image for a platform.

use image_core::{Descriptor, MediaType, Platform};

use crate::fixture::Fixture;

fn attestation(fixture: &Fixture, about: &Descriptor) -> Descriptor {
    fixture
        .image("linux/amd64", "attestation")
        .with_platform(Platform::new("unknown", "unknown"))
        .with_annotation("vnd.docker.reference.type", "attestation-manifest")
        .with_annotation("vnd.docker.reference.digest", about.digest.to_string())
}

/// The image of the name `it` for a platform, as text, or the error.
fn select(fixture: &Fixture, platform: Option<&str>) -> Result<Descriptor, String> {
    let platform: Option<Platform> = platform.map(|platform| platform.parse().expect("a platform"));
    let image = fixture.layout.image("it", platform.as_ref()).map_err(|error| error.to_string())?;
    Ok(image.descriptor().clone())
}

#[track_caller]
fn check(fixture: &Fixture, platform: &str, expected: &Descriptor) {
    assert_eq!(select(fixture, Some(platform)).expect("an image").digest, expected.digest, "{platform}");
}

#[test]
fn best_platform_in_an_index() {
    let fixture = Fixture::new();
    let platforms =
        ["linux/386", "linux/arm/v5", "linux/arm/v7", "linux/amd64", "linux/arm64", "linux/amd64/v3", "windows/amd64"];
    let images = platforms.map(|platform| fixture.image_for(platform));
    let mut entries = images.to_vec();
    entries.insert(0, attestation(&fixture, &images[0]));
    let mut unheard_of = images[0].clone();
    unheard_of.media_type = "application/x-unheard-of".into();
    entries.insert(1, unheard_of);
    fixture.layout.tag("it", &fixture.index(entries)).unwrap();
    let cases = [
        ("linux/386", 0),
        ("linux/arm/v5", 1),
        ("linux/arm/v6", 1),
        ("linux/arm", 2),
        ("linux/amd64", 3),
        ("linux/amd64/v2", 3),
        ("linux/amd64/v4", 5),
        ("linux/arm64/v8", 4),
        ("windows/amd64", 6),
    ];
    for (platform, expected) in cases {
        check(&fixture, platform, &images[expected]);
    }
    let error = select(&fixture, Some("linux/riscv64")).unwrap_err();
    assert!(error.contains("it for linux/riscv64 not found"), "{error}");
    for platform in platforms {
        assert!(error.contains(platform), "{error}");
    }
    assert!(!error.contains("unknown"), "{error}");
}

#[test]
fn the_first_of_equals_is_taken() {
    let fixture = Fixture::new();
    let amd64 = || "linux/amd64".parse::<Platform>().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|text| fixture.image("linux/amd64", text).with_platform(amd64()));
    let nested = fixture.index(vec![two.clone()]);
    fixture.layout.tag("it", &fixture.index(vec![one.clone(), two.clone()])).unwrap();
    check(&fixture, "linux/amd64", &one);
    fixture.layout.tag("it", &fixture.index(vec![nested.clone(), three.clone()])).unwrap();
    check(&fixture, "linux/amd64", &two);
    fixture.layout.tag("it", &fixture.index(vec![three.clone(), nested])).unwrap();
    check(&fixture, "linux/amd64", &three);
}

#[test]
fn nested_indexes() {
    let fixture = Fixture::new();
    let image = fixture.image_for("linux/s390x");
    let mut index = image.clone();
    for depth in 1..=8 {
        index = fixture.index(vec![fixture.image_for("linux/amd64"), index]);
        fixture.layout.tag(&format!("depth-{depth}"), &index).unwrap();
    }
    fixture.layout.tag("it", &index).unwrap();
    check(&fixture, "linux/s390x", &image);
    fixture.layout.tag("it", &fixture.index(vec![index])).unwrap();
    let error = select(&fixture, Some("linux/s390x")).unwrap_err();
    assert!(error.contains("limit of 8"), "{error}");
}

#[test]
fn many_indexes() {
    let fixture = Fixture::new();
    let index = |n: usize| fixture.index(vec![fixture.image_for("linux/amd64").with_annotation("n", n.to_string())]);
    let indexes: Vec<_> = (0..1000).map(index).collect();
    fixture.layout.tag("it", &fixture.index(indexes[..999].to_vec())).unwrap();
    check(&fixture, "linux/amd64", &fixture.image_for("linux/amd64"));
    fixture.layout.tag("it", &fixture.index(indexes)).unwrap();
    assert!(select(&fixture, Some("linux/amd64")).unwrap_err().contains("limit of 1000"));
}

#[test]
fn platform_by_the_config() {
    let fixture = Fixture::new();
    let [amd64, arm64, unnamed] =
        [("linux/amd64", "a"), ("linux/arm64", "b"), ("", "c")].map(|(platform, text)| fixture.image(platform, text));
    fixture.layout.tag("it", &fixture.index(vec![unnamed.clone(), amd64.clone(), arm64.clone()])).unwrap();
    check(&fixture, "linux/amd64", &amd64);
    check(&fixture, "linux/arm64", &arm64);
    check(&fixture, "linux/s390x", &unnamed);

    // A name that means a manifest is held to the platform as well.
    fixture.layout.tag("it", &arm64).unwrap();
    check(&fixture, "linux/arm64", &arm64);
    let error = select(&fixture, Some("linux/amd64")).unwrap_err();
    assert!(error.ends_with("has it for linux/arm64"), "{error}");
    fixture.layout.tag("it", &unnamed).unwrap();
    check(&fixture, "linux/amd64", &unnamed);
}

#[test]
fn without_a_platform() {
    let fixture = Fixture::new();
    let target = Platform::of_target();
    let other = if target.architecture == "s390x" { "linux/riscv64" } else { "linux/s390x" };
    let (own, foreign) = (fixture.image_for(&target.to_string()), fixture.image_for(other));
    for (it, expected) in [
        (foreign.clone(), &foreign),
        (fixture.index(vec![attestation(&fixture, &foreign), foreign.clone(), foreign.clone()]), &foreign),
        (fixture.index(vec![foreign.clone(), own.clone()]), &own),
    ] {
        fixture.layout.tag("it", &it).unwrap();
        assert_eq!(select(&fixture, None).unwrap().digest, expected.digest);
    }
    let third = fixture.image_for("linux/mips64le");
    fixture.layout.tag("it", &fixture.index(vec![foreign, third])).unwrap();
    let error = select(&fixture, None).unwrap_err();
    assert!(error.contains(other) && error.contains("linux/mips64le"), "{error}");
}

#[test]
fn what_is_no_image() {
    let fixture = Fixture::new();
    let empty = fixture.put(b"{}", MediaType::OciEmpty);
    let artifact = fixture.manifest(empty.clone(), vec![empty.clone()]);
    fixture.layout.tag("it", &artifact).unwrap();
    for platform in [None, Some("linux/amd64")] {
        let error = select(&fixture, platform).unwrap_err();
        assert!(error.contains("artifact"), "{error}");
    }
    fixture.layout.tag("it", &fixture.index(vec![artifact])).unwrap();
    let error = select(&fixture, Some("linux/amd64")).unwrap_err();
    assert!(error.contains("it for linux/amd64 not found") && error.ends_with("has no image"), "{error}");
    fixture.layout.tag("it", &empty).unwrap();
    assert!(select(&fixture, Some("linux/amd64")).unwrap_err().ends_with("has no image"));
    fixture.layout.tag("it", &fixture.index(Vec::new())).unwrap();
    assert!(select(&fixture, None).unwrap_err().ends_with("has no image"));
}
