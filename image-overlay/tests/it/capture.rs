//! The tree of an overlay mount, from its upper directory.

use std::{fs, os::unix::net::UnixListener, path::Path, process::Command};

use image_core::{Ctx, MemoryBlobStore};
use image_overlay::{CapturedSource, DirSource, OverlayXattrs, Root, TreeSource, UpperDir};
use proptest::{prelude::*, sample::select};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use test_support::{TreeBuilder, temp_dir};

use super::{
    edits::{Edit, Overlay, arb_edits},
    on_disk::causes,
    trees::{apply, arb_trees, empty, image, lines, pack, said, scan},
};

/// What the library mounts with, and what it understands besides.
const OFF: &str = "redirect_dir=off,metacopy=off,index=off";
const ON: &str = "redirect_dir=on,metacopy=on,index=off";

fn capture<'a, L: TreeSource>(lower: &'a L, upper: &Path, xattrs: OverlayXattrs) -> CapturedSource<'a, L> {
    CapturedSource::new(lower, Root::open(upper).unwrap(), xattrs, &Ctx::default()).unwrap()
}

/// An upper directory, and what it is about of the lower one.
fn needed(lower: &Path, upper: &Path, xattrs: OverlayXattrs) -> (UpperDir, DirSource) {
    let upper = UpperDir::look(Root::open(upper).unwrap(), xattrs, &Ctx::default()).unwrap();
    let lower = upper.scan_lower(Root::open(lower).unwrap(), &Ctx::default()).unwrap();
    (upper, lower)
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// What an upper directory says is what a look at the mount says, and makes the same tree.
    #[test]
    fn capturing_an_edit_is_seeing_it((lower, _) in arb_trees(), edits in arb_edits(), options in select(&[OFF, ON][..])) {
        let Some(overlay) = Overlay::mount(options, |path| lower.write(path)) else { return Ok(()) };
        let store = MemoryBlobStore::default();
        let layer = pack(&empty(), &scan(&overlay.at("lower")), &store);
        let below = image(&store, &[&layer]);
        edits.iter().for_each(|(path, edit)| edit.carry_out(&overlay.at("merged"), path));

        let captured = capture(&below, &overlay.at("upper"), OverlayXattrs::Trusted);
        let seen = scan(&overlay.at("merged"));
        prop_assert_eq!(lines(&below, &captured), lines(&below, &seen));
        let upper = pack(&below, &captured, &store);
        prop_assert_eq!(&upper.diff_id, &pack(&below, &seen, &store).diff_id);
        // Against the lower directory itself, whose times are not cut to seconds.
        let on_disk = scan(&overlay.at("lower"));
        let captured = capture(&on_disk, &overlay.at("upper"), OverlayXattrs::Trusted);
        prop_assert_eq!(lines(&on_disk, &captured), lines(&on_disk, &seen));
        let changed = pack(&on_disk, &captured, &store);
        // Against as much of it as the upper directory is about.
        let (upper_dir, needed) = needed(&overlay.at("lower"), &overlay.at("upper"), OverlayXattrs::Trusted);
        let captured = CapturedSource::over(&needed, upper_dir, &Ctx::default()).unwrap();
        prop_assert_eq!(lines(&needed, &captured), lines(&on_disk, &seen));
        prop_assert_eq!(pack(&needed, &captured, &store).descriptor, changed.descriptor);

        let plain = temp_dir();
        apply(&store, &layer, plain.path());
        apply(&store, &upper, plain.path());
        said(plain.path()).assert_same(&said(&overlay.at("merged")));
    }
}

