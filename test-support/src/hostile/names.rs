//! Names that lead out of the root, or would if links were followed as they are.

use super::{
    Expected::{self, Contained, Line, Refused, Tree},
    LayerCase,
    Requirement::{InsideTheRoot, LeavesAreNotFollowed, LinksAsUnderChroot, Races, RootStays},
};
use crate::raw_tar::{Raw, dir, extended, fifo, file, hard_link, pax, symlink};

const DOTS: Expected = Refused("it has a `..` component");

pub(super) fn cases() -> Vec<LayerCase> {
    [climbing(), absolute(), through_links(), leaves(), chroot(), root(), races()].concat()
}

fn climbing() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(InsideTheRoot, name, members, expected);
    let sparse: [(&str, &[u8]); 4] = [
        ("GNU.sparse.name", b"../outside/file"),
        ("GNU.sparse.size", b"9"),
        ("GNU.sparse.numblocks", b"0"),
        ("GNU.sparse.map", b""),
    ];
    vec![
        case("a name that begins with ..", &[file("../outside/file", "evil")], DOTS),
        case("a name with .. in it", &[dir("a"), file("a/../../outside/file", "evil")], DOTS),
        case("a name with .. that stays inside", &[dir("a"), file("a/../b", "x")], DOTS),
        case("a name that ends with ..", &[dir("a/..")], DOTS),
        case("a climbing name in a PAX record", &[pax(&[("path", b"../outside/file")]), file("f", "evil")], DOTS),
        case("a climbing long name of GNU", &[extended(b'L', b"../outside/file\0"), file("f", "evil")], DOTS),
        case("a climbing ustar prefix", &[Raw::new(b'0', b"outside/file", 0).with(345, b"..").block()], DOTS),
        case("a climbing name of a sparse file", &[pax(&sparse), file("f", "")], DOTS),
        case("a climbing name of a directory", &[dir("../outside/dir")], DOTS),
        case("a climbing name of a symbolic link", &[symlink("../outside/file", "x")], DOTS),
    ]
}

fn absolute() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(InsideTheRoot, name, members, expected);
    let inside = Tree(&["etc/", "etc/f = x"]);
    vec![
        case("an absolute name", &[file("/etc/f", "x")], inside),
        case("an absolute name in a PAX record", &[pax(&[("path", b"/etc/f")]), file("f", "x")], inside),
        case("doubled slashes and dots", &[file("//etc/.//./f", "x")], inside),
        case("a name of slashes alone", &[file("//", "x")], Refused("the root can only be a directory")),
    ]
}

fn through_links() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(InsideTheRoot, name, members, expected);
    let up = symlink("l", "../outside");
    let evil = file("l/file", "evil");
    let inside = Tree(&["l -> ../outside", "outside/", "outside/file = evil"]);
    vec![
        case("a link to the outside, then a file through it", &[up.clone(), evil.clone()], inside),
        LayerCase::stack(
            InsideTheRoot,
            "a link to the outside in a lower layer",
            &[std::slice::from_ref(&up), std::slice::from_ref(&evil)],
            inside,
        ),
        case(
            "an absolute link to a directory of the host",
            &[symlink("l", "/etc"), file("l/passwd", "evil")],
            Tree(&["etc/", "etc/passwd = evil", "l -> /etc"]),
        ),
        case(
            "a link to the root of this process",
            &[symlink("l", "/proc/self/root"), file("l/f", "x")],
            Tree(&["l -> /proc/self/root", "proc/", "proc/self/", "proc/self/root/", "proc/self/root/f = x"]),
        ),
        case(
            "links that climb through each other",
            &[symlink("a", ".."), symlink("b", "a/.."), symlink("c", "b/../../outside"), file("c/file", "evil")],
            Tree(&["a -> ..", "b -> a/..", "c -> b/../../outside", "outside/", "outside/file = evil"]),
        ),
        case(
            "a directory that was gone into, and became a link",
            &[dir("d"), file("d/a", "x"), symlink("d", "../outside"), file("d/file", "evil")],
            Tree(&["d -> ../outside", "outside/", "outside/file = evil"]),
        ),
        case(
            "a link that became a directory",
            &[symlink("d", "../outside"), file("d/file", "evil"), dir("d"), file("d/a", "x")],
            Tree(&["d/", "d/a = x", "outside/", "outside/file = evil"]),
        ),
        case(
            "a link to the outside, then a link through it",
            &[up.clone(), symlink("l/link", "/")],
            Tree(&["l -> ../outside", "outside/", "outside/link -> /"]),
        ),
        case(
            "a link to the outside, then a pipe through it",
            &[up, fifo("l/file")],
            Tree(&["l -> ../outside", "outside/", "outside/file p"]),
        ),
    ]
}

