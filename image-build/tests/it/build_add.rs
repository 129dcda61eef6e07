//! ADD: what COPY does, archives that are unpacked, and addresses that are fetched.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use image_build::{
    Error, Fetcher,
    fetch::{Checkout, Download, Repository},
};
use image_core::{
    Compression, Ctx, Digest, Timestamp,
    codec::{EncodeOptions, Encoder},
};
use image_overlay::{Entry, EntryKind, LayerPath, Metadata, TarWriter};

use crate::build_fixture::{Fixture, dir, file, link};

/// One file `f` of user 5, group 6 and time 7 with the content `hi`, by GNU tar 1.34 and bzip2 1.0.8.
const BZIP2: &str = "425a68393141592653596910f24f00007afb90d90000c0400077800000e7ea1e0004000008200054345034d0d346d10d1e9a82494d0d0341ea00075c7db5b182107311090ed8e54bbf71b2a40861303cc8469024302f134386a9b1bb775c2abd2c60d65f545aad83448880fc5dc914e14241a443c93c";

/// The same by xz 5.4.1.
const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a3e027ff006c5d00330033501868898301dce253920f798af77f1406b9df63e526f2d717aaa7a6ee830ddfeec60ebbbe1d2cc65062a185663cae08f2e49167c3964b0d3d6818a7daff6ee6723c6f0caf073291f4d56b3c75445e3ed53d639a21c763a824c6b699da1bd65344965c5847bdfb45c000d275c586de82e92c000188018050000053f3338db1c467fb020000000004595a";

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn owned(path: &str, kind: EntryKind) -> Entry {
    let metadata = Metadata::new(0o640).with_owner(5, 6).with_mtime(Timestamp::from_seconds(7));
    Entry::new(LayerPath::parse(path.as_bytes()).unwrap(), kind, metadata)
}

/// An archive of these entries, whose files have two bytes.
fn tar(entries: Vec<Entry>) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for mut entry in entries {
        if let EntryKind::File { size } = &mut entry.kind {
            *size = 2;
        }
        let content: &[u8] = if matches!(entry.kind, EntryKind::File { .. }) { b"hi" } else { b"" };
        writer.append(&entry, &mut &*content).unwrap();
    }
    writer.finish().unwrap()
}

fn one() -> Vec<u8> {
    tar(vec![owned("f", EntryKind::File { size: 0 })])
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), &EncodeOptions::new(compression)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Fixture {
    fn write_bytes(&self, path: &str, content: &[u8]) {
        self.write(path, "");
        fs::write(self.context().join(path), content).unwrap();
    }
}

#[test]
fn archives_are_unpacked_whatever_their_compression_and_name() {
    let fixture = Fixture::new();
    for (name, bytes) in [
        ("plain.tar", one()),
        ("named-as-none", one()),
        ("gzip", compressed(&one(), Compression::Gzip)),
        ("zstd", compressed(&one(), Compression::Zstd)),
        ("bzip2", unhex(BZIP2)),
        ("xz", unhex(XZ)),
    ] {
        fixture.write_bytes(name, &bytes);
        let listing = fixture.build(&format!("FROM scratch\nADD {name} /x")).listing();
        let mode = if name.len() < 6 && matches!(name, "bzip2" | "xz") { "0644" } else { "0640" };
        assert_eq!(listing, ["d 0755 0:0 /x".to_owned(), format!("f {mode} 5:6 /x/f hi")], "{name}");
    }
    let listing = fixture.build("FROM scratch\nADD --chown=8 --chmod=700 gzip /x/").listing();
    assert_eq!(listing, ["d 0700 8:8 /x", "f 0640 8:8 /x/f hi"]);
    assert_eq!(fixture.notices().len(), 1);
    for instruction in ["COPY gzip /x", "ADD --unpack=false gzip /x"] {
        let built = fixture.build(&format!("FROM scratch\n{instruction}"));
        assert_eq!(built.layer_paths(0), ["/x"], "{instruction}");
    }
    assert_eq!(fixture.build("FROM scratch\nADD --unpack gzip /x").layer_paths(0), ["/x", "/x/f"]);
}

