//! Archives of other tools, and what they make of ours.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use image_core::{Compression, Ctx, Descriptor, DiffId, Image};
use image_layout::{ArchiveFormat, LoadOptions, Loaded, SaveOptions, fsck::VerifyOptions, save};
use test_support::{TempDir, require_root, require_tool, temp_dir, tool};

use crate::{
    archive,
    fixture::{Fixture, read},
};

const NAME: &str = "localhost/app:1";

/// An image of two layers that can be unpacked; one is shared with nobody.
fn image(fixture: &Fixture) -> Descriptor {
    let layers = [archive::layer("lower"), archive::layer("upper")];
    let stored = [Compression::Gzip, Compression::None].into_iter().zip(&layers).map(|(compression, layer)| {
        let media_type = image_core::MediaType::layer(compression);
        fixture.put(&archive::compress(layer, compression), media_type)
    });
    let stored = stored.collect();
    let diff_ids: Vec<DiffId> = layers.iter().map(|layer| archive::diff_id(layer)).collect();
    fixture.manifest(fixture.config("linux/amd64", &diff_ids), stored)
}

/// Two images, the second of one layer of the first, so that archives have something to share.
fn images(fixture: &Fixture) -> Vec<(Image, Vec<String>)> {
    let lower = archive::layer("lower");
    let layer = fixture.put(&lower, image_core::MediaType::OciLayer);
    let base = fixture.manifest(fixture.config("linux/amd64", &[archive::diff_id(&lower)]), vec![layer]);
    let open = |descriptor| fixture.layout.image_at("it", descriptor, None).expect("an image");
    vec![
        (open(&image(fixture)), vec![NAME.to_owned(), "localhost/app:latest".to_owned()]),
        (open(&base), vec!["localhost/base:1".to_owned()]),
    ]
}

fn write(images: &[(Image, Vec<String>)], format: ArchiveFormat, path: &Path) {
    let file = File::create(path).expect("a file");
    save(images, file, &SaveOptions::default().with_format(format), &Ctx::default()).expect("it is saved");
}

fn load(fixture: &Fixture, path: &Path) -> Vec<Loaded> {
    let file = File::open(path).expect("the archive");
    let loaded = fixture.layout.load(file, &LoadOptions::default(), &Ctx::default()).expect("it is loaded");
    let report = fixture.layout.verify(None, &VerifyOptions::default().with_unreachable(), &Ctx::default());
    assert!(report.expect("the layout is verified").is_clean());
    loaded
}

/// Whether a tool keeps configs byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Configs {
    Kept,
    Rewritten,
}

/// The same diffIDs, and the same image ID where the tool keeps it.
fn assert_same(fixture: &Fixture, loaded: &Loaded, image: &Image, configs: Configs) {
    let found = fixture.layout.image_at("it", &loaded.descriptor, None).expect("an image");
    assert_eq!(found.id() == image.id(), configs == Configs::Kept);
    assert_eq!(found.config().value().rootfs, image.config().value().rootfs);
}

fn skopeo(from: &str, to: &str) {
    tool::run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", from, to]));
}

#[test]
fn skopeo_writes_archives_that_we_load() {
    if !require_tool("skopeo") {
        return;
    }
    let from = Fixture::new();
    let images = images(&from);
    from.layout.tag("it", images[0].0.descriptor()).unwrap();
    let source = format!("oci:{}:it", from.path().display());
    for (kind, name) in [("docker-archive", NAME), ("oci-archive", "v1")] {
        let path = from.beside(kind);
        skopeo(&source, &format!("{kind}:{}:{name}", path.display()));
        let to = Fixture::new();
        let loaded = load(&to, &path);
        assert_eq!((loaded.len(), &*loaded[0].names), (1, &[name.to_owned()][..]), "{kind}");
        assert_same(&to, &loaded[0], &images[0].0, Configs::Kept);
    }
}

#[test]
fn skopeo_reads_archives_that_we_save() {
    if !require_tool("skopeo") {
        return;
    }
    let from = Fixture::new();
    let images = images(&from);
    for (format, kind) in [(ArchiveFormat::Docker, "docker-archive"), (ArchiveFormat::Oci, "oci-archive")] {
        let path = from.beside(kind);
        write(&images, format, &path);
        for (image, names) in &images {
            for name in names {
                // A directory has the image as it is; in other places configs are written anew.
                let to = from.beside(&format!("{kind}-{}", name.replace('/', "-")));
                skopeo(&format!("{kind}:{}:{name}", path.display()), &format!("dir:{}", to.display()));
                let manifest: serde_json::Value = serde_json::from_slice(&read(to.join("manifest.json"))).unwrap();
                assert_eq!(manifest["config"]["digest"], image.id().to_string(), "{kind} {name}");
            }
        }
    }
}

