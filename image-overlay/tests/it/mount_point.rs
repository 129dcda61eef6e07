//! Places for mounts in a root: where they are, and that no trace of them stays.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    time::{Duration, SystemTime},
};

use image_core::{CancelToken, Ctx};
use image_overlay::{LayerPath, Root};
use test_support::{Tree, temp_dir};

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text.as_bytes()).unwrap()
}

#[test]
fn what_was_made_goes_and_times_come_back() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("etc")).unwrap();
    fs::write(at("etc/passwd"), "root").unwrap();
    symlink("../gone/deep/er", at("etc/resolv.conf")).unwrap();
    symlink("/etc", at("alias")).unwrap();
    for name in ["etc", "."] {
        fs::File::open(at(name)).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::new(5, 7)).unwrap();
    }
    let before = Tree::scan(dir.path());
    let root = Root::open(dir.path()).unwrap();
    let mut points = root.mount_points();
    for (asked, expected) in [("a/b/c", "/a/b/c"), ("alias", "/etc"), ("alias/x", "/etc/x"), ("a/b", "/a/b"), ("", "/")]
    {
        assert_eq!(points.directory(&path(asked)).unwrap().to_string(), expected);
    }
    for (asked, expected) in [
        ("etc/resolv.conf", "/gone/deep/er"),
        ("alias/hosts", "/etc/hosts"),
        ("etc/passwd", "/etc/passwd"),
        ("f/g", "/f/g"),
    ] {
        assert_eq!(points.file(&path(asked)).unwrap().to_string(), expected);
    }
    assert_eq!(fs::metadata(at("a/b/c")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(at("gone/deep/er")).unwrap().mode() & 0o7777, 0o644);
    points.remove().unwrap();
    before.assert_same(&Tree::scan(dir.path()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn what_was_filled_stays() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    let root = Root::open(dir.path()).unwrap();
    let mut points = root.mount_points();
    points.directory(&path("a/b")).unwrap();
    points.keep();
    points.directory(&path("a/c/d")).unwrap();
    points.file(&path("e/f")).unwrap();
    points.file(&path("e/g")).unwrap();
    fs::write(at("a/c/mine"), "").unwrap();
    fs::write(at("e/f"), "mine").unwrap();
    fs::remove_file(at("e/g")).unwrap();
    // Dropping is as removing.
    drop(points);
    let tree = Tree::scan(dir.path());
    let names: Vec<_> = tree.nodes().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    let named = |name: &str| names.iter().any(|other| other.trim_start_matches('/') == name);
    assert!(["a/b", "a/c", "a/c/mine", "e/f"].into_iter().all(named), "{names:?}");
    assert!(!named("a/c/d") && !named("e/g"), "{names:?}");
}

#[test]
fn nothing_is_made_outside() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("root/d")).unwrap();
    fs::create_dir_all(at("outside")).unwrap();
    fs::write(at("root/file"), "").unwrap();
    symlink("../../outside", at("root/up")).unwrap();
    symlink(at("outside"), at("root/abs")).unwrap();
    symlink("loop", at("root/loop")).unwrap();
    symlink("../../outside/f", at("root/f")).unwrap();
    let root = Root::open(&at("root")).unwrap();
    let mut points = root.mount_points();
    points.directory(&path("up/x")).unwrap();
    points.directory(&path("abs/y")).unwrap();
    points.file(&path("f")).unwrap();
    assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 0);
    for (asked, expected) in [("loop", "too many"), ("loop/x", "too many"), ("file/x", "Not a directory"), ("file", "")]
    {
        let failed = points.directory(&path(asked)).unwrap_err();
        let cause = std::error::Error::source(&failed).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{failed} {cause}").to_lowercase().contains(&expected.to_lowercase()), "{failed} {cause}");
    }
    for asked in ["d", "", "loop"] {
        points.file(&path(asked)).unwrap_err();
    }
    points.remove().unwrap();
    assert_eq!(fs::read_dir(at("root")).unwrap().count(), 6);
}

#[test]
fn removing_follows_no_link_at_the_end() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("root/d/e")).unwrap();
    fs::create_dir_all(at("outside")).unwrap();
    fs::write(at("outside/f"), "").unwrap();
    symlink(at("outside"), at("root/d/e/l")).unwrap();
    symlink(at("outside"), at("root/l")).unwrap();
    let root = Root::open(&at("root")).unwrap();
    let cancelled = CancelToken::default();
    cancelled.cancel();
    let ctx = Ctx::default();
    assert!(root.remove(&path("d"), &ctx.clone().with_cancel(cancelled)).unwrap_err().is_cancelled());
    for name in ["d", "l", "none", "none/at/all"] {
        root.remove(&path(name), &ctx).unwrap();
    }
    root.remove(&LayerPath::root(), &ctx).unwrap_err();
    assert_eq!(fs::read_dir(at("root")).unwrap().count(), 0);
    assert!(at("outside/f").exists());
}
