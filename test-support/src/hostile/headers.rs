//! Header blocks that say what no header may say.

use super::{
    Expected::Refused,
    LayerCase,
    Requirement::{self, HardLinks, InsideTheRoot, NothingIsSetAside, OneMeaningOfTar, OwnersAndModes, RootStays},
};
use crate::raw_tar::{Raw, file};

fn raw(kind: u8) -> Raw {
    Raw::new(kind, b"bad", 0)
}

pub(super) fn cases() -> Vec<LayerCase> {
    [numbers(), meanings()].concat()
}

fn case(requirement: Requirement, name: &'static str, part: Vec<u8>, expected: &'static str) -> LayerCase {
    LayerCase::new(requirement, name, &[file("ok", ""), part], Refused(expected))
}

fn numbers() -> Vec<LayerCase> {
    let tar = |name, part, expected| case(OneMeaningOfTar, name, part, expected);
    let id = |name, part, expected| case(OwnersAndModes, name, part, expected);
    let size = |name, part, expected| case(NothingIsSetAside, name, part, expected);
    vec![
        tar("no checksum", raw(b'0').unsummed(), "tar entry 2 (bad): its header's checksum does not match"),
        tar(
            "a checksum that is no number",
            raw(b'0').with(148, b"nonsense").unsummed(),
            "tar entry 2 (bad): its header's checksum is not a number",
        ),
        id(
            "a mode in letters",
            raw(b'0').with(100, b"rw-r--r-").block(),
            "tar entry 2 (bad): its mode is not a number",
        ),
        id(
            "a user by name",
            raw(b'0').with(108, b"root\0\0\0\0").block(),
            "(bad): its uid is not a number from 0 to 4294967294",
        ),
        id("a user that is not octal", raw(b'0').with(108, b"0000009\0").block(), "its uid is not a number"),
        id("a user of two numbers", raw(b'0').with(108, b"12 34\0\0\0").block(), "its uid is not a number"),
        id(
            "a user of -1 in 32 bits",
            raw(b'0').with(108, b"\x80\0\0\0\xff\xff\xff\xff").block(),
            "its uid is not a number from 0 to 4294967294",
        ),
        id(
            "a group of 33 bits",
            raw(b'0').with(116, b"\x80\0\0\x01\0\0\0\0").block(),
            "its gid is not a number from 0 to 4294967294",
        ),
        id(
            "a group of -1",
            raw(b'0').with(116, b"\xff\xff\xff\xff\xff\xff\xff\xff").block(),
            "its gid is not a number",
        ),
        size("a size of -1", raw(b'0').with(124, &[0xff; 12]).block(), "its size is not a number from 0"),
        size(
            "a size of 2^63",
            raw(b'0').with(124, b"\x80\0\0\0\x80\0\0\0\0\0\0\0").block(),
            "its size is not a number from 0 to 2^63-1",
        ),
        size("a size with a sign", raw(b'5').with(124, b"-0000000001\0").block(), "its size is not a number"),
        tar("a time in words", raw(b'0').with(136, b"now\0").block(), "its mtime is not a number"),
        tar(
            "a time of 90 bits",
            raw(b'0').with(136, b"\x81\0\0\0\0\0\0\0\0\0\0\0").block(),
            "its mtime is not a number",
        ),
        tar(
            "a major number out of range",
            raw(b'3').with(329, b"0010000\0").block(),
            "its device number is out of range",
        ),
        tar(
            "a minor number out of range",
            raw(b'4').with(337, b"4000000\0").block(),
            "its device number is out of range",
        ),
    ]
}

fn meanings() -> Vec<LayerCase> {
    vec![
        case(
            HardLinks,
            "a hard link without a target",
            raw(b'1').block(),
            "it is a hard link to nothing or to the root",
        ),
        case(
            HardLinks,
            "a hard link to a climbing target",
            raw(b'1').with(157, b"../x").block(),
            "tar entry 2 (bad): its target ../x: it has a `..` component",
        ),
        case(OneMeaningOfTar, "a link without a target", raw(b'2').block(), "it is a symbolic link without a target"),
        case(
            InsideTheRoot,
            "a name with .. in it, second in its layer",
            Raw::new(b'0', b"a/../b", 0).block(),
            "tar entry 2 (a/../b): it has a `..` component",
        ),
        case(
            RootStays,
            "a root that is a link to the host's",
            Raw::new(b'2', b"./", 0).with(157, b"/").block(),
            "tar entry 2 (./): the root can only be a directory",
        ),
        case(
            RootStays,
            "a file without a name",
            Raw::new(b'0', b"", 0).block(),
            "tar entry 2: the root can only be a directory",
        ),
        case(
            OneMeaningOfTar,
            "a block of zeros before an entry",
            [vec![0; 512], file("x", "")].concat(),
            "tar entry 2: a lone block of zeros",
        ),
    ]
}
