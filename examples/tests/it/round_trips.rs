//! Round trips with the engines that people run: what we save they load as the same images, and the other way round.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use image_core::{Document, ImageConfig};
use serde_json::Value;
use test_support::{
    Containerd, Docker, TempDir, Tree, TreeBuilder, TreeOptions, require_root, require_tool, temp_dir, tool,
};

use crate::{
    program::{image, program, succeed, unpack, verify},
    tools::Storage,
    unpack::umoci_unpack,
};

/// The image, and the image that it was made of.
const NAMES: [&str; 2] = ["localhost/app:2", "localhost/app:1"];

/// Two images of which one is built on the other, in a layout, with their trees.
struct Images {
    dir: TempDir,
}

/// What must not change on the way.
#[derive(Debug, PartialEq)]
struct Facts {
    id: String,
    diff_ids: Vec<String>,
}

impl Images {
    /// The upper layer changes, hides and replaces; the lower one has what archives are often careless with.
    fn new() -> Self {
        let images = Self { dir: temp_dir() };
        let (lower, edited) = (images.path("lower"), images.path("edited"));
        TreeBuilder::new()
            .file("bin/setuid", "runs as its owner", 0o4755)
            .file("etc/hidden", "goes", 0o644)
            .dir("etc/becomes-a-file", 0o755)
            .file("etc/owned", "by somebody", 0o640)
            .owner(1000, 70_000)
            .hard_link("etc/owned-too", "etc/owned")
            .symlink("etc/link", "../nowhere")
            .file(format!("etc/{}", "n".repeat(200)), "long", 0o644)
            .char_device("dev/null", 0o666, 1, 3)
            .fifo("dev/pipe", 0o600)
            .dir("tmp", 0o1777)
            .write_to(&lower);
        let base = image(&images.layout(), NAMES[1]);
        succeed(program("import").arg(&lower).arg(&base));
        unpack(&base, &edited);
        tool::run(Command::new("rm").arg(edited.join("etc/hidden")));
        tool::run(Command::new("rmdir").arg(edited.join("etc/becomes-a-file")));
        TreeBuilder::new()
            .file("etc/becomes-a-file", "is one", 0o600)
            .file("opt/added", "new", 0o755)
            .write_to(&images.path("more"));
        tool::run(Command::new("cp").arg("-a").arg(images.path("more/.")).arg(&edited));
        succeed(program("commit").arg(&base).arg(&edited).args([
            NAMES[0],
            "--change",
            "CMD [\"/bin/setuid\", \"<&>\"]",
        ]));
        images
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn layout(&self) -> PathBuf {
        self.path("layout")
    }

    /// Saves both, as an archive of this form.
    fn save(&self, format: &str) -> PathBuf {
        let archive = self.path(&format!("{format}.tar"));
        let images = NAMES.map(|name| image(&self.layout(), name));
        succeed(program("save").args(["--format", format]).args(images).arg(&archive));
        archive
    }

    /// The layout that an archive becomes.
    fn load(&self, archive: &Path, name: &str) -> PathBuf {
        let layout = self.path(name);
        succeed(program("load").arg(archive).arg(&layout));
        verify(&layout);
        layout
    }

    /// That the images in this layout are these.
    fn assert_same(&self, layout: &Path) {
        for name in NAMES {
            assert_eq!(facts(layout, name), facts(&self.layout(), name), "{name}");
        }
        let tree = self.path("again");
        unpack(image(layout, NAMES[0]), &tree);
        scan(&tree).assert_same(&scan(&self.tree()));
        tool::run(Command::new("rm").arg("-r").arg(tree));
    }

    /// The tree of the upper image.
    fn tree(&self) -> PathBuf {
        let tree = self.path("tree");
        if !tree.exists() {
            unpack(image(&self.layout(), NAMES[0]), &tree);
        }
        tree
    }
}

/// Engines give the root, and what they make mount points of, attributes of their own.
fn scan(root: &Path) -> Tree {
    Tree::scan_with(root, TreeOptions::default().with_whole_seconds().without_root())
}

fn inspect(layout: &Path, name: &str) -> Value {
    let said = succeed(program("inspect").arg("--json").arg(image(layout, name)));
    serde_json::from_str(&said.stdout).unwrap()
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

fn facts(layout: &Path, name: &str) -> Facts {
    let said = inspect(layout, name);
    let diff_ids = said["layers"].as_array().unwrap().iter().map(|layer| layer["diffId"].clone()).collect();
    Facts { id: said["imageId"].as_str().unwrap().to_owned(), diff_ids: texts(&diff_ids) }
}

#[test]
fn docker_loads_what_we_save_and_saves_what_we_load() {
    let Some(docker) = Docker::shared() else { return };
    let images = Images::new();
    docker.run(["load".as_ref(), "--quiet".as_ref(), "--input".as_ref(), images.save("docker").as_os_str()]);
    for name in NAMES {
        let said: Value = serde_json::from_str(&docker.run(["image", "inspect", name])).unwrap();
        let theirs =
            Facts { id: said[0]["Id"].as_str().unwrap().to_owned(), diff_ids: texts(&said[0]["RootFS"]["Layers"]) };
        assert_eq!(theirs, facts(&images.layout(), name), "{name}");
    }
    if let Some(theirs) = docker.with_image_tree(NAMES[0], scan) {
        theirs.assert_same(&scan(&images.tree()));
    }

    let theirs = images.path("theirs.tar");
    docker.run(["save".as_ref(), "--output".as_ref(), theirs.as_os_str(), NAMES[0].as_ref(), NAMES[1].as_ref()]);
    images.assert_same(&images.load(&theirs, "loaded"));
    // From a pipe, compressed; and the same manifests come of it.
    tool::run(Command::new("gzip").args(["--fast", "--keep"]).arg(&theirs));
    let piped = images.path("piped");
    let archive = File::open(images.path("theirs.tar.gz")).unwrap();
    succeed(program("load").arg("-").arg(&piped).stdin(archive));
    for name in NAMES {
        let digest = |layout: &Path| inspect(layout, name)["descriptor"]["digest"].clone();
        assert_eq!(digest(&piped), digest(&images.path("loaded")));
    }

    // An image that it saves without a name.
    let nameless = images.path("nameless.tar");
    let id = facts(&images.layout(), NAMES[1]).id;
    docker.run(["save".as_ref(), "--output".as_ref(), nameless.as_os_str(), id.as_ref()]);
    let said = succeed(program("load").args(["--ref", NAMES[1]]).arg(&nameless).arg(images.path("renamed"))).stdout;
    assert!(said.ends_with(&format!(" {}\n", NAMES[1])), "{said}");
    assert_eq!(facts(&images.path("renamed"), NAMES[1]).id, id);
    docker.run(["image", "rm", "--force", NAMES[0], NAMES[1]]);
}

/// What Docker wrote and we write anew is the same, to the byte: equal values have equal digests.
#[test]
fn a_config_of_docker_is_written_as_docker_writes_it() {
    let Some(docker) = Docker::shared() else { return };
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    TreeBuilder::new().file("file", "x", 0o644).write_to(&at("tree"));
    tool::run(Command::new("tar").arg("-cf").arg(at("tree.tar")).arg("-C").arg(at("tree")).arg("."));
    let changes = [
        "ENV A=<b> C=&",
        "LABEL z=1 a=2",
        "EXPOSE 80/tcp 9000/udp",
        "VOLUME /data",
        "WORKDIR /app",
        "USER 1000:2000",
        "HEALTHCHECK --interval=30s --retries=2 CMD [\"/bin/check\"]",
        "ONBUILD RUN x",
        "ENTRYPOINT [\"/run\"]",
        "CMD [\"--serve\"]",
    ];
    let mut import = docker.command();
    import.arg("import").args(changes.iter().flat_map(|change| ["--change", change]));
    tool::run(import.arg(at("tree.tar")).arg("localhost/written:1"));
    assert_written_alike(&docker, "localhost/written:1", &dir);
}

/// The same of BuildKit.
#[test]
fn a_config_of_buildkit_is_written_as_buildkit_writes_it() {
    let Some(docker) = Docker::shared() else { return };
    let dir = temp_dir();
    let dockerfile = r#"
        FROM scratch AS base
        COPY Dockerfile /
        FROM base
        ARG V=1
        MAINTAINER A <a@example.org>
        ENV PATH=/bin A="<b> & c"
        LABEL z="1 & 2" a="<2>"
        ONBUILD RUN x
        USER 1000:2000
        EXPOSE 80/tcp 9000/udp
        VOLUME /data
        WORKDIR /app
        STOPSIGNAL SIGINT
        HEALTHCHECK --interval=30s --timeout=5s --retries=2 CMD ["/bin/check"]
        SHELL ["/bin/bash", "-c"]
        COPY Dockerfile /second
        ENTRYPOINT ["/run"]
        CMD ["--serve"]
    "#;
    let context = dir.path().join("context");
    TreeBuilder::new().file("Dockerfile", dockerfile, 0o644).write_to(&context);
    docker.build_with_buildkit(&context, "localhost/buildkit:1");
    assert_written_alike(&docker, "localhost/buildkit:1", &dir);
}

/// That the config of an image of the engine, which goes from it, is the same when we write it anew.
fn assert_written_alike(docker: &Docker, name: &str, dir: &TempDir) {
    let at = |name: &str| dir.path().join(name);
    docker.run(["save".as_ref(), "--output".as_ref(), at("saved.tar").as_os_str(), name.as_ref()]);
    docker.run(["image", "rm", name]);
    succeed(program("load").arg(at("saved.tar")).arg(at("layout")));
    let id = facts(&at("layout"), name).id;
    let bytes = std::fs::read(at("layout/blobs/sha256").join(id.trim_start_matches("sha256:"))).unwrap();
    let config = Document::<ImageConfig>::parse(bytes.clone(), &id).unwrap();
    let again = Document::new(config.into_value()).unwrap();
    assert_eq!(String::from_utf8_lossy(again.bytes()), String::from_utf8_lossy(&bytes));
}

#[test]
fn containerd_imports_what_we_save_and_exports_what_we_load() {
    if !require_root() {
        return;
    }
    let Some(containerd) = Containerd::shared() else { return };
    let images = Images::new();
    let digest = |layout: &Path, name: &str| inspect(layout, name)["descriptor"]["digest"].as_str().unwrap().to_owned();
    for format in ["docker", "oci"] {
        let ours = images.save(format);
        containerd.run(["images".as_ref(), "import".as_ref(), "--no-unpack".as_ref(), ours.as_os_str()]);
        // The archive's own manifests: of the Docker form they are of uncompressed layers.
        let saved = images.load(&ours, &format!("saved-{format}"));
        images.assert_same(&saved);
        let listed = containerd.run(["images", "list"]);
        for name in NAMES {
            let line = listed.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default();
            assert!(line.contains(&digest(&saved, name)), "{format} {name}: {listed}");
        }

        let mounted = temp_dir();
        let at = mounted.path().as_os_str();
        let native = ["--snapshotter", "native"].map(AsRef::as_ref);
        containerd.run([["images", "mount"].map(AsRef::as_ref), native, [NAMES[0].as_ref(), at]].concat());
        let theirs = scan(mounted.path());
        containerd.run([["images", "unmount"].map(AsRef::as_ref), native, ["--rm".as_ref(), at]].concat());
        theirs.assert_same(&scan(&images.tree()));

        let theirs = images.path(&format!("theirs-{format}.tar"));
        let export = ["images".as_ref(), "export".as_ref(), theirs.as_os_str(), NAMES[0].as_ref(), NAMES[1].as_ref()];
        containerd.run(export);
        let loaded = images.load(&theirs, &format!("loaded-{format}"));
        images.assert_same(&loaded);
        for name in NAMES {
            assert_eq!(digest(&loaded, name), digest(&saved, name), "manifests are kept");
        }
        containerd.run(["images", "rm", "--sync", NAMES[0], NAMES[1]]);
    }
}

#[test]
fn skopeo_copies_what_we_save_and_writes_what_we_load() {
    if !require_root() || !require_tool("skopeo") {
        return;
    }
    let images = Images::new();
    let skopeo = |from: String, to: String| {
        tool::run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to]));
    };
    let theirs = images.path("oci");
    for name in NAMES {
        skopeo(format!("oci:{}", image(&images.layout(), name)), format!("oci:{}", image(&theirs, name)));
    }
    verify(&theirs);
    images.assert_same(&theirs);
    for (format, kind) in [("docker", "docker-archive"), ("oci", "oci-archive")] {
        let (ours, loaded) = (images.save(format), images.path(&format!("loaded-{format}")));
        for (number, name) in (0..).zip(NAMES) {
            let theirs = images.path(&format!("{kind}-{number}.tar"));
            skopeo(format!("{kind}:{}:{name}", ours.display()), format!("{kind}:{}:{name}", theirs.display()));
            succeed(program("load").arg(&theirs).arg(&loaded));
        }
        verify(&loaded);
        images.assert_same(&loaded);
    }
}

