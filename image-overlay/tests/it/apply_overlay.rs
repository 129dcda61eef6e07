//! Layers in the form of overlayfs, against the kernel: mounted, they show what a plain tree has.

use std::{fs, path::PathBuf, process::Command};

use image_core::Ctx;
use image_overlay::{ApplyOptions, OverlayXattrs, Root, apply_layer, apply_overlay_layer};
use proptest::prelude::*;
use tempfile::TempDir;
use test_support::require_root;

use super::{
    apply_model::arb_layers,
    layers::{Item, char_device, dir, file, hard_link, layer, symlink, with},
    on_disk::{causes, full, shape, xattrs},
};

/// Layers applied in both forms, side by side.
struct Stack {
    temp: TempDir,
    layers: usize,
}

impl Stack {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        for name in ["plain", "merged", "empty"] {
            fs::create_dir(temp.path().join(name)).unwrap();
        }
        let stack = Self { temp, layers: 0 };
        // What the form of overlayfs says of a root that no layer names.
        let root = with(dir("."), |metadata| metadata.mtime = image_core::Timestamp::UNIX_EPOCH);
        stack.apply_plain(&[root]).unwrap();
        stack
    }

    fn at(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn layer(&self, number: usize) -> PathBuf {
        self.at(&number.to_string())
    }

    fn apply_plain(&self, items: &[Item]) -> Result<(), String> {
        let root = Root::open(&self.at("plain")).unwrap();
        let applied = apply_layer(&layer(items)[..], &root, &ApplyOptions::default(), &Ctx::default());
        applied.map(drop).map_err(|error| causes(&error))
    }

    fn apply_apart(&mut self, items: &[Item]) -> Result<(), String> {
        let path = self.layer(self.layers);
        fs::create_dir(&path).unwrap();
        let lowers: Vec<_> = (0..self.layers).map(|number| Root::open(&self.layer(number)).unwrap()).collect();
        self.layers += 1;
        let (upper, options) = (Root::open(&path).unwrap(), ApplyOptions::default());
        let applied = apply_overlay_layer(&layer(items)[..], &upper, &lowers, &options, &Ctx::default());
        applied.map(drop).map_err(|error| causes(&error))
    }

    /// Applies a layer in both forms; both succeed or both fail.
    fn apply(&mut self, items: &[Item]) -> Result<(), String> {
        let (plain, apart) = (self.apply_plain(items), self.apply_apart(items));
        assert_eq!(plain.is_ok(), apart.is_ok(), "{plain:?} {apart:?}");
        plain
    }

    /// The layers mounted together; `None` where that is not possible.
    fn mount(&self) -> Option<Mounted> {
        let lowers = (0..self.layers).rev().map(|number| number.to_string()).chain(["empty".to_owned()]);
        let options = format!("lowerdir={}", lowers.collect::<Vec<_>>().join(":"));
        let mut mount = Command::new("mount");
        mount.current_dir(self.temp.path()).args(["-t", "overlay", "none", "-o", &options, "merged"]);
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Mounted(self.at("merged")));
        }
        test_support::skip("may not mount overlayfs");
        None
    }

    /// Panics unless the mounted layers show the plain tree.
    fn assert_agree(&self) {
        let Some(mounted) = self.mount() else { return };
        assert_eq!(full(&self.at("plain")), full(&mounted.0));
        assert_eq!(shape(&self.at("plain")), shape(&mounted.0));
    }
}

/// Unmounts, whatever the test comes to.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn both_forms_agree_with_the_kernel(layers in arb_layers()) {
        if !require_root() {
            return Ok(());
        }
        let mut stack = Stack::new();
        for items in &layers {
            // What is to be refused is refused at the same entry, after which both hold the same part.
            if stack.apply(items).is_err() {
                break;
            }
            let Some(mounted) = stack.mount() else { return Ok(()) };
            prop_assert_eq!(full(&stack.at("plain")), full(&mounted.0));
            prop_assert_eq!(shape(&stack.at("plain")), shape(&mounted.0));
        }
    }
}

