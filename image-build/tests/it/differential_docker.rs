//! The same Dockerfiles built by Docker Engine's own builder: the same trees and the same configurations, but for what
//! BuildKit, which took its place, does otherwise.

use std::{
    fs::{self, File},
    process::Command,
    sync::Arc,
};

use image_core::{Ctx, Image};
use image_layout::{LoadOptions, OciLayout, SaveOptions, save};
use serde_json::Value;
use test_support::{Docker, require_root, temp_dir};

use crate::differential::{Bench, CASES, compare};

/// How our result differs from the engine's: the Dockerfile, and the lines that [`compare`] gives.
const DIFFERENCES: &[(&str, &[&str])] = &[
    // BuildKit clamps a path to the context.
    (
        "FROM scratch\nCOPY /a.txt ../b.txt ./c.md /x/",
        &["refused: COPY failed: forbidden path outside the build context: ../b.txt ()"],
    ),
    // BuildKit cleans the path.
    ("FROM scratch\nWORKDIR /w/\nCOPY a.txt ../up", &[r#"WorkingDir: "/w", not "/w/""#]),
    // BuildKit gives the directory to the user.
    (
        "FROM localhost/base:1\nUSER app\nWORKDIR /home/app",
        &["home: owner 1001:1002, not 0:0", "home/app: owner 1001:1002, not 0:0"],
    ),
    // BuildKit writes images without layers.
    ("FROM scratch\nLABEL only=labels", &["refused: Error response from daemon: empty export - not implemented"]),
    // `--chown` is for what is in an archive too, in BuildKit.
    (
        "FROM scratch\nADD --chown=7:8 archive.tgz /x/",
        &[
            "x: owner 7:8, not 0:0",
            "x/dir: owner 7:8, not 3:4",
            "x/dir/abs: owner 7:8, not 3:4",
            "x/dir/empty: owner 7:8, not 3:4",
            "x/dir/one: owner 7:8, not 3:4",
            "x/dir/sub: owner 7:8, not 3:4",
            "x/dir/sub/two: owner 7:8, not 3:4",
            "x/dir/up: owner 7:8, not 3:4",
            "x/other/one: owner 7:8, not 3:4",
            "x/to-a: owner 7:8, not 3:4",
        ],
    ),
];

#[test]
fn builds_what_docker_builds() {
    if !require_root() {
        return;
    }
    let Some(docker) = Docker::shared() else { return };
    let bench = Bench::without_buildah();
    load_image(&docker, &bench, "localhost/base:1");
    let mut wrong = Vec::new();
    // What only BuildKit knows is left out.
    for case in CASES.iter().filter(|case| !case.text.contains("--chmod")) {
        let scratch = temp_dir();
        let ours = bench.build(case.text, "context", "localhost/built:1");
        let mut found = match build(&docker, &bench, case.text) {
            Ok((theirs, config)) => compare(&ours, &theirs, &config, scratch.path()),
            Err(reason) => vec![format!("refused: {reason}")],
        };
        // The client adds to the ignore file what it calls a Dockerfile from elsewhere.
        found.retain(|line| !line.starts_with("all/.dockerignore: file"));
        let expected = DIFFERENCES.iter().find(|(text, _)| *text == case.text).map_or(&[][..], |(_, lines)| lines);
        if found != expected {
            let (found, expected) = (found.join("\n"), expected.join("\n"));
            wrong.push(format!("{}\n--- differs:\n{found}\n--- expected:\n{expected}\n", case.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Gives the engine an image of our layout.
pub(crate) fn load_image(docker: &Docker, bench: &Bench, name: &str) {
    let layout = OciLayout::open(bench.path("ours")).unwrap();
    let base = Image::open(Arc::new(layout.blobs().clone()), &layout.resolve(name).unwrap()).unwrap();
    let archive = bench.path("base.tar");
    let images = [(base, vec![name.to_owned()])];
    save(&images, File::create(&archive).unwrap(), &SaveOptions::default(), &Ctx::default()).unwrap();
    docker.run(["load".as_ref(), "--quiet".as_ref(), "--input".as_ref(), archive.as_os_str()]);
}

/// The image and its configuration in Docker's form, or why there is none.
fn build(docker: &Docker, bench: &Bench, text: &str) -> Result<(Image, Value), String> {
    let file = bench.path("Dockerfile");
    fs::write(&file, text).unwrap();
    let mut command = docker.command();
    // Its own builder: the client's plugin for BuildKit is no part of Debian's packages.
    command.env("DOCKER_BUILDKIT", "0");
    command.args(["build", "--quiet", "--no-cache", "--build-arg", "GIVEN=given"]);
    command.args(["--tag", "localhost/built:1", "--file"]).arg(&file).arg(bench.path("context"));
    attempt(&mut command)?;
    built(docker, bench, "localhost/built:1")
}

/// An image of the engine, and its configuration in Docker's form, or why it cannot be had.
pub(crate) fn built(docker: &Docker, bench: &Bench, name: &str) -> Result<(Image, Value), String> {
    let archive = bench.path("built.tar");
    attempt(docker.command().args(["save", "--output"]).arg(&archive).arg(name))?;
    let layout = OciLayout::open_or_create(bench.path("docker")).unwrap();
    let loaded = layout.load(File::open(&archive).unwrap(), &LoadOptions::default(), &Ctx::default()).unwrap();
    let config = docker.run(["image", "inspect", "--format", "{{json .Config}}", name]);
    let image = Image::open(Arc::new(layout.blobs().clone()), &loaded[0].descriptor).unwrap();
    Ok((image, serde_json::from_str(&config).unwrap()))
}

/// Runs a command; where it fails, the last line of what it says.
fn attempt(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.trim_end().lines().last().unwrap_or_default().to_owned()) }
}