#[test]
fn umoci_unpacks_what_we_load_as_we_do() {
    if !require_root() || !require_tool("umoci") {
        return;
    }
    let images = Images::new();
    for format in ["docker", "oci"] {
        let loaded = images.load(&images.save(format), &format!("loaded-{format}"));
        let theirs = umoci_unpack(&image(&loaded, NAMES[0]), &images.path(&format!("bundle-{format}")));
        scan(&theirs).assert_same(&scan(&images.tree()));
        // An image that it makes of ours, by another name: what it did not change is the same.
        let changed = "changed";
        let mut config = Command::new("umoci");
        config.args(["config", "--image", &image(&loaded, NAMES[0]), "--tag", changed, "--config.label", "a=b"]);
        tool::run(&mut config);
        let archive = images.path(&format!("changed-{format}.tar"));
        succeed(program("save").arg(image(&loaded, changed)).arg(&archive));
        let again = images.path(&format!("again-{format}"));
        succeed(program("load").arg(&archive).arg(&again));
        let (before, after) = (facts(&loaded, changed), facts(&again, changed));
        assert_eq!(after, before);
        assert_eq!(after.diff_ids, facts(&images.layout(), NAMES[0]).diff_ids);
    }
}

/// The archives that one of podman and buildah wrote, loaded.
fn assert_written(images: &Images, archives: &[PathBuf]) {
    let loaded = images.path("loaded");
    for archive in archives {
        succeed(program("load").arg(archive).arg(&loaded));
    }
    verify(&loaded);
    images.assert_same(&loaded);
}

