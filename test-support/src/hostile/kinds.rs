//! Devices, owners, modes, attributes, and what the host must not add or overlayfs not obey.

use super::{
    Expected::{self, Line, Paths, Refused, RefusedOnDisk, Tree, TreeUnlessOverlay},
    LayerCase,
    Requirement::{HostIndependence, NothingAfterErrors, OneMeaningOfTar, OverlayNames, OwnersAndModes, WriteErrors},
};
use crate::raw_tar::{Raw, char_device, dir, extended, file, hard_link, pax, record, symlink};

pub(super) fn cases() -> Vec<LayerCase> {
    [owners(), overlay(), host(), meaning(), errors()].concat()
}

fn owners() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(OwnersAndModes, name, members, expected);
    let id = Refused("is not a number from 0 to 4294967294");
    let numbers = |key, value: &[u8]| [pax(&[(key, value)]), file("f", "")];
    vec![
        case("a user that is -1 when it is cut to 32 bits", &numbers("uid", b"4294967295"), id),
        case("a user that is root when it is cut to 32 bits", &numbers("uid", b"4294967296"), id),
        case("a group that is root when it is cut to 32 bits", &numbers("gid", b"4294967296"), id),
        case("a user below 0", &numbers("uid", b"-1"), Refused("size or id is not a number")),
        case("the largest user", &numbers("uid", b"4294967294"), Line("f =  0644 4294967294:0 0.000000000")),
        case(
            "setuid of somebody else",
            &[Raw::new(b'0', b"f", 0).with(100, b"0006755\0").with(108, b"0000001\0").with(116, b"0000002\0").block()],
            Line("f =  6755 1:2 0.000000000"),
        ),
        case(
            "bits of the mode that are no permissions",
            &[Raw::new(b'0', b"f", 0).with(100, b"0120644\0").block()],
            Line("f =  0644 0:0 0.000000000"),
        ),
        case(
            "a directory that nobody may write to, and a file in it",
            &[Raw::new(b'5', b"d", 0).with(100, b"0000555\0").block(), file("d/f", "x")],
            Line("d/ 0555 0:0 0.000000000"),
        ),
    ]
}

fn overlay() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(OverlayNames, name, members, expected);
    let noted = |name: &str, member: Vec<u8>| [pax(&[(&format!("SCHILY.xattr.{name}"), b"y")]), member].concat();
    let plain = Line("d/ 0755 0:0 0.000000000");
    vec![
        case("a character device 0:0", &[char_device("f", 0, 0)], TreeUnlessOverlay(&["f c 0:0"], "0:0")),
        case("trusted.overlay.opaque", &[noted("trusted.overlay.opaque", dir("d"))], plain),
        case("user.overlay.opaque", &[noted("user.overlay.opaque", dir("d"))], plain),
        case("trusted.overlay.redirect", &[noted("trusted.overlay.redirect", dir("d"))], plain),
        case(
            "user.overlay.whiteout",
            &[noted("user.overlay.whiteout", file("f", ""))],
            Line("f =  0644 0:0 0.000000000"),
        ),
        case("trusted.overlay.metacopy", &[noted("trusted.overlay.metacopy", file("f", "x"))], Tree(&["f = x"])),
    ]
}

fn host() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(HostIndependence, name, members, expected);
    let plain = Line("f =  0644 3:4 0.000000000");
    let owned = || Raw::new(b'0', b"f", 0).with(108, b"0000003\0").with(116, b"0000004\0");
    vec![
        case("names of user and group", &[owned().with(265, b"root\0").with(297, b"root\0").block()], plain),
        case(
            "names of user and group in PAX records",
            &[pax(&[("uname", b"root"), ("gname", b"root")]), owned().block()],
            plain,
        ),
        case("times of access and change", &[pax(&[("atime", b"1"), ("ctime", b"2")]), owned().block()], plain),
        case("a device's numbers on a file", &[owned().with(329, b"0000001\0").with(337, b"0000003\0").block()], plain),
    ]
}

