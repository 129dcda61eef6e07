//! COPY with here-documents, `--parents`, `--exclude` and `--link`.

use crate::build_fixture::{Built, Fixture, dir, file, link};

/// Paths and contents, without directories.
fn files(built: &Built<'_>) -> Vec<String> {
    let lines = built.listing();
    let lines = lines.iter().filter(|line| !line.starts_with("d "));
    lines.map(|line| line.split_once('/').unwrap().1.to_owned()).collect()
}

#[test]
fn here_documents_are_files() {
    let fixture = Fixture::with_files(&["a"]);
    let text = "FROM scratch\nARG WHO=you\nWORKDIR /w\nCOPY <<EOF hello\nhello $WHO\nEOF\n\
                COPY --chown=7:8 --chmod=u+x <<-'one' a <<two.txt ./d/\n\tas $WHO is\n\tone\n\ttwo\ntwo.txt\n";
    let built = fixture.build(text);
    assert_eq!(
        built.listing(),
        [
            "d 0755 0:0 /w",
            "d 0755 7:8 /w/d",
            "f 0744 7:8 /w/d/a a",
            "f 0744 7:8 /w/d/one as $WHO is\n",
            "f 0744 7:8 /w/d/two.txt \ttwo\n",
            "f 0644 0:0 /w/hello hello you\n",
        ]
    );
    let lines: Vec<_> = built.config().history.into_iter().filter_map(|step| step.created_by).collect();
    assert_eq!(lines[2], "COPY <<EOF hello # buildkit");
    assert_eq!(lines[3], "COPY --chown=7:8 --chmod=u+x a <<one <<two.txt ./d/ # buildkit");
    // Their content is in the key: the line alone does not tell it.
    assert_eq!(fixture.build(text).done(), [""; 0]);
    let done = fixture.build(&text.replace("hello $WHO", "bye $WHO")).done();
    assert!(done[0].contains("COPY <<EOF hello"), "{done:?}");
    let done = fixture.build(&text.replace("WHO=you", "WHO=me")).done();
    assert!(done.iter().any(|step| step.contains("COPY <<EOF hello")), "{done:?}");
    // Several files need a directory.
    let error = fixture.error("FROM scratch\nCOPY <<a <<b /x\na\nb\n");
    assert!(error.contains("end it with a slash"), "{error}");
}

#[test]
fn parents_are_kept() {
    let paths =
        ["x/a.txt", "x/y/b.txt", "x/y/c.md", "y/a.txt", "src/a.txt", "src/x/b.txt", "src/x/y/c.txt", "src/d.md"];
    let fixture = Fixture::with_files(&paths);
    fixture.symlink("x", "to-x");
    for (instruction, expected) in [
        ("COPY --parents ./x/a.txt ./y/a.txt /p/", &["p/x/a.txt x/a.txt", "p/y/a.txt y/a.txt"][..]),
        ("COPY --parents x/a.txt /p", &["p/x/a.txt x/a.txt"]),
        ("COPY --parents x/y /p", &["p/x/y/b.txt x/y/b.txt", "p/x/y/c.md x/y/c.md"]),
        ("COPY --parents ./x/./y/*.txt /p/", &["p/y/b.txt x/y/b.txt"]),
        ("COPY --parents x/./a.txt x/y/./b.txt /p/", &["p/a.txt x/a.txt", "p/b.txt x/y/b.txt"]),
        ("COPY --parents x/./ /p/", &["p/a.txt x/a.txt", "p/y/b.txt x/y/b.txt", "p/y/c.md x/y/c.md"]),
        ("COPY --parents to-x/./a.txt /p/", &["p/a.txt x/a.txt"]),
        (
            "COPY --parents ./src/**/*.txt /p/",
            &["p/src/a.txt src/a.txt", "p/src/x/b.txt src/x/b.txt", "p/src/x/y/c.txt src/x/y/c.txt"],
        ),
        ("COPY --parents */a.txt /p/", &["p/src/a.txt src/a.txt", "p/x/a.txt x/a.txt", "p/y/a.txt y/a.txt"]),
        ("COPY --parents --exclude=**/y x src/x /p/", &["p/src/x/b.txt src/x/b.txt", "p/x/a.txt x/a.txt"]),
        ("COPY --parents *.none x/a.txt /p/", &["p/x/a.txt x/a.txt"]),
        ("COPY --parents=false x/a.txt /p/", &["p/a.txt x/a.txt"]),
    ] {
        assert_eq!(files(&fixture.build(&format!("FROM scratch\n{instruction}"))), expected, "{instruction}");
    }
    for (source, expected) in [
        ("x/none", "x/none: not found in the build context"),
        ("none/./a", "none: not found in the build context"),
        ("x/a.txt/./b", "x/a.txt/./b: not found in the build context"),
        (
            "to-x/a.txt",
            "to-x/a.txt: not found in the build context: the link there, to x, is not followed by --parents",
        ),
    ] {
        let error = fixture.error(&format!("FROM scratch\nCOPY --parents {source} /p/"));
        assert!(error.ends_with(expected), "{source}: {error}");
    }
}