/// What is on disk for the last of these layers.
fn on_disk(layers: &[&[Item]]) -> Vec<String> {
    let mut stack = Stack::new();
    for items in layers {
        stack.apply(items).unwrap();
    }
    stack.assert_agree();
    let last = stack.layer(stack.layers - 1);
    let with_marks = |line: String| {
        let name = line.split(' ').next().unwrap();
        let path = last.join(name.trim_end_matches('/'));
        let is_opaque = line.ends_with('/') && xattrs(&path).contains_key(&b"trusted.overlay.opaque"[..]);
        if is_opaque { format!("{line} opaque") } else { line }
    };
    shape(&last).into_iter().map(with_marks).collect()
}

#[test]
fn markers_are_put_where_something_is_to_be_hidden() {
    if !require_root() {
        return;
    }
    let below = &[dir("d"), file("d/x", "1"), file("d/y", "2"), dir("d/e"), file("d/e/z", "3"), file("f", "4")][..];
    let check = |items: &[Item], expected: &[&str]| assert_eq!(on_disk(&[below, items]), expected, "{items:?}");
    check(&[file("d/.wh.x", "")], &["d/", "d/x c 0:0"]);
    check(&[file("d/.wh.none", ""), file("none/.wh.x", ""), file("none/.wh..wh..opq", "")], &["d/"]);
    check(&[file(".wh.d", "")], &["d c 0:0"]);
    check(&[file(".wh.d", ""), file("d/new", "")], &["d/ opaque", "d/new = "]);
    check(&[file("d/new", ""), file(".wh.d", "")], &["d/ opaque", "d/new = "]);
    check(&[file("d/.wh..wh..opq", "")], &["d/ opaque"]);
    check(&[file("d/.wh.x", ""), file("d/.wh..wh..opq", "")], &["d/ opaque"]);
    check(&[file("d/.wh.x", ""), file(".wh.d", "")], &["d c 0:0"]);
    check(&[file("d/e/.wh.z", ""), file("d/n", ""), file(".wh.d", "")], &["d/ opaque", "d/n = "]);
    check(&[file(".wh.d", ""), file("d", "")], &["d = "]);
    check(&[file("d", ""), dir("d")], &["d/ opaque"]);
    check(&[dir("f")], &["f/"]);
    check(&[file("f/new", "")], &["f/", "f/new = "]);
    // Overlayfs obeys no mark on the root.
    check(&[file("d/new", ""), file(".wh..wh..opq", "")], &["d/ opaque", "d/new = ", "f c 0:0"]);
    check(&[file(".wh..wh..opq", ""), dir("d"), dir("f")], &["d/ opaque", "f/"]);
}

#[test]
fn the_base_layer_has_no_markers() {
    if !require_root() {
        return;
    }
    let items = [file("d/.wh.x", ""), file("d/.wh..wh..opq", ""), file(".wh.d", ""), file("d/y", "")];
    assert_eq!(on_disk(&[&items]), ["d/", "d/y = "]);
}

#[test]
fn paths_through_links_of_lower_layers_lead_where_they_lead_below() {
    if !require_root() {
        return;
    }
    let below =
        &[dir("usr"), dir("usr/lib"), file("usr/lib/a", ""), symlink("lib", "usr/lib"), symlink("up", "/..")][..];
    let check = |items: &[Item], expected: &[&str]| assert_eq!(on_disk(&[below, items]), expected, "{items:?}");
    check(&[file("lib/b", "")], &["usr/", "usr/lib/", "usr/lib/b = "]);
    check(&[file("lib/.wh.a", "")], &["usr/", "usr/lib/", "usr/lib/a c 0:0"]);
    check(
        &[dir("lib/d"), file("lib/d/e", ""), dir("lib"), file("lib/d/f", "")],
        &["lib/", "lib/d/", "lib/d/f = ", "usr/", "usr/lib/", "usr/lib/d/", "usr/lib/d/e = "],
    );
    check(&[file("up/up/lib/b", "")], &["usr/", "usr/lib/", "usr/lib/b = "]);
    // A link of the same layer, which goes for what its path leads to.
    check(&[symlink("usr", "/"), dir("usr/usr")], &["usr/ opaque"]);
    check(&[symlink("usr", "."), dir("usr/usr/usr")], &["usr/ opaque"]);
}