fn leaves() -> Vec<LayerCase> {
    let case = |name, over: Vec<u8>, expected| {
        let link = symlink("l", "../outside/file");
        LayerCase::stack(LeavesAreNotFollowed, name, &[&[link], &[over]], expected)
    };
    let setuid = Raw::new(b'0', b"l", 0).with(100, b"0004777\0").with(108, b"0000001\0").block();
    vec![
        case("a file over a link to the outside", file("l", "evil"), Tree(&["l = evil"])),
        case("a directory over a link to the outside", dir("l"), Tree(&["l/"])),
        case("a pipe over a link to the outside", fifo("l"), Tree(&["l p"])),
        case("a link over a link to the outside", symlink("l", "x"), Tree(&["l -> x"])),
        case("owner and mode over a link to the outside", setuid, Line("l =  4777 1:0 0.000000000")),
        LayerCase::new(
            LeavesAreNotFollowed,
            "attributes of a link to the outside",
            &[
                pax(&[("SCHILY.xattr.user.a", b"evil"), ("mtime", b"5")]),
                Raw::new(b'2', b"l", 0).with(157, b"../outside/file").with(108, b"0000001\0").block(),
            ],
            Line("l -> ../outside/file 0777 1:0 5.000000000"),
        ),
        LayerCase::new(
            LeavesAreNotFollowed,
            "a file over a hard link to a link to the outside",
            &[symlink("l", "../outside/file"), hard_link("h", "l"), file("h", "evil")],
            Tree(&["h = evil", "l -> ../outside/file"]),
        ),
        LayerCase::stack(
            LeavesAreNotFollowed,
            "a file over one of two names",
            &[&[file("a", "1"), hard_link("b", "a")], &[file("b", "2")]],
            Tree(&["a = 1", "b = 2"]),
        ),
    ]
}

fn chroot() -> Vec<LayerCase> {
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(LinksAsUnderChroot, name, members, expected);
    let usr = [dir("usr/lib"), symlink("lib", "usr/lib")];
    let merged = Tree(&["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x.so = x"]);
    vec![
        case("a library through a link", &[usr.concat(), file("lib/x.so", "x")], merged),
        LayerCase::stack(
            LinksAsUnderChroot,
            "a library through a link of a lower layer",
            &[&usr, &[file("lib/x.so", "x")]],
            merged,
        ),
        case(
            "a link that climbs past the root",
            &[dir("a"), symlink("l", "../../../../a"), file("l/f", "x")],
            Tree(&["a/", "a/f = x", "l -> ../../../../a"]),
        ),
        case("links in a circle", &[symlink("a", "b"), symlink("b", "a"), file("a/f", "x")], Refused("symbolic links")),
        case("a target of 4095 bytes", &[symlink("l", [b'x'; 4095])], Expected::Paths(&["l"])),
        case("a target of any bytes", &[symlink("l", b"\xff\n\x01/../")], Tree(&["l -> \\xff\\n\\x01/../"])),
    ]
}

fn root() -> Vec<LayerCase> {
    let refused = Refused("the root can only be a directory");
    let case = |name, members: &[Vec<u8>], expected| LayerCase::new(RootStays, name, members, expected);
    vec![
        case("a root that is a link", &[symlink(".", "../outside")], refused),
        case("a root that is a link, written ./", &[symlink("./", "../outside")], refused),
        case("a root that is a link, written /", &[symlink("/", "../outside")], refused),
        case("a root that is a file", &[file("./", "x")], refused),
        case("a root that is a pipe", &[fifo(".")], refused),
        case("a root that is a hard link", &[file("f", "x"), hard_link("./.", "f")], refused),
        case("a link to the root", &[hard_link("h", "/")], Refused("it is a hard link to nothing or to the root")),
        case("a root that is a directory", &[dir("./"), file("f", "x")], Tree(&["f = x"])),
    ]
}

/// Each entry goes through `d`, which is a directory at one moment and a link to the outside at the next.
fn races() -> Vec<LayerCase> {
    let rounds = |round: fn(usize) -> Vec<u8>| (0..150).map(round).collect::<Vec<_>>();
    let case = |name, round| LayerCase::new(Races, name, &rounds(round), Contained);
    vec![
        case("files and directories in an exchanged directory", |n| {
            [file("d/file", "evil"), file(format!("d/f{n}"), "evil"), dir("d/dir"), file("d/dir/file", "evil")].concat()
        }),
        case("links in an exchanged directory", |n| {
            let links = [symlink("d/link", "evil"), hard_link(format!("d/h{n}"), "d/link"), fifo("d/file")];
            [file(format!("other{n}"), ""), links.concat()].concat()
        }),
        case("whiteouts in an exchanged directory", |n| {
            [file(format!("other{n}"), ""), file("d/.wh.file", ""), file("d/.wh.dir", ""), file("d/.wh..wh..opq", "")]
                .concat()
        }),
        case("attributes of an exchanged directory", |_| {
            let own = Raw::new(b'5', b"d", 0).with(100, b"0007777\0").with(108, b"0000001\0").block();
            [pax(&[("SCHILY.xattr.trusted.evil", b"x"), ("mtime", b"5")]), own, file("d/dir/file", "evil")].concat()
        }),
    ]
}
