//! Changes between trees.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use image_core::{Ctx, MemoryBlobStore, Timestamp};
use image_overlay::{Comparison, DiffOptions, DirSource, PackOptions, TreeSource, diff};
use proptest::prelude::*;
use test_support::{TreeBuilder, require_root, require_tool, temp_dir, tool};

use super::{
    on_disk::causes,
    trees::{apply, arb_trees, changes, empty, image, lines, pack, said, scan},
};

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// What a diff says, laid over the lower tree, makes the upper tree, whatever the trees are made of.
    #[test]
    fn the_lower_tree_and_the_changes_make_the_upper_tree((lower, upper) in arb_trees()) {
        if !require_root() {
            return Ok(());
        }
        let (a, b) = (temp_dir(), temp_dir());
        lower.write(a.path());
        upper.write(b.path());
        let store = MemoryBlobStore::default();
        let (on_a, on_b) = (scan(a.path()), scan(b.path()));
        let (base, whole) = (pack(&empty(), &on_a, &store), pack(&empty(), &on_b, &store));
        let (in_a, in_b) = (image(&store, &[&base]), image(&store, &[&whole]));

        let layer = pack(&on_a, &on_b, &store);
        prop_assert_eq!(&pack(&on_a, &in_b, &store).diff_id, &layer.diff_id);
        prop_assert_eq!(&pack(&in_a, &on_b, &store).diff_id, &layer.diff_id);
        prop_assert_eq!(&pack(&in_a, &in_b, &store).diff_id, &layer.diff_id);
        prop_assert_eq!(lines(&image(&store, &[&base, &layer]), &on_b), Vec::<String>::new());

        apply(&store, &layer, a.path());
        said(a.path()).assert_same(&said(b.path()));
        prop_assert_eq!(lines(&scan(a.path()), &on_b), Vec::<String>::new());
    }

    /// A tree that was made of a layer makes the same layer.
    #[test]
    fn packing_is_stable((tree, _) in arb_trees()) {
        if !require_root() {
            return Ok(());
        }
        let (a, b) = (temp_dir(), temp_dir());
        tree.write(a.path());
        let store = MemoryBlobStore::default();
        let layer = pack(&empty(), &scan(a.path()), &store);
        apply(&store, &layer, b.path());
        let again = pack(&empty(), &scan(b.path()), &store);
        prop_assert_eq!((again.diff_id, again.descriptor), (layer.diff_id, layer.descriptor));
    }
}

/// The changes from one tree to another.
fn check(lower: &TreeBuilder, upper: &TreeBuilder, expected: &[&str]) {
    let (a, b) = (temp_dir(), temp_dir());
    lower.write_to(a.path());
    upper.write_to(b.path());
    assert_eq!(lines(&scan(a.path()), &scan(b.path())), expected, "from {lower:#?} to {upper:#?}");
}

fn tree() -> TreeBuilder {
    TreeBuilder::new().dir("", 0o755)
}

#[test]
fn equal_trees_have_no_changes() {
    let full =
        || tree().dir("d", 0o700).file("d/f", "x", 0o600).hard_link("g", "d/f").symlink("l", "d").fifo("p", 0o644);
    check(&tree(), &tree(), &[]);
    check(&full(), &full(), &[]);
    check(&full(), &full().dir("d", 0o700).mtime(5, 0), &[]);
}

#[test]
fn each_attribute_counts() {
    let file = || tree().file("f", "x", 0o644);
    for changed in [
        file().mtime(5, 0),
        tree().file("f", "y", 0o644),
        tree().file("f", "xy", 0o644),
        tree().file("f", "x", 0o4644),
        tree().symlink("f", "x"),
        tree().fifo("f", 0o644),
        tree().dir("f", 0o644),
    ] {
        check(&file(), &changed, &["C /", "C /f"]);
    }
    check(&tree().symlink("f", "x"), &tree().symlink("f", "y"), &["C /", "C /f"]);
    check(&tree(), &TreeBuilder::new().dir("", 0o700), &["C /"]);
    if require_root() {
        check(&file(), &file().owner(1, 0), &["C /", "C /f"]);
        check(&file(), &file().owner(0, 1), &["C /", "C /f"]);
        check(&file(), &file().xattr("trusted.x", "v"), &["C /", "C /f"]);
        check(&file().xattr("trusted.x", "v"), &file().xattr("trusted.x", "w"), &["C /", "C /f"]);
        check(&tree().char_device("f", 0o600, 1, 3), &tree().char_device("f", 0o600, 1, 5), &["C /", "C /f"]);
        check(&tree().char_device("f", 0o600, 1, 3), &tree().block_device("f", 0o600, 1, 3), &["C /", "C /f"]);
    }
}

