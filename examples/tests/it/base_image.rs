//! A real image to start from: Debian packages of this machine, and what is rarer, changed and hidden in layers above.
//!
//! No code of this workspace's tar writer, encoders or layouts has a part in it: GNU tar writes the layers, gzip and
//! zstd compress them.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use image_core::Digest;
use serde_json::{Value, json};
use test_support::{TempDir, TreeBuilder, tool};

/// The name of the image, as a build asks for it.
pub(crate) const NAME: &str = "localhost/base:1";

/// Another name of the same image.
pub(crate) const SHORT_NAME: &str = "latest";

/// Packages with programs, the libraries that they need, setuid and setgid programs, links and hard links, thousands of
/// files in all.
const PACKAGES: [&str; 25] = [
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "debianutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "libacl1",
    "libattr1",
    "libc6",
    "libc-bin",
    "libgmp10",
    "libpcre2-8-0",
    "libselinux1",
    "libtinfo6",
    "login",
    "mount",
    "passwd",
    "perl-base",
    "tar",
    "tzdata",
    "util-linux",
];

/// How the layers of the image are compressed, and what they need of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Gzip,
    Zstd,
    /// Compressed by gzip, and without what engines do not take that lay each layer into a directory of its own: names
    /// that go through a link of another layer, and hard links to a file of another layer. Nor is its sparse file written
    /// as one: Docker cannot put such a layer together again, to save it.
    Separate,
}

impl Form {
    fn tool(self) -> &'static str {
        match self {
            Self::Gzip | Self::Separate => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Of the directory that keeps the layout.
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Separate => "separate",
        }
    }
}

/// An OCI layout with the image; `None`, and said so, where this machine cannot make it.
///
/// It is made once and kept below cargo's target directory: nobody writes to it.
pub(crate) fn base_image(form: Form) -> Option<&'static Path> {
    static MADE: [OnceLock<PathBuf>; 3] = [const { OnceLock::new() }; 3];
    let tools = ["tar", "dpkg-query", "gzip", "zstd"];
    if !tools.into_iter().all(test_support::require_tool) {
        return None;
    }
    Some(MADE[form as usize].get_or_init(|| kept().join(form.name())))
}

/// The images as an earlier run left them, or new ones. What makes them is part of the name, so that a change of
/// this file makes them anew.
fn kept() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let recipe = Digest::sha256_of(format!("{} {}", include_str!("base_image.rs"), is_root()).as_bytes());
    let kept = target.join(format!("base-image-{}", &recipe.encoded()[..12]));
    if !kept.is_dir() {
        fs::create_dir_all(target).unwrap();
        let work = TempDir::new_in(target).unwrap();
        make(work.path());
        // Another process may have been faster: its images are as good.
        let renamed = fs::rename(work.path().join("layouts"), &kept);
        assert!(renamed.is_ok() || kept.is_dir(), "{renamed:?}");
    }
    kept
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn make(work: &Path) {
    let (separate, changes) = changes(work);
    let (whole, rarities) = rarities(work);
    let mut tars = [packages(work), rarities, changes, members(work), empty(work)];
    for form in [Form::Gzip, Form::Zstd, Form::Separate] {
        if form == Form::Separate {
            tars[1].clone_from(&whole);
            tars[2].clone_from(&separate);
        }
        write_layout(&work.join("layouts").join(form.name()), form, &tars);
    }
}

