//! What asks for more than a layer may.

use super::{
    Expected::{Line, Paths, Refused, RefusedOnDisk},
    LayerCase, Limit,
    Requirement::{
        Entries, ExtensionBytes, LayerBytes, NoRecursion, NothingIsSetAside, PathBytes, SparseSegments, Xattrs,
    },
};
use crate::raw_tar::{Raw, dir, extended, file, padded, pax, record, symlink};

/// A size of 12 bytes that is not octal: 8 EiB less one byte.
const MOST: &[u8] = b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";

pub(super) fn cases() -> Vec<LayerCase> {
    [set_aside(), extensions(), paths(), xattrs(), segments(), totals(), recursion()].concat()
}

fn set_aside() -> Vec<LayerCase> {
    let case = |name, member: Vec<u8>, expected| LayerCase::new(NothingIsSetAside, name, &[member], expected);
    let claimed = |kind| Raw::new(kind, b"big", 1 << 30).block();
    let extensions = Refused("(big): bytes of extended headers and long names exceed the limit of 1048576");
    let ends = Refused("the stream ends inside it");
    let hole = |size: &[u8]| {
        let records = [("GNU.sparse.size", size), ("GNU.sparse.numblocks", &b"0"[..]), ("GNU.sparse.map", b"")];
        [pax(&records), Raw::new(b'0', b"hole", 0).block()].concat()
    };
    let order = Refused("its sparse map is out of order or outside the file");
    let map = |map: &[u8], count: &[u8]| {
        let records = [("GNU.sparse.size", &b"9"[..]), ("GNU.sparse.numblocks", count), ("GNU.sparse.map", map)];
        [pax(&records), Raw::new(b'0', b"s", 3).data(b"abc")].concat()
    };
    vec![
        case("an extended header of 1 GiB", claimed(b'x'), extensions),
        case("a global header of 1 GiB", claimed(b'g'), extensions),
        case("a long name of 1 GiB", claimed(b'L'), extensions),
        case("a long target of 1 GiB", claimed(b'K'), extensions),
        case("an extended header of 8 EiB", Raw::new(b'x', b"big", 0).with(124, MOST).block(), extensions),
        case("a record of 1 GiB", extended(b'x', b"1073741824 path=a\n"), Refused("record has a wrong length")),
        case("a file of 8 EiB that is not there", Raw::new(b'0', b"f", 0).with(124, MOST).block(), ends),
        case("a PAX size of 8 EiB", [pax(&[("size", b"9223372036854775807")]), file("f", "x")].concat(), ends),
        case("a hole of 8 EiB", hole(b"9223372036854775807"), RefusedOnDisk("hole")),
        case("a hole of 8 EiB and a byte", hole(b"9223372036854775808"), Refused("sparse map is malformed")),
        case("a sparse map that overlaps itself", map(b"0,2,1,1", b"2"), order),
        case("a sparse map beyond the end", map(b"8,3", b"1"), order),
        case("a sparse map that wraps around", map(b"9223372036854775807,3", b"1"), order),
        case("a segment of a size below 0", map(b"0,-3", b"1"), Refused("its sparse map is malformed")),
        LayerCase::new(
            NothingIsSetAside,
            "a sparse map of 2^63 segments",
            &[
                pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")]),
                Raw::new(b'0', b"s", 1 << 30).block(),
                padded(b"9223372036854775807\n"),
            ],
            Refused("(s): segments of a sparse file exceed the limit of 65536"),
        ),
    ]
}

fn extensions() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(ExtensionBytes, name, members, expected);
    let headers = Refused("extended headers exceed the limit of 16");
    vec![
        case("17 extended headers", &[extended(b'x', b"").repeat(17), file("f", "x")], headers),
        case("17 long names", &[extended(b'L', b"a\0").repeat(17), file("f", "x")], headers),
        case("17 global headers", &[extended(b'g', b"").repeat(17), file("f", "x")], headers),
        case(
            "two headers that are together too long",
            &[pax(&[("a", &[b'x'; 600])]), extended(b'L', &[b'x'; 600]), file("f", "x")],
            Refused("limit of 1000"),
        )
        .with_limit(Limit::ExtensionBytes(1000)),
        case(
            "a comment of 1 MiB and a byte",
            &[pax(&[("comment", &vec![b'x'; 1 << 20])]), file("f", "x")],
            Refused("limit of 1048576"),
        ),
        case(
            "a comment of almost 1 MiB",
            &[pax(&[("comment", &vec![b'x'; (1 << 20) - 100])]), file("f", "x")],
            Paths(&["f"]),
        ),
    ]
}

fn paths() -> Vec<LayerCase> {
    let case = |name, member: Vec<u8>, expected| LayerCase::new(PathBytes, name, &[member], expected);
    let long = Refused("it is longer than 4096 bytes");
    let longest = format!("{}/", "d".repeat(127)).repeat(30) + &"f".repeat(127);
    let found = format!("{longest} = x 0644 0:0 0.000000000");
    vec![
        case("a name of 256 bytes", file([b'n'; 256], "x"), Refused("longer than 255 bytes")),
        case("a path of 4097 bytes", file("d/".repeat(2048) + "f", "x"), long),
        case("a path of 6000 bytes", file("d/".repeat(3000), "x"), long),
        case("a path of 3967 bytes", file(&longest, "x"), Line(found.leak())),
        case("a target of 4096 bytes", symlink("l", [b'x'; 4096]), Refused("target exceed the limit of 4095")),
        case("a target of 1 MiB", symlink("l", vec![b'x'; 1 << 19]), Refused("target exceed the limit of 4095")),
    ]
}

