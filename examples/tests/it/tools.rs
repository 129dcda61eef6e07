//! What other tools make of an image that was built here.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use test_support::{TempDir, Tree, require_root, require_tool, temp_dir, tool};

use crate::{
    base_image::{self, Form, base_image},
    build, program,
    project::{Project, TAG},
};

fn built() -> Option<(Project, String)> {
    let base = base_image(Form::Gzip)?;
    let project = build::project(base);
    let digest = project.build().digest;
    Some((project, digest))
}

/// An image store of podman and buildah that is gone after the test.
pub(crate) struct Storage {
    dir: TempDir,
}

impl Storage {
    pub(crate) fn new() -> Self {
        Self { dir: temp_dir() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, tool: &str) -> Command {
        let policy = self.path("policy.json");
        fs::write(&policy, r#"{"default": [{"type": "insecureAcceptAnything"}]}"#).unwrap();
        let mut command = Command::new(tool);
        // Plain directories need nothing of the kernel.
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.path("root"))
            .arg("--runroot")
            .arg(self.path("run"));
        command.env("TMPDIR", self.dir.path());
        command
    }
}

#[test]
fn skopeo_inspects_it() {
    if !require_tool("skopeo") {
        return;
    }
    let Some((project, digest)) = built() else { return };
    let image = format!("oci:{}", project.image());
    let inspect = |arguments: &[&str]| -> Value {
        let output = tool::run(Command::new("skopeo").arg("inspect").args(arguments).arg(&image));
        serde_json::from_str(&output).unwrap()
    };
    let summary = inspect(&[]);
    assert_eq!(summary["Digest"], digest);
    assert_eq!(summary["Architecture"], base_image::architecture());
    assert_eq!(summary["Labels"]["org.example.title"], "The application");
    let config = inspect(&["--config"]);
    assert_eq!(config["config"]["User"], "1000:2000");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/local/bin/run");
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), summary["Layers"].as_array().unwrap().len());
}

#[test]
fn skopeo_copies_it_and_finds_every_digest_right() {
    if !require_tool("skopeo") {
        return;
    }
    let Some((project, digest)) = built() else { return };
    let copy = project.path("copy");
    let from = format!("oci:{}", project.image());
    let to = format!("oci:{}:copied", copy.display());
    tool::run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to]));
    program::verify(&copy);
    let index: Value = serde_json::from_slice(&fs::read(copy.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest);
}

#[test]
fn buildah_starts_from_it_and_mounts_the_same_tree() {
    if !require_root() || !require_tool("buildah") {
        return;
    }
    let Some((project, _)) = built() else { return };
    let storage = Storage::new();
    let policy = storage.path("policy.json");
    // It names the image by the path, in which it wants small letters only.
    let mut from = storage.command("buildah");
    from.current_dir(project.path("")).args(["from", "--quiet", "--signature-policy"]).arg(&policy);
    let container = tool::run(from.arg(format!("oci:out:{TAG}")));
    let container = container.trim();
    let inspected = tool::run(storage.command("buildah").args(["inspect", "--type", "container", container]));
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let config = &inspected["OCIv1"]["config"];
    assert_eq!(config["User"], "1000:2000");
    assert_eq!(config["WorkingDir"], "/srv/app");
    assert_eq!(config["Labels"]["of"], "base");

    let mounted = tool::run(storage.command("buildah").args(["mount", container]));
    let theirs = Tree::scan(mounted.trim().as_ref());
    let ours = project.path("ours");
    program::unpack(project.image(), &ours);
    // It gives the root and what was changed before 1970 other times.
    let mut diff = Tree::scan(&ours).diff(&theirs);
    diff.retain(|line| !line.starts_with("/: mtime ") && !line.starts_with("srv/old: mtime "));
    assert!(diff.is_empty(), "{diff:#?}");
    tool::run(storage.command("buildah").args(["rm", container]));
}

#[test]
fn podman_loads_it_from_an_archive_that_skopeo_made() {
    if !require_root() || !require_tool("podman") || !require_tool("skopeo") {
        return;
    }
    let Some((project, _)) = built() else { return };
    let storage = Storage::new();
    let archive = storage.path("app.tar");
    let from = format!("oci:{}", project.image());
    let to = format!("docker-archive:{}:localhost/app:1", archive.display());
    tool::run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to]));
    let policy = storage.path("policy.json");
    let mut load = storage.command("podman");
    tool::run(load.args(["load", "--quiet", "--signature-policy"]).arg(&policy).arg("--input").arg(&archive));
    let inspected = tool::run(storage.command("podman").args(["image", "inspect", "localhost/app:1"]));
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let config = &inspected[0]["Config"];
    assert_eq!(config["Cmd"][0], "--serve");
    assert_eq!(config["StopSignal"], "SIGINT");
    assert_eq!(config["ExposedPorts"]["9000/udp"], serde_json::json!({}));
    assert_eq!(inspected[0]["Architecture"], base_image::architecture());
}
