//! What is known of a directory's files from before.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, thread, time::Duration};

use image_core::{Ctx, Digest, MemoryBlobStore};
use image_overlay::{DirSource, ImageSource, KnownFiles, Root, TreeSource};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use test_support::{TreeBuilder, require_root, temp_dir};

use super::{
    edits::{Edit, arb_edits},
    trees::{Spec, arb_trees, empty, image, lines, pack, scan},
};

/// An image of what a directory holds.
fn image_of(path: &Path) -> ImageSource {
    let store = MemoryBlobStore::default();
    image(&store, &[&pack(&empty(), &scan(path), &store)])
}

/// How old a file has to be to be known.
const AGE: Duration = Duration::from_millis(150);

/// How many trees wait for that together.
const TOGETHER: u16 = 20;

/// Has the file `young` changed now.
fn touch_young(path: &Path) {
    fs::set_permissions(path.join("young"), fs::Permissions::from_mode(0o644)).unwrap();
}

/// Lets so much time pass that what is there is old, but for the file `young`.
fn let_time_pass(path: &Path) {
    thread::sleep(AGE);
    touch_young(path);
}

fn known(tree: &ImageSource, path: &Path) -> KnownFiles {
    let known = KnownFiles::of_copy(tree, &scan(path), &Ctx::default()).unwrap();
    let mut bytes = Vec::new();
    known.write(&mut bytes).unwrap();
    assert_eq!(KnownFiles::read(&*bytes).unwrap(), known);
    known
}

fn rescan(path: &Path, known: KnownFiles) -> DirSource {
    DirSource::scan_known(Root::open(path).unwrap(), known, &Ctx::default()).unwrap()
}

/// Files by name, and whether their digests are known.
fn is_known(path: &Path, known: &KnownFiles, names: &[&str]) -> Vec<bool> {
    let source = rescan(path, known.clone());
    let file = |name: &&str| source.tree().root().child(name.as_bytes()).unwrap().id();
    names.iter().map(|name| source.known_digest(file(name)).is_some()).collect()
}

/// An edit is seen whether or not it was known what was there before.
#[test]
fn no_edit_is_lost() {
    if !require_root() {
        return;
    }
    let config = ProptestConfig::default();
    let cases = config.cases.div_ceil(TOGETHER.into());
    let mut runner = TestRunner::new(ProptestConfig { cases, ..config });
    let result = runner.run(&vec((arb_trees(), arb_edits()), usize::from(TOGETHER)), |cases| {
        let make = |((tree, _), _): &((Spec, Spec), Vec<_>)| {
            let dir = temp_dir();
            tree.write(dir.path());
            fs::write(dir.path().join("young"), "x").unwrap();
            let lower = image_of(dir.path());
            (dir, lower)
        };
        let made: Vec<_> = cases.iter().map(make).collect();
        thread::sleep(AGE);
        for ((dir, lower), (_, edits)) in made.iter().zip(&cases) {
            touch_young(dir.path());
            let known = known(lower, dir.path());
            edits.iter().for_each(|(path, edit)| edit.carry_out(dir.path(), path));
            let upper = scan(dir.path());
            prop_assert_eq!(lines(lower, &rescan(dir.path(), known)), lines(lower, &upper));
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn files_are_known_until_they_change() {
    let dir = temp_dir();
    let tree = TreeBuilder::new().dir("", 0o755).file("old", "one", 0o644).file("edited", "two", 0o644).dir("d", 0o755);
    let tree = tree.file("moved", "three", 0o644).file("young", "x", 0o644).file("empty", "", 0o644).mtime(1000, 0);
    tree.write_to(dir.path());
    let lower = image_of(dir.path());
    let_time_pass(dir.path());
    let known = known(&lower, dir.path());
    let names = ["old", "edited", "moved", "young", "empty"];
    // Whatever changes in this moment would not show in `young`.
    assert_eq!(is_known(dir.path(), &known, &names), [true, true, true, false, true]);
    assert_eq!((known.len(), known.is_empty()), (4, false));

    Edit::Rewrite.carry_out(dir.path(), "edited");
    // What comes into the place of a file is another inode, whatever it looks like.
    let beside = temp_dir();
    TreeBuilder::new().dir("", 0o755).file("moved", "other", 0o644).mtime(1000, 0).write_to(beside.path());
    fs::copy(beside.path().join("moved"), dir.path().join("new")).unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("moved")).unwrap();
    assert_eq!(is_known(dir.path(), &known, &names), [true, false, false, false, true]);

    let old = rescan(dir.path(), known);
    let file = old.tree().root().child(b"old").unwrap().id();
    assert_eq!(old.known_digest(file).map(Digest::from_sha256), Some(Digest::sha256_of(b"one")));
}

/// What was edited before anybody looked is not what the image has.
#[test]
fn a_file_of_another_time_is_not_a_copy() {
    let dir = temp_dir();
    let tree = TreeBuilder::new().dir("", 0o755).file("kept", "one", 0o644).file("edited", "two", 0o644);
    tree.file("young", "x", 0o644).mtime(1000, 0).write_to(dir.path());
    let lower = image_of(dir.path());
    fs::write(dir.path().join("edited"), "owt").unwrap();
    let_time_pass(dir.path());
    let known = known(&lower, dir.path());
    assert_eq!(is_known(dir.path(), &known, &["kept", "edited"]), [true, false]);
}

/// A digest goes with the file, not with its place.
#[test]
fn directories_that_change_places_are_seen() {
    let dir = temp_dir();
    let tree = TreeBuilder::new().dir("", 0o755).dir("a", 0o755).file("a/f", "one", 0o644).dir("b", 0o755);
    tree.file("b/f", "two", 0o644).file("young", "x", 0o644).mtime(1000, 0).write_to(dir.path());
    let lower = image_of(dir.path());
    let_time_pass(dir.path());
    let known = known(&lower, dir.path());
    for (from, to) in [("a", "c"), ("b", "a"), ("c", "b")] {
        fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
    }
    let upper = rescan(dir.path(), known);
    assert_eq!(lines(&lower, &upper), ["C /", "C /a", "C /a/f", "C /b", "C /b/f"]);
}

#[test]
fn what_is_no_such_file_is_refused() {
    let dir = temp_dir();
    let tree = TreeBuilder::new().dir("", 0o755).file("a", "one", 0o644).file("b", "two", 0o644);
    tree.file("young", "x", 0o644).write_to(dir.path());
    let lower = image_of(dir.path());
    let_time_pass(dir.path());
    let mut bytes = Vec::new();
    known(&lower, dir.path()).write(&mut bytes).unwrap();
    for end in 0..bytes.len() {
        assert!(KnownFiles::read(&bytes[..end]).unwrap_err().is_corrupt(), "{end}");
    }
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(KnownFiles::read(&*changed).unwrap_err().is_corrupt(), "{place}");
    }
    bytes.push(0);
    assert!(KnownFiles::read(&*bytes).unwrap_err().is_corrupt());
    // It says that there is more than anybody has, and has none of it.
    let mut many = b"image-overlay known 1\n".to_vec();
    many.extend(u64::MAX.to_be_bytes());
    assert!(KnownFiles::read(&*many).unwrap_err().to_string().contains("too many"));
}
