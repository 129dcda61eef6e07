//! What is built again after an edit, and what is not.

use std::{fs, time::Duration};

use image_core::Timestamp;
use test_support::raw_tar::{Raw, pax};

use crate::build_fixture::{Fixture, dir, file};

const TEXT: &str = "ARG BASE=base
FROM $BASE AS one
ARG VERSION=1
LABEL version=$VERSION
COPY a.txt /a
COPY lib /lib
ENV X=1
FROM scratch AS two
COPY b.txt /b
FROM one
COPY --from=two /b /b
CMD [\"/a\"]
";

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&["a.txt", "b.txt", "lib/x", "lib/y", "unrelated"]);
    fixture.write(".dockerignore", "ignored\n");
    fixture.bases.add("base", vec![dir("etc"), file("etc/os")], |_| {});
    fixture.bases.add("base2", vec![dir("etc"), file("etc/other")], |_| {});
    fixture
}

/// Builds, edits, builds again: the steps that were carried out the second time, by instruction.
fn after(edit: impl FnOnce(&mut Fixture, &mut String)) -> Vec<String> {
    let (mut fixture, mut text) = (fixture(), TEXT.to_owned());
    fixture.build(&text);
    let again = fixture.build(&text);
    assert_eq!(again.done(), [""; 0], "nothing changed");
    edit(&mut fixture, &mut text);
    fixture.now = Timestamp::from_seconds(1_900_000_000);
    let second = fixture.build(&text);
    let done: Vec<String> = second.done().iter().map(|step| step.split_once("] ").unwrap().1.to_owned()).collect();
    let digest = second.image.manifest.digest.clone();
    // And now that is what is cached.
    let third = fixture.build(&text);
    assert_eq!(third.done(), [""; 0]);
    assert_eq!(third.image.manifest.digest, digest);
    done
}

#[test]
fn a_second_build_is_the_same_image() {
    let fixture = fixture();
    let first = fixture.build(TEXT).image;
    let second = fixture.build(TEXT).image;
    assert_eq!(second.manifest.digest, first.manifest.digest);
    assert_eq!((first.cached, first.done), (0, 11));
    assert_eq!((second.cached, second.done), (11, 0));
}

/// What is edited, which steps run again, and the edit.
type Case = (&'static str, Vec<&'static str>, Box<dyn FnOnce(&mut Fixture, &mut String)>);

const FOLLOWS: [&str; 3] = ["FROM one", "COPY --from=two /b /b", "CMD [\"/a\"]"];

