//! Archives of images, in Docker's form, that are not right.

use super::{
    ArchiveCase,
    Requirement::{
        self, ArchivesAreIndexed, ContentIsVerified, DocumentBytes, Documents, ExtensionBytes, LayersOfArchives,
        NothingIsSetAside, OneMeaningOfTar,
    },
};
use crate::{
    layout::{digest, gzip, zstd},
    raw_tar::{Raw, archive, extended, fifo, file, hard_link, pax, symlink},
};

/// All cases of archives; every one is refused, and leaves no name and no blob.
#[must_use]
pub fn archives() -> Vec<ArchiveCase> {
    [layers(), members(), documents(), streams()].concat()
}

/// A layer that is larger than what is held in memory, compressed too; different for each text.
fn layer(text: &str) -> Vec<u8> {
    let noise: String = (0..200).map(|n| digest(format!("{text} {n}").as_bytes())).collect();
    archive(&[file("content", noise)])
}

/// The members of an archive of one image: `manifest.json`, the configuration, and two layers.
fn image() -> [(&'static str, Vec<u8>); 4] {
    let layers = [layer("lower"), layer("upper")];
    let diff_ids = layers.each_ref().map(|layer| format!("\"{}\"", digest(layer))).join(",");
    let config =
        format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#);
    let [lower, upper] = layers;
    [
        ("manifest.json", manifest("config.json", "app:1", &["a.tar", "b.tar"])),
        ("config.json", config.into_bytes()),
        ("a.tar", gzip(&lower)),
        ("b.tar", gzip(&upper)),
    ]
}

fn manifest(config: &str, tag: &str, layers: &[&str]) -> Vec<u8> {
    format!(r#"[{{"Config":{config:?},"RepoTags":["{tag}"],"Layers":{layers:?}}}]"#).into_bytes()
}

/// The archive with other content of a member.
fn with(name: &str, content: &[u8]) -> Vec<u8> {
    archive(&image().map(|(member, old)| file(member, if member == name { content } else { &old })))
}

/// The archive with another member in place of one.
fn in_place_of(name: &str, other: &[u8]) -> Vec<u8> {
    archive(&image().map(|(member, old)| if member == name { other.to_vec() } else { file(member, old) }))
}

fn from(config: &str, layers: &[&str]) -> Vec<u8> {
    with("manifest.json", &manifest(config, "app:1", layers))
}

fn case(requirement: Requirement, name: &'static str, archive: Vec<u8>, refused: &'static str) -> ArchiveCase {
    ArchiveCase { name, requirement, archive, refused }
}

fn layers() -> Vec<ArchiveCase> {
    let [_, _, (_, mut cut), _] = image();
    cut.truncate(cut.len() - 1);
    let layers = |name, archive, refused| case(LayersOfArchives, name, archive, refused);
    let content = |name, archive, refused| case(ContentIsVerified, name, archive, refused);
    let other = "but its diffID is";
    vec![
        content("another layer than was named", with("a.tar", &gzip(&layer("other"))), other),
        content("another layer, compressed otherwise", with("a.tar", &zstd(&layer("other"))), other),
        content("a layer that is cut", with("a.tar", &cut), "a.tar: corrupt gzip stream"),
        content(
            "a layer of a compression that is not known",
            with("a.tar", &b"\xFD7zXZ\x00 and so on".repeat(1000)),
            "xz is not supported",
        ),
        layers("a layer too few", from("config.json", &["a.tar"]), "names 1 layers"),
        layers("a layer too many", from("config.json", &["a.tar", "b.tar", "b.tar"]), "names 3 layers"),
        layers("a layer that is not there", from("config.json", &["a.tar", "c.tar"]), "c.tar: there is no such file"),
        layers("layers in another order", from("config.json", &["b.tar", "a.tar"]), other),
        layers("a configuration without diffIDs", with("config.json", b"{}"), "rootfs"),
        layers(
            "a configuration with diffIDs of another kind",
            with("config.json", br#"{"rootfs":{"type":"none","diff_ids":[]}}"#),
            "not \"layers\"",
        ),
    ]
}

fn members() -> Vec<ArchiveCase> {
    let indexed = |name, archive, refused| case(ArchivesAreIndexed, name, archive, refused);
    let both = ["a.tar", "b.tar"];
    let none = "a.tar: there is no such file";
    vec![
        indexed("a climbing configuration", from("../config.json", &both), "../config.json: there is no such file"),
        indexed("an absolute configuration", from("/config.json", &both), "/config.json: there is no such file"),
        indexed("a configuration of the host", from("/etc/passwd", &both), "/etc/passwd: there is no such file"),
        indexed(
            "a layer of the host",
            from("config.json", &["/etc/passwd", "b.tar"]),
            "/etc/passwd: there is no such file",
        ),
        indexed("a climbing layer", from("config.json", &["x/../../a.tar", "b.tar"]), "there is no such file"),
        indexed("a layer that is a link to the host", in_place_of("a.tar", &symlink("a.tar", "/etc/passwd")), none),
        indexed("a layer that is a climbing link", in_place_of("a.tar", &symlink("a.tar", "../../etc/passwd")), none),
        indexed(
            "a layer that is a link to itself",
            in_place_of("a.tar", &symlink("a.tar", "a.tar")),
            "more than 8 links",
        ),
        indexed(
            "a layer that is a hard link to the host",
            in_place_of("a.tar", &hard_link("a.tar", "/etc/passwd")),
            none,
        ),
        indexed("a layer that is a pipe", in_place_of("a.tar", &fifo("a.tar")), none),
        indexed(
            "a configuration that is a link to the host",
            in_place_of("config.json", &symlink("config.json", "/etc/passwd")),
            "config.json: there is no such file",
        ),
        indexed(
            "a manifest that is a link to the host",
            in_place_of("manifest.json", &symlink("manifest.json", "/etc/passwd")),
            "manifest.json",
        ),
    ]
}

fn documents() -> Vec<ArchiveCase> {
    let documents = |name, archive, refused| case(Documents, name, archive, refused);
    let json = |text: &str| with("manifest.json", text.as_bytes());
    let named = |tag: &str| with("manifest.json", &manifest("config.json", tag, &["a.tar", "b.tar"]));
    let members = image();
    let twice = members.iter().chain(&members[..1]).map(|(name, content)| file(name, content)).collect::<Vec<_>>();
    let without = members[1..].iter().map(|(name, content)| file(name, content)).collect::<Vec<_>>();
    let neither = "neither a file manifest.json";
    vec![
        documents("a layer as configuration", from("a.tar", &["a.tar", "b.tar"]), "a.tar: it is not a JSON document"),
        documents("a manifest of null", json("null"), "not a valid document"),
        documents("two manifests in one", json("[] []"), "not a valid document"),
        documents("a manifest with a key twice", json(r#"[{"Config":"a","Config":"b"}]"#), "not a valid document"),
        documents(
            "a manifest with keys in small letters",
            json(r#"[{"config":"config.json","layers":[]}]"#),
            "not a valid document",
        ),
        documents("manifest.json twice", archive(&twice), "manifest.json: it is there twice"),
        documents("no manifest.json", archive(&without), neither),
        documents("no bytes", Vec::new(), neither),
        documents("a name without a tag", named("app"), "invalid name \"app\""),
        documents("a name that commands a terminal", named("\\u001b[31mapp:1"), "invalid name \"\\u{1b}[31mapp:1\""),
        documents(
            "a name with a digest",
            named("app@sha256:0000000000000000000000000000000000000000000000000000000000000000"),
            "invalid name",
        ),
        case(
            DocumentBytes,
            "a configuration of more than 4 MiB",
            with("config.json", &vec![b' '; (4 << 20) + 1]),
            "limit of 4194304",
        ),
        case(
            DocumentBytes,
            "a manifest.json of more than 4 MiB",
            with("manifest.json", &vec![b' '; (4 << 20) + 1]),
            "limit of 4194304",
        ),
    ]
}

fn streams() -> Vec<ArchiveCase> {
    let tar = |name, members: &[Vec<u8>], refused| case(OneMeaningOfTar, name, archive(members), refused);
    let empty = || file("a", "");
    let lying = |size| Raw::new(b'0', b"a", 0).with(124, size).block();
    vec![
        case(
            NothingIsSetAside,
            "a member of 4 EiB",
            archive(&[lying(b"\x80\0\0\0\x40\0\0\0\0\0\0\0")]),
            "a: the archive ends inside it",
        ),
        case(
            NothingIsSetAside,
            "an extended header of 1 GiB",
            archive(&[Raw::new(b'x', b"big", 1 << 30).block()]),
            "extended headers",
        ),
        tar("a record of a wrong length", &[extended(b'x', b"11 path=abc"), empty()], "wrong length"),
        tar("a path with NUL", &[pax(&[("path", b"a\0b")]), empty()], "NUL"),
        tar("a sparse member", &[pax(&[("GNU.sparse.major", b"1")]), empty()], "sparse"),
        tar("a size below 0", &[pax(&[("size", b"-1")]), empty()], "size is not a number"),
        tar("an extended header and no member", &[pax(&[("path", b"a")])], "no member after it"),
        tar("a member of a type that no archive has", &[Raw::new(b'S', b"a", 0).block()], "of a type that no archive"),
        tar("zeros before the first member", &[vec![0; 512], empty()], "lone block of zeros"),
        case(OneMeaningOfTar, "no archive at all", vec![b'x'; 1024], "checksum"),
        case(
            ExtensionBytes,
            "an extended header of more than 1 MiB",
            archive(&[extended(b'x', &vec![b'a'; (1 << 20) + 1]), empty()]),
            "extended headers",
        ),
        case(
            ExtensionBytes,
            "17 extended headers",
            archive(&[extended(b'g', b"").repeat(17), empty()]),
            "extended headers",
        ),
    ]
}
