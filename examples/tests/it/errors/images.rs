//! Images, layouts, archives and trees that are not what they should be.

use std::fs::{self, File};

use serde_json::json;
use test_support::raw_tar::{archive, dir, file, hard_link};

use super::{Errors, Spoil, nothing};
use crate::{
    base_image::put,
    program::{program, succeed},
    refused_layout::Victim,
};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// What is wrong, how it came about, and who comes upon it.
const CASES: &[(&str, Spoil<Victim>, &str)] = &[
    ("no layout", nothing, "unpack nowhere tree"),
    ("a directory that is no layout", empty, "inspect empty"),
    ("a file that is no layout", plain, "verify plain"),
    (
        "a layout of the future",
        |v| write(v, "out/oci-layout", r#"{"imageLayoutVersion": "9.0.0"}"#),
        "unpack out:app t",
    ),
    ("no such name", nothing, "unpack out:absent tree"),
    ("no such name to save", nothing, "save out:absent images.tar"),
    ("no such name to verify", nothing, "verify out absent"),
    ("an empty name", nothing, "unpack out: tree"),
    ("a name that cannot be one", nothing, "copy out:app 'other:a name'"),
    ("no such platform", nothing, "unpack --platform plan9/mips out:app tree"),
    ("a platform that cannot be one", nothing, "unpack --platform linux// out:app tree"),
    ("an index that is no JSON", |v| write(v, "out/index.json", "{\n  \"manifests\": [\n"), "unpack out:app tree"),
    ("an index that is no JSON, to collect", |v| write(v, "out/index.json", "{]"), "gc out"),
    ("a flipped bit in a layer, to unpack", flip_layer, "unpack out:app tree"),
    ("a flipped bit in a layer, to read", flip_layer, "cat out:app file"),
    ("a flipped bit in a layer, to save", flip_layer, "save out:app images.tar"),
    ("a flipped bit in a layer, to copy", flip_layer, "copy out:app other"),
    ("a flipped bit in a layer, to flatten", flip_layer, "flatten out:app flat"),
    ("a flipped bit in a layer, to verify", flip_layer, "verify out"),
    ("a flipped bit in a configuration", flip_config, "inspect out:app"),
    ("a layer cut short", |v| v.change_blob(&v.layer(), |bytes| bytes.truncate(50)), "unpack out:app tree"),
    ("a missing layer", |v| fs::remove_file(v.blob(&v.layer())).unwrap(), "unpack out:app tree"),
    ("a missing manifest", |v| fs::remove_file(v.blob(&v.manifest().unwrap())).unwrap(), "inspect out:app"),
    (
        "a wrong size in a descriptor",
        |v| v.change_manifest(|m| m["layers"][0]["size"] = json!(17)),
        "unpack out:app tree",
    ),
    ("a wrong size, to verify", |v| v.change_manifest(|m| m["layers"][0]["size"] = json!(17)), "verify out"),
    (
        "a digest that is none",
        |v| v.change_manifest(|m| m["layers"][0]["digest"] = json!("sha256:../..")),
        "cat out:app file",
    ),
    ("a number that is a text", |v| v.change_manifest(|m| m["schemaVersion"] = json!("two")), "unpack out:app tree"),
    ("a manifest of another schema", |v| v.change_manifest(|m| m["schemaVersion"] = json!(1)), "unpack out:app tree"),
    (
        "a manifest of another type",
        |v| v.change_manifest(|m| m["mediaType"] = json!("text/plain")),
        "unpack out:app tree",
    ),
    (
        "a layer of another type",
        |v| v.change_manifest(|m| m["layers"][0]["mediaType"] = json!("text/plain")),
        "unpack out:app tree",
    ),
    ("two layers for one diffID", two_layers, "unpack out:app tree"),
    ("another layer than the diffID's", |v| layer(v, &[0; 1024], false), "unpack out:app tree"),
    ("a gzip layer that ends too early", cut_gzip, "unpack out:app tree"),
    ("a gzip layer that ends too early, to save", cut_gzip, "save out:app images.tar"),
    ("a path that climbs out", |v| layer(v, &archive(&[file("../../etc/passwd", "x")]), true), "unpack out:app tree"),
    (
        "a path that climbs out, to read",
        |v| layer(v, &archive(&[file("../../etc/passwd", "x")]), true),
        "cat out:app file",
    ),
    ("a whiteout of nothing", |v| layer(v, &archive(&[dir("a"), file("a/.wh.", "")]), true), "unpack out:app tree"),
    (
        "a whiteout of nothing, to read",
        |v| layer(v, &archive(&[dir("a"), file("a/.wh.", "")]), true),
        "cat out:app file",
    ),
    ("a hard link to nothing", |v| layer(v, &archive(&[hard_link("a", "b")]), true), "unpack out:app tree"),
    ("a layer that is no tar", |v| layer(v, &[b'x'; 2048], true), "unpack out:app tree"),
    ("a file that an image does not have", nothing, "cat out:app no/such"),
    ("a directory that is no file", nothing, "cat out:app /"),
    ("a destination with something in it", full, "unpack out:app full"),
    ("a destination that is a file", plain, "unpack out:app plain"),
    ("a destination in no directory", nothing, "unpack out:app no/such/tree"),
    ("an archive that is there already", plain, "save out:app plain"),
    ("an archive in no directory", nothing, "save out:app no/such.tar"),
    ("a page in no directory", nothing, "inspect out:app --html no/such.html"),
    ("no archive", nothing, "load images.tar other"),
    ("an archive that is none", plain, "load plain other"),
    ("an archive of something else", |v| write(v, "x.tar", archive(&[file("a", "b")])), "load x.tar other"),
    ("an archive that ends too early", |v| saved(v, 3000), "load images.tar other"),
    ("a name for an archive's image that cannot be one", |v| saved(v, 1 << 20), "load --ref 'A name' images.tar other"),
    ("no tree to import", nothing, "import rootfs.tar other"),
    ("a tree that is no archive", plain, "import plain other"),
    ("a tree that is an archive of noise", |v| write(v, "x.tar", [b'x'; 2048]), "import x.tar other"),
    ("a configuration that is no JSON", full, "import --config '{\"Cmd\": [}' full other"),
    ("a configuration that is another's", full, "import --config '{\"Cmd\": 4}' full other"),
    ("no tree to commit", nothing, "commit out:app tree new"),
    ("a change that is none", full, "commit --change 'COPY a b' out:app full new"),
    ("no layer to apply", full, "apply layer.tar full"),
    ("no tree to apply a layer to", plain, "apply plain tree"),
    ("a layer to apply that is none", |v| (full(v), plain(v)).0, "apply plain full"),
    ("no tree to compare", full, "diff tree full"),
    ("a layer of changes in no directory", full, "diff full full -o no/such.tar"),
    ("no layout to collect", empty, "gc empty"),
    ("no results of builds", empty, "why empty"),
    ("no such step", nothing, "why out.cache 'COPY nothing'"),
    ("results of the future, to collect", |v| write(v, "out.cache/version", "of the future"), "gc out.cache"),
    ("no directory", nothing, "fingerprint tree"),
    ("no such file in a directory", full, "fingerprint full flie"),
    ("no input of a task", nothing, "task_cache state -i absent -o made -- true"),
    ("a task that cannot be run", plain, "task_cache state -i plain -o made -- no-such-program"),
    ("a task that fails", plain, "task_cache state -i plain -o made -- false"),
    ("a task that does not make its output", plain, "task_cache state -i plain -o made -- true"),
    ("an option that is nearly one", nothing, "unpack --rotless out:app tree"),
];

#[test]
fn what_is_said_of_images() {
    let mut errors = Errors::new("images.txt");
    let whole = Victim::new();
    for (what, spoil, line) in CASES {
        errors.of_image(what, &whole, *spoil, line);
    }
    errors.check();
}

fn write(victim: &Victim, path: &str, content: impl AsRef<[u8]>) {
    fs::write(victim.project.path(path), content).unwrap();
}

fn plain(victim: &Victim) {
    write(victim, "plain", "text");
}

fn empty(victim: &Victim) {
    fs::create_dir(victim.project.path("empty")).unwrap();
}

fn full(victim: &Victim) {
    fs::create_dir(victim.project.path("full")).unwrap();
    write(victim, "full/file", "content");
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

fn flip_layer(victim: &Victim) {
    victim.change_blob(&victim.layer(), |bytes| flip(bytes));
}

fn flip_config(victim: &Victim) {
    victim.change_blob(&victim.config(), |bytes| flip(bytes));
}

fn two_layers(victim: &Victim) {
    victim.change_manifest(|manifest| {
        let layer = manifest["layers"][0].clone();
        manifest["layers"].as_array_mut().unwrap().push(layer);
    });
}

/// A layer whose digest is right, but whose stream is cut.
fn cut_gzip(victim: &Victim) {
    let mut bytes = fs::read(victim.blob(&victim.layer())).unwrap();
    bytes.truncate(60);
    let cut = put(&victim.layout(), "application/vnd.oci.image.layer.v1.tar+gzip", &bytes);
    victim.change_manifest(|manifest| manifest["layers"][0] = cut);
}

/// Puts this tar into the layer's place, and into the configuration too where `named` is set.
fn layer(victim: &Victim, tar: &[u8], named: bool) {
    let layer = put(&victim.layout(), TAR, tar);
    let mut config: serde_json::Value =
        serde_json::from_reader(File::open(victim.blob(&victim.config())).unwrap()).unwrap();
    if named {
        config["rootfs"]["diff_ids"] = json!([layer["digest"]]);
    }
    let config = put(&victim.layout(), "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    victim.change_manifest(|manifest| {
        manifest["layers"] = json!([layer]);
        manifest["config"] = config;
    });
}

/// The beginning of an archive of the image.
fn saved(victim: &Victim, length: u64) {
    let archive = victim.project.path("images.tar");
    succeed(program("save").arg(victim.project.image()).arg(&archive));
    let file = File::options().write(true).open(archive).unwrap();
    if file.metadata().unwrap().len() > length {
        file.set_len(length).unwrap();
    }
}
