//! One build for several platforms: an index, with the image of each as a build for it alone makes it.

use std::num::NonZero;

use image_build::BuiltIndex;
use image_core::{
    BlobSourceExt, Document, ImageIndex, MediaType, Platform, Timestamp,
    observer::{Outcome, TaskKind},
};

use crate::build_fixture::{Fixture, Tasks, dir, file};

/// In an order that is no other's.
const PLATFORMS: [&str; 3] = ["linux/ppc64le", "linux/s390x", "linux/arm/v7"];

const TEXT: &str = "ARG FLAVOUR=plain
FROM --platform=$BUILDPLATFORM tools AS tools
ARG FLAVOUR
COPY a /tool
ENV TOOL=$FLAVOUR
FROM --platform=$BUILDPLATFORM tools AS build
COPY lib /lib
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT
COPY <<EOF /out/$TARGETARCH$TARGETVARIANT
for $TARGETPLATFORM: $TARGETOS, $TARGETARCH, $TARGETVARIANT
EOF
COPY <<EOF /on
$BUILDPLATFORM: $BUILDOS, $BUILDARCH, $BUILDVARIANT
EOF
FROM base
ARG TARGETPLATFORM
LABEL platform=$TARGETPLATFORM
COPY --from=build /out /out
COPY --from=tools /tool /tool
COPY --from=build /on /on
";

/// What builds run on.
fn own() -> Platform {
    Platform::new("linux", Platform::of_target().architecture)
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&["a", "lib/x", "lib/y"]);
    // What was written at another time is the same.
    fixture.options = fixture.options.clone().with_source_date_epoch(Some(Timestamp::from_seconds(1_000)));
    for platform in PLATFORMS {
        let platform: Platform = platform.parse().unwrap();
        let name = format!("etc/{}", platform.architecture);
        fixture.bases.add("base", vec![dir("etc"), file(&name)], |config| {
            config.architecture.clone_from(&platform.architecture);
            config.variant.clone_from(&platform.variant);
        });
    }
    fixture.bases.add("tools", vec![dir("bin"), file("bin/cc")], |config| config.architecture = own().architecture);
    fixture
}

fn build(fixture: &Fixture, text: &str, platforms: &[&str]) -> (BuiltIndex, Tasks) {
    fixture.try_build_for(text, platforms).unwrap()
}

/// How many steps with such a label ended so.
fn count(tasks: &Tasks, label: &str, outcome: Outcome) -> usize {
    let is_it = |(kind, text, end): &&(TaskKind, String, Outcome)| {
        *kind == TaskKind::Step && text.starts_with(label) && *end == outcome
    };
    tasks.iter().filter(is_it).count()
}

#[test]
fn an_index_has_the_image_of_each_platform() {
    let fixture = fixture();
    let (built, tasks) = build(&fixture, TEXT, &PLATFORMS);

    assert_eq!(built.index.media_type, MediaType::OciIndex);
    let index: Document<ImageIndex> = fixture.output.read_document(&built.index).unwrap();
    let manifests = &index.value().manifests;
    let platforms: Vec<String> = manifests.iter().map(|entry| entry.platform.as_ref().unwrap().to_string()).collect();
    assert_eq!(platforms, PLATFORMS);
    assert_eq!(built.platforms.iter().map(Platform::to_string).collect::<Vec<_>>(), PLATFORMS);
    for (at, (platform, entry)) in PLATFORMS.iter().zip(manifests).enumerate() {
        let image = fixture.image_of(&built, at);
        assert_eq!(entry.media_type, MediaType::OciManifest);
        assert_eq!(entry.digest, image.image.manifest.digest);
        let config = image.config();
        assert_eq!(config.platform().to_string(), *platform);
        assert_eq!(config.config.labels["platform"], *platform);
        let parsed: Platform = platform.parse().unwrap();
        let (os, architecture) = (&parsed.os, &parsed.architecture);
        let variant = parsed.variant.as_deref().unwrap_or_default();
        let own = own();
        let expected = [
            "d 0755 0:0 /etc".to_owned(),
            format!("f 0644 0:0 /etc/{architecture} /etc/{architecture}"),
            format!("f 0644 0:0 /on {own}: {}, {}, \n", own.os, own.architecture),
            "d 0755 0:0 /out".into(),
            format!("f 0644 0:0 /out/{architecture}{variant} for {platform}: {os}, {architecture}, {variant}\n"),
            "f 0644 0:0 /tool a".into(),
        ];
        assert_eq!(image.listing(), expected, "{platform}");
    }

    // What is the same for all is built once, and what the others have in common is done once.
    let own = own();
    assert_eq!(count(&tasks, &format!("[{own} tools "), Outcome::Done), 4, "{tasks:?}");
    for platform in ["ppc64le", "s390x", "arm/v7"] {
        assert_eq!(count(&tasks, &format!("[{own}->{platform} build "), Outcome::Done), 5, "{tasks:?}");
        assert_eq!(count(&tasks, &format!("[linux/{platform} 2 "), Outcome::Done), 6, "{tasks:?}");
    }
    let packed = |path: &str| tasks.iter().filter(|(kind, text, _)| *kind == TaskKind::Pack && text == path).count();
    assert_eq!((packed("/tool"), packed("/lib"), packed("/on")), (1 + 3, 1, 3 + 3), "{tasks:?}");
    assert_eq!(tasks.iter().filter(|(kind, ..)| *kind == TaskKind::Step).count(), 4 + 3 * (5 + 6));
    let done: usize = built.images.iter().map(|image| image.done).sum();
    assert_eq!(done, 4 + 3 * (5 + 6));
    assert_eq!(built.images[0].done, 4 + 5 + 6, "a shared stage counts for the first platform");
}

