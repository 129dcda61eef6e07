//! What the caller may choose: owners, extended attributes, strictness, a filter, links to directories, limits.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use image_core::Ctx;
use image_overlay::{
    ApplyOptions, DirLinks, DirSource, Error, IdMap, IdMaps, IdRange, Limits, Ownership, PathFilter, Root, Strictness,
    TreeSource, UnpackOptions, XattrPolicy, apply_overlay_layer, unpack,
};
use rustix::fs::XattrFlags;
use tempfile::TempDir;
use test_support::{require_root, unprivileged};

use super::{
    apply_attributes::{notices, owned, xattr},
    layers::{Item, char_device, dir, fifo, file, hard_link, layer, symlink, with},
    on_disk::{Sandbox, causes, shape, xattrs},
    unpack::{Stored, image},
};

fn sandbox(options: ApplyOptions) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.options = options;
    sandbox
}

fn owner(path: &Path) -> (u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn id_maps_give_each_id_one_counterpart() {
    let map = IdMap::new([IdRange::new(1, 100_000, 10), IdRange::new(0, 5, 1), IdRange::new(7, 7, 0)]).unwrap();
    let counterparts = [(0, Some(5)), (1, Some(100_000)), (10, Some(100_009)), (11, None), (7, Some(100_006))];
    for (inside, outside) in counterparts {
        assert_eq!(map.outside(inside), outside, "{inside}");
    }
    assert_eq!(IdMap::default().outside(0), None);
    let last = IdMap::new([IdRange::new(0, u32::MAX - 1, 1)]).unwrap();
    assert_eq!(last.outside(0), Some(u32::MAX - 1));
    for ranges in [
        [IdRange::new(0, 10, 2), IdRange::new(1, 20, 1)],
        [IdRange::new(0, 10, 2), IdRange::new(5, 11, 1)],
        [IdRange::new(0, 0, 1), IdRange::new(5, u32::MAX - 1, 2)],
        [IdRange::new(u32::MAX, 0, 1), IdRange::new(5, 6, 2)],
    ] {
        assert!(matches!(IdMap::new(ranges), Err(Error::InvalidIdMap { .. })), "{ranges:?}");
    }
}

#[test]
fn owners_are_mapped() {
    if !require_root() {
        return;
    }
    let users = IdMap::new([IdRange::new(0, 1000, 1), IdRange::new(1, 100_000, 10)]).unwrap();
    let groups = IdMap::new([IdRange::new(0, 2000, 20)]).unwrap();
    let options = ApplyOptions::default().with_ownership(Ownership::Mapped(IdMaps::new(users, groups)));
    let sandbox = sandbox(options.clone());
    let items = [with(dir("d"), owned(0, 3, 0o2755)), with(file("d/f", "x"), owned(5, 0, 0o6755)), symlink("n/l", "x")];
    sandbox.apply(&items).unwrap();
    let at = |name: &str| owner(&sandbox.target().join(name));
    assert_eq!([at("d"), at("d/f"), at("n"), at("n/l")], [(1000, 2003), (100_004, 2000), (1000, 2000), (1000, 2000)]);
    assert_eq!(fs::metadata(sandbox.target().join("d/f")).unwrap().mode() & 0o7777, 0o6755);
    let error = sandbox.apply(&[with(file("g", ""), owned(11, 0, 0o644))]).unwrap_err();
    assert_eq!(error, "tar entry 1 (g): user 11, which no range maps, is not supported");
    let error = sandbox.apply(&[with(file("g", ""), owned(0, 20, 0o644))]).unwrap_err();
    assert_eq!(error, "tar entry 1 (g): group 20, which no range maps, is not supported");
    // The root too, which no layer names.
    let temp = TempDir::new().unwrap();
    let image = image(vec![Stored::plain(&layer(&items))]);
    let options = UnpackOptions::default().with_apply(options);
    unpack(&image, &temp.path().join("dest"), &options, &Ctx::default()).unwrap();
    assert_eq!(owner(&temp.path().join("dest")), (1000, 2000));
}

#[test]
fn owners_are_recorded_as_umoci_records_them() {
    let sandbox = sandbox(ApplyOptions::default().with_ownership(Ownership::Recorded));
    let target = sandbox.target();
    for (path, mode) in [(sandbox.path(), 0o755), (&*target, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&target, Some(65534), Some(65534)).unwrap();
    }
    unprivileged(move || {
        let told = notices(
            &sandbox,
            &[
                with(dir("d"), owned(1000, 0, 0o500)),
                with(file("d/f", "x"), owned(5, 6, 0o4400)),
                with(file("g", ""), owned(0, 300, 0o644)),
                with(file("root", ""), owned(0, 0, 0o644)),
                with(fifo("p"), owned(1, 2, 0o644)),
                symlink("link", "root"),
                with(fifo("pipe"), owned(0, 0, 0o644)),
                char_device("null", 1, 3),
                hard_link("also-null", "null"),
                with(file("liar", ""), xattr("user.rootlesscontainers", b"\x08\x01")),
            ],
        );
        let recorded = |name: &str| xattrs(&target.join(name)).remove(&b"user.rootlesscontainers"[..]);
        assert_eq!(recorded("d").unwrap(), b"\x08\xe8\x07\x10\xff\xff\xff\xff\x0f");
        assert_eq!(recorded("d/f").unwrap(), b"\x08\x05\x10\x06");
        assert_eq!(recorded("g").unwrap(), b"\x08\xff\xff\xff\xff\x0f\x10\xac\x02");
        assert_eq!([recorded("root"), recorded("liar"), recorded("p")], [None, None, None]);
        assert_eq!(
            told,
            [
                "owners: they are recorded: the files are the caller's",
                "/p: its owner 1:2 cannot be recorded",
                "/null: only root may make devices",
                "/also-null: it is a hard link to /null, which was left out",
                "/liar: extended attribute user.rootlesscontainers left out: it is a record of this tree's owners",
            ]
        );
        assert_eq!(fs::metadata(target.join("d")).unwrap().mode() & 0o7777, 0o500);
        let owners = || {
            let scanned = DirSource::scan_recorded(sandbox.root(), &Ctx::default()).unwrap();
            let nodes = scanned.tree().walk(scanned.tree().root()).map(|node| (node.path(), node.metadata().clone()));
            let owners = nodes.map(|(path, of)| (path.to_string(), of.uid, of.gid, of.xattrs.len()));
            owners.filter(|&(_, uid, gid, xattrs)| (uid, gid, xattrs) != (0, 0, 0)).collect::<Vec<_>>()
        };
        let expected = [("/d", 1000, 0, 0), ("/d/f", 5, 6, 0), ("/g", 0, 300, 0)];
        assert_eq!(owners(), expected.map(|(path, uid, gid, xattrs)| (path.to_owned(), uid, gid, xattrs)));
        // A later layer gives it to root.
        notices(&sandbox, &[with(dir("d"), owned(0, 0, 0o755))]);
        assert_eq!(recorded("d"), None);
    });
}

/// Every record is read as it was written, and one that is damaged fails the scan.
#[test]
fn records_of_owners_are_read() {
    let sandbox = Sandbox::new();
    let path = sandbox.target().join("f");
    fs::write(&path, "").unwrap();
    let owner = |record: &[u8]| {
        rustix::fs::setxattr(&path, c"user.rootlesscontainers", record, XattrFlags::empty()).unwrap();
        let scanned = DirSource::scan_recorded(sandbox.root(), &Ctx::default());
        scanned.map(|scanned| {
            let of = scanned.tree().root().child(b"f").unwrap().metadata();
            (of.uid, of.gid)
        })
    };
    for (record, expected) in [
        (&b""[..], (0, 0)),
        (b"\x10\x07", (0, 7)),
        (b"\x08\x7f\x10\x80\x01", (127, 128)),
        (b"\x08\xfe\xff\xff\xff\x0f\x10\xff\xff\xff\xff\x0f", (u32::MAX - 1, 0)),
    ] {
        assert_eq!(owner(record).unwrap(), expected, "{record:x?}");
    }
    for damaged in [&b"\x08"[..], b"\x08\x80", b"\x18\x01", b"\x00\x01", b"\x09\x01", b"\x08\xff\xff\xff\xff\x1f"] {
        let error = owner(damaged).unwrap_err();
        assert!(error.to_string().starts_with("cannot read the recorded owner of /f"), "{damaged:x?}: {error}");
    }
}

#[test]
fn extended_attributes_are_left_out_on_demand() {
    let sandbox = sandbox(ApplyOptions::default().with_xattrs(XattrPolicy::Skip));
    let items = [with(dir("d"), xattr("user.a", b"1")), with(file("f", ""), xattr("user.b", b"2"))];
    assert_eq!(notices(&sandbox, &items), ["extended attributes: they are left out, as was asked for"]);
    assert!(xattrs(&sandbox.target().join("d")).is_empty() && xattrs(&sandbox.target().join("f")).is_empty());
}

#[test]
fn oddities_are_notices_or_errors() {
    let marked = |path: &str| with(dir(path), |metadata| metadata.mode = 0o755);
    let overlay = |item| with(item, xattr("user.overlay.origin", b""));
    let check = |items: &[Item], entry: &str, oddity: &str| {
        let mut sandbox = Sandbox::new();
        sandbox.apply(&[file("file", "")]).unwrap();
        let told = notices(&sandbox, items);
        assert_eq!(told.len(), 1, "{told:?}");
        sandbox = Sandbox::new();
        sandbox.apply(&[file("file", "")]).unwrap();
        sandbox.options = ApplyOptions::default().with_strictness(Strictness::Strict);
        let error = sandbox.apply(items).unwrap_err();
        assert_eq!(error, format!("tar entry {entry}: {oddity}"));
    };
    let twice = "it replaces what the same layer brought before";
    check(&[file("a", "1"), file("a", "2")], "2 (a)", twice);
    check(&[dir("a"), dir("a")], "2 (a)", twice);
    check(&[dir("a"), file("a", "")], "2 (a)", twice);
    check(&[file(".wh..wh.plnk", "")], "1 (.wh..wh.plnk)", "the name is reserved for aufs");
    check(&[file("file/a", "")], "1 (file/a)", "a file is in the way of the directory it stands in");
    check(&[marked(".wh.a")], "1 (.wh.a)", "it is a marker, and should be an empty file");
    check(&[file(".wh..wh..opq", "x")], "1 (.wh..wh..opq)", "it is a marker, and should be an empty file");
    let attribute = "it has an extended attribute that is a command to overlayfs";
    check(&[overlay(file("a", ""))], "1 (a)", attribute);
    check(&[overlay(dir("a"))], "1 (a)", attribute);
}

#[test]
fn a_layer_that_is_as_it_should_be_is_not_odd() {
    let sandbox = sandbox(ApplyOptions::default().with_strictness(Strictness::Strict));
    let items = [dir("."), dir("d"), file("d/f", "x"), hard_link("d/g", "d/f"), symlink("l", "d"), file("n/m/f", "")];
    sandbox.apply(&items).unwrap();
    sandbox.apply(&[file("d/.wh.f", ""), file("n/.wh..wh..opq", ""), file("l/new", ""), dir("l")]).unwrap();
    assert_eq!(shape(&sandbox.target()), ["d/", "d/g = x", "d/new = ", "l/", "n/"]);
    sandbox.assert_untouched();
}

#[test]
fn a_layer_of_another_compression_is_refused_by_the_strict() {
    let temp = TempDir::new().unwrap();
    let tar = layer(&[file("f", "")]);
    let disguised = || {
        let mut stored = Stored::gzip(&tar);
        stored.media_type = "application/vnd.oci.image.layer.v1.tar";
        vec![stored]
    };
    let strict = UnpackOptions::default().with_apply(ApplyOptions::default().with_strictness(Strictness::Strict));
    let error = unpack(&image(disguised()), &temp.path().join("dest"), &strict, &Ctx::default()).unwrap_err();
    let text = causes(&error);
    assert!(text.ends_with("the media type is application/vnd.oci.image.layer.v1.tar, but it is gzip"), "{text}");
    assert!(error.is_corrupt());
    unpack(&image(disguised()), &temp.path().join("dest"), &UnpackOptions::default(), &Ctx::default()).unwrap();
}

#[test]
fn a_filter_leaves_out_entries_markers_and_links_to_them() {
    let filter = PathFilter::new(|path| !path.as_bytes().starts_with(b"doc"));
    let sandbox = sandbox(ApplyOptions::default().with_filter(filter));
    fs::create_dir_all(sandbox.target().join("doc/old")).unwrap();
    let items = [
        dir("doc"),
        file("doc/a", "1"),
        file("b", "2"),
        hard_link("c", "doc/a"),
        hard_link("d", "b"),
        file(".wh.doc", ""),
        file("doc/.wh..wh..opq", ""),
    ];
    assert_eq!(
        notices(&sandbox, &items),
        [
            "/doc: the filter leaves it out",
            "/doc/a: the filter leaves it out",
            "/c: it is a hard link to /doc/a, which was left out",
            "/.wh.doc: the filter leaves it out",
            "/doc/.wh..wh..opq: the filter leaves it out",
        ]
    );
    assert_eq!(shape(&sandbox.target()), ["b = 2", "d = 2 (also b)", "doc/", "doc/old/"]);
}

#[test]
fn links_to_directories_are_kept_on_demand() {
    let lower = [dir("usr"), dir("usr/lib"), symlink("lib", "/usr/lib"), symlink("none", "nowhere"), file("f", "")];
    let upper = [with(dir("lib"), |m| m.mode = 0o700), file("lib/a", "1"), dir("none"), symlink("l", "f"), dir("l")];
    let check = |dir_links, expected: &[&str], mode| {
        let sandbox = sandbox(ApplyOptions::default().with_dir_links(dir_links));
        sandbox.apply(&lower).unwrap();
        sandbox.apply(&upper).unwrap();
        assert_eq!(shape(&sandbox.target()), expected);
        assert_eq!(fs::metadata(sandbox.target().join("usr/lib")).unwrap().mode() & 0o7777, mode);
    };
    let replaced = ["f = ", "l/", "lib/", "lib/a = 1", "none/", "usr/", "usr/lib/"];
    check(DirLinks::Replace, &replaced, 0o755);
    let kept = ["f = ", "l/", "lib -> /usr/lib", "none/", "usr/", "usr/lib/", "usr/lib/a = 1"];
    check(DirLinks::Keep, &kept, 0o700);
    if !require_root() {
        return;
    }
    // In the form of overlayfs the link is in a layer below.
    let temp = TempDir::new().unwrap();
    let at = |name: &str| temp.path().join(name);
    let apply = |items: &[Item], name: &str, lowers: &[Root]| {
        fs::create_dir(at(name)).unwrap();
        let options = ApplyOptions::default().with_dir_links(DirLinks::Keep);
        let upper = Root::open(&at(name)).unwrap();
        apply_overlay_layer(&layer(items)[..], &upper, lowers, &options, &Ctx::default()).unwrap();
    };
    apply(&lower, "lower", &[]);
    apply(&upper, "upper", &[Root::open(&at("lower")).unwrap()]);
    assert_eq!(shape(&at("upper")), ["l/", "none/", "usr/", "usr/lib/", "usr/lib/a = 1"]);
    assert_eq!(fs::metadata(at("upper/usr/lib")).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn limits_hold() {
    let check = |limits: Limits, items: &[Item], expected: &str| {
        let sandbox = sandbox(ApplyOptions::default().with_limits(limits));
        let error = sandbox.apply(items).unwrap_err();
        assert_eq!(error, expected);
    };
    let limits = Limits::default();
    check(
        limits.with_file_bytes(Some(3)),
        &[file("a", "123"), file("b", "1234")],
        "tar entry 2 (b): bytes of the file exceed the limit of 3",
    );
    check(
        limits.with_path_names(3),
        &[file("a/b/c", ""), file("a/b/c/d", "")],
        "tar entry 2 (a/b/c/d): names of its path exceed the limit of 3",
    );
    check(limits.with_entries(1), &[dir("a"), dir("b")], "tar entry 2 (b): entries of the layer exceed the limit of 1");
}

#[test]
fn all_layers_of_an_image_have_one_limit_together() {
    let content = "x".repeat(50_000);
    let layers = || (0..3).map(|number| Stored::gzip(&layer(&[file(format!("{number}"), &content)]))).collect();
    let image = image(layers());
    let unpack_within = |bytes, upwards: bool| {
        let temp = TempDir::new().unwrap();
        let apply = ApplyOptions::default().with_limits(Limits::default().with_image_bytes(Some(bytes)));
        let apply = if upwards { apply.with_filter(PathFilter::new(|_| true)) } else { apply };
        let options = UnpackOptions::default().with_apply(apply);
        let result = unpack(&image, &temp.path().join("dest"), &options, &Ctx::default());
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), usize::from(result.is_ok()));
        result
    };
    // The layer that is one too many is the last one to be read.
    for (upwards, last) in [(true, 2), (false, 0)] {
        let error = unpack_within(130_000, upwards).unwrap_err();
        let text = causes(&error);
        assert!(text.starts_with(&format!("cannot apply layer {last} (sha256:")), "{text}");
        assert!(text.contains("of the image") && text.ends_with("exceed the limit of 130000"), "{text}");
        unpack_within(200_000, upwards).unwrap();
    }
}
