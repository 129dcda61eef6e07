//! Random stacks of layers against the kernel: overlayfs shows the same tree of the same layers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use image_core::Ctx;
use image_overlay::{ApplyOptions, EntryKind, Root, Whiteout, apply_layer};
use proptest::{collection::vec, prelude::*};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use tempfile::TempDir;
use test_support::require_root;

use super::{
    apply_model::arb_item,
    layers::{Item, dir, layer},
    on_disk::full,
};

/// Leaves out what overlayfs has no form for, and gives each entry's parents an entry, since the
/// kernel takes a directory's attributes from the topmost layer that has it in any way.
fn sensible(items: Vec<Item>) -> Vec<Item> {
    let suits = |(entry, _): &Item| {
        let parent = entry.path.parent().unwrap_or_default();
        // Links among the parents lead elsewhere in one layer than in all of them together.
        !parent.components().any(|name| name == b"l") && !matches!(entry.kind, EntryKind::HardLink { .. })
    };
    let items: Vec<_> = items.into_iter().filter(suits).collect();
    let mut all = vec![dir(".")];
    let mut directories = BTreeMap::new();
    for item in items {
        // One path is a directory or something else throughout a layer: what it was first has had its effect.
        let mut paths = item.0.path.ancestors().map(|path| (path, true)).collect::<Vec<_>>();
        paths.push((item.0.path.clone(), item.0.kind.is_directory()));
        if paths.iter().any(|(path, is_dir)| directories.get(path).is_some_and(|before| before != is_dir)) {
            continue;
        }
        directories.extend(paths);
        let mut parents: Vec<_> = item.0.path.ancestors().filter(|path| !path.is_root()).collect();
        parents.reverse();
        all.extend(parents.iter().map(|path| dir(path.as_bytes())));
        all.push(item);
    }
    all
}

/// One layer in overlayfs's form.
fn write_lower(items: &[Item], path: &Path) {
    fs::create_dir(path).unwrap();
    let marker = |(entry, _): &Item| Whiteout::classify(&entry.path).unwrap();
    let entries: Vec<_> = items.iter().filter(|item| marker(item).is_none()).cloned().collect();
    apply(&entries, path);
    for item in items {
        let (target, hides_itself) = match marker(item) {
            Some(Whiteout::Plain { target }) => (target, true),
            Some(Whiteout::Opaque { dir }) => (dir, false),
            _ => continue,
        };
        let on_disk = path.join(std::str::from_utf8(target.as_bytes()).unwrap());
        match fs::symlink_metadata(&on_disk) {
            Ok(meta) if meta.is_dir() => {
                rustix::fs::setxattr(&on_disk, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
            }
            // Stands for itself; a directory that is a file by now has nothing to hide.
            Ok(_) => {}
            Err(_) if hides_itself => {
                if on_disk.parent().is_some_and(Path::is_dir) {
                    rustix::fs::mknodat(CWD, &on_disk, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
                }
            }
            Err(_) => {}
        }
    }
    // The whiteouts have changed the times of their directories.
    let dirs = entries.iter().filter(|(entry, _)| entry.kind.is_directory());
    for (entry, _) in dirs {
        let on_disk = path.join(std::str::from_utf8(entry.path.as_bytes()).unwrap());
        if fs::symlink_metadata(&on_disk).is_ok_and(|meta| meta.is_dir()) {
            let time = std::time::SystemTime::UNIX_EPOCH;
            let mtime = entry.metadata.mtime;
            let whole = std::time::Duration::from_secs(mtime.seconds().unsigned_abs());
            let time = if mtime.seconds() < 0 { time - whole } else { time + whole };
            let time = time + std::time::Duration::from_nanos(mtime.nanoseconds().into());
            fs::File::open(&on_disk).unwrap().set_modified(time).unwrap();
        }
    }
}

fn apply(items: &[Item], path: &Path) {
    let root = Root::open(path).unwrap();
    apply_layer(&layer(items)[..], &root, &ApplyOptions::default(), &Ctx::default()).unwrap();
}

/// Unmounts, whatever the test comes to.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn applying_agrees_with_overlayfs(layers in vec(vec(arb_item(), 0..8), 1..5)) {
        if !require_root() {
            return Ok(());
        }
        let temp = TempDir::new().unwrap();
        let at = |name: &str| temp.path().join(name);
        for name in ["plain", "merged", "empty"] {
            fs::create_dir(at(name)).unwrap();
        }
        let mut lowers = vec!["empty".to_owned()];
        for (number, items) in layers.into_iter().enumerate() {
            let items = sensible(items);
            write_lower(&items, &at(&number.to_string()));
            apply(&items, &at("plain"));
            lowers.push(number.to_string());
        }
        lowers.reverse();
        let options = format!("lowerdir={}", lowers.join(":"));
        let mut mount = Command::new("mount");
        mount.current_dir(temp.path()).args(["-t", "overlay", "none", "-o", &options, "merged"]);
        if !mount.status().is_ok_and(|status| status.success()) {
            test_support::skip("may not mount overlayfs");
            return Ok(());
        }
        let mounted = Mounted(at("merged"));
        prop_assert_eq!(full(&at("plain")), full(&mounted.0));
    }
}
