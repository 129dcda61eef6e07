//! The programs that take layers for trees: diff, apply, commit, flatten, import and cat.

use std::{ffi::OsStr, fs, io::Write, path::Path, process::Command};

use serde_json::Value;
use test_support::{TempDir, Tree, TreeBuilder, TreeOptions, require_root, require_tool, temp_dir};

use crate::{
    base_image::{Form, SHORT_NAME, base_image},
    program::{self, image, program, refuse, succeed},
};

/// All that a layer can say of a tree, but for the times of directories in which nothing changed.
fn said(root: &Path) -> Tree {
    Tree::scan_with(root, TreeOptions::default().with_whole_seconds().without_directory_mtimes())
}

fn tree() -> TreeBuilder {
    TreeBuilder::new().dir("", 0o755).file("etc/motd", "hello\n", 0o644).file("bin/sh", "#!", 0o4755)
}

/// What the tree is edited to.
fn edited() -> TreeBuilder {
    TreeBuilder::new()
        .dir("", 0o755)
        .file("etc/motd", "HELLO\n", 0o644)
        .symlink("bin", "etc")
        .hard_link("etc/same", "etc/motd")
        .fifo("p", 0o600)
}

/// A directory with both trees, `rootfs` and `edited`, and the layout of an image `two`, whose layers are `rootfs` and what was
/// edited; with these options of `import` and `commit`.
fn two_layers(import: &[&str], commit: &[&str]) -> TempDir {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    let layout = at("layout");
    tree().write_to(&at("rootfs"));
    edited().write_to(&at("edited"));
    succeed(program("import").arg(at("rootfs")).arg(image(&layout, "one")).args(import));
    succeed(program("commit").arg(image(&layout, "one")).arg(at("edited")).arg("two").args(commit));
    dir
}

#[test]
fn changes_are_listed_packed_and_applied() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    tree().write_to(&at("lower"));
    edited().write_to(&at("upper"));
    for name in ["layer.tar", "layer.tar.gz", "layer.tar.zst"] {
        let said_ = succeed(program("diff").arg(at("lower")).arg(at("upper")).arg("-o").arg(at(name)));
        assert_eq!(said_.stdout, "C /\nC /bin\nC /etc\nC /etc/motd\nA /etc/same\nA /p\n");
        let target = at(&format!("{name}.target"));
        tree().write_to(&target);
        succeed(program("apply").arg(at(name)).arg(&target));
        said(&target).assert_same(&said(&at("upper")));
        assert_eq!(succeed(program("diff").arg(&target).arg(at("upper"))).stdout, "");
    }
    let json = succeed(program("diff").arg("--json").arg(at("upper")).arg(at("lower"))).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[1], serde_json::json!({ "change": "D", "path": "/p" }));
}

#[test]
fn a_tree_becomes_an_image_and_an_edit_becomes_a_layer() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    let layout = at("layout");
    tree().write_to(&at("rootfs"));
    succeed(program("import").arg(at("rootfs")).arg(image(&layout, "one")).args([
        "--config",
        r#"{"Cmd":["/bin/sh"]}"#,
        "--message",
        "from a test",
    ]));
    edited().write_to(&at("edited"));
    let change = ["--change", "ENV A=b", "--change", "CMD [\"/bin/true\"]"];
    let made = succeed(program("commit").arg(image(&layout, "one")).arg(at("edited")).arg("two").args(change));
    assert!(
        made.stdout.ends_with(" bytes), 2 added, 4 changed, 0 deleted\n")
            || made.stdout.ends_with(" bytes, 2 added, 4 changed, 0 deleted\n"),
        "{made}"
    );
    assert_eq!(made.stderr, "", "the steps of --change are not told of");
    succeed(program("flatten").arg(image(&layout, "two")).arg("three"));
    program::verify(&layout);

    for (name, expected, layers) in [("one", "rootfs", 1), ("two", "edited", 2), ("three", "edited", 1)] {
        let unpacked = at(&format!("unpacked-{name}"));
        program::unpack(image(&layout, name), &unpacked);
        said(&unpacked).assert_same(&said(&at(expected)));
        let json = succeed(program("inspect").arg("--json").arg(image(&layout, name))).stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["layers"].as_array().unwrap().len(), layers, "{json:#}");
        let cmd = if name == "one" { "/bin/sh" } else { "/bin/true" };
        assert!(json.to_string().contains(cmd), "{json:#}");
    }
    let diff = succeed(program("diff").arg(image(&layout, "two")).arg(image(&layout, "three")));
    assert_eq!(diff.stdout, "");
    assert_eq!(succeed(program("cat").arg(image(&layout, "three")).arg("/bin/same")).stdout, "HELLO\n");
    let error = refuse(program("cat").arg(image(&layout, "three")).arg("/p"));
    assert!(error.contains("/p is no regular file"), "{error}");
    assert!(refuse(program("cat").arg(image(&layout, "three")).arg("/nothing")).contains("/nothing: not found in"));
    for wrong in ["RUN true", "FROM other", "nonsense", ""] {
        let mut commit = program("commit");
        let error = refuse(commit.arg(image(&layout, "one")).arg(at("edited")).arg("four").args(["--change", wrong]));
        assert!(error.contains("--change"), "{error}");
    }
}