#[test]
fn what_is_no_archive_is_copied() {
    let fixture = Fixture::with_files(&["text", "d/one"]);
    let gzip = compressed(b"no tar", Compression::Gzip);
    fixture.write_bytes("gzip", &gzip);
    fixture.write_bytes("cut", &gzip[..12]);
    fixture.write_bytes("empty", b"");
    fixture.write_bytes("zeros", &[0; 1024]);
    fixture.write_bytes("archive", &one());
    let built = fixture.build("FROM scratch\nADD text gzip cut empty zeros d /x/");
    assert_eq!(built.layer_paths(0), ["/x", "/x/cut", "/x/empty", "/x/gzip", "/x/one", "/x/text", "/x/zeros"]);
    // Each by itself: what is no archive beside what is one, and here-documents.
    let built = fixture.build("FROM scratch\nADD t* arch* d <<new /x/\nnew\n");
    assert_eq!(built.layer_paths(0), ["/x", "/x/f", "/x/new", "/x/one", "/x/text"]);
    // In a directory that is copied, an archive is a file.
    fixture.write_bytes("in/archive", &one());
    assert_eq!(fixture.build("FROM scratch\nADD in /x/").layer_paths(0), ["/x", "/x/archive"]);
}

#[test]
fn an_archive_is_laid_over_what_is_there() {
    let mut fixture = Fixture::new();
    let entries = vec![
        dir("d"),
        file("d/kept"),
        dir("gone"),
        file("gone/below"),
        link("lib", "usr/lib"),
        dir("usr"),
        dir("usr/lib"),
        file("was-file"),
    ];
    fixture.bases.add("base", entries, |_| {});
    let regular = EntryKind::File { size: 0 };
    fixture.write_bytes(
        "a.tar",
        &tar(vec![
            owned("d", EntryKind::Directory),
            owned("d/new", regular.clone()),
            owned("gone", regular.clone()),
            owned("implied/deep/f", regular.clone()),
            owned("lib/f", regular.clone()),
            owned("was-file", EntryKind::Directory),
            owned("was-file/f", regular.clone()),
            owned("hard", EntryKind::HardLink { target: LayerPath::parse(b"d/new").unwrap() }),
            owned("soft", EntryKind::Symlink { target: b"/etc/none".to_vec() }),
            owned("pipe", EntryKind::Fifo),
        ]),
    );
    let built = fixture.build("FROM base\nADD a.tar /");
    assert_eq!(
        built.listing(),
        [
            "d 0640 5:6 /d",
            "f 0644 0:0 /d/kept /d/kept",
            "f 0640 5:6 /d/new hi",
            "f 0640 5:6 /gone hi",
            "f 0640 5:6 /hard hi",
            "d 0755 0:0 /implied",
            "d 0755 0:0 /implied/deep",
            "f 0640 5:6 /implied/deep/f hi",
            "l 0777 0:0 /lib -> usr/lib",
            "Fifo 0640 5:6 /pipe",
            "l 0640 5:6 /soft -> /etc/none",
            "d 0755 0:0 /usr",
            "d 0755 0:0 /usr/lib",
            "f 0640 5:6 /usr/lib/f hi",
            "d 0640 5:6 /was-file",
            "f 0640 5:6 /was-file/f hi",
        ]
    );
    let tree = built.tree();
    let inode = |path: &[u8]| tree.lookup(path, image_overlay::Follow::NotLast).unwrap().unwrap().inode_id();
    assert_eq!(inode(b"/d/new"), inode(b"/hard"));
    assert_eq!(fixture.build("FROM base\nADD a.tar /").done(), [""; 0]);
}