/// An image store of podman and buildah that is gone after the test.
struct Storage(TempDir);

impl Storage {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, tool: &str) -> Command {
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        fs::write(self.path("policy.json"), policy).expect("a file");
        let mut command = Command::new(tool);
        // Plain directories need nothing of the kernel.
        command.args(["--storage-driver", "vfs", "--root"]).arg(self.path("root"));
        command.arg("--runroot").arg(self.path("run")).env("TMPDIR", self.0.path());
        command
    }

    fn podman_load(&self, archive: &Path) {
        let mut command = self.command("podman");
        command.args(["load", "--quiet", "--signature-policy"]).arg(self.path("policy.json"));
        tool::run(command.arg("--input").arg(archive));
    }

    /// The image ID of a name, and the diffIDs.
    fn inspect(&self, name: &str) -> (String, Vec<String>) {
        let said = tool::run(self.command("podman").args(["image", "inspect", name]));
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        let layers = said[0]["RootFS"]["Layers"].as_array().expect("layers").iter();
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        (format!("sha256:{}", text(&said[0]["Id"])), layers.map(text).collect())
    }
}

#[test]
fn podman_loads_what_we_save_and_saves_what_we_load() {
    if !require_root() || !require_tool("podman") {
        return;
    }
    let from = Fixture::new();
    let images = images(&from);
    let storage = Storage(temp_dir());
    let ours = from.beside("ours.tar");
    write(&images, ArchiveFormat::Docker, &ours);
    storage.podman_load(&ours);
    for (image, names) in &images {
        for name in names {
            let (id, diff_ids) = storage.inspect(name);
            assert_eq!(id, image.id().to_string(), "{name}");
            let expected = image.layers().map(|layer| layer.diff_id.to_string());
            assert_eq!(diff_ids, expected.collect::<Vec<_>>(), "{name}");
        }
    }

    let forms: [&[&str]; 3] = [
        &["--format", "docker-archive", "localhost/app:1"],
        &["--format", "oci-archive", "localhost/app:1"],
        &["--multi-image-archive", "localhost/app:1", "localhost/base:1"],
    ];
    for (position, form) in forms.iter().enumerate() {
        let theirs = from.beside(&format!("theirs-{position}.tar"));
        let mut command = storage.command("podman");
        tool::run(command.args(["save", "--quiet", "--output"]).arg(&theirs).args(*form));
        let to = Fixture::new();
        let loaded = load(&to, &theirs);
        assert_eq!(loaded.len(), if form[0] == "--multi-image-archive" { 2 } else { 1 }, "{form:?}");
        for loaded in &loaded {
            let is_app = loaded.names.contains(&NAME.to_owned());
            assert!(is_app || loaded.names == ["localhost/base:1"], "{loaded:?}");
            // What podman has from a Docker archive it writes anew for OCI.
            let configs = if form.contains(&"oci-archive") { Configs::Rewritten } else { Configs::Kept };
            assert_same(&to, loaded, &images[usize::from(!is_app)].0, configs);
        }
    }
}

#[test]
fn buildah_takes_what_we_save_and_gives_what_we_load() {
    if !require_root() || !require_tool("buildah") {
        return;
    }
    let from = Fixture::new();
    let images = images(&from);
    let storage = Storage(temp_dir());
    let ours = from.beside("ours.tar");
    write(&images[..1], ArchiveFormat::Oci, &ours);
    let mut pull = storage.command("buildah");
    pull.args(["pull", "--quiet", "--signature-policy"]).arg(storage.path("policy.json"));
    let id = tool::run(pull.arg(format!("oci-archive:{}:{NAME}", ours.display())));
    assert_eq!(format!("sha256:{}", id.trim()), images[0].0.id().to_string());

    let theirs = from.beside("theirs.tar");
    let mut push = storage.command("buildah");
    push.args(["push", "--quiet", "--signature-policy"]).arg(storage.path("policy.json"));
    tool::run(push.arg(id.trim()).arg(format!("docker-archive:{}:{NAME}", theirs.display())));
    let to = Fixture::new();
    let loaded = load(&to, &theirs);
    assert_eq!(loaded[0].names, [NAME]);
    assert_same(&to, &loaded[0], &images[0].0, Configs::Kept);
}
