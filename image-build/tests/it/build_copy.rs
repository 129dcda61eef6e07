//! COPY: which files it takes, and where they go.

use crate::build_fixture::{Built, Fixture, dir, file, link};

/// The listing of an image built from scratch with one COPY, from a context of many files.
fn copied(instruction: &str) -> Vec<String> {
    let fixture = Fixture::with_files(&["a.txt", "b.txt", "c.md", "dir/one", "dir/sub/two", "other/three"]);
    fixture.symlink("dir", "to-dir");
    fixture.symlink("a.txt", "to-a");
    fixture.symlink("/etc/passwd", "dir/absolute");
    files(&fixture.build(&format!("FROM scratch\n{instruction}")))
}

/// Paths and contents, without directories.
fn files(built: &Built<'_>) -> Vec<String> {
    let lines = built.listing();
    let lines = lines.iter().filter(|line| !line.starts_with("d "));
    lines.map(|line| line.split_once('/').unwrap().1.to_owned()).collect()
}

#[test]
fn sources_and_destinations() {
    for (instruction, expected) in [
        ("COPY a.txt /", &["a.txt a.txt"][..]),
        ("COPY a.txt /x", &["x a.txt"]),
        ("COPY a.txt /x/", &["x/a.txt a.txt"]),
        ("COPY a.txt /x/y/z", &["x/y/z a.txt"]),
        ("COPY a.txt .", &["a.txt a.txt"]),
        ("COPY a.txt ./sub/", &["sub/a.txt a.txt"]),
        ("COPY a.txt b.txt /x/", &["x/a.txt a.txt", "x/b.txt b.txt"]),
        ("COPY [\"a.txt\", \"/x y\"]", &["x y a.txt"]),
        ("COPY *.txt /x/", &["x/a.txt a.txt", "x/b.txt b.txt"]),
        ("COPY ?.md /x", &["x c.md"]),
        ("COPY [ab].txt /x/", &["x/a.txt a.txt", "x/b.txt b.txt"]),
        ("COPY */one /", &["one dir/one"]),
        ("COPY dir /x", &["x/absolute -> /etc/passwd", "x/one dir/one", "x/sub/two dir/sub/two"]),
        ("COPY dir/ /x/", &["x/absolute -> /etc/passwd", "x/one dir/one", "x/sub/two dir/sub/two"]),
        ("COPY dir/sub other /", &["three other/three", "two dir/sub/two"]),
        ("COPY to-dir /x", &["x/absolute -> /etc/passwd", "x/one dir/one", "x/sub/two dir/sub/two"]),
        ("COPY to-dir/one /", &["one dir/one"]),
        ("COPY to-a /x", &["x a.txt"]),
        ("COPY to-a /x/", &["x/to-a a.txt"]),
        ("COPY /a.txt /", &["a.txt a.txt"]),
        ("COPY ../../a.txt /", &["a.txt a.txt"]),
        ("COPY dir/../a.txt /", &["a.txt a.txt"]),
        ("COPY a.txt /x\nCOPY b.txt /x", &["x b.txt"]),
        (
            "COPY dir /x\nCOPY other /x",
            &["x/absolute -> /etc/passwd", "x/one dir/one", "x/sub/two dir/sub/two", "x/three other/three"],
        ),
        ("WORKDIR /w\nCOPY a.txt x", &["w/x a.txt"]),
        ("WORKDIR /w\nCOPY a.txt ../x", &["x a.txt"]),
        ("WORKDIR /w/v\nCOPY dir/sub .", &["w/v/two dir/sub/two"]),
    ] {
        assert_eq!(copied(instruction), expected, "{instruction}");
    }
}

#[test]
fn a_wildcard_that_matches_nothing_copies_nothing_and_warns() {
    let fixture = Fixture::with_files(&["a"]);
    let built = fixture.build("FROM scratch\nCOPY *.nothing a /x/");
    assert_eq!(files(&built), ["x/a a"]);
    assert_eq!(fixture.notices(), ["*.nothing: the pattern matches no file: nothing is copied"]);
}

