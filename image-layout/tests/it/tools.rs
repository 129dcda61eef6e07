//! What other tools think of our layouts, and we of theirs.

use std::{path::Path, process::Command};

use image_core::{Ctx, Platform};
use image_layout::{OciLayout, fsck::VerifyOptions};
use test_support::require_tool;

use crate::fixture::Fixture;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn is_whole(layout: &OciLayout) -> bool {
    let report = layout.verify(None, &VerifyOptions::default().with_unreachable(), &Ctx::default());
    report.expect("the layout is verified").is_clean()
}

#[test]
fn umoci_lists_our_names() {
    if !require_tool("umoci") {
        return;
    }
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    for name in ["latest", "v1.0", "busybox:1.36"] {
        fixture.layout.tag(name, &image).unwrap();
    }
    let mut names: Vec<_> =
        run("umoci", &["ls", "--layout", text(fixture.path())]).lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["busybox:1.36", "latest", "v1.0"]);

    // Both write the index in turn.
    let image = format!("{}:latest", text(fixture.path()));
    run("umoci", &["config", "--image", &image, "--tag", "changed", "--config.label", "a=b"]);
    fixture.layout.tag("again", &fixture.layout.resolve("changed").unwrap()).unwrap();
    let changed = fixture.layout.image("again", None).unwrap();
    assert_eq!(changed.config().value().config.labels["a"], "b");
    run("umoci", &["stat", "--image", &format!("{}:again", text(fixture.path()))]);
    assert!(is_whole(&fixture.layout));
}

#[test]
fn skopeo_reads_and_writes_our_layouts() {
    if !require_tool("skopeo") {
        return;
    }
    let fixture = Fixture::new();
    let (amd64, arm64) = (fixture.image_for("linux/amd64"), fixture.image_for("linux/arm64"));
    fixture.layout.tag("one", &amd64).unwrap();
    fixture.layout.tag("many", &fixture.index(vec![amd64.clone(), arm64.clone()])).unwrap();
    let at = |name: &str| format!("oci:{}:{name}", text(fixture.path()));
    let inspected: serde_json::Value = serde_json::from_str(&run("skopeo", &["inspect", &at("one")])).unwrap();
    assert_eq!(inspected["Digest"], amd64.digest.to_string());
    assert_eq!(inspected["Architecture"], "amd64");

    // Its choice for a platform is ours.
    for (architecture, variant) in [("amd64", None), ("arm64", Some("v8"))] {
        let mut arguments = vec!["--override-os=linux".to_owned(), format!("--override-arch={architecture}")];
        arguments.extend(variant.map(|variant| format!("--override-variant={variant}")));
        arguments.extend(["inspect".to_owned(), "--config".to_owned(), at("many")]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let theirs: serde_json::Value = serde_json::from_str(&run("skopeo", &arguments)).unwrap();
        let mut platform = Platform::new("linux", architecture);
        platform.variant = variant.map(str::to_owned);
        let ours = fixture.layout.image("many", Some(&platform)).unwrap();
        assert_eq!(theirs["architecture"], ours.config().value().architecture);
    }

    let copied = fixture.beside("copied");
    run("skopeo", &["copy", "--all", &at("many"), &format!("oci:{}:copied", text(&copied))]);
    let copied = OciLayout::open(&copied).unwrap();
    assert!(is_whole(&copied));
    let arm = copied.image("copied", Some(&"linux/arm64".parse().unwrap())).unwrap();
    assert_eq!(arm.descriptor().digest, arm64.digest);

    // Into a layout of ours, beside what is there.
    run("skopeo", &["copy", &format!("oci:{}:copied", text(copied.path())), &at("back")]);
    let names: Vec<String> = fixture.layout.tags().unwrap().iter().map(|tag| tag.name().to_owned()).collect();
    assert_eq!(names, ["one", "many", "back"]);
    assert!(is_whole(&fixture.layout));
}