fn meaning() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(OneMeaningOfTar, name, members, expected);
    let inner = file("evil", "evil");
    let size = inner.len().to_string();
    let hidden = [pax(&[("size", size.as_bytes())]), Raw::new(b'0', b"f", 0).block(), inner.clone()];
    let newline = record("SCHILY.xattr.user.a", b"v\n30 path=evil\n");
    vec![
        case("a PAX size over a size of nothing, and an archive as content", &hidden, Paths(&["f"])),
        case(
            "a PAX size for the next file, before another extended header",
            &[pax(&[("size", b"5")]), extended(b'L', b"name\0"), Raw::new(b'0', b"f", 0).data(b"12345")],
            Tree(&["name = 12345"]),
        ),
        case(
            "a PAX size under the size of the header",
            &[pax(&[("size", b"2")]), Raw::new(b'0', b"f", 600).data(b"12")],
            Tree(&["f = 12"]),
        ),
        case(
            "a link that claims content",
            &[Raw::new(b'2', b"l", 512).with(157, b"t").block(), inner.clone()],
            Paths(&["evil", "l"]),
        ),
        case(
            "a directory that claims content",
            &[Raw::new(b'5', b"d", 512).block(), inner.clone()],
            Paths(&["d", "evil"]),
        ),
        case(
            "a header of the old type whose name ends with a slash",
            &[Raw::new(0, b"d/", 0).v7().block()],
            Tree(&["d/"]),
        ),
        case("an archive after the end", &[file("f", "x"), vec![0; 1024], inner.clone()], Paths(&["f"])),
        case("a lone block of zeros", &[file("f", "x"), vec![0; 512], inner], Refused("a lone block of zeros")),
        case(
            "a path in a global header",
            &[extended(b'g', &record("path", b"evil")), file("f", "x")],
            Tree(&["f = x"]),
        ),
        case(
            "a value with a newline and a record in it",
            &[extended(b'x', &newline), file("f", "")],
            Line("f =  0644 0:0 0.000000000 user.a=v\\n30 path=evil\\n"),
        ),
        case("a keyword twice", &[pax(&[("path", b"a"), ("path", b"b")]), file("f", "x")], Tree(&["b = x"])),
        case(
            "a PAX path and a long name of GNU",
            &[pax(&[("path", b"a")]), extended(b'L', b"b\0"), file("f", "x")],
            Tree(&["a = x"]),
        ),
        case(
            "a hard link with content",
            &[file("a", "x"), Raw::new(b'1', b"h", 5).with(157, b"a").block()],
            Tree(&["a = x", "h = x (also a)"]),
        ),
    ]
}

fn errors() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(NothingAfterErrors, name, members, expected);
    let many: Vec<Vec<u8>> = (0..100).map(|n| file(format!("d{}/f{n}", n % 7), "x")).collect();
    let whole = [file("f", "x".repeat(5000)), dir("d")].concat();
    let big = |name, size| [file("first", "x"), Raw::new(b'0', name, size).data(&vec![7; 3 << 20])];
    let full: Expected = RefusedOnDisk("No space left on device");
    vec![
        case(
            "a hundred entries, then one that is wrong",
            &[many.concat(), hard_link("h", "nothing")],
            Refused("tar entry 101 (h): it is a hard link to /nothing, which does not exist"),
        ),
        LayerCase::stack(
            NothingAfterErrors,
            "a whole layer, then one that is wrong",
            &[&many, &[dir("d0"), Raw::new(b'0', b"bad", 0).unsummed()]],
            Refused("tar entry 2 (bad): its header's checksum does not match"),
        ),
        case(
            "a name that commands a terminal",
            &[hard_link("\x1b[2J", "x")],
            Refused("(\\u{1b}[2J): it is a hard link"),
        ),
        LayerCase {
            layers: vec![whole[..3000].to_vec()],
            ..case("a stream that ends inside a file", &[], Refused("tar entry 1 (f): the stream ends inside it"))
        },
        LayerCase {
            layers: vec![whole[..whole.len() - 100].to_vec()],
            ..case("a stream that ends inside a header", &[], Refused("the stream ends inside it"))
        },
        LayerCase::new(WriteErrors, "a file that is larger than the disk", &big(b"big", 3 << 20), full),
        LayerCase::new(
            WriteErrors,
            "files that are together larger than the disk",
            &(0..30).map(|n| file(format!("f{n}"), [7; 100_000])).collect::<Vec<_>>(),
            full,
        ),
        LayerCase::new(
            WriteErrors,
            "a link with a target of another layer, on a disk that is full",
            &[symlink("l", "first"), big(b"big", 3 << 20).concat()],
            full,
        ),
    ]
}
