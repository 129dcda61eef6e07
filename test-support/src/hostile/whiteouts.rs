//! Markers that hide.

use super::{
    Expected::{Refused, Tree},
    LayerCase,
    Requirement::Whiteouts,
};
use crate::raw_tar::{dir, extended, fifo, file, pax, symlink};

pub(super) fn cases() -> Vec<LayerCase> {
    [refused(), through_links(), own_layer()].concat()
}

fn refused() -> Vec<LayerCase> {
    let nothing = Refused("a whiteout that names nothing to hide");
    let directory = Refused("a whiteout's name stands for a directory");
    let lower = [file("a", "1"), file("d/b", "2")];
    let case = |name, marker: Vec<u8>, expected| LayerCase::stack(Whiteouts, name, &[&lower, &[marker]], expected);
    vec![
        case("of nothing", file(".wh.", ""), nothing),
        case("of the directory it stands in", file(".wh..", ""), nothing),
        case("of the parent of the root", file(".wh...", ""), nothing),
        case("of the parent of a directory", file("d/.wh...", ""), nothing),
        case("of nothing in a directory", file("d/.wh.", ""), nothing),
        case("of the parent, in a PAX record", [pax(&[("path", b".wh...")]), file("f", "")].concat(), nothing),
        case("of the parent, in a long name of GNU", [extended(b'L', b".wh...\0"), file("f", "")].concat(), nothing),
        case("of the parent that is a link", symlink(".wh...", "x"), nothing),
        case("that is a directory on the way", file(".wh.a/b", ""), directory),
        case("that is opaque and a directory on the way", file(".wh..wh..opq/b", ""), directory),
        case("by a climbing path", file("../outside/.wh.file", ""), Refused("it has a `..` component")),
    ]
}

fn through_links() -> Vec<LayerCase> {
    let up = [symlink("l", "../outside"), symlink("m", "/etc")];
    let left = Tree(&["l -> ../outside", "m -> /etc"]);
    let case = |name, markers: &[Vec<u8>], expected| LayerCase::stack(Whiteouts, name, &[&up, markers], expected);
    vec![
        case("of a file outside, through a link", &[file("l/.wh.file", "")], left),
        case("of a directory outside, through a link", &[file("l/.wh.dir", "")], left),
        case("of all that is outside, through a link", &[file("l/.wh..wh..opq", "")], left),
        case("of a file of the host, through a link", &[file("m/.wh.passwd", ""), file("m/.wh..wh..opq", "")], left),
        case("of a link to the outside", &[file(".wh.l", "")], Tree(&["m -> /etc"])),
        case("of links, by an opaque root", &[file(".wh..wh..opq", "")], Tree(&[])),
        LayerCase::stack(
            Whiteouts,
            "of a directory that holds a link to the outside",
            &[&[symlink("d/l", "../../outside"), file("d/f", "x")], &[file(".wh.d", "")]],
            Tree(&[]),
        ),
        LayerCase::stack(
            Whiteouts,
            "through a link inside the root",
            &[&[file("d/f", "x"), symlink("l", "d")], &[file("l/.wh.f", "")]],
            Tree(&["d/", "l -> d"]),
        ),
        LayerCase::stack(
            Whiteouts,
            "below a file and below nothing",
            &[&[file("f", "x")], &[file("f/.wh.a", ""), file("f/.wh..wh..opq", ""), file("n/.wh.a", "")]],
            Tree(&["f = x"]),
        ),
    ]
}

fn own_layer() -> Vec<LayerCase> {
    let lower = [file("d/old", "1"), file("f", "old")];
    let case = |name, members: &[Vec<u8>], expected| LayerCase::stack(Whiteouts, name, &[&lower, members], expected);
    let new = Tree(&["d/", "d/new = 2", "f = old"]);
    vec![
        case("opaque before what its layer brings", &[file("d/.wh..wh..opq", ""), file("d/new", "2")], new),
        case("opaque after what its layer brings", &[file("d/new", "2"), file("d/.wh..wh..opq", "")], new),
        case("before what its layer brings", &[file(".wh.d", ""), file("d/new", "2")], new),
        case("after what its layer brings", &[file("d/new", "2"), file(".wh.d", "")], new),
        case(
            "after a file of the same name",
            &[file("f", "new"), file(".wh.f", "")],
            Tree(&["d/", "d/old = 1", "f = new"]),
        ),
        case("with content", &[file(".wh.f", "content")], Tree(&["d/", "d/old = 1"])),
        case("that is a pipe", &[fifo(".wh.f")], Tree(&["d/", "d/old = 1"])),
        case("that is a directory", &[dir(".wh.f")], Tree(&["d/", "d/old = 1"])),
        case("of what is not there", &[file(".wh.nothing", "")], Tree(&["d/", "d/old = 1", "f = old"])),
        case(
            "under names that are kept by aufs",
            &[file(".wh..wh.plnk", ""), dir(".wh..wh.orph"), file(".wh..wh.orph/x", ""), file(".wh..wh.", "")],
            Tree(&["d/", "d/old = 1", "f = old"]),
        ),
        case("twice", &[file(".wh.f", ""), file(".wh.f", "")], Tree(&["d/", "d/old = 1"])),
        case("in the base layer", &[file("d/.wh.old", ""), file("d/.wh..wh..opq", "")], Tree(&["d/", "f = old"])),
    ]
}
