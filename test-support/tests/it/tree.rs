//! Trees come back as they were made, and every difference shows.

use std::fs;

use test_support::{Tree, TreeBuilder, TreeOptions, require_root, temp_dir, unprivileged};

fn scan(builder: &TreeBuilder) -> Tree {
    let dir = temp_dir();
    builder.write_to(dir.path());
    Tree::scan_with(dir.path(), TreeOptions::default().without_owners())
}

fn base() -> TreeBuilder {
    TreeBuilder::new()
        .dir("", 0o755)
        .dir("d", 0o2750)
        .mtime(-5, 7)
        .file("d/f", b"content", 0o4711)
        .hard_link("d/g", "d/f")
        .symlink("l", "d/../nowhere")
        .mtime(5, 0)
        .fifo("p", 0o600)
        .file(b"\xff\n", b"", 0o000)
        .xattr("user.a", b"\x00b")
}

#[test]
fn a_tree_comes_back_as_it_was_made() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let content = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    let now = "1577836800.000000000";
    let expected = [
        format!("/: directory, mode 0755, mtime {now}"),
        "d: directory, mode 2750, mtime -5.000000007".to_owned(),
        format!("d/f: file of 7 bytes, sha256 {content}, mode 4711, mtime {now}, hard link of d/f"),
        format!("d/g: file of 7 bytes, sha256 {content}, mode 4711, mtime {now}, hard link of d/f"),
        "l: link to d/../nowhere, mtime 5.000000000".to_owned(),
        format!("p: fifo, mode 0600, mtime {now}"),
        format!("\\xff\\n: file of 0 bytes, sha256 {empty}, mode 0000, mtime {now}, xattrs {{user.a=\"\\\\x00b\"}}"),
    ];
    if !require_root() {
        return; // A file of mode 0000 is read by root alone.
    }
    assert_eq!(scan(&base()).to_string().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn every_difference_shows() {
    let left = || TreeBuilder::new().dir("", 0o755).file("f", b"1", 0o644);
    let f = "file of 1 bytes, sha256 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
    let check = |right: TreeBuilder, expected: &[String]| {
        assert_eq!(scan(&left()).diff(&scan(&right)), expected);
        assert_eq!(scan(&left()) == scan(&right), expected.is_empty());
    };
    let root = || TreeBuilder::new().dir("", 0o755);
    check(left(), &[]);
    check(root().file("f", b"1", 0o600), &["f: mode 0644, not 0600".to_owned()]);
    check(left().mtime(5, 1), &["f: mtime 1577836800.000000000, not 5.000000001".to_owned()]);
    check(left().xattr("user.x", b"1"), &["f: xattrs {}, not {user.x=\"1\"}".to_owned()]);
    check(root().dir("f", 0o644), &[format!("f: {f}, not directory")]);
    check(root(), &[format!("f: not in the other: {f}, mode 0644, mtime 1577836800.000000000")]);
    check(
        left().dir("g", 0o700),
        &["g: only in the other: directory, mode 0700, mtime 1577836800.000000000".to_owned()],
    );
    check(
        left().hard_link("g", "f"),
        &[
            "f: hard link of -, not f".to_owned(),
            format!("g: only in the other: {f}, mode 0644, mtime 1577836800.000000000, hard link of f"),
        ],
    );
}

#[test]
fn owners_and_devices_show_as_root() {
    if !require_root() {
        return;
    }
    let dir = temp_dir();
    TreeBuilder::new()
        .char_device("c", 0o600, 1, 3)
        .owner(1, 2)
        .block_device("b", 0o600, 7, 300)
        .owner(3, 4)
        .symlink("l", "c")
        .owner(5, 6)
        .write_to(dir.path());
    let options = TreeOptions::default().without_mtimes().without_root();
    let expected = "b: block device 7:300, mode 0600, owner 3:4\n\
                    c: character device 1:3, mode 0600, owner 1:2\n\
                    l: link to c, owner 5:6\n";
    assert_eq!(Tree::scan_with(dir.path(), options).to_string(), expected);
}

#[test]
fn what_is_left_out_does_not_differ() {
    let left = TreeBuilder::new().dir("d", 0o755).file("f", b"", 0o644).mtime(5, 1).hard_link("g", "f");
    let right = TreeBuilder::new()
        .dir("d", 0o700)
        .mtime(6, 0)
        .file("f", b"", 0o600)
        .mtime(5, 2)
        .xattr("user.x", b"")
        .file("g", b"", 0o600)
        .mtime(5, 2);
    let (a, b) = (temp_dir(), temp_dir());
    left.write_to(a.path());
    right.write_to(b.path());
    let options = TreeOptions::default().without_root();
    let without = options.without_modes().without_xattrs().without_hard_links().without_directory_mtimes();
    let diff = |options| Tree::scan_with(a.path(), options).diff(&Tree::scan_with(b.path(), options));
    assert_eq!(diff(without.with_whole_seconds()), [""; 0]);
    assert_eq!(diff(without).len(), 2, "f and g by nanoseconds");
    assert_eq!(diff(without.without_mtimes()), [""; 0]);
    assert!(diff(options).len() > 4);
}

#[test]
#[should_panic(expected = "f: only in the other")]
fn different_trees_are_not_the_same() {
    scan(&TreeBuilder::new().dir("", 0o755))
        .assert_same(&scan(&TreeBuilder::new().dir("", 0o755).file("f", b"", 0o644)));
}

#[test]
fn the_unprivileged_are_refused_things() {
    let dir = temp_dir();
    TreeBuilder::new().file("secret", b"", 0o000).write_to(dir.path());
    let denied = unprivileged(|| fs::File::open(dir.path().join("secret")).is_err());
    assert!(denied);
    if require_root() {
        assert!(fs::File::open(dir.path().join("secret")).is_ok(), "only that thread lost its power");
    }
}
