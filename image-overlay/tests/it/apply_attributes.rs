//! Owners, modes, times and extended attributes of applied layers.

use std::{
    os::{fd::AsFd, unix::fs::MetadataExt},
    sync::{Arc, Mutex},
};

use image_core::{Ctx, Event, Timestamp};
use image_overlay::{ApplyOptions, Metadata, Ownership, XattrPolicy, apply_layer};
use test_support::{require_root, unprivileged};

use super::{
    layers::{Item, block_device, char_device, dir, fifo, file, hard_link, layer, symlink, with},
    on_disk::{Sandbox, causes, full, xattrs},
};

pub(crate) fn owned(uid: u32, gid: u32, mode: u32) -> impl Fn(&mut Metadata) {
    move |metadata| (metadata.uid, metadata.gid, metadata.mode) = (uid, gid, mode)
}

fn at(seconds: i64, nanoseconds: u32) -> impl Fn(&mut Metadata) {
    move |metadata| metadata.mtime = Timestamp::new(seconds, nanoseconds).unwrap()
}

pub(crate) fn xattr(name: &str, value: &[u8]) -> impl Fn(&mut Metadata) {
    move |metadata| drop(metadata.xattrs.insert(name.into(), value.into()))
}

/// Applies a layer and gives the notices.
pub(crate) fn notices(sandbox: &Sandbox, items: &[Item]) -> Vec<String> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let ctx = Ctx::default().with_observer(Arc::new(move |event: &Event<'_>| {
        if let Event::Notice { subject, message, .. } = event {
            teller.lock().unwrap().push(format!("{subject}: {message}"));
        }
    }));
    apply_layer(&layer(items)[..], &sandbox.root(), &sandbox.options, &ctx).unwrap();
    let told = told.lock().unwrap();
    told.clone()
}

#[test]
fn attributes_are_set_to_the_letter() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox
        .apply(&[
            with(dir("."), owned(3, 4, 0o711)),
            with(dir("d"), owned(1, 2, 0o1777)),
            with(file("d/f", "x"), owned(5, 6, 0o4711)),
            with(with(file("g", ""), owned(0, 7, 0o2755)), at(-1, 999_999_999)),
            with(symlink("l", "nowhere"), owned(8, 9, 0o777)),
            with(with(symlink("m", "d/f"), owned(8, 9, 0o777)), at(5_000_000_000, 1)),
            with(fifo("p"), owned(1, 0, 0o666)),
            with(char_device("c", 1, 3), owned(0, 0, 0o666)),
            with(block_device("b", 259, 1_048_575), owned(0, 6, 0o660)),
            with(char_device("zero", 0, 0), owned(0, 0, 0o600)),
            with(file("world", ""), owned(4_294_967_294, 4_294_967_294, 0o7777)),
            with(file("none", "x"), owned(0, 0, 0)),
        ])
        .unwrap();
    let time = "1000000000.000000000";
    assert_eq!(
        full(&sandbox.target()),
        [
            format!("/ 0711 3:4 {time}"),
            format!("b b 259:1048575 0660 0:6 {time}"),
            format!("c c 1:3 0666 0:0 {time}"),
            format!("d/ 1777 1:2 {time}"),
            format!("d/f = x 4711 5:6 {time}"),
            "g =  2755 0:7 -1.999999999".to_owned(),
            format!("l -> nowhere 0777 8:9 {time}"),
            "m -> d/f 0777 8:9 5000000000.000000001".to_owned(),
            format!("none = x 0000 0:0 {time}"),
            format!("p p 0666 1:0 {time}"),
            format!("world =  7777 4294967294:4294967294 {time}"),
            format!("zero c 0:0 0600 0:0 {time}"),
        ]
    );
}