#[test]
fn podman_shows_what_we_save_and_saves_what_we_load() {
    if !require_root() || !require_tool("podman") {
        return;
    }
    let (images, storage) = (Images::new(), Storage::new());
    let podman = |arguments: &[&OsStr]| tool::run(storage.command("podman").args(arguments));
    let policy = storage.path("policy.json");
    let [ours, theirs] = [images.save("docker"), images.path("theirs.tar")];
    let text = OsStr::new;
    podman(&[
        text("load"),
        text("--quiet"),
        text("--signature-policy"),
        policy.as_ref(),
        text("--input"),
        ours.as_ref(),
    ]);
    for name in NAMES {
        let said: Value = serde_json::from_str(&podman(&["image", "inspect", name].map(text))).unwrap();
        let id = format!("sha256:{}", said[0]["Id"].as_str().unwrap());
        let theirs = Facts { id, diff_ids: texts(&said[0]["RootFS"]["Layers"]) };
        assert_eq!(theirs, facts(&images.layout(), name), "{name}");
    }
    let mounted = podman(&["image", "mount", NAMES[0]].map(text));
    scan(mounted.trim().as_ref()).assert_same(&scan(&images.tree()));
    podman(&["image", "unmount", NAMES[0]].map(text));
    let save = ["save", "--quiet", "--multi-image-archive", "--output"].map(text);
    podman(&[&save[..], &[theirs.as_ref(), text(NAMES[0]), text(NAMES[1])]].concat());
    assert_written(&images, &[theirs]);
}