#[test]
fn parents_take_their_attributes_along() {
    let fixture = Fixture::with_files(&["x/y/a"]);
    fixture.set_mode("x", 0o711);
    fixture.set_mode("x/y", 0o700);
    let built =
        fixture.build("FROM scratch AS s\nCOPY --chown=3:4 . /w\nFROM scratch\nCOPY --from=s --parents /w/./x/y/a /p/");
    assert_eq!(built.listing(), ["d 0755 0:0 /p", "d 0711 3:4 /p/x", "d 0700 3:4 /p/x/y", "f 0644 3:4 /p/x/y/a x/y/a"]);
}

#[test]
fn what_is_excluded_is_not_copied() {
    // The files and patterns of BuildKit's frontend/dockerfile/exclude_patterns_test.go.
    let names = [
        "dir1/file-101.png",
        "dir1/file-102.txt",
        "dir1/file-103.jpeg",
        "dir2/file-201.pdf",
        "dir2/file-202.jpeg",
        "dir2/file-203.png",
        "dir3/file-301.mp3",
        "dir3/file-302.mpeg",
        "dir4/file-401.txt",
    ];
    let fixture = Fixture::with_files(&names);
    fixture.symlink("file-401.txt", "dir4/file-402.txt");
    for (instruction, expected) in [
        (
            "COPY --exclude=*/*.png --exclude=*/*.jpeg . /1",
            &[
                "1/dir1/file-102.txt",
                "1/dir2/file-201.pdf",
                "1/dir3/file-301.mp3",
                "1/dir3/file-302.mpeg",
                "1/dir4/file-401.txt",
                "1/dir4/file-402.txt",
            ][..],
        ),
        (
            "COPY --exclude=*/*.pdf --exclude=*/*.txt . /2",
            &[
                "2/dir1/file-101.png",
                "2/dir1/file-103.jpeg",
                "2/dir2/file-202.jpeg",
                "2/dir2/file-203.png",
                "2/dir3/file-301.mp3",
                "2/dir3/file-302.mpeg",
            ],
        ),
        ("ADD --exclude=*.mp3 dir3/ /3/", &["3/file-302.mpeg"]),
        (
            "COPY --exclude=*.mp3 --exclude=*.jpeg --exclude=*.png --exclude=*.pdf --exclude=*.txt dir* /4/",
            &["4/file-302.mpeg"],
        ),
        (
            "ADD --exclude=*.mp* --exclude=*.jpeg --exclude=*.png --exclude=*.pdf dir* /5",
            &["5/file-102.txt", "5/file-401.txt", "5/file-402.txt"],
        ),
        (
            "COPY --exclude=dir[1-3] --exclude=!dir2/*.pdf . /7/",
            &["7/dir2/file-201.pdf", "7/dir4/file-401.txt", "7/dir4/file-402.txt"],
        ),
        // Files that the source itself names too, as the reference has it.
        ("COPY --exclude=*.png dir1/*.* /8/", &["8/file-102.txt", "8/file-103.jpeg"]),
    ] {
        let found = files(&fixture.build(&format!("FROM scratch\n{instruction}")));
        let names: Vec<_> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, expected, "{instruction}");
    }
    assert_eq!(fixture.build("FROM scratch\nADD --exclude=* dir* /6").listing(), ["d 0755 0:0 /6"]);
    // What is left out is not in the key, and what leaves out is.
    let text = "FROM scratch\nCOPY --exclude=**/*.png . /1";
    fixture.build(text);
    fixture.write("dir1/file-101.png", "changed");
    assert_eq!(fixture.build(text).done(), [""; 0]);
    assert_eq!(fixture.build(&text.replace("png", "pdf")).done(), ["[0 2/2] COPY --exclude=**/*.pdf . /1"]);
    let error = fixture.error("FROM scratch\nCOPY --exclude=[a . /1");
    assert!(error.contains("Dockerfile:2:16: invalid pattern \"[a\""), "{error}");
}

#[test]
fn a_linked_copy_does_not_depend_on_what_is_there() {
    let mut fixture = Fixture::with_files(&["a", "b"]);
    let base = |extra: Vec<_>| [vec![dir("etc"), file("etc/group"), file("etc/passwd")], extra].concat();
    fixture.bases.add("base", base(vec![link("lib", "usr/lib"), dir("usr"), dir("usr/lib")]), |_| {});
    let text = "FROM base\nCOPY --link --chown=app --chmod=640 a /lib/a\nCOPY b /b";
    let built = fixture.build(text);
    // The link of the base is not followed, and directories are made anew.
    assert_eq!(built.layer_paths(1), ["/lib", "/lib/a"]);
    assert!(built.listing().contains(&"f 0640 1001:1002 /lib/a a".to_owned()), "{:?}", built.listing());
    let linked = built.open().layers().nth(1).unwrap().diff_id.clone();
    // On another base its layer serves again; that of a plain copy does not.
    fixture.bases.add("base", base(vec![dir("other")]), |_| {});
    let again = fixture.build(text);
    assert_eq!(again.done(), ["[0 1/3] FROM base", "[0 3/3] COPY b /b"]);
    assert_eq!(*again.open().layers().nth(1).unwrap().diff_id, linked);
    // A name of an owner means what the new base says.
    fixture.bases.add("base", vec![dir("etc")], |_| {});
    let error = fixture.error(text);
    assert!(error.contains("unknown owner \"app\""), "{error}");
    assert_eq!(fixture.build("FROM base\nCOPY --link=false a /lib/a").layer_paths(1), ["/lib", "/lib/a"]);
}