#[test]
fn a_file_stays_one_file_with_all_its_names() {
    if !require_root() {
        return;
    }
    let base =
        &[with(dir("d"), |m| m.mode = 0o700), file("d/a", "1"), hard_link("d/b", "d/a"), hard_link("c", "d/a")][..];
    let check = |items: &[Item], expected: &[&str]| assert_eq!(on_disk(&[base, items]), expected, "{items:?}");
    check(&[hard_link("n", "d/a")], &["c = 1", "d/", "d/a = 1 (also c)", "d/b = 1 (also c)", "n = 1 (also c)"]);
    check(
        &[hard_link("n", "d/a"), file(".wh.c", ""), file("d/.wh.a", "")],
        &["c c 0:0", "d/", "d/a c 0:0", "d/b = 1", "n = 1 (also d/b)"],
    );
    check(
        &[hard_link("n", "d/a"), file("n", "2"), file("d/a", "3")],
        // The layer has no name of it left: those of the lower layer go on as they are.
        &["d/", "d/a = 3", "n = 2"],
    );
    check(
        &[symlink("l", "d"), hard_link("n", "l/b"), file(".wh.d", "")],
        &["c = 1", "d c 0:0", "l -> d", "n = 1 (also c)"],
    );
    let middle = &[file("c", "4"), symlink("s", "x")][..];
    let link = &[hard_link("m", "s"), hard_link("n", "d/b")][..];
    assert_eq!(
        on_disk(&[base, middle, link]),
        ["d/", "d/a = 1", "d/b = 1 (also d/a)", "m -> x", "n = 1 (also d/a)", "s -> x (also m)",]
    );
}

#[test]
fn links_by_two_names_of_a_lower_file_are_of_one_file() {
    if !require_root() {
        return;
    }
    for first in [symlink("l", "a"), file("l", "1")] {
        let link = &[hard_link("c", "l"), hard_link("a", "b")][..];
        let on_disk = on_disk(&[&[first], &[hard_link("b", "l")], link]);
        assert_eq!(on_disk.len(), 4, "{on_disk:?}");
        assert!(on_disk[1..].iter().all(|line| line.ends_with(" (also a)")), "{on_disk:?}");
    }
}

#[test]
fn nothing_in_a_layer_is_a_command_to_overlayfs() {
    if !require_root() {
        return;
    }
    let mut stack = Stack::new();
    let opaque = |item| {
        with(item, |m| {
            *m = m.clone().with_xattr("trusted.overlay.opaque", "y").with_xattr("user.overlay.redirect", "/x")
        })
    };
    stack.apply(&[dir("d"), file("d/f", "")]).unwrap();
    stack.apply_apart(&[opaque(dir("d"))]).unwrap();
    let found = xattrs(&stack.layer(1).join("d"));
    let names: Vec<_> = found.keys().map(|name| name.escape_ascii().to_string()).collect();
    assert_eq!(names, ["trusted.overlay.overlay.opaque", "user.overlay.overlay.redirect"]);
    if let Some(mounted) = stack.mount() {
        assert!(mounted.0.join("d/f").exists());
    }
    // Such a directory keeps its attributes when it comes up.
    stack.apply_apart(&[file("d/new", "")]).unwrap();
    assert_eq!(xattrs(&stack.layer(2).join("d")), found);
    let error = stack.apply_apart(&[char_device("d/f", 0, 0)]).unwrap_err();
    assert!(error.contains("0:0") && error.contains("d/f"), "{error}");
    // In a plain tree it is a device.
    stack.apply_plain(&[char_device("d/f", 0, 0)]).unwrap();
}

#[test]
fn the_attributes_that_mounts_of_users_obey_are_written_on_demand() {
    let temp = TempDir::new().unwrap();
    let at = |name: &str| temp.path().join(name);
    fs::create_dir(at("lower")).unwrap();
    fs::create_dir(at("upper")).unwrap();
    let (lower, upper) = ([Root::open(&at("lower")).unwrap()], Root::open(&at("upper")).unwrap());
    let options = ApplyOptions::default().with_overlay_xattrs(OverlayXattrs::User);
    let apply = |items: &[Item], upper: &Root, lowers: &[Root]| {
        apply_overlay_layer(&layer(items)[..], upper, lowers, &options, &Ctx::default()).map(drop)
    };
    apply(&[dir("d"), file("d/f", "")], &lower[0], &[]).unwrap();
    apply(&[file("d/.wh..wh..opq", "")], &upper, &lower).unwrap();
    assert_eq!(xattrs(&at("upper/d")).into_keys().collect::<Vec<_>>(), [b"user.overlay.opaque"]);
    let error = apply(&[], &upper, &lower).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}