/// A change of layers: the steps, and all that follow.
fn with(steps: &[&'static str]) -> Vec<&'static str> {
    [steps, &FOLLOWS[..]].concat()
}

/// A change of the configuration alone: layers are the same, so nothing is copied again.
fn config(steps: &[&'static str]) -> Vec<&'static str> {
    [steps, &["FROM one", "CMD [\"/a\"]"]].concat()
}

#[test]
fn an_edit_runs_its_step_and_what_follows() {
    for (name, expected, edit) in edits_of_files().into_iter().chain(edits_of_text()) {
        assert_eq!(after(edit), expected, "{name}");
    }
}

fn edits_of_files() -> Vec<Case> {
    vec![
        ("an mtime", vec![], Box::new(|f, _| touch(f, "a.txt"))),
        ("a file nobody copies", vec![], Box::new(|f, _| f.write("unrelated", "new"))),
        ("an ignored file", vec![], Box::new(|f, _| f.write("ignored", "new"))),
        ("a comment and blank lines", vec![], Box::new(|_, t| *t = t.replace("ENV X", "\n# why\n\nENV X"))),
        ("a continuation", vec![], Box::new(|_, t| *t = t.replace("COPY a.txt /a", "COPY a.txt \\\n  /a"))),
        ("an ignore rule that selects the same", vec![], Box::new(|f, _| f.write(".dockerignore", "nothing\n"))),
        (
            "a file's content",
            with(&["COPY a.txt /a", "COPY lib /lib", "ENV X=1"]),
            Box::new(|f, _| f.write("a.txt", "new")),
        ),
        (
            "a file's content of the same size and time",
            with(&["COPY a.txt /a", "COPY lib /lib", "ENV X=1"]),
            Box::new(|f, _| {
                let before = fs::metadata(f.context().join("a.txt")).unwrap().modified().unwrap();
                f.write("a.txt", "A.TXT");
                fs::File::open(f.context().join("a.txt")).unwrap().set_modified(before).unwrap();
            }),
        ),
        (
            "a file's mode",
            with(&["COPY a.txt /a", "COPY lib /lib", "ENV X=1"]),
            Box::new(|f, _| f.set_mode("a.txt", 0o755)),
        ),
        ("a file added", with(&["COPY lib /lib", "ENV X=1"]), Box::new(|f, _| f.write("lib/z", "z"))),
        (
            "a file removed",
            with(&["COPY lib /lib", "ENV X=1"]),
            Box::new(|f, _| fs::remove_file(f.context().join("lib/x")).unwrap()),
        ),
        (
            "a file renamed",
            with(&["COPY lib /lib", "ENV X=1"]),
            Box::new(|f, _| {
                fs::rename(f.context().join("lib/x"), f.context().join("lib/w")).unwrap();
            }),
        ),
        (
            "an ignore rule that takes a file away",
            with(&["COPY lib /lib", "ENV X=1"]),
            Box::new(|f, _| f.write(".dockerignore", "lib/x\n")),
        ),
    ]
}

fn edits_of_text() -> Vec<Case> {
    const ALL: [&str; 6] =
        ["FROM $BASE AS one", "ARG VERSION=1", "LABEL version=$VERSION", "COPY a.txt /a", "COPY lib /lib", "ENV X=1"];
    vec![
        (
            "a build argument",
            config(&["ARG VERSION=1", "LABEL version=$VERSION", "ENV X=1"]),
            Box::new(|f, _| {
                f.options = f.options.clone().with_build_arg("VERSION", "2");
            }),
        ),
        (
            "a build argument nobody declares",
            vec![],
            Box::new(|f, _| f.options = f.options.clone().with_build_arg("NO", "2")),
        ),
        ("an instruction's value", config(&["ENV X=2"]), Box::new(|_, t| *t = t.replace("X=1", "X=2"))),
        (
            "the order",
            with(&["COPY lib /lib", "COPY a.txt /a", "ENV X=1"]),
            Box::new(|_, t| {
                *t = t.replace("COPY a.txt /a\nCOPY lib /lib\n", "COPY lib /lib\nCOPY a.txt /a\n");
            }),
        ),
        (
            "the other stage",
            vec!["COPY b.txt /b", "COPY --from=two /b /b", "CMD [\"/a\"]"],
            Box::new(|f, _| f.write("b.txt", "new")),
        ),
        ("the base image", with(&ALL), Box::new(|f, _| f.options = f.options.clone().with_build_arg("BASE", "base2"))),
        ("the base image behind its name", with(&ALL), Box::new(|f, _| f.bases.add("base", vec![dir("new")], |_| {}))),
        ("a last step", vec!["USER 1"], Box::new(|_, t| t.push_str("USER 1\n"))),
    ]
}

fn touch(fixture: &Fixture, path: &str) {
    let file = fs::File::open(fixture.context().join(path)).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(86_400)).unwrap();
}

#[test]
fn a_record_whose_layer_is_gone_or_damaged_in_size_is_not_trusted() {
    let fixture = fixture();
    fixture.build(TEXT);
    let blobs = fixture.state().join("blobs/sha256");
    for entry in fs::read_dir(&blobs).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let second = fixture.build(TEXT);
    let done = second.done();
    assert_eq!(done.len(), 4, "the steps with layers are carried out again: {done:?}");
    assert!(done.iter().all(|step| step.contains("COPY")), "{done:?}");
    assert_eq!(second.config().rootfs, fixture.build(TEXT).config().rootfs);
}

#[test]
fn damaged_records_and_tables_count_as_none() {
    let fixture = fixture();
    fixture.build(TEXT);
    for directory in ["records", "toc"] {
        let mut todo = vec![fixture.state().join(directory)];
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let length = fs::metadata(&path).unwrap().len();
                fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
            }
        }
    }
    let second = fixture.build(TEXT).image;
    assert_eq!((second.cached, second.done), (0, 11));
    assert_eq!(fixture.build(TEXT).image.cached, 11);
}

#[test]
fn a_corrupt_layer_of_the_state_never_reaches_an_image_and_is_made_again() {
    let mut fixture = fixture();
    let before = fixture.build(TEXT);
    let listing = before.listing();
    let before = before.config();
    for entry in fs::read_dir(fixture.state().join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::File::open(&path)
            .map(|mut file| {
                let mut b = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut b).unwrap();
                b
            })
            .unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    fixture.output = image_core::MemoryBlobStore::default();
    let again = fixture.build(TEXT);
    let done = again.done();
    assert_eq!(done.len(), 4, "the steps with layers are carried out again: {done:?}");
    assert_eq!(again.config().rootfs, before.rootfs);
    assert_eq!(again.listing(), listing);
    assert_eq!(fixture.build(TEXT).done(), [""; 0]);
}

#[test]
fn a_copy_of_equal_files_from_another_stage_is_cached() {
    let fixture = Fixture::with_files(&["a", "b"]);
    fixture.write("b", "a");
    let text = |from| {
        format!(
            "FROM scratch AS s1\nCOPY a /x\nFROM scratch AS s2\nCOPY b /x\nFROM scratch\nCOPY --from={from} /x /y\n"
        )
    };
    fixture.build(&text("s1"));
    let done = fixture.build(&text("s2")).done();
    assert_eq!(done, ["[s2 1/2] FROM scratch AS s2", "[s2 2/2] COPY b /x"]);
}

#[test]
fn names_that_are_one_file_are_not_files_of_their_own() {
    let fixture = Fixture::with_files(&["d/a"]);
    fs::hard_link(fixture.context().join("d/a"), fixture.context().join("d/b")).unwrap();
    let text = "FROM scratch\nCOPY d /";
    let linked = fixture.build(text).image.manifest.digest.clone();
    fs::remove_file(fixture.context().join("d/b")).unwrap();
    fixture.write("d/b", "d/a");
    assert_ne!(fixture.build(text).image.manifest.digest, linked);
}

#[test]
fn words_with_spaces_are_not_several_words() {
    let fixture = Fixture::with_files(&["a"]);
    fixture.build("FROM scratch\nCOPY no* a /x/");
    let done = fixture.build("FROM scratch\nCOPY [\"no* a\", \"a\", \"/x/\"]").done();
    assert_eq!(done.len(), 1, "{done:?}");
    let built = fixture.build("FROM scratch\nCOPY [\"a\", \"no* /x/\"]");
    assert_eq!(built.listing(), ["d 0755 0:0 /no* ", "d 0755 0:0 /no* /x", "f 0644 0:0 /no* /x/a a"]);
}

#[test]
fn the_same_data_in_other_places_of_a_file_with_holes_is_another_file() {
    let layer = |offset: &str| {
        let map = format!("{offset},3");
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.size", b"9"),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.map", map.as_bytes()),
            ("GNU.sparse.name", b"s"),
        ];
        [pax(&records), Raw::new(b'0', b"x", 3).data(b"abc"), vec![0; 1024]].concat()
    };
    let mut fixture = Fixture::new();
    let text = "FROM scratch\nCOPY --from=base /s /s\n";
    for (offset, content) in [("0", "abc\0\0\0\0\0\0"), ("3", "\0\0\0abc\0\0\0"), ("6", "\0\0\0\0\0\0abc")] {
        fixture.bases.add_tar("base", &layer(offset));
        assert_eq!(fixture.build(text).listing(), [format!("f 0644 0:0 /s {content}")], "data at {offset}");
    }
}