#[test]
fn buildah_shows_what_we_save_and_pushes_what_we_load() {
    if !require_root() || !require_tool("buildah") {
        return;
    }
    let (images, storage) = (Images::new(), Storage::new());
    let buildah = |arguments: &[&str]| tool::run(storage.command("buildah").args(arguments)).trim().to_owned();
    let policy = storage.path("policy.json").display().to_string();
    let mut archives = Vec::new();
    for format in ["docker", "oci"] {
        let ours = images.save(format);
        for (number, name) in (0..).zip(NAMES) {
            let from = format!("{format}-archive:{}:{name}", ours.display());
            let id = buildah(&["pull", "--quiet", "--signature-policy", &policy, &from]);
            assert_eq!(format!("sha256:{id}"), facts(&images.layout(), name).id, "{from}");
            if name == NAMES[0] {
                let container = buildah(&["from", "--quiet", "--pull-never", "--signature-policy", &policy, &id]);
                let mounted = buildah(&["mount", &container]);
                scan(mounted.as_ref()).assert_same(&scan(&images.tree()));
                buildah(&["rm", &container]);
            }
            let theirs = images.path(&format!("theirs-{format}-{number}.tar"));
            let to = format!("docker-archive:{}:{name}", theirs.display());
            buildah(&["push", "--quiet", "--signature-policy", &policy, &id, &to]);
            archives.push(theirs);
        }
    }
    assert_written(&images, &archives);
}
