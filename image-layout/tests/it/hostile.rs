//! Layouts made by strangers: nothing hangs, nothing outside is read, everything ends soon.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
    time::Duration,
};

use image_core::{Compression, Ctx, Descriptor, Digest, MediaType};
use image_layout::{OciLayout, fsck::VerifyOptions};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use test_support::thread_time;

use crate::fixture::{Fixture, read};

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("a fifo");
}

/// What it is, and how it is made.
type Impostor = (&'static str, Box<dyn Fn(&Path)>);

/// Ways to put something in a file's place that must not be read.
fn impostors(secret: &Path) -> [Impostor; 4] {
    let secret = secret.to_owned();
    [
        ("fifo", Box::new(fifo)),
        ("directory", Box::new(|path| fs::create_dir(path).expect("a directory"))),
        ("endless device", Box::new(|path| symlink("/dev/zero", path).expect("a symbolic link"))),
        ("link to a whole file", Box::new(move |path| symlink(&secret, path).expect("a symbolic link"))),
    ]
}

#[test]
fn files_of_the_layout_that_are_no_files() {
    for name in ["oci-layout", "index.json"] {
        let whole = Fixture::new();
        for (kind, make) in impostors(&whole.path().join(name)) {
            let fixture = Fixture::new();
            let path = fixture.path().join(name);
            fs::remove_file(&path).unwrap();
            make(&path);
            let error = OciLayout::open(fixture.path()).and_then(|layout| layout.index()).expect_err(kind);
            assert!(error.is_corrupt(), "{kind}: {error}");
            assert!(
                error.to_string().contains(&format!("{name}: not an OCI image layout: it is not a regular file")),
                "{kind}: {error}"
            );
            assert!(fixture.layout.update_index(|_| Ok(())).is_err() || name == "oci-layout", "{kind}");
        }
    }
}

#[test]
fn a_lock_that_is_no_file() {
    let whole = Fixture::new();
    let before = read(whole.path().join("index.json"));
    for (kind, make) in impostors(&whole.path().join("index.json")) {
        let fixture = Fixture::new();
        let lock = fixture.path().join(".index.json.lock");
        fs::remove_file(&lock).unwrap();
        make(&lock);
        let image = fixture.image("linux/amd64", "a");
        // A fifo would lock as well as a file, but only regular files are used.
        let error = fixture.layout.tag("a", &image).unwrap_err();
        assert!(
            error.to_string().contains(".index.json.lock") && error.to_string().ends_with("it is not a regular file"),
            "{kind}: {error}"
        );
    }
    assert_eq!(read(whole.path().join("index.json")), before);
}

#[test]
fn a_temporary_that_leads_elsewhere_is_not_written_through() {
    let fixture = Fixture::new();
    let elsewhere = fixture.beside("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, fixture.path().join(".index.json.new")).unwrap();
    fixture.layout.tag("a", &fixture.image("linux/amd64", "a")).unwrap();
    assert_eq!(read(&elsewhere), b"precious");
    assert!(fs::symlink_metadata(fixture.path().join("index.json")).unwrap().is_file());
}

#[test]
fn files_that_are_too_large() {
    let fixture = Fixture::new();
    for (name, limit) in [("index.json", 8 << 20), ("oci-layout", 64 << 10)] {
        let file = File::create(fixture.path().join(name)).unwrap();
        for size in [limit + 1, 1 << 40] {
            file.set_len(size).unwrap();
            let error = OciLayout::open(fixture.path()).and_then(|layout| layout.index()).unwrap_err();
            assert!(error.to_string().contains(&format!("limit of {limit}")), "{error}");
        }
    }
}

#[test]
fn an_index_that_can_be_read_in_two_ways() {
    let fixture = Fixture::new();
    let cases = [
        (r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, "twice"),
        (r#"{"schemaVersion":2,"manifests":[],"config":{}}"#, "could be read as a manifest"),
        (r#"{"schemaVersion":2,"manifests":[]}{}"#, "trailing"),
        (r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","size":1}]}"#, "wrong length"),
        (r#"{"schemaVersion":2,"manifests":[{"digest":"a:b","size":-1}]}"#, "-1"),
        (r#"{"manifests":[]}"#, "schemaVersion"),
    ];
    for (json, reason) in cases {
        fixture.write_index(json);
        let error = fixture.layout.index().expect_err(json);
        let text = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(error.is_corrupt() && text.contains("index.json") && text.contains(reason), "{json}: {text}");
        assert!(fixture.layout.tags().is_err());
        assert!(fixture.layout.update_index(|_| Ok(())).is_err());
    }
    // As Go's decoder would not: keys are exact.
    fixture.write_index(r#"{"schemaVersion":2,"manifests":[],"MANIFESTS":[{"digest":"a:b","size":1}]}"#);
    assert!(fixture.layout.index().unwrap().value().manifests.is_empty());
}

#[test]
fn blobs_that_are_no_files() {
    let whole = Fixture::new();
    let image = whole.image("linux/amd64", "a");
    for (kind, make) in impostors(&whole.blob_path(&image.digest)) {
        let fixture = Fixture::new();
        let image = fixture.image("linux/amd64", "a");
        fixture.layout.tag("it", &image).unwrap();
        fixture.remove(&image.digest);
        make(&fixture.blob_path(&image.digest));
        assert!(fixture.layout.image("it", None).is_err(), "{kind}");
        assert!(fixture.layout.tag("other", &image).is_err(), "{kind}");
        let report = fixture.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).unwrap();
        assert_eq!(report.findings.len(), 1, "{kind}");
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains("\"problem\":\"unreadable\""), "{kind}: {json}");
    }
    for (kind, make) in impostors(&whole.blob_path(&image.digest)) {
        let fixture = Fixture::new();
        let (layer, diff_id) = fixture.layer("a", Compression::Gzip);
        let image = fixture.manifest(fixture.config("linux/amd64", &[diff_id]), vec![layer.clone()]);
        fixture.layout.tag("it", &image).unwrap();
        fixture.remove(&layer.digest);
        make(&fixture.blob_path(&layer.digest));
        let report = fixture.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).unwrap();
        assert!(report.findings[0].to_string().contains("unreadable"), "{kind}: {:?}", report.findings);
    }
}

#[test]
fn indexes_in_a_circle() {
    let fixture = Fixture::new();
    let (one, two) = (Digest::sha256_of(b"1"), Digest::sha256_of(b"2"));
    let pointing_at = |digest: &Digest| {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{digest}","size":171}}]}}"#,
            MediaType::OciIndex
        )
    };
    let dir = fixture.path().join("blobs/sha256");
    fs::create_dir_all(&dir).unwrap();
    for (name, target) in [(&one, &two), (&two, &one)] {
        fs::write(dir.join(name.encoded()), pointing_at(target)).unwrap();
    }
    let size = pointing_at(&one).len() as u64;
    fixture.write_index(&pointing_at(&one).replace("171", &size.to_string()).replace("\"size\":171", ""));
    let root = Descriptor::new(MediaType::OciIndex, one, size);
    let error = fixture.layout.image_at("it", &root, None).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    let report = fixture.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).unwrap();
    assert!(!report.is_clean());
}

/// 10^20 paths over 20 small blobs.
#[test]
fn a_bomb_of_indexes() {
    let fixture = Fixture::new();
    let mut index = fixture.image_for("linux/amd64");
    for level in 1..=20 {
        index = fixture.index((0..10).map(|n| index.clone().with_annotation("n", n.to_string())).collect());
        if level == 8 {
            fixture.layout.tag("deep", &index).unwrap();
        }
    }
    fixture.layout.tag("bomb", &index).unwrap();
    let start = thread_time();
    assert!(fixture.layout.image("deep", None).is_ok());
    let error = fixture.layout.image("bomb", None).unwrap_err();
    assert!(error.to_string().contains("limit of 8"), "{error}");
    let report = fixture.layout.verify(Some("bomb"), &VerifyOptions::default(), &Ctx::default()).unwrap();
    // What cannot be resolved or copied is not right, and is not read to its end either.
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert!(report.findings[0].to_string().contains("limit of 8"), "{}", report.findings[0]);
    assert_eq!(report.blobs, 8);
    assert!(fixture.layout.verify(Some("deep"), &VerifyOptions::default(), &Ctx::default()).unwrap().is_clean());
    assert!(thread_time() - start < Duration::from_secs(5), "{:?}", thread_time() - start);
}

#[test]
fn a_bomb_of_compression_is_hashed_in_little_memory() {
    let fixture = Fixture::new();
    let zeros = vec![0; 64 << 20];
    let mut encoder =
        image_core::codec::Encoder::new(Vec::new(), &image_core::codec::EncodeOptions::new(Compression::Zstd)).unwrap();
    std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    let layer = fixture.put(&encoder.finish().unwrap(), MediaType::OciLayerZstd);
    assert!(layer.size < 1 << 20);
    let diff_id = image_core::DiffId::from_digest(Digest::sha256_of(&zeros));
    let image = fixture.manifest(fixture.config("linux/amd64", &[diff_id]), vec![layer]);
    fixture.layout.tag("it", &image).unwrap();
    assert!(fixture.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).unwrap().is_clean());
}

#[test]
fn names_that_command_a_terminal() {
    let fixture = Fixture::new();
    let digest = Digest::sha256_of(b"");
    let long = "x".repeat(100_000);
    fixture.write_index(&format!(
        r#"{{"schemaVersion":2,"manifests":[
            {{"mediaType":"a","digest":"{digest}","size":0,"annotations":{{"org.opencontainers.image.ref.name":"\u001b[2Jgone"}}}},
            {{"mediaType":"a","digest":"{digest}","size":0,"annotations":{{"org.opencontainers.image.ref.name":"{long}"}}}}]}}"#
    ));
    let text = fixture.layout.resolve("nope").unwrap_err().to_string();
    assert!(text.contains("\\u{1b}[2Jgone") && text.len() < 1000, "{text:?}");
    let names = image_core::ImageResolver::names(&fixture.layout);
    assert!(names.iter().all(|name| name.len() < 300 && !name.contains('\u{1b}')), "{names:?}");
}
