//! Images for several platforms, built in one go.

use std::{fs, process::Command};

use serde_json::Value;
use test_support::{require_tool, tool};

use crate::{
    program::{image, program, refuse, succeed, verify},
    project::{Built, Project, TAG},
};

const TEXT: &str = "FROM --platform=$BUILDPLATFORM scratch AS common
COPY data /data
FROM --platform=$BUILDPLATFORM common AS made
ARG TARGETPLATFORM
COPY <<EOF /for
$TARGETPLATFORM
EOF
FROM scratch
ARG TARGETARCH
ENV ARCH=$TARGETARCH
COPY --from=common /data /data
COPY --from=made /for /for
HEALTHCHECK --interval=1m30s --timeout=1500ms --retries=2 CMD [\"/for\"]
";

const PLATFORMS: [&str; 2] = ["linux/s390x", "linux/amd64"];

fn project() -> Project {
    let project = Project::new(TEXT);
    project.write("data", "the same for all");
    project
}

/// The command that builds for both platforms.
fn command(project: &Project) -> Command {
    let mut command = project.command();
    command.args(PLATFORMS.iter().flat_map(|platform| ["--platform", platform]));
    command
}

#[test]
fn each_program_takes_the_image_for_a_platform() {
    let project = project();
    let built = Built::of(&mut command(&project));
    assert_eq!(built.ran().iter().filter(|step| **step == "COPY data /data").count(), 1, "{built:?}");
    verify(&project.output());
    // Which there are is said of each.
    let inspect = succeed(program("inspect").args(["--platform", "linux/s390x", &project.image()])).stdout;
    assert!(inspect.contains("\none of:   linux/s390x, linux/amd64; --platform shows another\n"), "{inspect}");
    let healthcheck = "\n  healthcheck: [\"CMD\",\"/for\"] --interval=90s --timeout=1.5s --retries=2\n";
    assert!(inspect.contains(healthcheck), "{inspect}");
    let saved = succeed(program("save").arg(project.image()).arg(project.path("saved.tar"))).stdout;
    assert!(saved.contains(" that for linux/amd64 is in it; --platform chooses another\n"), "{saved}");
    for platform in PLATFORMS {
        let architecture = platform.rsplit('/').next().unwrap();
        let inspect = succeed(program("inspect").args(["--json", "--platform", platform, &project.image()])).stdout;
        let inspected: Value = serde_json::from_str(&inspect).unwrap();
        assert_eq!(inspected["platform"]["architecture"], architecture, "{inspect}");
        assert_eq!(inspected["index"]["manifests"][1]["platform"]["architecture"], "amd64", "{inspect}");

        let tree = project.path(&format!("tree-{architecture}"));
        succeed(program("unpack").args(["--platform", platform, &project.image()]).arg(&tree));
        assert_eq!(fs::read_to_string(tree.join("for")).unwrap(), format!("{platform}\n"));
        assert_eq!(fs::read_to_string(tree.join("data")).unwrap(), "the same for all");
        let cat = succeed(program("cat").args(["--platform", platform, &project.image(), "/for"]));
        assert_eq!(cat.stdout, format!("{platform}\n"));

        // By way of an archive of Docker's, which has the one image.
        let (archive, loaded) = (project.path(&format!("{architecture}.tar")), project.path(architecture));
        succeed(program("save").args(["--platform", platform, &project.image()]).arg(&archive));
        succeed(program("load").arg(&archive).arg(&loaded).args(["--ref", "again:1"]));
        let shown = succeed(program("inspect").arg(image(&loaded, "again:1"))).stdout;
        assert!(shown.contains(&format!("platform: {platform}")), "{shown}");
    }
    refuse(program("unpack").args(["--platform", "linux/riscv64", &project.image()]).arg(project.path("none")));

    // All of it, and one of it, in another layout.
    let (all, one) = (project.path("all"), project.path("one"));
    succeed(program("copy").args(["--all", &project.image(), &image(&all, "v1")]));
    verify(&all);
    succeed(program("unpack").args(["--platform", PLATFORMS[0], &image(&all, "v1")]).arg(project.path("tree")));
    succeed(program("copy").args(["--platform", PLATFORMS[0], &project.image(), &image(&one, "v1")]));
    let shown = succeed(program("inspect").arg(image(&one, "v1"))).stdout;
    assert!(shown.contains("platform: linux/s390x"), "{shown}");
}

#[test]
fn what_is_printed_names_each_image() {
    let project = project();
    let text = succeed(&mut command(&project)).stdout;
    let json = succeed(command(&project).arg("--json")).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(text.contains(&format!("digest: {}\n", json["digest"].as_str().unwrap())), "{text}");
    assert_eq!(json["steps"]["done"], 0, "all of it was built before: {json}");
    let images = json["images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    for (platform, built) in PLATFORMS.iter().zip(images) {
        assert_eq!(built["platform"], *platform);
        let line = format!("{platform}: {}, image ID ", built["digest"].as_str().unwrap());
        assert!(text.lines().any(|said| said.starts_with(&line)), "{text}");
        // Alone, it is a plain image, and the same.
        let name = platform.replace('/', "-");
        let alone = Built::of(project.command_for(&name).args(["--platform", platform]));
        assert_eq!(alone.digest, built["digest"].as_str().unwrap());
        assert!(alone.ran().is_empty(), "{alone:?}");
    }
    let parted = Built::of(project.command().args(["--platform", &PLATFORMS.join(",")]));
    assert_eq!(json["digest"], parted.digest);
    let twice = Built::of(project.command().args(["--platform", "linux/amd64,linux/amd64"]));
    assert_eq!(images[1]["digest"], twice.digest, "one platform is a plain image");
}

#[test]
fn skopeo_finds_each_image_and_copies_the_index() {
    if !require_tool("skopeo") {
        return;
    }
    let project = project();
    let digest = Built::of(&mut command(&project)).digest;
    let from = format!("oci:{}", project.image());
    let raw: Value =
        serde_json::from_str(&tool::run(Command::new("skopeo").args(["inspect", "--raw", &from]))).unwrap();
    assert_eq!(raw["mediaType"], "application/vnd.oci.image.index.v1+json");
    let named = |at: usize| &raw["manifests"][at]["platform"];
    for (at, platform) in PLATFORMS.iter().enumerate() {
        let (os, architecture) = platform.split_once('/').unwrap();
        assert_eq!((&named(at)["os"], &named(at)["architecture"]), (&os.into(), &architecture.into()));
        let mut inspect = Command::new("skopeo");
        inspect.args(["--override-os", os, "--override-arch", architecture, "inspect", "--config", &from]);
        let config: Value = serde_json::from_str(&tool::run(&mut inspect)).unwrap();
        assert_eq!(config["architecture"], architecture);
        assert!(config["config"]["Env"].as_array().unwrap().contains(&format!("ARCH={architecture}").into()));
    }
    let copy = project.path("copy");
    let to = format!("oci:{}:copied", copy.display());
    tool::run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", "--all", &from, &to]));
    verify(&copy);
    let index: Value = serde_json::from_slice(&fs::read(copy.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest);
}

#[test]
fn umoci_unpacks_an_image_taken_out_of_the_index() {
    if !require_tool("umoci") {
        return;
    }
    let project = project();
    Built::of(&mut command(&project));
    let one = project.path("one");
    for platform in PLATFORMS {
        succeed(program("copy").args(["--platform", platform, &project.image(), &image(&one, TAG)]));
        let bundle = project.path(&platform.replace('/', "-"));
        tool::run(Command::new("umoci").args(["unpack", "--rootless", "--image", &image(&one, TAG)]).arg(&bundle));
        assert_eq!(fs::read_to_string(bundle.join("rootfs/for")).unwrap(), format!("{platform}\n"));
    }
}

#[test]
fn a_name_stands_for_an_image_of_a_layout() {
    let base = project();
    Built::of(&mut command(&base));
    let project = Project::new(
        "FROM nowhere/base:1 AS one\nCOPY own /own\nFROM scratch AS two\nCOPY missing /\nFROM one\nCOPY --from=two /for /of-two\n",
    );
    project.write("own", "own");
    let image = base.image();
    let layout = |name: &str| format!("{name}=oci-layout://{image}");
    let named = ["nowhere/base:1", "two"].map(layout);
    let mut build = project.command();
    build.args(["--platform", PLATFORMS[0], "--build-context", &named[0], "--build-context", &named[1]]);
    Built::of(&mut build);
    let tree = project.path("tree");
    succeed(program("unpack").arg(project.image()).arg(&tree));
    for (file, content) in [("own", "own"), ("for", "linux/s390x\n"), ("of-two", "linux/s390x\n")] {
        assert_eq!(fs::read_to_string(tree.join(file)).unwrap(), content, "{file}");
    }
    // By another name of a base image.
    let base = base.output();
    succeed(program("copy").args(["--all", &image]).arg(self::image(&base, "localhost/made:1")));
    let renamed = Project::on(&base, "FROM scratch AS base\nCOPY missing /\nFROM base\nCOPY own /own\n");
    renamed.write("own", "own");
    let mut build = renamed.command();
    Built::of(build.args(["--platform", PLATFORMS[1], "--build-context", "base=docker-image://localhost/made:1"]));
    let cat = succeed(program("cat").args([&renamed.image(), "/for"]));
    assert_eq!(cat.stdout, "linux/amd64\n");
    let mut missing = renamed.command();
    let said = refuse(missing.args(["--build-context", "base=oci-layout:///nowhere/at/all"]));
    assert!(said.contains("/nowhere/at/all"), "{said}");
}