/// Edits, and the changes they come to.
type Case<'a> = (&'a [(&'a str, Edit)], &'a [&'a str]);

/// What edits of a mount over `a`, `b` (one file), `c` and `d/f` come to.
fn edited(options: &str, edits: &[(&str, Edit)]) -> Option<Vec<String>> {
    let make = |path: &Path| {
        let tree = TreeBuilder::new().dir("", 0o755).dir("d", 0o755).file("d/f", "x", 0o644).mtime(1000, 500);
        tree.file("a", "linked", 0o644).hard_link("b", "a").file("c", "alone", 0o644).mtime(1000, 0).write_to(path);
    };
    let overlay = Overlay::mount(options, make)?;
    edits.iter().for_each(|(path, edit)| edit.carry_out(&overlay.at("merged"), path));
    let below = scan(&overlay.at("lower"));
    Some(lines(&below, &capture(&below, &overlay.at("upper"), OverlayXattrs::Trusted)))
}

#[test]
fn edits_come_out_as_changes() {
    let rename = |to: &str| Edit::Rename(to.to_owned());
    let none: &[&str] = &[];
    let cases: [Case<'_>; 12] = [
        (&[], none),
        // Copied up, and the same still.
        (&[("c", Edit::CopyUp), ("d/f", Edit::CopyUp)], none),
        (&[("c", Edit::Chmod(0o600)), ("c", Edit::Chmod(0o644))], none),
        // Nothing but the content shows it.
        (&[("c", Edit::Rewrite)], &["C /", "C /c"]),
        (&[("d/f", Edit::Rewrite)], &["C /", "C /d", "C /d/f"]),
        (&[("d", Edit::Renew)], &["C /", "C /d", "D /d/f"]),
        (&[("d", Edit::Remove), ("d", Edit::Write("file"))], &["C /", "C /d"]),
        (&[("c", Edit::Remove), ("c", Edit::Mkdir), ("c/new", Edit::Fifo)], &["C /", "C /c", "A /c/new"]),
        (&[("new", Edit::Write("x")), ("new", Edit::Link("other".into()))], &["C /", "A /new", "A /other = /new"]),
        (&[("c", Edit::Link("e".into()))], &["C /", "C /c", "A /e = /c"]),
        // One of two names is a file of its own by now.
        (&[("a", Edit::Append)], &["C /", "C /a"]),
        (&[("c", rename("d/f"))], &["C /", "D /c", "C /d", "C /d/f"]),
    ];
    for (edits, expected) in cases {
        let Some(lines) = edited(OFF, edits) else { return };
        assert_eq!(lines, expected, "{edits:?}");
    }
}

#[test]
fn what_is_elsewhere_is_found() {
    let rename = |to: &str| Edit::Rename(to.to_owned());
    let cases: [Case<'_>; 4] = [
        (&[("d", rename("e"))], &["C /", "D /d", "A /e", "A /e/f"]),
        (&[("n", Edit::Mkdir), ("d", rename("n/e"))], &["C /", "D /d", "A /n", "A /n/e", "A /n/e/f"]),
        (&[("c", Edit::Chmod(0o600))], &["C /", "C /c"]),
        (&[("c", Edit::Chown(1)), ("c", rename("d/g"))], &["C /", "D /c", "C /d", "A /d/g"]),
    ];
    for (edits, expected) in cases {
        let Some(lines) = edited(ON, edits) else { return };
        assert_eq!(lines, expected, "{edits:?}");
    }
}

/// What nobody touched is not looked at, unless it is hidden as a whole or a name of a file that was touched.
#[test]
fn as_much_of_the_lower_directory_is_looked_at_as_is_needed() {
    let make = |path: &Path| {
        let tree = TreeBuilder::new().dir("", 0o755).dir("d", 0o755).file("d/f", "x", 0o644).dir("e", 0o755);
        let tree =
            tree.file("e/g", "x", 0o644).file("a", "linked", 0o644).hard_link("b", "a").file("c", "alone", 0o644);
        tree.mtime(1000, 0).write_to(path);
    };
    let all: &[&str] = &["/", "/a", "/b", "/c", "/d", "/d/f", "/e", "/e/g"];
    let cases: [Case<'_>; 7] = [
        (&[], &["/"]),
        (&[("c", Edit::Append)], &["/", "/c"]),
        (&[("d", Edit::Remove), ("d", Edit::Write("file"))], &["/", "/d"]),
        (&[("d", Edit::Renew)], &["/", "/d", "/d/f"]),
        (&[("e/g", Edit::Chmod(0o600)), ("e/new", Edit::Mkdir)], &["/", "/e", "/e/g"]),
        (&[("a", Edit::Append)], &["/", "/a"]),
        (&[("a", Edit::CopyUp)], all),
    ];
    for (edits, expected) in cases {
        let Some(overlay) = Overlay::mount(OFF, make) else { return };
        edits.iter().for_each(|(path, edit)| edit.carry_out(&overlay.at("merged"), path));
        let (_, needed) = needed(&overlay.at("lower"), &overlay.at("upper"), OverlayXattrs::Trusted);
        let tree = needed.tree();
        let mut found: Vec<_> = tree.walk(tree.root()).map(|node| node.path().to_string()).collect();
        found.sort();
        assert_eq!(found, expected, "{edits:?}");
    }
}

/// A socket cannot be in a layer, and what it hides is gone all the same.
#[test]
fn a_socket_hides_what_was_there() {
    let Some(overlay) = Overlay::mount(OFF, |path| fs::write(path.join("a"), "x").unwrap()) else { return };
    fs::remove_file(overlay.at("merged/a")).unwrap();
    let socket = UnixListener::bind(overlay.at("merged/a")).unwrap();
    let below = scan(&overlay.at("lower"));
    assert_eq!(lines(&below, &capture(&below, &overlay.at("upper"), OverlayXattrs::Trusted)), ["C /", "D /a"]);
    drop(socket);
}

/// An upper directory made by hand, over `a`, `d/f` and `d/g`.
fn captured(make: impl FnOnce(&Path), xattrs: OverlayXattrs) -> Result<Vec<String>, String> {
    let (a, b) = (temp_dir(), temp_dir());
    let tree = || TreeBuilder::new().dir("", 0o755).dir("d", 0o755);
    tree().file("a", "x", 0o644).file("d/f", "x", 0o644).file("d/g", "x", 0o644).write_to(a.path());
    tree().write_to(b.path());
    make(b.path());
    let below = scan(a.path());
    let upper = Root::open(b.path()).unwrap();
    let captured = CapturedSource::new(&below, upper, xattrs, &Ctx::default()).map_err(|error| causes(&error))?;
    let lines = lines(&below, &captured);
    let (upper, needed) = needed(a.path(), b.path(), xattrs);
    let captured = CapturedSource::over(&needed, upper, &Ctx::default()).map_err(|error| causes(&error))?;
    assert_eq!(self::lines(&needed, &captured), lines);
    Ok(lines)
}

fn set(path: impl AsRef<Path>, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path.as_ref(), name, value, XattrFlags::empty()).unwrap();
}

#[test]
fn markers_hide_and_are_not_content() {
    if !test_support::require_root() {
        return;
    }
    let none: Vec<String> = Vec::new();
    let trusted = OverlayXattrs::Trusted;
    assert_eq!(captured(|_| {}, trusted).unwrap(), none);
    let whiteout = |name: &'static str| {
        move |dir: &Path| {
            rustix::fs::mknodat(CWD, dir.join(name), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        }
    };
    assert_eq!(captured(whiteout("d/f"), trusted).unwrap(), ["C /", "C /d", "D /d/f"]);
    // What was never there cannot go.
    assert_eq!(captured(whiteout("d/nothing"), trusted).unwrap(), none);
    let opaque = |name: &'static str| move |dir: &Path| set(dir.join("d"), name, b"y");
    let hidden = ["C /", "C /d", "D /d/f", "D /d/g"];
    assert_eq!(captured(opaque("trusted.overlay.opaque"), trusted).unwrap(), hidden);
    assert_eq!(captured(opaque("user.overlay.opaque"), OverlayXattrs::User).unwrap(), hidden);
    // The other mount's attributes are whatever a process wrote.
    assert_eq!(captured(opaque("user.overlay.opaque"), trusted).unwrap(), none);
    assert_eq!(captured(opaque("trusted.overlay.opaque"), OverlayXattrs::User).unwrap(), none);
    let marked_file = |dir: &Path| {
        fs::write(dir.join("d/f"), "").unwrap();
        set(dir.join("d"), "trusted.overlay.opaque", b"x");
        set(dir.join("d/f"), "trusted.overlay.whiteout", b"y");
    };
    assert_eq!(captured(marked_file, trusted).unwrap(), ["C /", "C /d", "D /d/f"]);
    let bookkeeping = |dir: &Path| {
        for name in ["origin", "impure", "nlink", "uuid", "protattr", "upper"] {
            set(dir.join("d"), &format!("trusted.overlay.{name}"), b"1");
        }
    };
    assert_eq!(captured(bookkeeping, trusted).unwrap(), none);
}

#[test]
fn what_is_nowhere_is_refused() {
    if !test_support::require_root() {
        return;
    }
    for target in ["/old", "old", "/a", "a", "../d", "/../d", "", "/"] {
        let redirect = |dir: &Path| set(dir.join("d"), "trusted.overlay.redirect", target.as_bytes());
        let result = captured(redirect, OverlayXattrs::Trusted);
        if target == "/" {
            // The root is a directory like others.
            result.unwrap();
            continue;
        }
        let error = result.unwrap_err();
        assert!(error.contains("/d: ") && error.contains("redirect_dir"), "{target}: {error}");
    }
    let metacopy = |dir: &Path| {
        fs::write(dir.join("nothing"), "").unwrap();
        set(dir.join("nothing"), "trusted.overlay.metacopy", b"");
    };
    let error = captured(metacopy, OverlayXattrs::Trusted).unwrap_err();
    assert!(error.contains("/nothing: ") && error.contains("metacopy"), "{error}");
}

/// In a user namespace, where the mount's attributes are `user.overlay.*`.
#[test]
fn a_mount_of_a_user_namespace_is_captured() {
    if !test_support::require_tool("unshare") {
        return;
    }
    let temp = temp_dir();
    let script = "mkdir lower lower/d upper work merged && echo x >lower/d/f && echo x >lower/a \
        && mount -t overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work none merged \
        && rm -r merged/d merged/a && mkdir merged/d && echo y >merged/d/g";
    let mut unshare = Command::new("unshare");
    let output = unshare.args(["-Urm", "sh", "-c", script]).current_dir(temp.path()).output().unwrap();
    if !output.status.success() {
        return test_support::skip(&format!(
            "no overlayfs in a user namespace: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let below = scan(&temp.path().join("lower"));
    let captured = capture(&below, &temp.path().join("upper"), OverlayXattrs::User);
    assert_eq!(lines(&below, &captured), ["C /", "D /a", "C /d", "D /d/f", "A /d/g"]);
}
