//! Images that are damaged, hostile or not there: each program says which blob or name, and writes nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use test_support::{require_tool, tool};

use crate::{
    base_image::put,
    build::manifest,
    program::{image, program, refuse, run},
    project::{Project, TAG},
};

/// An image of one layer, to be damaged.
pub(crate) struct Victim {
    pub(crate) project: Project,
}

impl Victim {
    pub(crate) fn new() -> Self {
        let project = Project::new("FROM scratch\nCOPY --chmod=0644 file /\nLABEL a=b\n");
        project.write("file", "content\n".repeat(1000));
        project.build_with(&["--source-date-epoch", "0"]);
        Self { project }
    }

    /// Another one that is the same.
    pub(crate) fn copy(&self) -> Self {
        let project = Project::new("");
        tool::run(Command::new("cp").arg("-a").arg(self.project.path(".")).arg(project.path("")));
        Self { project }
    }

    pub(crate) fn layout(&self) -> PathBuf {
        self.project.output()
    }

    /// The digest of the only layer.
    pub(crate) fn layer(&self) -> String {
        self.digest_of(&manifest(&self.layout(), TAG)["layers"][0])
    }

    pub(crate) fn config(&self) -> String {
        self.digest_of(&manifest(&self.layout(), TAG)["config"])
    }

    /// The digest of the manifest, where `index.json` can be read.
    pub(crate) fn manifest(&self) -> Option<String> {
        let index: Value = serde_json::from_slice(&fs::read(self.layout().join("index.json")).ok()?).ok()?;
        Some(self.digest_of(&index["manifests"][0]))
    }

    fn digest_of(&self, descriptor: &Value) -> String {
        descriptor["digest"].as_str().unwrap().to_owned()
    }

    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        self.layout().join("blobs").join(digest.replace(':', "/"))
    }

    pub(crate) fn change_blob(&self, digest: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.blob(digest);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        // Away first: it may be read-only.
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }

    pub(crate) fn change_index(&self, change: impl FnOnce(&mut Value)) {
        let path = self.layout().join("index.json");
        let mut index = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut index);
        fs::write(&path, index.to_string()).unwrap();
    }

    /// Puts another manifest in the place of the image's.
    pub(crate) fn change_manifest(&self, change: impl FnOnce(&mut Value)) {
        let mut changed = manifest(&self.layout(), TAG);
        change(&mut changed);
        let mut descriptor =
            put(&self.layout(), "application/vnd.oci.image.manifest.v1+json", changed.to_string().as_bytes());
        self.change_index(|index| {
            descriptor["annotations"] = index["manifests"][0]["annotations"].clone();
            index["manifests"] = json!([descriptor]);
        });
    }

    /// Unpack, verify, and a build on the image: all refuse it and say why.
    fn check(&self, what: &str, expected: &[&str]) {
        let says = |program: &str, complaint: &str| {
            for part in expected {
                assert!(complaint.contains(part), "{what}: {program} does not say {part:?}:\n{complaint}");
            }
        };
        let tree = self.project.path("tree");
        says("unpack", &refuse(program("unpack").arg(image(&self.layout(), TAG)).arg(&tree)));
        assert!(!tree.exists(), "{what}: a tree is left");
        let said = run(program("verify").arg(self.layout()));
        assert_eq!(said.status, Some(1), "{what}: verify: {said}");
        says("verify", &(said.stdout + &said.stderr));

        let next = Project::on(&self.layout(), &format!("FROM {TAG}\nCOPY --from=0 /file /copied\n"));
        next.write("Dockerfile", format!("FROM {TAG} AS base\nFROM {TAG}\nCOPY --from=base /file /copied\n"));
        says("build", &refuse(&mut next.command()));
        let written = fs::read_to_string(next.output().join("index.json")).is_ok_and(|index| index.contains("sha256:"));
        assert!(!written, "{what}: an image was built");
        let beside = |path: &Path| path.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
        let left = beside(&self.project.path(""));
        assert!(left.len() == 3, "{what}: something is left: {left:?}");
    }
}

#[test]
fn a_damaged_blob_is_named() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("a flipped bit", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("cut short", |bytes| bytes.truncate(bytes.len() / 2)),
        ("too long", |bytes| bytes.push(0)),
        ("empty", Vec::clear),
    ];
    for (what, damage) in damages {
        for pick in [Victim::layer, Victim::config] {
            let victim = Victim::new();
            let digest = pick(&victim);
            victim.change_blob(&digest, damage);
            victim.check(what, &[&digest]);
        }
    }
}

#[test]
fn a_missing_blob_is_named() {
    for pick in [Victim::layer, Victim::config] {
        let victim = Victim::new();
        let digest = pick(&victim);
        fs::remove_file(victim.blob(&digest)).unwrap();
        victim.check("missing", &[&digest]);
    }
}

