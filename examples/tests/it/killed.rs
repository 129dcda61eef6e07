//! Killed at any moment, a program leaves nothing wrong behind, and the next run completes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use image_core::Digest;
use image_layout::OciLayout;
use test_support::{Tree, require_root, temp_dir};

use crate::{
    base_image::{Form, SHORT_NAME, base_image},
    build,
    program::{self, image, program, verify},
};

/// How many moments of a run are tried.
const MOMENTS: u32 = 32;

const EPOCH: [&str; 2] = ["--source-date-epoch", "1700000000"];

#[test]
fn a_killed_build_leaves_a_layout_that_verifies_and_is_completed() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = build::project(base);
    let started = Instant::now();
    let digest = project.build_with(&EPOCH).digest;
    let whole = started.elapsed();
    let (output, state) = (project.output(), project.path("out.cache"));
    let left = |directory: &Path| -> BTreeSet<PathBuf> { listing(directory) };
    let expected = (left(&output), left(&state));

    for moment in 0..MOMENTS {
        // Every other run is killed again in what the one before it left.
        if moment % 2 == 0 {
            remove(&output);
            remove(&state);
        }
        kill_at(project.command().args(EPOCH), whole * moment / MOMENTS);
        if output.join("oci-layout").exists() {
            verify(&output);
        }
        if moment % 2 == 1 {
            assert_eq!(project.build_with(&EPOCH).digest, digest, "after a kill at moment {moment}");
            verify(&output);
            assert_eq!((left(&output), left(&state)), expected, "after a kill at moment {moment}");
        }
    }
    assert!(project.build_with(&EPOCH).ran().is_empty());
}

#[test]
fn a_killed_unpack_shows_no_tree_that_is_not_whole() {
    if !require_root() {
        return;
    }
    let Some(base) = base_image(Form::Gzip) else { return };
    let image = image(base, SHORT_NAME);
    let dir = temp_dir();
    let expected = dir.path().join("expected");
    let started = Instant::now();
    program::unpack(&image, &expected);
    let whole = started.elapsed();
    let expected = Tree::scan(&expected);

    let tree = dir.path().join("killed/tree");
    for moment in 0..MOMENTS {
        fs::create_dir_all(tree.parent().unwrap()).unwrap();
        kill_at(program("unpack").arg(&image).arg(&tree), whole * moment / MOMENTS);
        if tree.exists() {
            Tree::scan(&tree).assert_same(&expected);
            remove(&tree);
        }
        if moment % 8 == 7 {
            program::unpack(&image, &tree);
            Tree::scan(&tree).assert_same(&expected);
            let left = fs::read_dir(tree.parent().unwrap()).unwrap().count();
            assert_eq!(left, 1, "nothing of the killed runs is left");
            remove(tree.parent().unwrap());
        }
    }
}

#[test]
fn killed_loads_copies_saves_and_collections_leave_what_verifies() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let base = image(base, SHORT_NAME);
    let dir = temp_dir();
    let (layout, archive) = (dir.path().join("layout"), dir.path().join("archive.tar"));
    let saved = dir.path().join("saved.tar");
    let whole = |command: &mut Command| {
        let started = Instant::now();
        program::succeed(command);
        started.elapsed()
    };
    let save = |to: &Path| {
        let mut command = program("save");
        command.arg(&base).arg(to);
        command
    };
    let with_layout = |name: &str, from: &Path, more: &str| {
        let mut command = program(name);
        command.args([from, &layout].into_iter().filter(|path| !path.as_os_str().is_empty()));
        if !more.is_empty() {
            command.args(more.split(' '));
        }
        command
    };
    let save_time = whole(&mut save(&archive));
    let copy = || {
        let mut command = program("copy");
        command.arg(&base).arg(image(&layout, "copied"));
        command
    };
    let load = || with_layout("load", &archive, "--ref loaded");
    let collect = || with_layout("gc", Path::new(""), "--keep-bytes 1");
    let load_time = whole(&mut load());
    let copy_time = whole(&mut copy());
    let collect_time = whole(&mut collect());

    for moment in 0..MOMENTS / 2 {
        let part = |time: Duration| time * moment / (MOMENTS / 2);
        kill_at(&mut save(&saved), part(save_time));
        if saved.exists() {
            assert_eq!(fs::read(&saved).unwrap(), fs::read(&archive).unwrap(), "an archive is whole or not there");
            fs::remove_file(&saved).unwrap();
        }
        kill_at(&mut load(), part(load_time));
        verify(&layout);
        kill_at(&mut copy(), part(copy_time));
        verify(&layout);
        if moment % 4 == 3 {
            program::succeed(&mut load());
            program::succeed(&mut copy());
            verify(&layout);
        }
        kill_at(&mut collect(), part(collect_time));
        verify(&layout);
    }
    program::succeed(&mut collect());
    let left = fs::read_dir(layout.join("blobs/sha256")).unwrap().count();
    assert_eq!(left, 0, "nothing of the killed runs is left");
    for directory in ["ingest", "leases"] {
        assert_eq!(fs::read_dir(layout.join(directory)).map_or(0, Iterator::count), 0, "{directory}");
    }
}

#[test]
fn a_killed_tag_leaves_every_name_that_was_given() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let dir = temp_dir();
    let layout = dir.path().join("layout");
    let name = |name: &str| image(&layout, name);
    program::succeed(program("copy").arg(image(base, SHORT_NAME)).arg(name("image:0")));
    let tag = |to: &str| {
        let mut command = program("copy");
        command.arg(name("image:0")).arg(name(to));
        command
    };
    let started = Instant::now();
    program::succeed(&mut tag("image:1"));
    let whole = started.elapsed();
    let names = || -> BTreeMap<String, Digest> {
        let tags = OciLayout::open(&layout).unwrap().tags().unwrap();
        tags.iter().map(|tag| (tag.name().to_owned(), tag.descriptor().digest.clone())).collect()
    };
    let mut given = names();
    let image = given["image:0"].clone();
    for moment in 0..MOMENTS {
        let new = format!("new:{moment}");
        kill_at(&mut tag(&new), whole * moment / MOMENTS);
        verify(&layout);
        let found = names();
        if found.contains_key(&new) {
            given.insert(new, image.clone());
        }
        assert_eq!(found, given, "after a kill at moment {moment}");
        let after = format!("after:{moment}");
        program::succeed(&mut tag(&after));
        given.insert(after, image.clone());
        assert_eq!(names(), given, "after the next");
    }
}

/// Starts a program and kills it a while later.
fn kill_at(command: &mut Command, moment: Duration) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The paths of all files below a directory.
fn listing(directory: &Path) -> BTreeSet<PathBuf> {
    let mut todo = vec![directory.to_owned()];
    let mut found = BTreeSet::new();
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            } else {
                found.insert(entry.path());
            }
        }
    }
    found
}

fn remove(directory: &Path) {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => panic!("cannot remove {}: {e}", directory.display()),
        _ => {}
    }
}