#[test]
fn implied_directories_are_plain_and_others_keep_what_they_are() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let lower = [with(dir("d"), owned(1, 2, 0o700)), with(dir("d/s"), owned(3, 4, 0o750))];
    sandbox.apply(&lower).unwrap();
    sandbox.apply(&[file("d/s/x", "1"), file("n/m/x", "1"), file("d/y", "1"), file("d/.wh.z", "")]).unwrap();
    let expected = |d: &str, s: &str| {
        let dirs = full(&sandbox.target()).into_iter().filter(|line| line.contains("/ ")).skip(1);
        let plain = ["n/ 0755 0:0 0.000000000", "n/m/ 0755 0:0 0.000000000"];
        assert_eq!(dirs.collect::<Vec<_>>(), [d, s, plain[0], plain[1]]);
    };
    expected("d/ 0700 1:2 1000000000.000000000", "d/s/ 0750 3:4 1000000000.000000000");
    // Adding, replacing and hiding children changes nothing of the directories.
    sandbox.apply(&[file("d/s/x", "2"), file("d/s/w", "2"), file("d/.wh.y", ""), file("n/m/.wh.x", "")]).unwrap();
    expected("d/ 0700 1:2 1000000000.000000000", "d/s/ 0750 3:4 1000000000.000000000");
    // What is left of a hidden directory is only implied; one that the layer names is as it says.
    sandbox.apply(&[file("d/s/v", "3"), file("d/.wh..wh..opq", "")]).unwrap();
    expected("d/ 0700 1:2 1000000000.000000000", "d/s/ 0755 0:0 0.000000000");
    sandbox.apply(&[with(dir("d/s"), owned(9, 9, 0o711)), file("d/s/v", "3"), file("d/.wh.s", "")]).unwrap();
    expected("d/ 0700 1:2 1000000000.000000000", "d/s/ 0711 9:9 1000000000.000000000");
    sandbox.apply(&[file("d/s/v", "3"), file(".wh.d", "")]).unwrap();
    expected("d/ 0755 0:0 0.000000000", "d/s/ 0755 0:0 0.000000000");
}

#[test]
fn directory_times_survive_their_children_in_any_order() {
    let sandbox = Sandbox::new();
    sandbox
        .apply(&[
            file("d/a", "1"),
            with(dir("d"), at(77, 7)),
            file("d/b", "1"),
            dir("d/s"),
            with(dir("."), at(99, 9)),
            hard_link("d/c", "d/a"),
            file("e", "1"),
        ])
        .unwrap();
    let times = |name: &str| {
        let meta = std::fs::metadata(sandbox.target().join(name)).unwrap();
        (meta.mtime(), meta.mtime_nsec())
    };
    assert_eq!((times(""), times("d")), ((99, 9), (77, 7)));
    sandbox.apply(&[file("d/.wh.a", ""), file(".wh.e", ""), file("d/s", "no directory any more")]).unwrap();
    assert_eq!((times(""), times("d")), ((99, 9), (77, 7)));
}

#[test]
fn extended_attributes_follow_the_layer() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    sandbox
        .apply(&[
            with(with(dir("d"), xattr("user.a", b"1")), xattr("user.b", b"")),
            with(with(file("f", "x"), xattr("security.capability", capability)), owned(1, 1, 0o4755)),
            with(symlink("l", "f"), xattr("trusted.t", b"\0\xff")),
            with(fifo("p"), xattr("trusted.t", b"p")),
            with(file("readonly", ""), |m| {
                xattr("user.r", b"r")(m);
                m.mode = 0;
            }),
        ])
        .unwrap();
    let at = |name: &str| {
        let found = xattrs(&sandbox.target().join(name)).into_iter();
        found.map(|(name, value)| (String::from_utf8(name).unwrap(), value)).collect::<Vec<_>>()
    };
    let is = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    assert_eq!(at("d"), [is("user.a", b"1"), is("user.b", b"")]);
    assert_eq!(at("f"), [is("security.capability", capability)]);
    assert_eq!(std::fs::metadata(sandbox.target().join("f")).unwrap().mode(), 0o104_755);
    assert_eq!(at("l"), [is("trusted.t", b"\0\xff")]);
    assert_eq!(at("p"), [is("trusted.t", b"p")]);
    assert_eq!(at("readonly"), [is("user.r", b"r")]);
    // A directory's entry replaces all of its attributes.
    sandbox.apply(&[with(dir("d"), xattr("user.b", b"2"))]).unwrap();
    assert_eq!(at("d"), [is("user.b", b"2")]);
}

#[test]
fn attributes_of_machines_and_mounts_are_left_out_with_a_notice() {
    let sandbox = Sandbox::new();
    let items = [
        with(dir("d"), xattr("trusted.overlay.opaque", b"y")),
        with(file("f", ""), xattr("user.overlay.whiteout", b"")),
        with(file("g", ""), xattr("security.selinux", b"u:r:t:s0")),
    ];
    assert_eq!(
        notices(&sandbox, &items),
        [
            "/d: extended attribute trusted.overlay.opaque left out: it is a command to overlayfs",
            "/f: extended attribute user.overlay.whiteout left out: it is a command to overlayfs",
            "/g: extended attribute security.selinux left out: it is a label of the host's security policy",
        ]
    );
    assert!(["d", "f", "g"].iter().all(|name| xattrs(&sandbox.target().join(name)).is_empty()));
}