#[test]
fn what_is_no_file_in_the_place_of_a_blob_is_refused_at_once() {
    let victim = Victim::new();
    let digest = victim.layer();
    let blob = victim.blob(&digest);
    fs::remove_file(&blob).unwrap();
    fs::create_dir(&blob).unwrap();
    victim.check("a directory", &[&digest]);
    fs::remove_dir(&blob).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &blob).unwrap();
    victim.check("a link to a device", &[&digest]);
    fs::remove_file(&blob).unwrap();
    if require_tool("mkfifo") {
        tool::run(Command::new("mkfifo").arg(&blob));
        victim.check("a fifo", &[&digest]);
    }
}

#[test]
fn documents_that_break_the_specification_are_refused() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 6] = [
        ("two layers for one diffID", |m| {
            let layer = m["layers"][0].clone();
            m["layers"].as_array_mut().unwrap().push(layer);
        }),
        ("a wrong size", |m| m["layers"][0]["size"] = json!(17)),
        ("a negative size", |m| m["layers"][0]["size"] = json!(-1)),
        ("a digest that climbs", |m| m["layers"][0]["digest"] = json!("sha256:../../../../etc/passwd")),
        ("another schema", |m| m["schemaVersion"] = json!(1)),
        ("an index too", |m| m["manifests"] = json!([])),
    ];
    for (what, change) in cases {
        let victim = Victim::new();
        victim.change_manifest(change);
        // Some are about the manifest, some about the layer that it names.
        victim.check(what, &["sha256:"]);
    }
}

#[test]
fn a_layer_that_is_not_what_its_diff_id_says_is_refused() {
    let victim = Victim::new();
    let tar = "application/vnd.oci.image.layer.v1.tar";
    let other = put(&victim.layout(), tar, &[0; 1024]);
    victim.change_manifest(|m| m["layers"][0] = other);
    victim.check("another layer", &["sha256:"]);
}

#[test]
fn an_index_that_is_no_index_is_refused() {
    for (what, text) in [
        ("not JSON", "{\"schemaVersion\": 2, \"manifests\": ["),
        ("trailing text", "{\"schemaVersion\": 2, \"manifests\": []} {}"),
        ("nothing", ""),
        ("nested deeply", &"[".repeat(100_000)),
        ("duplicate keys", "{\"schemaVersion\": 2, \"manifests\": [], \"manifests\": []}"),
    ] {
        let victim = Victim::new();
        fs::write(victim.layout().join("index.json"), text).unwrap();
        victim.check(what, &["index.json"]);
    }
}

#[test]
fn a_directory_that_is_no_layout_is_refused() {
    let victim = Victim::new();
    let marker = victim.layout().join("oci-layout");
    fs::write(&marker, r#"{"imageLayoutVersion": "9.0.0"}"#).unwrap();
    victim.check("another version", &["9.0.0"]);
    fs::write(&marker, "no JSON").unwrap();
    victim.check("no version", &["oci-layout"]);
    fs::remove_file(&marker).unwrap();
    victim.check("no marker", &["oci-layout"]);
}

#[test]
fn a_name_that_means_nothing_is_shown_with_those_that_do() {
    let victim = Victim::new();
    let tree = victim.project.path("tree");
    for (program_name, more) in [("unpack", Some(&tree)), ("inspect", None)] {
        let mut command = program(program_name);
        command.arg(image(&victim.layout(), "absent")).args(more);
        let complaint = refuse(&mut command);
        assert!(complaint.contains("absent") && complaint.contains(TAG), "{program_name}: {complaint}");
    }
    let complaint = refuse(program("verify").arg(victim.layout()).arg("absent"));
    assert!(complaint.contains("absent"), "{complaint}");
    let complaint =
        refuse(program("unpack").arg(image(&victim.layout(), TAG)).arg(&tree).args(["--platform", "plan9/mips"]));
    assert!(complaint.contains("plan9/mips"), "{complaint}");
    assert!(!tree.exists());

    let next = Project::on(&victim.layout(), "FROM absent:7\n");
    let complaint = refuse(&mut next.command());
    for part in ["Dockerfile:1", "absent:7", TAG] {
        assert!(complaint.contains(part), "{part} is not in {complaint}");
    }
}

#[test]
fn a_destination_that_is_taken_is_left_as_it_is() {
    let victim = Victim::new();
    let tree = victim.project.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("kept"), "as it was").unwrap();
    let mut unpack = program("unpack");
    unpack.arg(image(&victim.layout(), TAG)).arg(&tree);
    let complaint = refuse(&mut unpack);
    assert!(complaint.contains("tree") && complaint.contains("not empty"), "{complaint}");
    assert_eq!(fs::read_dir(&tree).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(tree.join("kept")).unwrap(), "as it was");

    fs::remove_dir_all(&tree).unwrap();
    fs::write(&tree, "a file").unwrap();
    assert!(refuse(&mut unpack).contains("tree"));
    assert_eq!(fs::read_to_string(&tree).unwrap(), "a file");
}
