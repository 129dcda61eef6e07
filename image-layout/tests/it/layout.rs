//! Creating and opening layouts.

use std::{fs, path::Path};

use image_core::{Ctx, gc::GcOptions};
use image_layout::{CopyOptions, Error, LoadOptions, OciLayout, SaveOptions, copy, fsck::VerifyOptions, save};
#[cfg(unix)]
use test_support::SmallDisk;

use crate::fixture::{Fixture, read};

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn created_as_the_specification_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/layout");
    let layout = OciLayout::create(&path).unwrap();
    assert_eq!(layout.path(), path);
    let text = |name| String::from_utf8(read(path.join(name))).unwrap();
    assert_eq!(text("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert_eq!(
        text("index.json"),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
    );
    assert!(path.join("blobs").is_dir());
    assert!(layout.index().unwrap().value().manifests.is_empty());
    assert!(layout.roots().unwrap().is_empty());

    let error = OciLayout::create(&path).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    OciLayout::open_or_create(&path).unwrap();
    OciLayout::open(&path).unwrap();
}

#[test]
fn what_is_no_layout_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let error = OciLayout::open(dir.path().join("missing")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = OciLayout::open(dir.path()).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("no file oci-layout"), "{error}");

    fs::write(dir.path().join("precious"), "").unwrap();
    for result in [OciLayout::create(dir.path()), OciLayout::open_or_create(dir.path())] {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("something else in it"), "{error}");
    }
    assert_eq!(files(dir.path()), ["precious"]);
    let error = OciLayout::open_or_create(dir.path().join("precious")).unwrap_err();
    assert!(error.to_string().contains("precious"), "{error}");
}

