//! Opening directories below a root.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
};

use image_overlay::{LayerPath, Resolution, Root};
use rustix::fs::fstat;
use tempfile::TempDir;

fn id(path: &std::path::Path) -> (u64, u64) {
    let meta = fs::metadata(path).unwrap();
    (std::os::unix::fs::MetadataExt::dev(&meta), std::os::unix::fs::MetadataExt::ino(&meta))
}

#[test]
fn the_kernel_is_asked_where_it_can() {
    let dir = TempDir::new().unwrap();
    assert_eq!(Root::open(dir.path()).unwrap().resolution(), Resolution::Kernel);
}

#[test]
fn a_rename_on_the_way_does_not_count_as_links() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("root/d")).unwrap();
    symlink(".", at("root/l")).unwrap();
    let root = Root::open(&at("root")).unwrap();
    let path = LayerPath::parse(["l/".repeat(40), "d".to_owned()].concat().as_bytes()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(at("root"), at("moved")).unwrap();
                fs::rename(at("moved"), at("root")).unwrap();
            }
        });
        let opened = (0..20_000).try_for_each(|_| root.open_dir(&path).map(drop));
        done.store(true, Ordering::Relaxed);
        opened.unwrap();
    });
}

#[test]
fn both_ways_lead_to_the_same_directories() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("root/a/b/c")).unwrap();
    fs::create_dir_all(at("outside/a")).unwrap();
    fs::write(at("root/f"), "").unwrap();
    for (name, target) in [
        ("abs", "/a/b"),
        ("rel", "a/./b//"),
        ("up", "../../../../../a"),
        ("root", "/"),
        ("top", ".."),
        ("a/b/back", "../../a/b/../b/c"),
        ("host", "../outside/a"),
        ("file", "f"),
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("proc", "/proc/self/root"),
        ("chain", "abs/back"),
        ("zigzag", "a/../a/b/c/../../b/c/.."),
    ] {
        symlink(target, at("root").join(name)).unwrap();
    }
    let cases = [
        ("", Some("")),
        ("a", Some("a")),
        ("a/b/c", Some("a/b/c")),
        ("abs/c", Some("a/b/c")),
        ("rel", Some("a/b")),
        ("up/b", Some("a/b")),
        ("root/root/a", Some("a")),
        ("top/a", Some("a")),
        ("a/b/back", Some("a/b/c")),
        ("chain", Some("a/b/c")),
        ("zigzag", Some("a/b")),
        ("host", None),
        ("f", None),
        ("file", None),
        ("f/x", None),
        ("dangling", None),
        ("loop", None),
        ("loop/x", None),
        ("proc", None),
        ("nothing", None),
    ];
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let root = Root::open(&at("root")).unwrap().with_resolution(resolution);
        for (path, expected) in cases {
            let found = root.open_dir(&LayerPath::parse(path.as_bytes()).unwrap()).ok();
            let found = found.map(|fd| fstat(fd).unwrap()).map(|stat| (stat.st_dev, stat.st_ino));
            assert_eq!(found, expected.map(|path| id(&at("root").join(path))), "{path} {resolution:?}");
        }
    }
}

#[test]
fn errors_name_the_path_and_the_reason() {
    let dir = TempDir::new().unwrap();
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let root = Root::open(dir.path()).unwrap().with_resolution(resolution);
        let error = root.open_dir(&LayerPath::parse(b"a/b").unwrap()).unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), "cannot open /a/b");
    }
    assert!(Root::open(&dir.path().join("nothing")).unwrap_err().is_not_found());
}