#[test]
fn where_no_file_changed_no_layer_is_made() {
    let dir = two_layers(&[], &[]);
    let at = |name: &str| dir.path().join(name);
    let layout = at("layout");
    let mut commit = program("commit");
    let same = succeed(commit.arg(image(&layout, "one")).arg(at("rootfs")).arg("same"));
    assert!(same.stdout.ends_with("layer: none, as no file changed\n"), "{same}");
    let mut commit = program("commit");
    succeed(commit.arg(image(&layout, "one")).arg(at("rootfs")).args(["other", "--change", "USER 7"]));
    let [one, same, other] = ["one", "same", "other"].map(|name| {
        let json = succeed(program("inspect").arg("--json").arg(image(&layout, name))).stdout;
        serde_json::from_str::<Value>(&json).unwrap()
    });
    assert_eq!(same["digest"], one["digest"]);
    assert_eq!(other["layers"], one["layers"]);
    assert_eq!(other["config"]["config"]["User"], "7", "{other:#}");
}

#[test]
fn what_layers_hold_is_read_once_where_it_is_kept() {
    let dir = two_layers(&[], &[]);
    let at = |name: &str| dir.path().join(name);
    let layout = at("layout");
    let kept = |name: &str| {
        let mut command = program(name);
        command.arg("--cache").arg(at("kept")).arg(image(&layout, "two"));
        command
    };
    let tree = |command: &mut Command| succeed(command.arg("--tree")).stdout;
    let said = tree(program("inspect").arg(image(&layout, "two")));
    assert_eq!(tree(&mut kept("inspect")), said);
    // A file is read and verified when it is asked for, not before: all but that is known.
    let layers = fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|blob| blob.unwrap().path());
    let layers: Vec<_> = layers.filter(|blob| fs::read(blob).unwrap().starts_with(b"\x1f\x8b")).collect();
    assert_eq!(layers.len(), 2);
    let whole: Vec<_> = layers.iter().map(|layer| fs::read(layer).unwrap()).collect();
    for layer in &layers {
        let mut damaged = fs::read(layer).unwrap();
        damaged[20] ^= 1;
        fs::write(layer, damaged).unwrap();
    }
    assert_eq!(tree(&mut kept("inspect")), said);
    refuse(program("inspect").arg(image(&layout, "two")).arg("--tree"));
    let error = refuse(kept("cat").arg("/etc/motd"));
    assert!(layers.iter().any(|layer| error.contains(layer.file_name().unwrap().to_str().unwrap())), "{error}");
    for (layer, whole) in layers.iter().zip(whole) {
        fs::write(layer, whole).unwrap();
    }
    assert_eq!(succeed(kept("cat").arg("/etc/motd")).stdout, "HELLO\n");
    assert_eq!(succeed(kept("diff").arg(at("edited"))).stdout, "");
    for (name, source) in [("plain", None), ("known", Some(at("kept")))] {
        let mut commit = program("commit");
        commit.env("SOURCE_DATE_EPOCH", "1").args(source.into_iter().flat_map(|kept| ["--cache".into(), kept]));
        succeed(commit.arg(image(&layout, "two")).arg(at("rootfs")).arg(name));
    }
    let digest = |name: &str| {
        let said = succeed(program("inspect").arg("--json").arg(image(&layout, name))).stdout;
        serde_json::from_str::<Value>(&said).unwrap()["layers"].clone()
    };
    assert_eq!(digest("plain"), digest("known"));
}