#[test]
fn no_archive_leads_out_of_its_destination() {
    let mut fixture = Fixture::new();
    let entries = vec![dir("etc"), file("etc/passwd"), dir("x"), link("x/abs", "/etc"), link("x/up", "../../etc")];
    fixture.bases.add("base", entries, |_| {});
    let regular = EntryKind::File { size: 0 };
    let soft = |path: &str, target: &str| owned(path, EntryKind::Symlink { target: target.into() });
    let within = [
        // Through links of its own, and of the image.
        vec![soft("l", "/etc"), owned("l/passwd", regular.clone())],
        vec![soft("l", "../../etc"), owned("l/passwd", regular.clone())],
        vec![owned("abs/passwd", regular.clone())],
        vec![owned("up/passwd", regular.clone())],
    ];
    for (number, entries) in within.into_iter().enumerate() {
        fixture.write_bytes("a.tar", &tar(entries));
        let listing = fixture.build("FROM base\nADD a.tar /x").listing();
        assert!(
            listing.contains(&"f 0644 0:0 /etc/passwd root:x:0:0::/root:/bin/sh\napp:x:1001:1002::/:/bin/sh\n".into()),
            "{number}: {listing:?}"
        );
        assert!(listing.contains(&"f 0640 5:6 /x/etc/passwd hi".into()), "{number}: {listing:?}");
    }
    let raw = |name: &[u8]| {
        let mut bytes = one();
        bytes[..name.len()].copy_from_slice(name);
        let sum: u32 = bytes[..512]
            .iter()
            .enumerate()
            .map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) })
            .sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    let link_to =
        |target: &str| owned("h", EntryKind::HardLink { target: LayerPath::parse(target.as_bytes()).unwrap() });
    for (bytes, expected) in [
        (raw(b"../f"), ".."),
        (tar(vec![owned(".wh.etc", regular.clone())]), "layers keep names that begin with .wh."),
        (tar(vec![owned("d/.wh..wh..opq", regular.clone())]), "layers keep names"),
        (tar(vec![owned("etc", EntryKind::CharDevice { major: 0, minor: 0 })]), "device 0:0 hides"),
        (tar(vec![link_to("etc/passwd")]), "which does not exist"),
        (one()[..600].to_vec(), "a.tar"),
    ] {
        fixture.write_bytes("a.tar", &bytes);
        let error = fixture.error("FROM base\nADD a.tar /");
        assert!(error.contains("cannot unpack a.tar") || error.contains("cannot unpack /a.tar"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    // What is in the way of an archive is an error, and names it.
    fixture.write_bytes("a.tar", &tar(vec![owned("etc/passwd/f", regular)]));
    let error = fixture.error("FROM base\nADD a.tar /");
    assert!(error.contains("/etc/passwd of the image: the archive has files below it"), "{error}");
}

/// A network of files and repositories, and what was asked of it.
#[derive(Default)]
struct Network {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fetcher for Network {
    fn download(&self, url: &str, to: &mut dyn Write, _: &Ctx) -> Result<Download, Error> {
        self.asked.lock().unwrap().push(url.into());
        let files = self.files.lock().unwrap();
        let bytes = files.get(url).ok_or_else(|| Error::external(format!("get {url}"), "404 Not Found"))?;
        to.write_all(bytes).map_err(|e| Error::external("write", e))?;
        Ok(Download::modified(Some(Timestamp::from_seconds(1_000))))
    }

    fn checkout(&self, repository: &Repository, into: &Path, _: &Ctx) -> Result<Checkout, Error> {
        self.asked.lock().unwrap().push(format!("{repository:?}"));
        fs::create_dir(into.join("src")).unwrap();
        fs::write(into.join("src/main"), "main").unwrap();
        if repository.keep_git_dir {
            fs::create_dir(into.join(".git")).unwrap();
        }
        Ok(Checkout::of_commit("0123456789abcdef0123456789abcdef01234567"))
    }
}

fn with_network(files: &[(&str, &[u8])]) -> (Fixture, Arc<Mutex<Vec<String>>>) {
    let mut fixture = Fixture::with_files(&["local"]);
    let network = Network::default();
    let asked = Arc::clone(&network.asked);
    let files = files.iter().map(|(url, bytes)| ((*url).to_owned(), bytes.to_vec()));
    network.files.lock().unwrap().extend(files);
    fixture.fetcher = Some(Box::new(network));
    (fixture, asked)
}

#[test]
fn files_are_fetched() {
    let archive = one();
    let (fixture, _) = with_network(&[
        ("https://example.org/a%20b?x=1", b"one"),
        ("http://example.org/", b"two"),
        ("https://example.org/a.tar", &archive),
    ]);
    let built = fixture.build("FROM scratch\nADD https://example.org/a%20b?x=1 http://example.org/ local /x/");
    assert_eq!(
        built.listing(),
        ["d 0755 0:0 /x", "f 0600 0:0 /x/__unnamed__ two", "f 0600 0:0 /x/a b one", "f 0644 0:0 /x/local local"]
    );
    let tree = built.tree();
    let node = tree.lookup(b"/x/a b", image_overlay::Follow::NotLast).unwrap().unwrap();
    assert_eq!(node.metadata().mtime, Timestamp::from_seconds(1_000));
    // An archive stays one, unless it is asked for.
    assert_eq!(fixture.build("FROM scratch\nADD https://example.org/a.tar /x/").layer_paths(0), ["/x", "/x/a.tar"]);
    assert_eq!(
        fixture.build("FROM scratch\nADD --unpack https://example.org/a.tar /x/").layer_paths(0),
        ["/x", "/x/f"]
    );
    let digest = Digest::sha256_of(&archive);
    let text = format!("FROM scratch\nADD --checksum={digest} https://example.org/a.tar /x/");
    assert_eq!(fixture.build(&text).layer_paths(0), ["/x", "/x/a.tar"]);
    assert_eq!(fixture.build(&text).done(), [""; 0]);
    let wrong = Digest::sha256_of(b"other");
    let error = fixture.error(&format!("FROM scratch\nADD --checksum={wrong} https://example.org/a.tar /x/"));
    assert!(error.contains("cannot fetch https://example.org/a.tar") && error.contains(&wrong.to_string()), "{error}");
    let error = fixture.error("FROM scratch\nADD https://example.org/none /");
    assert!(error.ends_with("get https://example.org/none: 404 Not Found"), "{error}");
}

#[test]
fn repositories_are_fetched() {
    let (fixture, asked) = with_network(&[]);
    let built = fixture.build("FROM scratch\nADD https://example.org/a.git#v1:sub /x");
    assert_eq!(built.listing(), ["d 0755 0:0 /x", "d 0755 0:0 /x/src", "f 0644 0:0 /x/src/main main"]);
    let text = "FROM scratch\nADD --keep-git-dir --checksum=0123456 git@example.org:a/b /x";
    assert_eq!(fixture.build(text).layer_paths(0), ["/x", "/x/.git", "/x/src", "/x/src/main"]);
    for source in
        ["ssh://git@example.org/a", "git://example.org/a", "https://example.org/a.git?tag=1&subdir=d&submodules=false"]
    {
        fixture.build(&format!("FROM scratch\nADD {source} /x"));
    }
    let asked = asked.lock().unwrap().join("\n");
    for expected in [
        r#"remote: "https://example.org/a.git", reference: Some("v1"), subdirectory: Some("sub"), keep_git_dir: false, submodules: true"#,
        r#"remote: "git@example.org:a/b", reference: None, subdirectory: None, keep_git_dir: true"#,
        r#"reference: Some("refs/tags/1"), subdirectory: Some("d"), keep_git_dir: false, submodules: false"#,
    ] {
        assert!(asked.contains(expected), "{asked}");
    }
    let error = fixture.error("FROM scratch\nADD --checksum=76543210 git://example.org/a /x");
    assert!(
        error.contains("git://example.org/a is at commit 0123456789abcdef0123456789abcdef01234567, not at 76543210"),
        "{error}"
    );
}

#[test]
fn addresses_that_cannot_be_are_errors_of_their_line() {
    let (fixture, _) = with_network(&[]);
    for (instruction, expected) in [
        ("ADD --checksum=sha256:1 https://example.org/a /x", "Dockerfile:2:16: invalid --checksum"),
        ("ADD --checksum=xyz git://example.org/a /x", "Dockerfile:2:16: invalid --checksum \"xyz\""),
        ("ADD --checksum=0123456 local /x", "Dockerfile:2:16: --checksum is for one source"),
        ("ADD https://example.org/a.git?what=1 /x", "Dockerfile:2:5: unknown parameter \"what\""),
        ("ADD https://example.org/a.git#--upload-pack=x /x", "Dockerfile:2:5: invalid ref"),
        (
            "ADD https://example.org/a.git?tag=1&branch=2 /x",
            "Dockerfile:2:5: the address of the repository gives two values",
        ),
        ("COPY https://example.org/a /x", "Dockerfile:2:6: COPY does not fetch: use ADD"),
    ] {
        let error = fixture.error(&format!("FROM scratch\n{instruction}"));
        assert!(error.contains(expected), "{instruction}: {error}");
    }
    let fixture = Fixture::with_files(&["git@host"]);
    let error = fixture.try_build("FROM scratch\nADD https://example.org/a /x").err().unwrap();
    assert!(error.is_unsupported(), "{error}");
    let mut text = String::new();
    std::error::Error::source(&error).unwrap().to_string().as_bytes().read_to_string(&mut text).unwrap();
    assert_eq!(text, "https://example.org/a cannot be fetched: the builder has no fetcher (`Builder::with_fetcher`)");
    // A file may be called nearly so.
    assert_eq!(fixture.build("FROM scratch\nADD git@host /x").layer_paths(0), ["/x"]);
}
