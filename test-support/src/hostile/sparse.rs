//! Sparse files whose maps lie.

use super::{Expected::Refused, LayerCase, Requirement::SparseSegments};
use crate::raw_tar::{Raw, padded, pax};

pub(super) fn cases() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(SparseSegments, name, members, Refused(expected));
    let header = |size| Raw::new(b'0', b"s", size).block();
    let v01 = |map: &[u8], count: &[u8], size: &[u8]| {
        pax(&[("GNU.sparse.size", size), ("GNU.sparse.numblocks", count), ("GNU.sparse.map", map)])
    };
    let v10 = || pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")]);
    let order = "its sparse map is out of order or outside the file";
    let data = || padded(b"abc");
    vec![
        case("a map that overlaps itself", &[v01(b"0,2,1,1", b"2", b"9"), header(3), data()], order),
        case("a map out of order", &[v01(b"5,2,0,1", b"2", b"9"), header(3), data()], order),
        case("a segment past the end", &[v01(b"7,3", b"1", b"9"), header(3), data()], order),
        case("an empty segment past the end", &[v01(b"10,0", b"1", b"9"), header(0)], order),
        case("a segment that wraps around", &[v01(b"9223372036854775807,3", b"1", b"9"), header(3), data()], order),
        case("a map of more than is stored", &[v01(b"0,3", b"1", b"9"), header(2), data()], "does not cover its data"),
        case(
            "a map of less than is stored",
            &[v01(b"0,3", b"1", b"9"), header(512), data()],
            "does not cover its data",
        ),
        case("another number of segments", &[v01(b"0,3", b"2", b"9"), header(3), data()], "another number of segments"),
        case(
            "a map of an odd number of numbers",
            &[v01(b"0,3,4", b"1", b"9"), header(3), data()],
            "its sparse map is malformed",
        ),
        case(
            "a map with an empty number",
            &[v01(b"0,,3", b"1", b"9"), header(3), data()],
            "its sparse map is malformed",
        ),
        case(
            "a map with a number below 0",
            &[v01(b"0,-3", b"1", b"9"), header(3), data()],
            "its sparse map is malformed",
        ),
        case("no size of the whole file", &[v01(b"0,3", b"1", b""), header(3), data()], "its sparse map is malformed"),
        case(
            "a segment's length and no offset",
            &[pax(&[("GNU.sparse.numbytes", b"1")]), header(3), data()],
            "its sparse map is malformed",
        ),
        case(
            "a map and no size of the whole file",
            &[pax(&[("GNU.sparse.map", b"0,3")]), header(3), data()],
            "without an expanded size",
        ),
        case(
            "a version that nobody knows",
            &[pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.size", b"3")]), header(3), data()],
            "unknown version",
        ),
        case("a map in the content that is cut", &[v10(), header(3), data()], "its sparse map is truncated"),
        case("a map in the content that is missing", &[v10(), header(0)], "its sparse map is truncated"),
        case(
            "a map in the content that does not end",
            &[v10(), header(512), padded(&[b'1'; 512])],
            "its sparse map is malformed",
        ),
        case(
            "a map in the content with an empty number",
            &[v10(), header(512), padded(b"1\n\n3\n")],
            "its sparse map is malformed",
        ),
        case("a map in the content past the end", &[v10(), header(515), padded(b"1\n9\n3\n"), data()], order),
        case(
            "a map in the content that lacks a segment",
            &[v10(), header(513), padded(b"2\n0\n1\n"), padded(b"x")],
            "its sparse map is malformed",
        ),
        case(
            "a directory with a sparse map",
            &[v01(b"", b"0", b"9"), Raw::new(b'5', b"s", 0).block()],
            "it is sparse and no regular file",
        ),
        case(
            "a sparse file of two formats",
            &[v01(b"", b"0", b"9"), Raw::new(b'S', b"s", 0).gnu().block()],
            "it is sparse in two formats",
        ),
        case("an old sparse file in a new format", &[Raw::new(b'S', b"s", 0).block()], "a header of another format"),
        case(
            "an old map in letters",
            &[Raw::new(b'S', b"s", 0).gnu().with(386, b"zzz").block()],
            "its sparse map is malformed",
        ),
        case(
            "an old map of less than is stored",
            &[Raw::new(b'S', b"s", 3).gnu().block(), data()],
            "does not cover its data",
        ),
    ]
}
