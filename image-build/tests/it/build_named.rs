//! Names that the caller gives a meaning: directories and images in place of stages and base images.

use crate::build_fixture::{Bases, Fixture, dir, file};

/// Images that only names of the caller lead to.
fn others() -> Bases {
    let mut others = Bases::default();
    others.add("other", vec![dir("other"), file("other/file")], |config| {
        config.config.labels.insert("of".into(), "other".into());
    });
    others.add("triggers", vec![dir("etc")], |config| config.config.on_build = vec!["COPY a /triggered".into()]);
    others
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&["a", "b"]);
    fixture.bases.add("base", vec![dir("etc"), file("etc/os")], |_| {});
    fixture.others = others();
    fixture.named_files("files", &["x", "d/y"]);
    fixture
}

#[test]
fn an_image_takes_the_place_of_what_from_and_copy_name() {
    for (name, text) in [
        ("base", "FROM base\nCOPY a /a\n"),
        ("base", "FROM base:latest\nCOPY a /a\n"),
        ("docker.io/library/base:latest", "FROM base\nCOPY a /a\n"),
        ("nowhere", "FROM nowhere\nCOPY a /a\n"),
        ("nowhere/at:all", "FROM nowhere/at:all\nCOPY a /a\n"),
        // A stage, with all its instructions.
        ("stage", "FROM base AS stage\nCOPY missing /\nFROM stage\nCOPY a /a\n"),
        ("stage", "FROM base AS Stage\nCOPY missing /\nFROM stage AS last\nCOPY a /a\n"),
    ] {
        let mut fixture = fixture();
        fixture.name_image(name, "other");
        let built = fixture.build(text);
        assert_eq!(
            built.listing(),
            ["f 0644 0:0 /a a", "d 0755 0:0 /other", "f 0644 0:0 /other/file /other/file"],
            "{name}: {text}"
        );
        assert_eq!(built.config().config.labels["of"], "other");
        let digest = built.image.manifest.digest.clone();
        let again = fixture.build(text);
        assert_eq!(again.image.done, 0, "{name}: {text}");
        // Without it, the name means what it meant.
        fixture.forget_names();
        match fixture.try_build(text) {
            Ok(plain) => assert_ne!(plain.image.manifest.digest, digest, "{text}"),
            Err(error) => assert!(error.is_not_found(), "{text}: {error}"),
        }
    }
    let copied = "FROM scratch AS stage\nCOPY missing /\nFROM scratch\nCOPY --from=stage /other /\n";
    for text in [copied, &copied.replace("--from=stage", "--from=0"), &copied.replace("stage", "STAGE")] {
        let mut fixture = fixture();
        fixture.name_image("stage", "other");
        assert_eq!(fixture.build(text).listing(), ["f 0644 0:0 /file /other/file"], "{text}");
    }
    let mut fixture = fixture();
    fixture.name_image("named", "triggers");
    assert_eq!(fixture.build("FROM named\n").listing(), ["d 0755 0:0 /etc", "f 0644 0:0 /triggered a"]);
    fixture.name_image("missing", "not-there");
    let error = fixture.error("FROM missing\n");
    assert!(error.contains("image not-there not found"), "{error}");
}

#[test]
fn a_stage_in_whose_place_an_image_stands_can_be_the_target() {
    let mut fixture = fixture();
    fixture.name_image("middle", "other");
    fixture.options = fixture.options.clone().with_target("middle");
    let text = "FROM base AS first\nCOPY a /a\nFROM first AS middle\nCOPY b /b\nFROM middle\nCOPY a /last\n";
    let built = fixture.build(text);
    assert_eq!(built.listing(), ["d 0755 0:0 /other", "f 0644 0:0 /other/file /other/file"]);
    assert_eq!(built.steps().len(), 1, "what only the stage needed is not built: {:?}", built.steps());
}

#[test]
fn a_directory_takes_the_place_of_what_copy_names() {
    for text in [
        "FROM scratch\nCOPY --from=files /x /\n",
        "FROM base AS files\nCOPY missing /\nFROM scratch\nCOPY --from=files /x /\n",
        "FROM base AS files\nCOPY missing /\nFROM scratch\nCOPY --from=0 /x /\n",
    ] {
        assert_eq!(fixture().build(text).listing(), ["f 0644 0:0 /x files: x"], "{text}");
    }
    for (text, place) in [
        ("FROM files\n", "Dockerfile:1:6"),
        ("FROM base AS files\nFROM files\n", "Dockerfile:2:6"),
        ("FROM base AS files\nCOPY a /a\n", "Dockerfile:1:"),
    ] {
        let error = fixture().error(text);
        assert!(error.starts_with(place), "{text}: {error}");
        assert!(error.contains("the build context files is a directory: FROM takes an image"), "{text}: {error}");
    }
}