fn xattrs() -> Vec<LayerCase> {
    let case = |name, records: &[u8], expected| {
        LayerCase::new(Xattrs, name, &[extended(b'x', records), file("f", "x")], expected)
    };
    let many =
        |count: usize| (0..count).flat_map(|n| record(&format!("SCHILY.xattr.user.{n}"), b"")).collect::<Vec<_>>();
    let long = format!("SCHILY.xattr.user.{}", "n".repeat(251));
    vec![
        case("1025 attributes", &many(1025), Refused("extended attributes exceed the limit of 1024")),
        case("a name of 256 bytes", &record(&long, b""), Refused("name exceed the limit of 255")),
        case(
            "a value of 64 KiB and a byte",
            &record("SCHILY.xattr.user.a", &[0; 65_537]),
            Refused("value exceed the limit of 65536"),
        ),
        case("no name", &record("SCHILY.xattr.", b"x"), Refused("an extended attribute has no name")),
        case("attributes beyond a limit of one's own", &many(3), Refused("extended attributes exceed the limit of 2"))
            .with_limit(Limit::Xattrs(2)),
    ]
}

fn segments() -> Vec<LayerCase> {
    let version = pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")]);
    let counted = |count: &[u8]| [version.clone(), Raw::new(b'0', b"s", 512).data(count)].concat();
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(SparseSegments, name, members, expected);
    vec![
        case("65537 segments", &[counted(b"65537\n")], Refused("segments of a sparse file exceed the limit of 65536")),
        case(
            "segments beyond a limit of one's own",
            &[pax(&[("GNU.sparse.map", &b"0,0,".repeat(3))]), file("f", "x")],
            Refused("segments of a sparse file exceed the limit of 2"),
        )
        .with_limit(Limit::SparseSegments(2)),
    ]
}

fn totals() -> Vec<LayerCase> {
    let files: Vec<Vec<u8>> = (0..3).map(|n| file(format!("f{n}"), "x".repeat(1000))).collect();
    let hole = |name: &[u8]| {
        let records = [("GNU.sparse.size", &b"60000"[..]), ("GNU.sparse.numblocks", b"0"), ("GNU.sparse.map", b"")];
        [pax(&records), Raw::new(b'0', name, 0).block()].concat()
    };
    let entries = |name, expected| LayerCase::new(Entries, name, &files, expected);
    let bytes = |name, members: &[Vec<u8>], expected| LayerCase::new(LayerBytes, name, members, expected);
    vec![
        entries("one entry too many", Refused("tar entry 3 (f2): entries of the layer exceed the limit of 2"))
            .with_limit(Limit::Entries(2)),
        entries("as many entries as are allowed", Paths(&["f0", "f1", "f2"])).with_limit(Limit::Entries(3)),
        LayerCase::new(
            Entries,
            "one marker too many",
            &[file(".wh.a", "").repeat(2), file(".wh..wh..opq", "")],
            Refused("entries of the layer exceed the limit of 2"),
        )
        .with_limit(Limit::Entries(2)),
        bytes("a stream that is too long", &files, Refused("plain tar stream exceed the limit of 2000"))
            .with_limit(Limit::LayerBytes(2000)),
        bytes(
            "zeros after the end that are too many",
            &[files[0].clone(), vec![0; 9000]],
            Refused("exceed the limit of 5000"),
        )
        .with_limit(Limit::LayerBytes(5000)),
        bytes(
            "holes that are too long together",
            &[hole(b"a"), hole(b"b")],
            Refused("tar entry 2 (b): bytes of the layer's files exceed the limit of 100000"),
        )
        .with_limit(Limit::LayerBytes(100_000)),
    ]
}

fn recursion() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(NoRecursion, name, members, expected);
    let deep = "d/".repeat(500);
    let chain = |links: usize| {
        let mut members = vec![dir("l0")];
        members.extend((1..=links).map(|n| symlink(format!("l{n}"), format!("l{}", n - 1))));
        members.push(file(format!("l{links}/f"), "x"));
        members
    };
    vec![
        LayerCase::stack(
            NoRecursion,
            "a deep tree that is hidden",
            &[&[file(format!("{deep}f"), "x")], &[file(".wh.d", "")]],
            Paths(&[]),
        ),
        LayerCase::stack(
            NoRecursion,
            "a deep tree that a file replaces",
            &[&[file(format!("{deep}f"), "x")], &[file("d", "x")]],
            Paths(&["d"]),
        ),
        case("41 links one after the other", &chain(41), Refused("symbolic links")),
        case("1000 links one after the other", &chain(1000), Refused("symbolic links")),
    ]
}
