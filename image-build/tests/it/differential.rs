//! The same Dockerfiles built by buildah: the same trees and the same configurations, but for what
//! BuildKit does otherwise, which the table says with its reason.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};

use image_build::{BuildContext, BuildOptions, BuildState, Builder, Dockerfile, Ignore, exec::Executor};
use image_core::{Ctx, Image, Platform};
use image_layout::OciLayout;
use image_overlay::{UnpackOptions, unpack};
use serde_json::{Map, Value};
use test_support::{TempDir, Tree, TreeBuilder, TreeOptions, require_root, require_tool, temp_dir, tool, tree::Kind};

/// A Dockerfile, and how our result differs from buildah's: lines, as [`Tree::diff`] and
/// [`config_diff`] print them.
pub(crate) struct Case {
    pub(crate) text: &'static str,
    differences: &'static [&'static str],
}

const fn same(text: &'static str) -> Case {
    Case { text, differences: &[] }
}

pub(crate) const CASES: &[Case] = &[
    same("FROM scratch\nCOPY a.txt /"),
    same("FROM scratch\nCOPY a.txt /x"),
    same("FROM scratch\nCOPY a.txt /x/"),
    same("FROM scratch\nCOPY a.txt /x/y/z"),
    same("FROM scratch\nCOPY a.txt b.txt /x/"),
    same("FROM scratch\nCOPY *.txt /x/"),
    same("FROM scratch\nCOPY ?.md [ab].txt /x/"),
    same("FROM scratch\nCOPY [\"with space\", \"/x y/\"]"),
    same("FROM scratch\nCOPY dir /x"),
    same("FROM scratch\nCOPY dir/ /x/"),
    same("FROM scratch\nCOPY dir/. /"),
    same("FROM scratch\nCOPY dir other /x/"),
    same("FROM scratch\nCOPY . /all"),
    same("FROM scratch\nCOPY to-a /x"),
    same("FROM scratch\nCOPY to-a /x/"),
    same("FROM scratch\nCOPY to-dir /x"),
    same("FROM scratch\nCOPY to-dir/one /"),
    // Several files with one name: the last in the order of the walk stays.
    Case {
        text: "FROM scratch\nCOPY */one /x/",
        differences: &[
            "x/one: file of 5 bytes, sha256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa, not file of 1 bytes, sha256 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
            "x/one: mode 0644, not 0755",
        ],
    },
    same("FROM scratch\nCOPY /a.txt ../b.txt ./c.md /x/"),
    same("FROM scratch\nCOPY --chown=7 dir /x"),
    same("FROM scratch\nCOPY --chown=7:8 a.txt /x/y"),
    same("FROM scratch\nCOPY --chmod=0640 a.txt /x"),
    // BuildKit makes missing directories with the octal mode too.
    Case { text: "FROM scratch\nCOPY --chmod=0711 dir /x", differences: &["x: mode 0711, not 0755"] },
    same("FROM scratch\nCOPY skipped /x"),
    same("FROM scratch\nWORKDIR /w\nCOPY a.txt .\nWORKDIR v/../u\nCOPY b.txt ./"),
    // BuildKit cleans the path.
    Case { text: "FROM scratch\nWORKDIR /w/\nCOPY a.txt ../up", differences: &[r#"WorkingDir: "/w", not "/w/""#] },
    same("FROM localhost/base:1\nCOPY a.txt /lib/"),
    same("FROM localhost/base:1\nCOPY dir /lib"),
    // BuildKit follows a symlink that is the destination, inside the root.
    Case {
        text: "FROM localhost/base:1\nCOPY a.txt /to-x",
        differences: &[
            "to-x: link to /usr/lib/x, not file of 1 bytes, sha256 ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
            "to-x: mode -, not 0644",
            "usr/lib/x: file of 1 bytes, sha256 ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb, not file of 1 bytes, sha256 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        ],
    },
    same("FROM localhost/base:1\nCOPY a.txt /out/"),
    same("FROM localhost/base:1\nCOPY dir /data"),
    same("FROM localhost/base:1\nCOPY --chown=app a.txt /x/"),
    same("FROM localhost/base:1\nCOPY --chown=app:staff dir /data"),
    same("FROM localhost/base:1\nCOPY --chown=0:app a.txt /x"),
    same("FROM localhost/base:1\nUSER app\nCOPY a.txt /x"),
    same("FROM localhost/base:1\nUSER app\nWORKDIR /home/app"),
    same("FROM localhost/base:1\nWORKDIR /lib/new"),
    same(
        "FROM localhost/base:1\nWORKDIR $FROM_BASE/${NONE:-d}\nENV A=${FROM_BASE}2 B=$A\nENV C=$A D='$A' E=\"q $A\" F=\\\\$A",
    ),
    same("FROM scratch AS s\nCOPY --chown=5:6 dir /d\nFROM scratch\nCOPY --from=s /d /e\nCOPY --from=0 /d/one /f/"),
    same(
        "FROM scratch AS s\nCOPY dir /d\nFROM localhost/base:1\nCOPY --from=s --chown=3 /d/*e /data/\nCOPY --from=localhost/base:1 /lib/x /y",
    ),
    same(
        "ARG TAG=1\nFROM localhost/base:$TAG\nARG TAG\nARG GIVEN=default\nARG OWN=o$GIVEN\nLABEL tag=$TAG given=$GIVEN own=$OWN multi=\"a b\" x=\"\"",
    ),
    // BuildKit writes a range port by port, as the specification has it.
    Case {
        text: "FROM localhost/base:1\nENV OLD style value\nENV X=\"\"\nLABEL a.b=c d=\"e f\"\nEXPOSE 80 53/udp 8000-8002\nVOLUME /a /b\nVOLUME [\"/c d\"]\nSTOPSIGNAL SIGINT",
        differences: &[
            r#"ExposedPorts: {"53/udp":{},"80/tcp":{},"8000/tcp":{},"8001/tcp":{},"8002/tcp":{}}, not {"53/udp":{},"80/tcp":{},"8000-8002/tcp":{}}"#,
        ],
    },
    same("FROM localhost/base:1\nENTRYPOINT [\"/e\", \"a b\"]"),
    same("FROM localhost/base:1\nCMD [\"own\"]\nENTRYPOINT /e x"),
    // The shell that SHELL names is that of CMD too.
    Case {
        text: "FROM localhost/base:1\nSHELL [\"/bin/bash\", \"-ec\"]\nCMD run it\nUSER 5:6",
        differences: &[r#"Cmd: ["/bin/bash","-ec","run it"], not ["/bin/sh","-c","run it"]"#],
    },
    same("FROM localhost/base:1\nHEALTHCHECK --interval=5s --timeout=3s --retries=4 CMD check it\nONBUILD RUN x"),
    same("FROM localhost/base:1\nHEALTHCHECK NONE"),
    same("FROM scratch\nLABEL only=labels"),
    same("FROM localhost/base:1 AS one\nENV A=1\nLABEL l=1\nCOPY a.txt /a\nFROM one\nENV B=$A\nCMD [\"x\"]"),
    same("FROM scratch\nADD a.txt /x"),
    same("FROM scratch\nADD dir other /x/"),
    same("FROM scratch\nADD archive.tgz /x"),
    // `--chown` is for what is in an archive too, in BuildKit; what the archive does not name is root's.
    Case {
        text: "FROM scratch\nADD --chown=7:8 archive.tgz /x/",
        differences: &[
            "x/dir: owner 7:8, not 3:4",
            "x/dir/abs: owner 7:8, not 3:4",
            "x/dir/empty: owner 7:8, not 3:4",
            "x/dir/one: owner 7:8, not 3:4",
            "x/dir/sub: owner 7:8, not 3:4",
            "x/dir/sub/two: owner 7:8, not 3:4",
            "x/dir/up: owner 7:8, not 3:4",
            "x/other: owner 0:0, not 7:8",
            "x/other/one: owner 7:8, not 3:4",
            "x/to-a: owner 7:8, not 3:4",
        ],
    },
    same("FROM localhost/base:1\nADD archive.tgz /"),
    same("FROM scratch\nCOPY archive.tgz /x"),
    same("FROM scratch\nADD a.txt archive.tgz /x/"),
    same("FROM scratch AS one\nONBUILD COPY a.txt /x\nFROM one\nCOPY b.txt /y"),
    same("FROM localhost/base:1\nONBUILD COPY a.txt /\nONBUILD ENV X=1"),
    same("FROM scratch\nCOPY --from=localhost/base:1 / /"),
    same("FROM localhost/base:1\nENV A=b\nENV A=c D=${A}\nLABEL x=${D:+y} z=${NONE:-n} w=\"${A}$D\""),
    same("FROM localhost/base:1\nMAINTAINER me <me@example.org>"),
    same("FROM localhost/base:1\nUSER 5:6\nUSER app:staff"),
    same("FROM localhost/base:1\nSTOPSIGNAL 9\nENTRYPOINT []\nCMD []"),
    same("FROM scratch\n# a comment\nCOPY a.txt \\\n  # inside\n  b.txt \\\n  /x/"),
    same("# escape=`\nFROM scratch\nCOPY a.txt `\n  /x"),
    same(
        "FROM scratch AS a\nCOPY a.txt /a\nFROM scratch AS b\nCOPY b.txt /b\nFROM scratch\nCOPY --from=a / /\nCOPY --from=b / /",
    ),
    same("FROM localhost/base:1\nWORKDIR /data/sub\nCOPY a.txt ..\nADD b.txt ./"),
];

#[test]
fn builds_what_buildah_builds() {
    if !require_root() || !require_tool("buildah") || !require_tool("skopeo") {
        return;
    }
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for case in CASES {
        let found = bench.differences(case.text);
        if found != case.differences {
            wrong.push(format!(
                "{}\n--- differs:\n{}\n--- expected:\n{}\n",
                case.text,
                found.join("\n"),
                case.differences.join("\n")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_image_without_layers_is_one_that_other_tools_take() {
    if !require_root() || !require_tool("skopeo") || !require_tool("umoci") {
        return;
    }
    let bench = Bench::new();
    bench.build("FROM scratch\nLABEL only=labels", "context", "empty");
    let image = format!("oci:{}:empty", bench.path("ours").display());
    let config = tool::run(Command::new("skopeo").args(["inspect", "--config", &image]));
    assert!(config.contains("only"), "{config}");
    tool::run(Command::new("skopeo").args(["copy", "--quiet", "--insecure-policy", &image]).arg(format!(
        "containers-storage:[vfs@{}+{}]localhost/empty:1",
        bench.path("root").display(),
        bench.path("run").display()
    )));
    let layout = format!("{}:empty", bench.path("ours").display());
    tool::run(Command::new("umoci").args(["unpack", "--image", &layout]).arg(bench.path("bundle")));
}

/// A context, a base image that both tools know, and a store for each.
pub(crate) struct Bench {
    directory: TempDir,
}

impl Bench {
    /// A context, and the base image in our layout.
    pub(crate) fn without_buildah() -> Self {
        let this = Self { directory: temp_dir() };
        write_context(&this.path("context"));
        write_base(&this.path("base-files"));
        OciLayout::create(this.path("ours")).unwrap();
        this.build(
            "FROM scratch\nCOPY . /\nENV FROM_BASE=1 PATH=/bin\nCMD [\"base\"]",
            "base-files",
            "localhost/base:1",
        );
        this
    }

    fn new() -> Self {
        let this = Self::without_buildah();
        this.give_buildah("localhost/base:1");
        this
    }

    /// Lets buildah know an image of our layout.
    pub(crate) fn give_buildah(&self, name: &str) {
        let from = format!("oci:{}:{name}", self.path("ours").display());
        let (root, run) = (self.path("root"), self.path("run"));
        let to = format!("containers-storage:[vfs@{}+{}]{name}", root.display(), run.display());
        tool::run(Command::new("skopeo").args(["copy", "--quiet", "--insecure-policy", &from, &to]));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Builds by both, and gives what differs.
    fn differences(&self, text: &str) -> Vec<String> {
        let scratch = temp_dir();
        let ours = self.build(text, "context", "localhost/built:1");
        let built = self.buildah(text, &scratch.path().join("theirs"), &["--isolation", "chroot"]);
        let (theirs, config) = built.unwrap_or_else(|said| panic!("{text}\n{said}"));
        compare(&ours, &theirs, &config, scratch.path())
    }

    pub(crate) fn build(&self, text: &str, context: &str, tag: &str) -> Image {
        self.build_with(text, context, tag, BuildOptions::default(), None)
    }

    /// Builds with more than every build is given, and with something that runs commands.
    pub(crate) fn build_with(
        &self,
        text: &str,
        context: &str,
        tag: &str,
        options: BuildOptions,
        executor: Option<&dyn Executor>,
    ) -> Image {
        let context = self.path(context);
        let layout = OciLayout::open(self.path("ours")).unwrap();
        let state = BuildState::open(self.path("state")).unwrap();
        let ignore = Ignore::for_context(&context).unwrap();
        let context = BuildContext::open(context, ignore).unwrap();
        let bases = vec![layout.clone()];
        let options = options.with_platform(Platform::new("linux", "amd64")).with_build_arg("GIVEN", "given");
        let mut builder = Builder::new(&state, &context, &bases);
        if let Some(executor) = executor {
            builder = builder.with_executor(executor);
        }
        let built = builder
            .build(&Dockerfile::parse(text).unwrap(), &options, layout.blobs(), &Ctx::default())
            .unwrap_or_else(|e| panic!("{text}\n{}", crate::build_fixture::chain(&e)));
        layout.tag(tag, &built.manifest).unwrap();
        Image::open(Arc::new(layout.blobs().clone()), &built.manifest).unwrap()
    }

    /// The image and its configuration in Docker's form, or what buildah says instead.
    pub(crate) fn buildah(&self, text: &str, layout: &Path, more: &[&str]) -> Result<(Image, Value), String> {
        let file = self.path("Dockerfile");
        fs::write(&file, text).unwrap();
        let buildah = || {
            let mut command = Command::new("buildah");
            // What mounts of type cache hold goes there too.
            command.env("TMPDIR", self.path("")).args(["--storage-driver", "vfs", "--root"]).arg(self.path("root"));
            command.arg("--runroot").arg(self.path("run"));
            command
        };
        let mut build = buildah();
        build.args(["bud", "--layers=false", "--format", "docker", "--pull-never", "--quiet"]).args(more);
        build.args(["--platform", "linux/amd64", "--build-arg", "GIVEN=given", "--tag", "localhost/built:1", "--file"]);
        tool::try_run(build.arg(&file).arg(self.path("context")))?;
        let to = format!("oci:{}:built", layout.display());
        tool::run(buildah().args(["push", "--quiet", "--format", "oci", "localhost/built:1", &to]));
        let inspected = tool::run(buildah().args(["inspect", "--type", "image", "localhost/built:1"]));
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        let layout = OciLayout::open(layout).unwrap();
        let manifest = layout.resolve("built").unwrap();
        let image = Image::open(Arc::new(layout.blobs().clone()), &manifest).unwrap();
        Ok((image, inspected["Docker"]["config"].clone()))
    }
}

/// What differs between an image of ours and one of theirs, whose configuration is given in Docker's form.
pub(crate) fn compare(ours: &Image, theirs: &Image, config: &Value, scratch: &Path) -> Vec<String> {
    let options = TreeOptions::default().without_directory_mtimes().with_whole_seconds().without_root();
    let scan = |image: &Image, name: &str| {
        let directory = scratch.join(name);
        unpack(image, &directory, &UnpackOptions::default(), &Ctx::default()).unwrap();
        Tree::scan_with(&directory, options)
    };
    let (our_tree, their_tree) = (scan(ours, "our-tree"), scan(theirs, "their-tree"));
    let mut differences = our_tree.diff(&their_tree);
    // buildah gives symlinks the time of the build; BuildKit keeps theirs.
    let is_link = |path: &str| our_tree.get(path).is_some_and(|node| matches!(node.kind, Kind::Symlink { .. }));
    differences.retain(|line| line.split_once(": mtime ").is_none_or(|(path, _)| !is_link(path)));
    let own = serde_json::to_value(&ours.config().value().config).unwrap();
    differences.extend(config_diff(&own, config));
    differences
}

/// The differences of two configurations in Docker's form, a line each.
fn config_diff(ours: &Value, theirs: &Value) -> Vec<String> {
    let (ours, theirs) = (plain(ours), plain(theirs));
    let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    keys.sort();
    keys.dedup();
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".into(), Value::to_string);
    keys.into_iter()
        .filter(|key| ours.get(*key) != theirs.get(*key))
        .map(|key| format!("{key}: {}, not {}", shown(ours.get(key)), shown(theirs.get(key))))
        .collect()
}

/// A configuration without what is empty and what only names the tool.
fn plain(config: &Value) -> Map<String, Value> {
    let mut config = config.as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(labels)) = config.get_mut("Labels") {
        labels.remove("io.buildah.version");
    }
    // Docker sets the first with every CMD, buildah never; the others are those of the machine that built.
    config.remove("ArgsEscaped");
    config.remove("Hostname");
    config.remove("Image");
    config.retain(|key, value| match value {
        Value::Null | Value::Bool(false) => false,
        // `/` is what BuildKit says of an image made from nothing.
        Value::String(text) => !(text.is_empty() || key == "WorkingDir" && text == "/"),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    });
    config
}

fn write_context(root: &Path) {
    TreeBuilder::new()
        .dir("", 0o755)
        .file("a.txt", b"a", 0o644)
        .file("b.txt", b"b", 0o755)
        .file("c.md", b"c", 0o600)
        .file("with space", b"s", 0o644)
        .dir("dir", 0o750)
        .file("dir/one", b"1", 0o755)
        .dir("dir/sub", 0o700)
        .file("dir/sub/two", b"2", 0o640)
        .dir("dir/empty", 0o1777)
        .dir("other", 0o755)
        .file("other/one", b"other", 0o644)
        .file("other/x.log", b"log", 0o644)
        .dir("skipped", 0o755)
        .file("skipped/file", b"f", 0o644)
        .file("skipped/kept", b"k", 0o644)
        .file(".hidden", b"h", 0o644)
        .file(".dockerignore", b"skipped\n!skipped/kept\n**/*.log\n", 0o644)
        .write_to(root);
    for (target, path) in [("a.txt", "to-a"), ("dir", "to-dir"), ("../../one", "dir/up"), ("/etc/hosts", "dir/abs")] {
        symlink(target, root.join(path)).unwrap();
    }
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(root.join("archive.tgz")).args(["--owner=3", "--group=4", "--numeric-owner"]);
    tool::run(tar.arg("-C").arg(root).args(["dir", "other/one", "to-a"]));
    fs::set_permissions(root.join("archive.tgz"), fs::Permissions::from_mode(0o644)).unwrap();
    // buildah rounds times where Docker cuts them down.
    let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    File::options().write(true).open(root.join("archive.tgz")).unwrap().set_modified(whole).unwrap();
    fs::hard_link(root.join("dir/one"), root.join("dir/sub/same")).unwrap();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
}

fn write_base(root: &Path) {
    TreeBuilder::new()
        .dir("", 0o755)
        .dir("etc", 0o755)
        .file("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:1001:1002::/:/bin/sh\n", 0o644)
        .file("etc/group", b"root:x:0:\nstaff:x:50:\napp:x:1002:\n", 0o644)
        .dir("usr", 0o755)
        .dir("usr/lib", 0o711)
        .file("usr/lib/x", b"x", 0o644)
        .dir("data", 0o700)
        .dir("data/sub", 0o711)
        .file("data/one", b"of the base", 0o600)
        .write_to(root);
    for (target, path) in [("usr/lib", "lib"), ("/usr/lib/x", "to-x"), ("../../../../escaped", "out")] {
        symlink(target, root.join(path)).unwrap();
    }
}