#[test]
fn owners_and_modes() {
    let mut fixture = Fixture::with_files(&["d/f"]);
    fixture.set_mode("d/f", 0o4750);
    fixture.set_mode("d", 0o700);
    fixture.symlink("f", "d/l");
    let passwd = vec![dir("etc"), file("etc/group"), file("etc/passwd")];
    fixture.bases.add("base", passwd, |_| {});
    for (flags, expected) in [
        ("", ["d 0755 0:0 /x", "f 4750 0:0 /x/f d/f", "l 0777 0:0 /x/l -> f"]),
        ("--chown=7", ["d 0755 7:7 /x", "f 4750 7:7 /x/f d/f", "l 0777 7:7 /x/l -> f"]),
        ("--chown=7:8", ["d 0755 7:8 /x", "f 4750 7:8 /x/f d/f", "l 0777 7:8 /x/l -> f"]),
        ("--chown=app", ["d 0755 1001:1002 /x", "f 4750 1001:1002 /x/f d/f", "l 0777 1001:1002 /x/l -> f"]),
        ("--chown=app:staff", ["d 0755 1001:50 /x", "f 4750 1001:50 /x/f d/f", "l 0777 1001:50 /x/l -> f"]),
        ("--chmod=640", ["d 0640 0:0 /x", "f 0640 0:0 /x/f d/f", "l 0777 0:0 /x/l -> f"]),
    ] {
        let listing = fixture.build(&format!("FROM base\nCOPY {flags} d /x")).listing();
        assert_eq!(listing[3..], expected, "{flags}");
    }
    let nested = fixture.build("FROM base\nCOPY --chmod=0711 . /x").listing();
    assert_eq!(nested[3..5], ["d 0711 0:0 /x", "d 0711 0:0 /x/d"]);
}

#[test]
fn copies_from_a_stage_keep_owners() {
    let fixture = Fixture::with_files(&["a"]);
    let text = "FROM scratch AS s\nCOPY --chown=5:6 a /d/a\nFROM scratch\nCOPY --from=s /d /e\nCOPY --from=s --chown=9 /d/a /b";
    assert_eq!(fixture.build(text).listing(), ["f 0644 9:9 /b a", "d 0755 0:0 /e", "f 0644 5:6 /e/a a"]);
}

#[test]
fn destinations_follow_links_of_the_image_inside_it() {
    let mut fixture = Fixture::with_files(&["a", "d/b"]);
    let entries = vec![
        link("lib", "usr/lib"),
        link("out", "../../../../tmp"),
        dir("usr"),
        dir("usr/lib"),
        file("usr/lib/x"),
        link("z", "/usr/lib/x"),
    ];
    fixture.bases.add("base", entries, |_| {});
    let built = fixture.build("FROM base\nCOPY a /lib/\nCOPY d /out\nCOPY a /z");
    assert_eq!(
        files(&built),
        ["lib -> usr/lib", "out -> ../../../../tmp", "tmp/b d/b", "usr/lib/a a", "usr/lib/x a", "z -> /usr/lib/x"]
    );
    // The layer has the directories on the way, and not the root.
    assert_eq!(built.layer_paths(1), ["/usr", "/usr/lib", "/usr/lib/a"]);
}

#[test]
fn hard_links_stay_together() {
    let fixture = Fixture::with_files(&["a"]);
    std::fs::hard_link(fixture.context().join("a"), fixture.context().join("b")).unwrap();
    let built = fixture.build("FROM scratch\nCOPY . /x/\nCOPY a /alone");
    let tree = built.tree();
    let inode = |path: &[u8]| tree.lookup(path, image_overlay::Follow::NotLast).unwrap().unwrap().inode_id();
    assert_eq!(inode(b"/x/a"), inode(b"/x/b"));
    assert_ne!(inode(b"/x/a"), inode(b"/alone"));
}

#[test]
fn the_ignore_file_decides_what_the_context_is() {
    let fixture = Fixture::with_files(&["keep", "skip/a", "skip/b/c", "skip/b/keep", "x.log", "d/y.log"]);
    fixture.write(".dockerignore", "*.log\nskip\n!skip/b/keep\n.dockerignore\n");
    assert_eq!(
        files(&fixture.build("FROM scratch\nCOPY . /")),
        ["d/y.log d/y.log", "keep keep", "skip/b/keep skip/b/keep"]
    );
    let error = fixture.error("FROM scratch\nCOPY x.log /");
    assert!(error.contains("x.log: not found in the build context"), "{error}");
}

#[test]
fn a_link_of_the_context_never_leads_out_of_it() {
    let fixture = Fixture::with_files(&["a"]);
    fixture.symlink("/etc", "outside");
    fixture.symlink("../../..", "up");
    for source in ["outside/passwd", "up/etc/passwd", "../../etc/passwd"] {
        let error = fixture.error(&format!("FROM scratch\nCOPY {source} /"));
        assert!(error.contains("not found in the build context"), "{error}");
    }
    // As under chroot: the root's parent is the root.
    assert_eq!(files(&fixture.build("FROM scratch\nCOPY up/a /")), ["a a"]);
}

#[test]
fn what_the_base_hides_or_replaces_is_seen_as_it_is() {
    let mut fixture = Fixture::with_files(&["a"]);
    fixture.bases.add("base", vec![dir("d"), file("d/f"), file("g")], |_| {});
    let built = fixture.build("FROM base\nCOPY --from=base /d /e\nCOPY --from=base /g /e/f");
    assert_eq!(files(&built), ["d/f /d/f", "e/f /g", "g /g"]);
}
