//! What is unusual and right.

use super::{
    Expected::{Line, Paths, Tree},
    LayerCase,
    Requirement::Accepted,
};
use crate::raw_tar::{Raw, char_device, dir, extended, file, padded, pax, record, symlink};

const NAME_255: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\
    nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\
    nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

pub(super) fn cases() -> Vec<LayerCase> {
    [names(), formats(), values(), stacks()].concat()
}

fn case(name: &'static str, members: &[Vec<u8>], expected: super::Expected) -> LayerCase {
    LayerCase::new(Accepted, name, members, expected)
}

fn names() -> Vec<LayerCase> {
    vec![
        case("a name of bytes that are no text", &[file(b"\xff\xfe", "x")], Tree(&["\\xff\\xfe = x"])),
        case("a name with newlines", &[file("a\nb\n", "x")], Tree(&["a\\nb\\n = x"])),
        case("a name of blanks and quotes", &[file(" \"'\\ ", "x")], Tree(&[" \\\"\\'\\\\  = x"])),
        case("a name of 255 bytes", &[file(NAME_255, "x")], Paths(&[NAME_255])),
        case("names that begin with dots", &[file("...", "x"), file("..a", "y")], Tree(&["... = x", "..a = y"])),
        case(
            "names like those of whiteouts",
            &[file(".wha", "x"), file("a.wh.b", "y")],
            Tree(&[".wha = x", "a.wh.b = y"]),
        ),
        case("./ before names", &[dir("./"), dir("./d/"), file("./d/f", "x")], Tree(&["d/", "d/f = x"])),
        case("no entries of parents", &[file("a/b/f", "x")], Line("a/b/ 0755 0:0 0.000000000")),
    ]
}

fn formats() -> Vec<LayerCase> {
    let segment = padded(b"abc");
    let sparse = Tree(&["s = \\x00\\x00\\x00abc\\x00\\x00\\x00"]);
    let old = Raw::new(b'S', b"s", 3).gnu().with(386, b"00000000003\x0000000000003\0").with(483, b"00000000011\0");
    let v00: [(&str, &[u8]); 4] = [
        ("GNU.sparse.size", b"9"),
        ("GNU.sparse.numblocks", b"1"),
        ("GNU.sparse.offset", b"3"),
        ("GNU.sparse.numbytes", b"3"),
    ];
    let v01: [(&str, &[u8]); 4] = [
        ("GNU.sparse.size", b"9"),
        ("GNU.sparse.numblocks", b"1"),
        ("GNU.sparse.map", b"3,3"),
        ("GNU.sparse.name", b"s"),
    ];
    let v10: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.realsize", b"9"),
        ("GNU.sparse.name", b"s"),
    ];
    let without_end = LayerCase { layers: vec![file("f", "x")], ..case("no end", &[], Tree(&["f = x"])) };
    let nothing = LayerCase { layers: vec![Vec::new()], ..case("no bytes at all", &[], Tree(&[])) };
    vec![
        case("a sparse file of GNU's old format", &[old.block(), segment.clone()], sparse),
        case("a sparse file of PAX 0.0", &[pax(&v00), Raw::new(b'0', b"s", 3).data(b"abc")], sparse),
        case("a sparse file of PAX 0.1", &[pax(&v01), Raw::new(b'0', b"x", 3).data(b"abc")], sparse),
        case(
            "a sparse file of PAX 1.0",
            &[pax(&v10), Raw::new(b'0', b"x", 515).block(), padded(b"1\n3\n3\n"), segment],
            sparse,
        ),
        case("a header of before ustar", &[Raw::new(b'0', b"f", 1).v7().data(b"x")], Tree(&["f = x"])),
        case("a file of the type that is contiguous", &[Raw::new(b'7', b"f", 1).data(b"x")], Tree(&["f = x"])),
        case(
            "a size that is not octal",
            &[Raw::new(b'0', b"f", 0).with(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x01").data(b"x")],
            Tree(&["f = x"]),
        ),
        case(
            "a ustar prefix",
            &[Raw::new(b'0', b"f", 1).with(345, b"a/b").data(b"x")],
            Tree(&["a/", "a/b/", "a/b/f = x"]),
        ),
        case(
            "a comment of the whole archive",
            &[extended(b'g', &record("comment", b"x")), file("f", "x")],
            Tree(&["f = x"]),
        ),
        case(
            "records that nobody knows",
            &[pax(&[("VENDOR.x", b"y"), ("hdrcharset", b"BINARY")]), file("f", "x")],
            Tree(&["f = x"]),
        ),
        without_end,
        nothing,
    ]
}

fn values() -> Vec<LayerCase> {
    let timed = |value: &[u8]| [pax(&[("mtime", value)]), file("f", "")];
    vec![
        case("a time before 1970", &timed(b"-1.5"), Line("f =  0644 0:0 -2.500000000")),
        case("a time after 2106", &timed(b"5000000000"), Line("f =  0644 0:0 5000000000.000000000")),
        case("a time of nanoseconds", &timed(b"1.000000001"), Line("f =  0644 0:0 1.000000001")),
        case(
            "an attribute of any bytes",
            &[extended(b'x', &record("SCHILY.xattr.user.a", b"=\n\0\xff")), file("f", "")],
            Line("f =  0644 0:0 0.000000000 user.a==\\n\\x00\\xff"),
        ),
        case(
            "an attribute without a value",
            &[extended(b'x', &record("SCHILY.xattr.user.a", b"")), file("f", "")],
            Line("f =  0644 0:0 0.000000000 user.a="),
        ),
        case("a device", &[char_device("null", 1, 3)], Tree(&["null c 1:3"])),
    ]
}

fn stacks() -> Vec<LayerCase> {
    let layer = [dir("d"), file("d/f", "x"), symlink("l", "d")];
    vec![
        LayerCase::stack(Accepted, "the same layer twice", &[&layer, &layer], Tree(&["d/", "d/f = x", "l -> d"])),
        LayerCase::stack(Accepted, "layers without entries", &[&[], &layer, &[]], Tree(&["d/", "d/f = x", "l -> d"])),
        case("one name twice", &[file("f", "1"), file("f", "2")], Tree(&["f = 2"])),
        case("one name of two kinds", &[file("a/f", "1"), file("a", "2"), file("a/g", "3")], Tree(&["a/", "a/g = 3"])),
        LayerCase::stack(
            Accepted,
            "a file below what was a file",
            &[&[file("a", "1")], &[file("a/b", "2")]],
            Tree(&["a/", "a/b = 2"]),
        ),
    ]
}
