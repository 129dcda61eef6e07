//! Archives of images, most of them in Docker's form, that are not right.

use super::{
    ArchiveCase, ArchiveLimit,
    Requirement::{
        self, ArchivesAreIndexed, ContentIsVerified, DocumentBytes, Documents, ExtensionBytes, IndexDepth, JsonNesting,
        LayerBytes, LayersOfAnImage, LayersOfArchives, NoRecursion, NothingIsSetAside, OneMeaningOfTar, PathBytes,
        ZstdWindow,
    },
};
use crate::{
    layout::{blob_name, digest, gzip, zstd},
    raw_tar::{Raw, archive, extended, fifo, file, hard_link, pax, symlink},
};

/// All cases of archives; every one is refused, and leaves no name and no blob.
#[must_use]
pub fn archives() -> Vec<ArchiveCase> {
    [layers(), members(), links(), documents(), indexes(), streams(), compressed(), bombs()].concat()
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
    ArchiveCase { name, requirement, archive, limit: None, refused }
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

/// Links as older versions of Docker write them for layers that images share, but without an end.
fn links() -> Vec<ArchiveCase> {
    let endless = "more than 8 links";
    let linked = |links: &[Vec<u8>]| {
        let [manifest, config, ..] = image();
        let members = [manifest, config].map(|(name, content)| file(name, content));
        archive(&[&members, links].concat())
    };
    let without_manifest = |link: Vec<u8>| archive(&[link, file("config.json", "{}")]);
    let case = |name, archive, refused| case(NoRecursion, name, archive, refused);
    vec![
        case(
            "two layers that are links to each other",
            linked(&[symlink("a.tar", "b.tar"), symlink("b.tar", "./a.tar")]),
            endless,
        ),
        case(
            "two layers that are hard links to each other",
            linked(&[hard_link("a.tar", "b.tar"), hard_link("b.tar", "a.tar")]),
            endless,
        ),
        case(
            "a layer that is a link and a hard link in turn",
            linked(&[symlink("a.tar", "x/../b.tar"), hard_link("b.tar", "c"), symlink("c", "a.tar")]),
            endless,
        ),
        case(
            "a configuration that is a link to itself",
            in_place_of("config.json", &symlink("config.json", "config.json")),
            endless,
        ),
        case(
            "a manifest that is a link to itself",
            without_manifest(symlink("manifest.json", "manifest.json")),
            "neither a file manifest.json",
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
    let manifest_member = file("manifest.json", &members[0].1);
    let spelled = [without.clone(), vec![manifest_member.clone(), file(".//manifest.json", "[]")]].concat();
    let linked = [without.clone(), vec![symlink("manifest.json", "a.tar"), manifest_member.clone()]].concat();
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let layers = vec!["a.tar"; 4097];
    let diff_ids = vec![format!("\"{}\"", digest(&layer("lower"))); 4097].join(",");
    let many = [
        ("manifest.json", manifest("config.json", "app:1", &layers)),
        ("config.json", format!(r#"{{"rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#).into_bytes()),
        ("a.tar", gzip(&layer("lower"))),
    ];
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
        documents("manifest.json twice, spelled otherwise", archive(&spelled), "manifest.json: it is there twice"),
        documents("manifest.json as a link and as itself", archive(&linked), "manifest.json: it is there twice"),
        documents(
            "index.json twice",
            archive(&[file("index.json", "{}"), file("index.json", "{}")]),
            "index.json: it is there twice",
        ),
        documents("no manifest.json", archive(&without), neither),
        documents(
            "manifest.json after the end of the archive",
            [archive(&without), archive(std::slice::from_ref(&manifest_member))].concat(),
            neither,
        ),
        documents("no bytes", Vec::new(), neither),
        documents("a name without a tag", named("app"), "invalid name \"app\""),
        documents("a name that commands a terminal", named("\\u001b[31mapp:1"), "invalid name \"\\u{1b}[31mapp:1\""),
        documents(
            "a name with a digest",
            named("app@sha256:0000000000000000000000000000000000000000000000000000000000000000"),
            "invalid name",
        ),
        case(JsonNesting, "a manifest.json nested 200 deep", json(&nested(200)), "recursion limit"),
        case(JsonNesting, "a manifest.json nested a million deep", json(&nested(1_000_000)), "recursion limit"),
        case(
            JsonNesting,
            "a configuration nested 200 deep",
            with("config.json", format!(r#"{{"x":{}}}"#, nested(200)).as_bytes()),
            "recursion limit",
        ),
        case(
            LayersOfAnImage,
            "4097 layers",
            archive(&many.each_ref().map(|(name, content)| file(name, content))),
            "at most 4096 may be",
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

/// An archive in OCI's form of these documents, in which each names the one before it so often.
fn nested(levels: usize, times: usize) -> Vec<u8> {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let index = |entry: &str| {
        let entries = vec![entry; times].join(",");
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entries}]}}"#)
    };
    let mut members = Vec::new();
    let mut document = r#"{"schemaVersion":2,"manifests":[]}"#.to_owned();
    for _ in 0..levels {
        let digest = digest(document.as_bytes());
        members.push(file(blob_name(&digest), &document));
        document = index(&format!(r#"{{"mediaType":"{INDEX}","digest":"{digest}","size":{}}}"#, document.len()));
    }
    members.push(file("index.json", &document));
    archive(&members)
}

fn indexes() -> Vec<ArchiveCase> {
    let index = |json: String| archive(&[file("index.json", json)]);
    let entry = |media_type: &str, content: &str| {
        let digest = digest(content.as_bytes());
        let size = content.len();
        let entry = format!(
            r#"{{"mediaType":"application/vnd.oci.image.{media_type}.v1+json","digest":"{digest}","size":{size}}}"#
        );
        archive(&[
            file("index.json", format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#)),
            file(blob_name(&digest), content),
        ])
    };
    let both = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
    let climbing = r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","size":1}]}"#;
    vec![
        case(IndexDepth, "an index in an index, 20 deep", nested(20, 1), "limit of 8"),
        case(IndexDepth, "10^20 ways through 20 indexes", nested(20, 10), "limit of 8"),
        case(Documents, "an index that is a manifest too", entry("index", both), "could be read as a manifest"),
        case(Documents, "a manifest that is an index", entry("manifest", both), "config"),
        case(Documents, "an index with a key twice", index(both.replace("layers", "manifests")), "twice"),
        case(Documents, "an entry whose digest climbs", index(climbing.to_owned()), "wrong length"),
        case(
            DocumentBytes,
            "an index.json of more than 8 MiB",
            index(format!(r#"{{"schemaVersion":2,"manifests":[]}}{}"#, " ".repeat(8 << 20))),
            "limit of 8388608",
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
        tar(
            "a size below 0 in binary",
            &[lying(b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")],
            "size is not a number",
        ),
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

/// All of an archive compressed.
fn compressed() -> Vec<ArchiveCase> {
    let whole = gzip(&archive(&image().map(|(name, content)| file(name, content))));
    let cut = |by: usize| whole[..whole.len() - by].to_vec();
    let mut flipped = whole.clone();
    let at = flipped.len() - 8;
    flipped[at] ^= 1;
    // A frame that says that its window has 2 GiB.
    let window = [b"\x28\xb5\x2f\xfd\x00\xa8".to_vec(), zstd(&archive(&[file("a", "")]))[6..].to_vec()].concat();
    let content = |name, archive| case(ContentIsVerified, name, archive, "corrupt gzip stream");
    vec![
        content("a compressed archive that is cut", cut(9)),
        content("a compressed archive without its checksum", cut(4)),
        content("a compressed archive with another checksum", flipped),
        content(
            "a compressed archive, and a second member of gzip that is cut",
            [whole.clone(), cut(20)[..20].to_vec()].concat(),
        ),
        case(ZstdWindow, "a compressed archive with a window of 2 GiB", window, "zstd"),
    ]
}

/// Archives that are much longer than what is stored of them, and more members than are wanted, against bounds on them.
fn bombs() -> Vec<ArchiveCase> {
    const PLAIN_BYTES: usize = 32 << 20;
    let zeros = || file("zeros", vec![0; PLAIN_BYTES]);
    let total = |name, archive| {
        case(LayerBytes, name, archive, "limit of 1048576").with_limit(ArchiveLimit::TotalBytes(1 << 20))
    };
    let layer = |name, archive| {
        case(LayerBytes, name, archive, "limit of 1048576").with_limit(ArchiveLimit::LayerBytes(1 << 20))
    };
    let skipped = archive(&[file("../zeros", vec![0; PLAIN_BYTES])]);
    let behind = [archive(&[file("a", "")]), vec![0; PLAIN_BYTES]].concat();
    let many = |count: usize| archive(&(0..count).map(|n| file(format!("m{n}"), "")).collect::<Vec<_>>());
    vec![
        total("a file of zeros in an archive by gzip", gzip(&archive(&[zeros()]))),
        total("a file of zeros in an archive by zstd", zstd(&archive(&[zeros()]))),
        total("a file that nobody reads in an archive by zstd", zstd(&skipped)),
        total("zeros after the end of an archive by zstd", zstd(&behind)),
        total("a layer of zeros by gzip", with("a.tar", &gzip(&archive(&[zeros()])))),
        total(
            "a layer of zeros by zstd, small enough to be held in memory",
            with("a.tar", &zstd(&archive(&[zeros()]))),
        ),
        layer("one layer of zeros by gzip", with("a.tar", &gzip(&archive(&[zeros()])))),
        layer("one layer of zeros by zstd", with("a.tar", &zstd(&archive(&[zeros()])))),
        layer("a plain layer of zeros in an archive by zstd", zstd(&archive(&[zeros()]))),
        case(NothingIsSetAside, "more members than are wanted", many(1001), "limit of 1000")
            .with_limit(ArchiveLimit::Members(1000)),
        case(PathBytes, "longer names than are wanted", many(1000), "limit of 3000")
            .with_limit(ArchiveLimit::NameBytes(3000)),
    ]
}