#[test]
fn versions() {
    let cases = [
        (r#"{"imageLayoutVersion": "1.0.0"}"#, ""),
        (r#"{"imageLayoutVersion": "1.0.0", "new": true}"#, ""),
        (r#"{"imageLayoutVersion": "1.1.0"}"#, "version \"1.1.0\" is not supported"),
        (r#"{"imageLayoutVersion": ""}"#, "version \"\" is not supported"),
        ("{}", "imageLayoutVersion"),
        (r#"{"imageLayoutVersion": 1}"#, "imageLayoutVersion"),
        (r#"{"imageLayoutVersion": "1.0.0", "imageLayoutVersion": "1.0.0"}"#, "imageLayoutVersion"),
        ("", "imageLayoutVersion"),
    ];
    for (marker, expected) in cases {
        let fixture = Fixture::new();
        fs::write(fixture.path().join("oci-layout"), marker).unwrap();
        match OciLayout::open(fixture.path()) {
            Ok(_) => assert_eq!(expected, "", "{marker}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{marker}: {error}"),
        }
    }
    let fixture = Fixture::new();
    fs::write(fixture.path().join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
    assert!(OciLayout::open(fixture.path()).unwrap_err().is_unsupported());
    assert!(OciLayout::open_or_create(fixture.path()).unwrap_err().is_unsupported());
}

#[test]
fn an_interrupted_creation_is_completed() {
    let steps: [&[&str]; 5] = [
        &[],
        &[".index.json.lock"],
        &[".index.json.lock", "blobs/"],
        &[".index.json.lock", "blobs/", ".index.json.new"],
        &[".index.json.lock", "blobs/", "index.json", ".index.json.new"],
    ];
    let whole = Fixture::new();
    for left_behind in steps {
        let dir = tempfile::tempdir().unwrap();
        for name in left_behind {
            match name.strip_suffix('/') {
                Some(name) => fs::create_dir(dir.path().join(name)).unwrap(),
                None if *name == "index.json" => {
                    fs::copy(whole.path().join(name), dir.path().join(name)).map(drop).unwrap();
                }
                None => fs::write(dir.path().join(name), "").unwrap(),
            }
        }
        let layout = OciLayout::open_or_create(dir.path()).unwrap();
        assert!(layout.index().unwrap().value().manifests.is_empty());
        assert!(!files(dir.path()).contains(&".index.json.new".to_owned()));
    }
}

#[test]
fn a_layout_without_an_index_is_refused() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.path().join("index.json")).unwrap();
    let error = fixture.layout.index().unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("no file index.json"), "{error}");
    assert!(fixture.layout.tags().is_err());
}

#[test]
fn reading_writes_nothing() {
    let fixture = Fixture::new();
    fixture.layout.tag("a", &fixture.image("linux/amd64", "a")).unwrap();
    fs::remove_file(fixture.path().join(".index.json.lock")).unwrap();
    let before = files(fixture.path());
    let layout = OciLayout::open(fixture.path()).unwrap();
    layout.image("a", None).unwrap();
    layout.tags().unwrap();
    OciLayout::open_or_create(fixture.path()).unwrap();
    assert_eq!(files(fixture.path()), before);
}

#[cfg(unix)]
#[test]
fn a_layout_on_a_read_only_file_system_is_read_and_not_changed() {
    let Some(disk) = SmallDisk::mount(1 << 20) else { return };
    let from = Fixture::new();
    let image = from.image("linux/amd64", "a");
    let path = disk.path().join("layout");
    let layout = OciLayout::create(&path).unwrap();
    let ctx = Ctx::default();
    copy(from.layout.blobs(), layout.blobs(), &image, &CopyOptions::default(), &ctx).unwrap();
    layout.tag("a", &image).unwrap();
    disk.make_read_only();

    let layout = OciLayout::open_or_create(&path).unwrap();
    let opened = layout.image("a", None).unwrap();
    assert!(layout.verify(None, &VerifyOptions::default().with_unreachable(), &ctx).unwrap().is_clean());
    let mut archive = Vec::new();
    save(&[(opened, vec!["a:1".to_owned()])], &mut archive, &SaveOptions::default(), &ctx).unwrap();
    let to = Fixture::new();
    assert_eq!(copy(layout.blobs(), to.layout.blobs(), &image, &CopyOptions::default(), &ctx).unwrap().blobs, 3);
    assert_eq!(layout.collect(&GcOptions::default().with_dry_run(), &ctx).unwrap().kept, 3);

    let other = from.image("linux/amd64", "b");
    let errors = [
        layout.tag("b", &image).unwrap_err(),
        layout.untag("a").unwrap_err(),
        layout.load(&*archive, &LoadOptions::default(), &ctx).unwrap_err(),
        copy(from.layout.blobs(), layout.blobs(), &other, &CopyOptions::default(), &ctx).unwrap_err(),
        layout.collect(&GcOptions::default().with_keep_bytes(Some(0)), &ctx).unwrap_err(),
    ];
    for error in errors {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(cause.contains("Read-only file system"), "{error}: {cause}");
    }
    assert_eq!(layout.tags().unwrap().len(), 1);
}

#[test]
fn an_edit_keeps_what_it_does_not_know() {
    let fixture = Fixture::new();
    let digest = "sha256:".to_owned() + &"a".repeat(64);
    let before = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"text/x","digest":"{digest}","size":1,"new":{{"b":1,"a":[null]}}}}],"annotations":{{"k":"<v>"}},"other":{{"x":1.5}}}}"#
    );
    fixture.write_index(&before);
    fixture
        .layout
        .update_index(|index| {
            index.annotations.insert("added".into(), "yes".into());
            Ok(())
        })
        .unwrap();
    let after = String::from_utf8(fixture.layout.index().unwrap().bytes().to_vec()).unwrap();
    assert!(after.contains(r#""new":{"a":[null],"b":1}"#), "{after}");
    assert!(after.contains(r#""annotations":{"added":"yes","k":"\u003cv\u003e"},"other":{"x":1.5}}"#), "{after}");

    fixture.write_index(&before);
    fixture.layout.update_index(|_| Ok(())).unwrap();
    assert_eq!(
        &fixture.layout.index().unwrap().bytes()[..],
        before.as_bytes(),
        "an edit that changes nothing writes nothing"
    );
}

#[test]
fn an_index_that_could_not_be_read_again_is_not_written() {
    let fixture = Fixture::new();
    let before = fixture.layout.index().unwrap();
    let error = fixture
        .layout
        .update_index(|index| {
            index.annotations.insert("long".into(), "x".repeat(9 << 20));
            Ok(())
        })
        .unwrap_err();
    assert!(error.to_string().contains("limit of 8388608"), "{error}");
    assert_eq!(fixture.layout.index().unwrap().bytes(), before.bytes());
}
