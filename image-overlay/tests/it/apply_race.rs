//! Applying a layer while another process works against it.

use std::{
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use image_core::{Ctx, Timestamp};
use image_overlay::{Resolution, apply_layer};
use rustix::fs::{Mode, OFlags, RenameFlags};
use test_support::require_root;

use super::{
    layers::{Item, dir, fifo, file, hard_link, layer, symlink, with},
    on_disk::Sandbox,
};

/// Entries that each go through `d`, which is a directory at one moment and a link to the outside at the next.
fn items() -> Vec<Item> {
    let round = |n: usize| {
        [
            file(format!("d/f{n}"), "x"),
            file("d/file", "evil"),
            dir("d/dir"),
            symlink(format!("d/l{n}"), "x"),
            hard_link(format!("d/h{n}"), "d/file"),
            fifo(format!("d/p{n}")),
            file(format!("d/dir/n{n}"), "x"),
            file("d/.wh.dir", ""),
            file(format!("other{n}/f"), "x"),
            file("d/.wh..wh..opq", ""),
        ]
    };
    (0..400).flat_map(round).collect()
}

/// Applies a layer while `d`, a directory with something in it, and a link to the outside change places.
pub(crate) fn race(resolution: Resolution, tar: &[u8]) {
    let sandbox = Sandbox::new().resolving(resolution);
    let target = sandbox.target();
    std::fs::create_dir(target.join("d")).unwrap();
    std::os::unix::fs::symlink("../outside", target.join("e")).unwrap();
    let dir = std::fs::File::open(&target).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Fails where the one or the other was replaced: then both are made anew.
                if rustix::fs::renameat_with(&dir, "d", &dir, "e", RenameFlags::EXCHANGE).is_err() {
                    rustix::fs::mkdirat(&dir, "d", Mode::RWXU).ok();
                    rustix::fs::symlinkat("../outside", &dir, "e").ok();
                }
            }
        });
        // It may fail, and is then tried again from the start.
        for _ in 0..5 {
            drop(apply_layer(tar, &sandbox.root(), &sandbox.options, &Ctx::default()));
            sandbox.assert_untouched();
        }
        stop.store(true, Ordering::Relaxed);
    });
    sandbox.assert_untouched();
}

#[test]
fn exchanging_a_directory_and_a_link_leads_nowhere() {
    let tar = layer(&items());
    race(Resolution::Kernel, &tar);
    race(Resolution::Walk, &tar);
}

/// A pipe of somebody else's, elsewhere, that another process links to where the layer's pipe was just made.
#[test]
fn a_node_that_is_exchanged_for_a_link_to_another_gives_that_nothing() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let elsewhere = tempfile::TempDir::new().unwrap();
    let theirs = elsewhere.path().join("pipe");
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &theirs, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::os::unix::fs::chown(&theirs, Some(1000), Some(1000)).unwrap();
    let dir = std::fs::File::open(sandbox.target()).unwrap();
    let tar = layer(
        &(0..50)
            .map(|_| with(fifo("p"), |m| (m.mode, m.mtime) = (0o4777, Timestamp::from_seconds(7))))
            .collect::<Vec<_>>(),
    );
    let stop = AtomicBool::new(false);
    let before = std::fs::symlink_metadata(&theirs).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::unlinkat(&dir, "p", rustix::fs::AtFlags::empty()).ok();
                rustix::fs::linkat(rustix::fs::CWD, &theirs, &dir, "p", rustix::fs::AtFlags::empty()).ok();
            }
        });
        for _ in 0..200 {
            drop(apply_layer(&tar[..], &sandbox.root(), &sandbox.options, &Ctx::default()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let after = std::fs::symlink_metadata(&theirs).unwrap();
    let told = |meta: &std::fs::Metadata| (meta.mode(), meta.uid(), meta.mtime(), meta.mtime_nsec());
    assert_eq!(told(&after), told(&before));
}

#[test]
fn trees_of_any_depth_are_removed() {
    const DEPTH: usize = 30_000;
    let sandbox = Sandbox::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(sandbox.target(), flags, Mode::empty()).unwrap();
    std::fs::create_dir(sandbox.target().join("deep")).unwrap();
    at = rustix::fs::openat(&at, "deep", flags, Mode::empty()).unwrap();
    for level in 0..DEPTH {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        if level % 1000 == 0 {
            rustix::fs::symlinkat("/", &at, "link").unwrap();
        }
        at = rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap();
    }
    drop(at);
    // On a thread whose stack would not hold a call per level.
    let tar = layer(&[file(".wh.deep", "")]);
    let removed = thread::scope(|scope| {
        let apply = || apply_layer(&tar[..], &sandbox.root(), &sandbox.options, &Ctx::default());
        thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, apply).unwrap().join().unwrap()
    });
    removed.unwrap();
    assert_eq!(std::fs::read_dir(sandbox.target()).unwrap().count(), 0);
}