#[test]
fn each_image_is_the_one_of_a_build_for_its_platform_alone() {
    let (several, mut single) = (fixture(), fixture());
    let (built, _) = build(&several, TEXT, &PLATFORMS);
    for (platform, image) in PLATFORMS.iter().zip(&built.images) {
        single.options = single.options.clone().with_platform(platform.parse().unwrap());
        let alone = single.try_build_anew(TEXT).unwrap();
        assert_eq!(alone.image.manifest.digest, image.manifest.digest, "{platform}");
        assert_eq!(alone.image.id, image.id);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut expected = None;
    for threads in [1, 2, 8] {
        let mut fixture = fixture();
        fixture.options = fixture.options.clone().with_parallelism(NonZero::new(threads).unwrap());
        for edit in [None, Some("lib/x"), Some("a")] {
            if let Some(path) = edit {
                fixture.write(path, "changed");
            }
            let (built, mut tasks) = build(&fixture, TEXT, &PLATFORMS);
            tasks.retain(|(kind, ..)| *kind == TaskKind::Step);
            tasks.sort_by(|a, b| a.1.cmp(&b.1));
            let told = format!("{built:#?}\n{tasks:#?}");
            let all: &mut Vec<String> = expected.get_or_insert_with(Vec::new);
            match all.iter().find(|other| **other == told) {
                Some(_) => {}
                None if threads == 1 => all.push(told),
                None => panic!("{threads} threads, {edit:?}: {told}\nis none of {all:#?}"),
            }
        }
    }
    assert_eq!(expected.unwrap().len(), 3);
}

#[test]
fn what_is_cached_serves_each_platform_and_what_is_not_is_explained() {
    let fixture = fixture();
    let (first, _) = build(&fixture, TEXT, &PLATFORMS);
    let (second, tasks) = build(&fixture, TEXT, &PLATFORMS);
    assert_eq!(second.index, first.index);
    assert_eq!(tasks.iter().filter(|(kind, _, end)| *kind == TaskKind::Step && *end == Outcome::Done).count(), 0);
    // Fewer of them, and in another order: nothing is built for it.
    let (fewer, _) = build(&fixture, TEXT, &["linux/arm/v7", "linux/ppc64le", "linux/arm"]);
    assert_eq!(fewer.images.iter().map(|image| image.done).sum::<usize>(), 0);
    assert_eq!(fewer.images[0].manifest.digest, first.images[2].manifest.digest);
    assert_eq!(fewer.images.len(), 2, "linux/arm is linux/arm/v7");

    fixture.write("lib/x", "changed");
    let (third, _) = build(&fixture, TEXT, &PLATFORMS);
    let said = third.images.iter().flat_map(|image| &image.misses);
    let said: Vec<String> =
        said.map(|miss| format!("{} {}: {:?}", miss.step.stage, miss.step.number, miss.causes)).collect();
    let own = own();
    for platform in ["ppc64le", "s390x", "arm/v7"] {
        let copy = said.iter().filter(|line| line.starts_with(&format!("{own}->{platform} build 2: ")));
        assert!(copy.clone().count() == 1 && copy.clone().all(|line| line.contains("lib/x")), "{said:#?}");
    }
    assert!(!said.iter().any(|line| line.starts_with(&format!("{own} tools"))), "it does not take the file: {said:#?}");
}

#[test]
fn platforms_that_cannot_be_built_for_are_named() {
    let fixture = fixture();
    let error = fixture.try_build_for(TEXT, &[]).unwrap_err().to_string();
    assert!(error.contains("there is no platform to build for"), "{error}");
    let pinned = "FROM --platform=$BUILDPLATFORM scratch\nCOPY a /a\n";
    let (built, tasks) = build(&fixture, pinned, &["linux/ppc64le", "linux/s390x"]);
    // It is the same image for both, and built once.
    assert_eq!(built.images[0].manifest.digest, built.images[1].manifest.digest);
    assert_eq!(tasks.iter().filter(|(kind, ..)| *kind == TaskKind::Step).count(), 2);
    let index: Document<ImageIndex> = fixture.output.read_document(&built.index).unwrap();
    let of = |at: usize| index.value().manifests[at].platform.as_ref().unwrap().to_string();
    assert_eq!((of(0), of(1)), ("linux/ppc64le".into(), "linux/s390x".into()));
}