#[test]
fn the_last_of_many_extended_attributes_counts() {
    if !require_root() {
        return;
    }
    let file = |last: &str| {
        let name = |number: u32| format!("trusted.{}{number}", "x".repeat(40));
        let file = (0..30).fold(tree().file("f", "x", 0o644), |file, number| file.xattr(name(number), "v"));
        file.xattr("trusted.y", last)
    };
    check(&file("v"), &file("v"), &[]);
    check(&file("v"), &file("w"), &["C /", "C /f"]);
}

/// Runs a program for which `listxattrat` does not exist.
const WITHOUT_LISTXATTRAT: &str = "
import ctypes, os, struct, sys
# Load the call's number; if it is 465, say ENOSYS; else allow it.
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 465), (6, 0, 0, 0x50000 | 38), (6, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *each) for each in code))
program = ctypes.create_string_buffer(struct.pack('HP', 4, ctypes.addressof(code)))
libc = ctypes.CDLL(None)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_void_p] * 4
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.addressof(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
";

/// As before Linux 6.13, and in sandboxes that are older than it.
#[test]
fn extended_attributes_count_where_the_kernel_does_not_list_them_by_directory() {
    if !require_root() || !require_tool("python3") {
        return;
    }
    for test in ["diff::each_attribute_counts", "diff::the_last_of_many_extended_attributes_counts"] {
        let mut without = Command::new("python3");
        without.args(["-c", WITHOUT_LISTXATTRAT]).arg(std::env::current_exe().unwrap()).args(["--exact", test]);
        assert!(tool::run(&mut without).contains("1 passed"), "{test}");
    }
}

#[test]
fn what_is_not_of_the_file_does_not_count() {
    if !require_root() {
        return;
    }
    let file = || tree().file("f", "x", 0o644);
    check(&file(), &file().xattr("trusted.overlay.origin", "v"), &[]);
}

#[test]
fn what_goes_is_named_once_and_before_what_stays() {
    let lower = tree().file("a", "x", 0o644).file("d/e/f", "x", 0o644).file("d/g", "x", 0o644).file("z", "x", 0o644);
    check(&lower, &tree().file("a", "x", 0o644).file("z", "y", 0o644), &["C /", "D /d", "C /z"]);
    // A directory that becomes something else is not deleted, nor is what was in it.
    check(&lower, &tree().file("a", "x", 0o644).file("d", "x", 0o644).file("z", "x", 0o644), &["C /", "C /d"]);
    check(&tree().file("d", "x", 0o644), &tree().file("d/e/f", "x", 0o644), &["C /", "C /d", "A /d/e", "A /d/e/f"]);
}

#[test]
fn a_directory_comes_with_a_change_below_it() {
    let lower = || tree().dir("a", 0o755).file("a/b/c", "x", 0o644).file("a/d/e", "x", 0o644);
    check(&lower(), &lower().file("a/b/c", "y", 0o644), &["C /", "C /a", "C /a/b", "C /a/b/c"]);
    check(&lower(), &lower().dir("a", 0o700), &["C /", "C /a"]);
}

#[test]
fn names_of_one_file_stay_together() {
    let apart = tree().file("a", "x", 0o644).file("b", "x", 0o644).file("c", "x", 0o644);
    let pair = tree().file("a", "x", 0o644).hard_link("b", "a").file("c", "x", 0o644);
    let all = tree().file("a", "x", 0o644).hard_link("b", "a").hard_link("c", "a");
    check(&apart, &pair, &["C /", "C /a", "C /b = /a"]);
    check(&pair, &all, &["C /", "C /a", "C /b = /a", "C /c = /a"]);
    // The first name goes on being the lower file, and the others leave it.
    check(&pair, &apart, &["C /", "C /b"]);
    check(&all, &pair, &["C /", "C /c"]);
    let rest = tree().file("b", "x", 0o644).hard_link("c", "b");
    check(&all, &rest, &["C /", "D /a"]);
    // A change of one is a change of all.
    let edited = tree().file("a", "y", 0o644).hard_link("b", "a").hard_link("c", "a");
    check(&all, &edited, &["C /", "C /a", "C /b = /a", "C /c = /a"]);
}

fn set_mtime(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn scan_lines(lower: &DirSource, upper: &DirSource, options: &DiffOptions) -> usize {
    diff(lower, upper, options, &Ctx::default()).unwrap().len()
}

#[test]
fn an_edit_of_the_same_size_in_the_same_second_is_seen() {
    for nanoseconds in [0, 500] {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, nanoseconds);
        let (a, b) = (temp_dir(), temp_dir());
        for (dir, content) in [(&a, "one"), (&b, "two")] {
            let file = dir.path().join("f");
            fs::write(&file, content).unwrap();
            set_mtime(&file, time);
        }
        let now = Ctx::default().now();
        for baseline in [None, Some(now), Some(Timestamp::UNIX_EPOCH)] {
            let options = DiffOptions::default().with_baseline(baseline);
            assert_eq!(scan_lines(&scan(a.path()), &scan(b.path()), &options), 2, "{nanoseconds} {baseline:?}");
        }
    }
}

#[test]
fn an_edit_in_place_between_two_scans_is_seen() {
    let dir = temp_dir();
    let file = dir.path().join("f");
    fs::write(&file, "one").unwrap();
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let before = scan(dir.path());
    assert_eq!(scan_lines(&before, &scan(dir.path()), &DiffOptions::default()), 0);
    std::thread::sleep(Duration::from_millis(30));
    fs::write(&file, "two").unwrap();
    set_mtime(&file, time);
    for comparison in [Comparison::WhereUncertain, Comparison::Content] {
        let options = DiffOptions::default().with_comparison(comparison);
        assert_eq!(scan_lines(&before, &scan(dir.path()), &options), 2);
    }
}

/// Only what nobody touched since the baseline is taken for the same unread.
#[test]
fn content_is_not_read_where_the_inode_is_older_than_the_baseline() {
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 500);
    let (a, b) = (temp_dir(), temp_dir());
    for (dir, content) in [(&a, "one"), (&b, "two")] {
        fs::write(dir.path().join("f"), content).unwrap();
        set_mtime(&dir.path().join("f"), time);
    }
    let later = Timestamp::from_seconds(Ctx::default().now().seconds() + 60);
    let options = DiffOptions::default().with_baseline(Some(later));
    assert_eq!(scan_lines(&scan(a.path()), &scan(b.path()), &options), 0);
    let options = options.with_comparison(Comparison::Content);
    assert_eq!(scan_lines(&scan(a.path()), &scan(b.path()), &options), 2);
}

