//! Hard links.

use super::{
    Expected::{Refused, Tree},
    LayerCase,
    Requirement::HardLinks,
};
use crate::raw_tar::{Raw, dir, file, hard_link, pax, symlink};

pub(super) fn cases() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(HardLinks, name, members, expected);
    let missing = |text| Refused(text);
    vec![
        case("to a climbing path", &[hard_link("h", "../outside/file")], Refused("it has a `..` component")),
        case(
            "to a climbing path in a PAX record",
            &[pax(&[("linkpath", b"a/../../outside/file")]), Raw::new(b'1', b"h", 0).block()],
            Refused("it has a `..` component"),
        ),
        case(
            "to a file of the host",
            &[hard_link("h", "/etc/passwd")],
            missing("tar entry 1 (h): it is a hard link to /etc/passwd, which does not exist"),
        ),
        case(
            "to a file of the directory that the process is in",
            &[hard_link("h", "Cargo.toml")],
            missing("it is a hard link to /Cargo.toml, which does not exist"),
        ),
        case(
            "to the outside through a link",
            &[symlink("l", "../outside"), hard_link("h", "l/file")],
            missing("it is a hard link to /l/file, which does not exist"),
        ),
        case(
            "to the outside through two links",
            &[symlink("l", ".."), symlink("m", "l/outside"), hard_link("h", "m/file")],
            missing("it is a hard link to /m/file, which does not exist"),
        ),
        case("to nothing", &[Raw::new(b'1', b"h", 0).block()], Refused("it is a hard link to nothing or to the root")),
        case("to a directory", &[dir("d"), hard_link("h", "d")], Refused("a hard link to /d, which is a directory")),
        case("to itself", &[file("h", "x"), hard_link("h", "h")], Refused("a hard link to /h, which is itself")),
        case(
            "to what it replaces",
            &[file("d/f", "x"), hard_link("d", "d/f")],
            Refused("a hard link to /d/f, which it replaces"),
        ),
        case(
            "to what comes later",
            &[hard_link("h", "f"), file("f", "x")],
            missing("it is a hard link to /f, which does not exist"),
        ),
        case(
            "to a link to the outside, which stays a link",
            &[symlink("l", "../outside/file"), hard_link("h", "l")],
            Tree(&["h -> ../outside/file", "l -> ../outside/file (also h)"]),
        ),
        LayerCase::stack(
            HardLinks,
            "to a file of a lower layer",
            &[&[file("f", "x")], &[hard_link("h", "f")]],
            Tree(&["f = x", "h = x (also f)"]),
        ),
        LayerCase::stack(
            HardLinks,
            "to a file whose other name goes later",
            &[&[file("f", "x")], &[hard_link("h", "f")], &[file(".wh.f", "")]],
            Tree(&["h = x"]),
        ),
    ]
}