#[test]
fn refused_attributes_are_a_notice_or_an_error() {
    if !require_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    let items = [with(file("f", ""), xattr("system.nonsense", b"1"))];
    let told = notices(&sandbox, &items);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("/f: extended attribute system.nonsense left out: the system refused it: "),
        "{told:?}"
    );
    sandbox.options = ApplyOptions::default().with_xattrs(XattrPolicy::Require);
    let error = sandbox.apply(&items).unwrap_err();
    assert!(error.starts_with("tar entry 1 (f): cannot set an extended attribute: system.nonsense: "), "{error}");
    // A file capability is never lost in silence.
    sandbox.options = ApplyOptions::default();
    let error = sandbox.apply(&[with(file("f", ""), xattr("security.capability", b"not one"))]).unwrap_err();
    assert!(error.starts_with("tar entry 1 (f): cannot set an extended attribute: security.capability: "), "{error}");
}

#[test]
fn what_is_made_inherits_nothing_from_its_directory() {
    if !require_root() {
        return;
    }
    // Version 2; user::rwx, user:1:rwx, group::r-x, mask::rwx, other::r-x.
    let acl: Vec<u8> = [&[2_u8, 0, 0, 0][..], &entry(1, 7, u32::MAX), &entry(2, 7, 1), &entry(4, 5, u32::MAX)]
        .into_iter()
        .chain([&entry(16, 7, u32::MAX)[..], &entry(32, 5, u32::MAX)])
        .flatten()
        .copied()
        .collect();
    let sandbox = Sandbox::new();
    let target = sandbox.target();
    // Of the directory around the tree.
    let fd = std::fs::File::open(&target).unwrap();
    if rustix::fs::fsetxattr(fd.as_fd(), "system.posix_acl_default", &acl, rustix::fs::XattrFlags::empty()).is_err() {
        return test_support::skip("no access lists on this file system");
    }
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o2755)).unwrap();
    rustix::fs::fchown(&fd, None, Some(rustix::fs::Gid::from_raw(42))).unwrap();
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o2755)).unwrap();
    let below = |base: &str| {
        let name = |name: &str| if base.is_empty() { name.to_owned() } else { format!("{base}/{name}") };
        [dir(name("d")), file(name("d/f"), "x"), file(name("f"), "x"), fifo(name("p")), symlink(name("l"), "f")]
    };
    sandbox.apply(&below("")).unwrap();
    sandbox.apply(&[file("implied/f", "x")]).unwrap();
    // Of a directory of the layer itself.
    let sticky = with(with(dir("s"), xattr("system.posix_acl_default", &acl)), owned(0, 9, 0o2775));
    sandbox.apply(&[&[sticky][..], &below("s")].concat()).unwrap();
    let lines = full(&target);
    let others = lines.iter().filter(|line| !line.starts_with("/ ") && !line.starts_with("s/ "));
    let wrong: Vec<_> = others.filter(|line| !line.contains(" 0:0 ") || line.contains("posix_acl")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(lines.iter().any(|line| line.starts_with("s/ 2775 0:9") && line.contains("posix_acl_default")));
    assert!(lines.iter().any(|line| line.starts_with("d/ 0755")));

    fn entry(tag: u16, rights: u16, id: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&tag.to_le_bytes());
        bytes[2..4].copy_from_slice(&rights.to_le_bytes());
        bytes[4..].copy_from_slice(&id.to_le_bytes());
        bytes
    }
}

#[test]
fn entries_of_one_path_are_told() {
    let sandbox = Sandbox::new();
    let lower = [dir("d"), file("d/x", "0")];
    assert!(notices(&sandbox, &lower).is_empty());
    let items = [dir("d"), file("d/x", "1"), file("d/x", "2"), dir("d"), file("n/a", "1"), dir("n"), dir("n")];
    let message = "it replaces what the same layer brought before";
    assert_eq!(notices(&sandbox, &items), ["d/x", "d", "n"].map(|path| format!("/{path}: {message}")));
}