fn write_layout(layout: &Path, form: Form, tars: &[PathBuf]) {
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let layers: Vec<Value> = tars.iter().map(|tar| put_layer(layout, form, tar)).collect();
    let diff_ids: Vec<String> = tars.iter().map(|tar| Digest::sha256_of(&fs::read(tar).unwrap()).to_string()).collect();
    let history: Vec<Value> = tars
        .iter()
        .map(|tar| json!({"created": "2023-11-14T22:13:20Z", "created_by": tar.file_name().unwrap().to_str()}))
        .collect();
    let config = json!({
        "created": "2023-11-14T22:13:20Z", "architecture": architecture(), "os": "linux",
        "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "BASE=1"], "Cmd": ["/bin/bash"], "Labels": {"of": "base"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(layout, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
        "layers": layers,
    });
    let manifest = put(layout, "application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
    let named = |name| {
        let mut manifest = manifest.clone();
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        manifest
    };
    let index = json!({"schemaVersion": 2, "manifests": [named(NAME), named(SHORT_NAME)]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

/// This machine's, by the specification's names.
pub(crate) fn architecture() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Files of the machine's own packages, with their links and modes; some names go through the link `bin -> usr/bin`.
fn packages(work: &Path) -> PathBuf {
    let list = tool::run(Command::new("dpkg-query").arg("-L").args(PACKAGES));
    let places = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"];
    let is_wanted = |path: &Path| {
        let meta = path.symlink_metadata();
        places.into_iter().any(|place| path.starts_with(place))
            && meta.is_ok_and(|meta| !meta.is_file() || fs::File::open(path).is_ok())
    };
    let mut paths: Vec<&str> = list.lines().filter(|path| is_wanted(path.as_ref())).collect();
    // A directory without an entry of its own has no time that all tools agree on.
    paths.extend(["/usr/lib64", "/usr/libx32"].into_iter().filter(|path| is_wanted(path.as_ref())));
    // Links such as `bin -> usr/bin` behind what they lead to: not every tool makes that directory.
    paths.sort_unstable_by_key(|path| (!path.starts_with("/usr"), *path));
    paths.dedup();
    let names = work.join("packages.list");
    fs::write(&names, paths.iter().fold(String::new(), |all, path| all + &path[1..] + "\n")).unwrap();
    let tar = work.join("packages.tar");
    tool::run(
        tar_command(&tar)
            .args(["--no-recursion", "--directory=/", "--owner=0", "--group=0", "--files-from"])
            .arg(names),
    );
    tar
}

/// Everything that a file can be or have, but that packages seldom bring: with a sparse file written in full, and as one.
fn rarities(work: &Path) -> (PathBuf, PathBuf) {
    let long = "n".repeat(255);
    let mut tree = TreeBuilder::new()
        .dir("", 0o755)
        .dir("srv", 0o755)
        .dir("srv/sticky", 0o1777)
        .dir("srv/closed", 0o700)
        .file("srv/closed/secret", "not for all", 0o400)
        .file("srv/empty", "", 0o644)
        .file("srv/setuid", "runs as its owner", 0o6755)
        .file("srv/subsecond", "made at a fraction", 0o644)
        .mtime(1_600_000_000, 123_456_789)
        .file("srv/old", "made before 1970", 0o644)
        .mtime(-86_400, 0)
        .file("srv/attributed", "with notes", 0o644)
        .xattr("user.note", b"a \"note\"\n = with\0everything")
        .dir("srv/attributed-directory", 0o755)
        .xattr("user.note", "on a directory")
        .file("srv/linked", "three names", 0o640)
        .hard_link("srv/linked-too", "srv/linked")
        .hard_link("srv/sticky/linked-far", "srv/linked")
        .symlink("srv/relative", "../etc/../srv/linked")
        .symlink("srv/absolute", "/srv/linked")
        .symlink("srv/dangling", "/nowhere/at/all")
        .symlink("srv/long", "t/".repeat(200))
        .file(format!("srv/{long}/{long}/{long}"), "deep", 0o644)
        .file(b"srv/not-utf8-\xff\xfe", "any bytes", 0o644)
        .file("srv/spaced  \\ \"name\"\n", "any characters", 0o644)
        .file("srv/großé-名前", "unicode", 0o644)
        .fifo("srv/pipe", 0o622);
    if is_root() {
        // VFS capabilities, version 2: cap_net_bind_service, effective and permitted.
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        tree = tree
            .file("srv/capable", "binds low ports", 0o755)
            .xattr("security.capability", capability)
            .file("srv/owned", "by somebody", 0o4755)
            .owner(1000, 2000)
            .file("srv/owned-far", "by a large number", 0o644)
            .owner(4_000_000_000, 3_000_000)
            .symlink("srv/owned-link", "owned")
            .owner(1000, 1000)
            .char_device("srv/null", 0o666, 1, 3)
            .block_device("srv/disk", 0o660, 259, 70_000);
    }
    let root = work.join("rarities");
    tree.write_to(&root);
    let sparse = fs::File::create(root.join("srv/sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"an island", 33 << 20).unwrap();
    let (whole, tar) = (work.join("whole.tar"), work.join("rarities.tar"));
    tool::run(tar_command(&whole).arg("--directory").arg(&root).arg("."));
    tool::run(tar_command(&tar).args(["--sparse", "--directory"]).arg(&root).arg("."));
    (whole, tar)
}

/// What a later layer does to earlier ones: hides, replaces, changes, adds beside; and the same with links to them.
fn changes(work: &Path) -> (PathBuf, PathBuf) {
    let root = work.join("changes");
    TreeBuilder::new()
        // Plain whiteouts, of a directory, a file, a link and nothing.
        .file("usr/share/doc/.wh.bash", "", 0o644)
        .file("usr/share/zoneinfo/.wh.Asia", "", 0o644)
        .file("usr/bin/.wh.chfn", "", 0o644)
        .file("usr/bin/.wh.rbash", "", 0o644)
        .file("usr/bin/.wh.never-was", "", 0o644)
        // Opaque: what was below goes, what comes with it stays, whichever stands first.
        .file("usr/share/zoneinfo/Europe/.wh..wh..opq", "", 0o644)
        .file("usr/share/zoneinfo/Europe/Atlantis", "sunk", 0o644)
        .file("usr/share/zoneinfo/Europe/!before", "stands before its opaque marker", 0o644)
        // Of another kind than before.
        .file("usr/share/doc/dash", "was a directory", 0o644)
        .file("usr/bin/expiry/file", "was a file", 0o644)
        .file("usr/bin/sh", "was a link", 0o755)
        .symlink("usr/share/doc/grep", "tar")
        .file("srv/pipe", "was a pipe", 0o644)
        // Other metadata, other content, one name less of three.
        .dir("usr/games", 0o2775)
        .dir("srv/sticky", 0o755)
        .file("srv/attributed", "without notes", 0o600)
        .file("srv/.wh.linked", "", 0o644)
        .write_to(&root);
    let (separate, tar) = (work.join("separate.tar"), work.join("changes.tar"));
    tool::run(tar_command(&separate).arg("--directory").arg(&root).arg("."));
    fs::copy(&separate, &tar).unwrap();

    // A name through a link of a lower layer, and a whiteout through it.
    let through = work.join("through");
    TreeBuilder::new()
        .file("bin/came-through-a-link", "is in usr/bin", 0o755)
        .file("bin/.wh.zless", "", 0o644)
        .write_to(&through);
    let names = ["bin/came-through-a-link", "bin/.wh.zless"];
    tool::run(Command::new("tar").arg("--append").arg("--file").arg(&tar).arg("--directory").arg(&through).args(names));

    // A hard link to a file of a lower layer: the member that it would be to is taken out again.
    let linked = work.join("linked");
    TreeBuilder::new()
        .file("srv/linked-too", "x", 0o640)
        .hard_link("srv/name-of-lower", "srv/linked-too")
        .write_to(&linked);
    let names = ["srv/linked-too", "srv/name-of-lower"];
    tool::run(Command::new("tar").arg("--append").arg("--file").arg(&tar).arg("--directory").arg(&linked).args(names));
    tool::run(Command::new("tar").arg("--delete").arg("--file").arg(&tar).arg("srv/linked-too"));
    (separate, tar)
}

/// An ordinary layer; [`compress`] makes more than one member of it.
fn members(work: &Path) -> PathBuf {
    let root = work.join("members");
    let file = |tree: TreeBuilder, number: u32| {
        tree.file(format!("opt/app/lib/module-{number:03}.txt"), number.to_string().repeat(2000), 0o644)
    };
    (0..300).fold(TreeBuilder::new(), file).write_to(&root);
    let tar = work.join("members.tar");
    tool::run(tar_command(&tar).arg("--directory").arg(&root).arg("opt"));
    tar
}

/// A layer that holds nothing.
fn empty(work: &Path) -> PathBuf {
    let tar = work.join("empty.tar");
    tool::run(tar_command(&tar).arg("--files-from=/dev/null"));
    tar
}

fn tar_command(tar: &Path) -> Command {
    let mut command = Command::new("tar");
    command.args(["--create", "--format=posix", "--numeric-owner", "--sort=name", "--xattrs", "--xattrs-include=*"]);
    command.arg("--file").arg(tar);
    command
}

fn put_layer(layout: &Path, form: Form, tar: &Path) -> Value {
    let plain = fs::read(tar).unwrap();
    // Two members or frames, of which neither ends where a record does.
    let (first, second) = plain.split_at(plain.len() / 3 + 1);
    let bytes = [compress(form, first), compress(form, second)].concat();
    let media_type = match form {
        Form::Gzip | Form::Separate => "application/vnd.oci.image.layer.v1.tar+gzip",
        Form::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    put(layout, media_type, &bytes)
}

fn compress(form: Form, plain: &[u8]) -> Vec<u8> {
    let (tool, level) = (form.tool(), "-1");
    let mut child =
        Command::new(tool).args([level, "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(plain).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{tool}");
        output.stdout
    })
}

/// Writes a blob and gives its descriptor.
pub(crate) fn put(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::sha256_of(bytes);
    fs::write(layout.join("blobs/sha256").join(digest.encoded()), bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}
