//! Extended headers that are malformed.

use super::{
    Expected::Refused,
    LayerCase,
    Requirement::{self, InsideTheRoot, NothingIsSetAside, OneMeaningOfTar, OwnersAndModes, Xattrs},
};
use crate::raw_tar::{extended, file, pax};

pub(super) fn cases() -> Vec<LayerCase> {
    [frames(), values(), alone()].concat()
}

fn frames() -> Vec<LayerCase> {
    let wrong = "tar entry 1 (ext): an extended header's record has a wrong length";
    let no_value = "tar entry 1 (ext): an extended header's record has no value";
    let keyword = "tar entry 1 (ext): an extended header's record has an invalid keyword";
    let both = |name, global, body: &[u8], expected| {
        [(name, b'x'), (global, b'g')].map(|(name, kind)| {
            LayerCase::new(OneMeaningOfTar, name, &[extended(kind, body), file("f", "")], Refused(expected))
        })
    };
    [
        both("a record in words", "a global record in words", b"nonsense", wrong),
        both("a record without a length", "a global record without a length", b" path=a\n", wrong),
        both("a record of length 0", "a global record of length 0", b"0 path=a\n", wrong),
        both("a record that is shorter than it is", "a global record that is shorter", b"5 path=a\n", wrong),
        both("a record without its newline", "a global record without its newline", b"8 path=a\n", wrong),
        both("a record beyond the header", "a global record beyond the header", b"11 path=a\n", wrong),
        both("a length with a sign", "a global length with a sign", b"+9 path=a\n", wrong),
        both("a length of 77 bits", "a global length of 77 bits", b"99999999999999999999999 path=a\n", wrong),
        both("a record with another end", "a global record with another end", b"9 path=aX", wrong),
        both("zeros after a record", "zeros after a global record", b"9 path=a\n\0\0\0", wrong),
        both("a record without =", "a global record without =", b"8 patha\n", no_value),
        both("a record without a keyword", "a global record without a keyword", b"6 =ab\n", keyword),
        both("a keyword with NUL", "a global keyword with NUL", b"11 pa\0th=a\n", keyword),
    ]
    .concat()
}

fn values() -> Vec<LayerCase> {
    let case = |requirement: Requirement, name, keyword, value: &[u8], expected| {
        LayerCase::new(requirement, name, &[pax(&[(keyword, value)]), file("f", "")], Refused(expected))
    };
    let number = "size or id is not a number";
    let time = "mtime is not a time";
    vec![
        case(InsideTheRoot, "a path with NUL", "path", b"a\0b", "name holds a NUL byte"),
        case(InsideTheRoot, "a target with NUL", "linkpath", b"a\0b", "name holds a NUL byte"),
        case(InsideTheRoot, "a path that climbs to the host", "path", b"x/../../etc/passwd", "it has a `..` component"),
        case(NothingIsSetAside, "a PAX size of -1", "size", b"-1", number),
        case(NothingIsSetAside, "a PAX size with an exponent", "size", b"1e3", number),
        case(
            NothingIsSetAside,
            "a PAX size of 2^63",
            "size",
            b"9223372036854775808",
            "size or id is not a number from 0 to 2^63-1",
        ),
        case(OwnersAndModes, "a PAX user of -1", "uid", b"-1", number),
        case(
            OwnersAndModes,
            "a PAX user of 2^32-1",
            "uid",
            b"4294967295",
            "its uid is not a number from 0 to 4294967294",
        ),
        case(OwnersAndModes, "a PAX group of 2^64", "gid", b"18446744073709551616", number),
        case(
            OwnersAndModes,
            "a PAX group of 2^32",
            "gid",
            b"4294967296",
            "its gid is not a number from 0 to 4294967294",
        ),
        case(OneMeaningOfTar, "a PAX time in words", "mtime", b"yesterday", time),
        case(OneMeaningOfTar, "a PAX time of a fraction alone", "mtime", b".5", time),
        case(OneMeaningOfTar, "a PAX time with an exponent", "mtime", b"1.5e3", time),
        case(OneMeaningOfTar, "a PAX time with a sign", "mtime", b"+5", time),
        case(OneMeaningOfTar, "a PAX time of 2^63", "mtime", b"9223372036854775808", time),
        case(OneMeaningOfTar, "a PAX time before -2^63", "mtime", b"-9223372036854775808.5", time),
        case(Xattrs, "an attribute without a name", "SCHILY.xattr.", b"x", "an extended attribute has no name"),
    ]
}

fn alone() -> Vec<LayerCase> {
    let expected = Refused("an extended header has no entry after it");
    let both = |name, before_end, header: Vec<u8>| {
        let cut = LayerCase::new(OneMeaningOfTar, name, &[], expected);
        let cut = LayerCase { layers: vec![header.clone()], ..cut };
        [cut, LayerCase::new(OneMeaningOfTar, before_end, &[header], expected)]
    };
    [
        both("records and no entry", "records and no entry before the end", pax(&[("path", b"a")])),
        both("a long name and no entry", "a long name and no entry before the end", extended(b'L', b"a")),
        both("a global header and no entry", "a global header and no entry before the end", extended(b'g', b"")),
    ]
    .concat()
}