#[test]
fn an_ordinary_user_keeps_the_files() {
    let sandbox = Sandbox::new();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(sandbox.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(sandbox.target(), open).unwrap();
    unprivileged(|| {
        let mut sandbox = sandbox;
        sandbox.options = ApplyOptions::default();
        assert_eq!(sandbox.options.ownership, Ownership::Current);
        std::fs::create_dir(sandbox.target().join("r")).unwrap();
        let within = |name: &str| format!("r/{name}");
        let told = notices(
            &sandbox,
            &[
                with(dir(within("locked")), owned(5, 6, 0o555)),
                with(file(within("locked/f"), "x"), owned(7, 8, 0o4444)),
                with(file(within("locked/x"), "x"), xattr("user.a", b"1")),
                char_device(within("null"), 1, 3),
                fifo(within("p")),
                with(dir(within("secret")), owned(0, 0, 0)),
                file(within("secret/f"), "x"),
            ],
        );
        assert_eq!(
            told,
            ["owners: they are the caller's, not those of the layers", "/r/null: only root may make devices",]
        );
        // The next layer works in directories that their owner may not write, or not even read.
        notices(&sandbox, &[file(within("locked/g"), "y"), file(within("locked/.wh.f"), "")]);
        notices(&sandbox, &[with(dir(within("dark")), owned(0, 0, 0o111)), file(within("dark/f"), "x")]);
        notices(&sandbox, &[file(within("dark/.wh.f"), "")]);
        let mode =
            |name: &str| std::fs::symlink_metadata(sandbox.target().join("r").join(name)).unwrap().mode() & 0o7777;
        let found = ["locked", "locked/g", "p", "secret", "dark"].map(|name| format!("{name} {:o}", mode(name)));
        assert_eq!(found, ["locked 555", "locked/g 644", "p 620", "secret 0", "dark 111"]);
        // And takes them away.
        notices(&sandbox, &[file(within(".wh..wh..opq"), "")]);
        assert_eq!(std::fs::read_dir(sandbox.target().join("r")).unwrap().count(), 0);
    });
}

#[test]
fn holes_stay_holes() {
    let sandbox = Sandbox::new();
    let map = [("major", "1"), ("minor", "0"), ("name", "sparse"), ("realsize", "8388608")]
        .map(|(keyword, value)| super::raw_tar::record(&format!("GNU.sparse.{keyword}"), value.as_bytes()));
    let list = [&b"2\n4194304\n5\n8388608\n0\n"[..], &[0; 512]].concat();
    let data = [&list[..512], b"bytes"].concat();
    let tar = super::raw_tar::archive(&[
        super::raw_tar::extended(b'x', &map.concat()),
        super::raw_tar::file(b"GNUSparseFile.0/sparse", &data),
    ]);
    sandbox.apply_tar(&tar).unwrap();
    let meta = std::fs::metadata(sandbox.target().join("sparse")).unwrap();
    assert_eq!(meta.len(), 8 << 20);
    assert!(meta.blocks() * 512 < 1 << 20, "{} blocks", meta.blocks());
    let content = std::fs::File::open(sandbox.target().join("sparse")).unwrap();
    let mut bytes = [0; 7];
    std::os::unix::fs::FileExt::read_exact_at(&content, &mut bytes, (4 << 20) - 1).unwrap();
    assert_eq!(&bytes, b"\0bytes\0");
}

#[test]
fn devices_that_cannot_be_are_named() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let error = sandbox.apply(&[file("a", ""), char_device("dev/x", 1, 1 << 20)]).unwrap_err();
    assert!(error.starts_with("tar entry 2 (dev/x): "), "{error}");
    // Of root who may not: the error says which.
    let error = apply_as_is_unprivileged(&sandbox, &[file("a", ""), char_device("dev/null", 1, 3)]);
    assert!(error.starts_with("tar entry "), "{error}");
}

fn apply_as_is_unprivileged(sandbox: &Sandbox, items: &[Item]) -> String {
    let options = ApplyOptions::default().with_ownership(Ownership::AsIs);
    let root = sandbox.root();
    let tar = layer(items);
    unprivileged(|| causes(&apply_layer(&tar[..], &root, &options, &Ctx::default()).unwrap_err()))
}

#[test]
fn the_umask_has_no_part_in_it() {
    if !require_root() {
        return;
    }
    // The umask is the process's: a process of its own, which runs the tests that look closely.
    for umask in ["0777", "0000"] {
        let script = format!("umask {umask}; exec \"$0\" --exact \"$@\"");
        let status = std::process::Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .arg("apply_attributes::attributes_are_set_to_the_letter")
            .arg("apply_attributes::implied_directories_are_plain_and_others_keep_what_they_are")
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "umask {umask}");
    }
}