#[test]
fn a_file_that_was_replaced_since_the_scan_is_not_packed() {
    let dir = temp_dir();
    fs::write(dir.path().join("f"), "one").unwrap();
    let (below, above) = (empty(), scan(dir.path()));
    fs::write(dir.path().join("g"), "two").unwrap();
    fs::rename(dir.path().join("g"), dir.path().join("f")).unwrap();
    let store = MemoryBlobStore::default();
    let packed = changes(&below, &above).pack(&store, PackOptions::default(), &Ctx::default());
    let text = causes(&packed.unwrap_err());
    assert!(text.contains("open /f"), "{text}");
}

#[test]
fn a_name_of_a_whiteout_is_not_packed() {
    let dir = temp_dir();
    fs::write(dir.path().join(".wh.f"), "").unwrap();
    let (below, above) = (empty(), scan(dir.path()));
    let packed = changes(&below, &above).pack(&MemoryBlobStore::default(), PackOptions::default(), &Ctx::default());
    assert!(causes(&packed.unwrap_err()).contains("/.wh.f"));
}

#[test]
fn a_socket_is_left_out() {
    let dir = temp_dir();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
    assert_eq!(scan(dir.path()).tree().len(), 1);
}

#[test]
fn names_of_any_bytes_and_deep_paths_are_scanned() {
    let (a, b) = (temp_dir(), temp_dir());
    let deep = vec!["d"; 1500].join("/");
    let mut tree = tree().file(b"\xff\n.wh".as_slice(), "x", 0o644).file([b'n'; 255], "y", 0o644);
    tree = tree.file(format!("{}/f", vec!["e".repeat(200); 10].join("/")), "z", 0o644);
    tree.write_to(a.path());
    fs::create_dir_all(a.path().join(deep)).unwrap();
    let store = MemoryBlobStore::default();
    let layer = pack(&empty(), &scan(a.path()), &store);
    apply(&store, &layer, b.path());
    said(a.path()).assert_same(&said(b.path()));
    assert!(scan(b.path()).tree().len() > 1500);
}