/// An edit that keeps size and time is in the layer, whether or not it is known what was unpacked.
#[test]
fn what_was_unpacked_is_known_and_no_edit_is_lost() {
    let dir = two_layers(&[], &[]);
    let at = |name: &str| dir.path().join(name);
    let (layout, tree, kept) = (at("layout"), at("tree"), at("kept"));
    succeed(program("unpack").arg("--cache").arg(&kept).arg(image(&layout, "two")).arg(&tree));
    assert_eq!(fs::read_dir(kept.join("known")).unwrap().count(), 1);
    let motd = tree.join("etc/motd");
    let time = fs::metadata(&motd).unwrap().modified().unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(&motd).unwrap();
    file.write_all(b"hullo").unwrap();
    file.set_modified(time).unwrap();
    for (name, cache) in [("plain", None), ("known", Some(&kept))] {
        let mut commit = program("commit");
        commit
            .env("SOURCE_DATE_EPOCH", "1")
            .args(cache.into_iter().flat_map(|kept| [OsStr::new("--cache"), kept.as_os_str()]));
        succeed(commit.arg(image(&layout, "two")).arg(&tree).arg(name));
    }
    let layers = |name: &str| {
        let said = succeed(program("inspect").arg("--json").arg(image(&layout, name))).stdout;
        serde_json::from_str::<Value>(&said).unwrap()["layers"].clone()
    };
    assert_eq!(layers("plain"), layers("known"));
    assert!(succeed(program("cat").arg(image(&layout, "known")).arg("/etc/motd")).stdout.starts_with("hullo"));

    // What cannot be kept is said before anything is unpacked.
    let error = refuse(program("unpack").arg("--cache").arg(&motd).arg(image(&layout, "two")).arg(at("other")));
    assert!(error.contains("motd") && !at("other").exists(), "{error}");

    // What cannot be read is as if it were not there.
    let known = fs::read_dir(kept.join("known")).unwrap().next().unwrap().unwrap().path();
    fs::write(&known, "nonsense").unwrap();
    succeed(program("commit").arg("--cache").arg(&kept).arg(image(&layout, "two")).arg(&tree).arg("again"));
    assert_eq!(layers("again")[2]["diffId"], layers("known")[2]["diffId"]);
}

#[test]
fn layers_are_compressed_as_one_asks() {
    let dir = two_layers(&["--compression", "zstd:1"], &["--compression", "none"]);
    let at = |name: &str| dir.path().join(name);
    let layout = at("layout");
    let types = |name: &str| {
        let inspected = succeed(program("inspect").arg("--json").arg(image(&layout, name))).stdout;
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        let layers = inspected["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["descriptor"]["mediaType"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let typed = |end: &str| format!("application/vnd.oci.image.layer.v1.tar{end}");
    succeed(program("flatten").arg(image(&layout, "two")).args(["three", "--compression=gzip:9"]));
    assert_eq!(types("two"), [typed("+zstd"), typed("")]);
    assert_eq!(types("three"), [typed("+gzip")]);
    program::verify(&layout);
    program::unpack(image(&layout, "three"), &at("unpacked"));
    said(&at("unpacked")).assert_same(&said(&at("edited")));
    let refused = program::run(program("import").arg(at("rootfs")).arg(image(&layout, "x")).arg("--compression=xz"));
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(refused.stderr.contains("xz"), "{refused}");
}

#[test]
fn an_archive_of_another_tool_is_imported() {
    if !require_tool("tar") {
        return;
    }
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    edited().write_to(&at("rootfs"));
    let mut tar = Command::new("tar");
    test_support::tool::run(tar.arg("-czf").arg(at("rootfs.tgz")).arg("-C").arg(at("rootfs")).arg("."));
    succeed(program("import").arg(at("rootfs.tgz")).arg(image(&at("layout"), "latest")));
    program::unpack(at("layout"), &at("unpacked"));
    said(&at("unpacked")).assert_same(&said(&at("rootfs")));
}

#[test]
fn a_real_image_is_edited_committed_and_flattened() {
    if !require_root() || !require_tool("umoci") {
        return;
    }
    let Some(base) = base_image(Form::Gzip) else { return };
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    let layout = at("layout");
    test_support::tool::run(Command::new("cp").arg("-r").arg(base).arg(&layout));
    program::unpack(image(&layout, SHORT_NAME), &at("rootfs"));
    let unchanged = succeed(program("diff").arg(image(&layout, SHORT_NAME)).arg(at("rootfs")));
    assert_eq!(unchanged.stdout, "");

    fs::remove_dir_all(at("rootfs/usr/share")).unwrap();
    fs::write(at("rootfs/etc/new"), "new\n").unwrap();
    succeed(program("commit").arg(image(&layout, SHORT_NAME)).arg(at("rootfs")).arg("edited"));
    succeed(program("flatten").arg(image(&layout, "edited")).arg("flat"));
    program::verify(&layout);
    for name in ["edited", "flat"] {
        let theirs = crate::unpack::umoci_unpack(&image(&layout, name), &at(name));
        said(&theirs).assert_same(&said(&at("rootfs")));
    }
}
