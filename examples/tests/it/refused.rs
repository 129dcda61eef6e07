//! Builds that cannot be: each says what is wrong and where, and writes nothing.

use std::{fs, os::unix::fs::symlink, process::Command};

use test_support::{require_tool, tool};

use crate::{program::refuse, project::Project};

/// Changes a project that could be built.
type Spoil = fn(&Project);

/// A Dockerfile, what is done to its context, and what the complaint says.
type Case<'a> = (&'a str, Spoil, &'a [&'a str]);

fn nothing(_: &Project) {}

/// Builds what cannot be built, in a project with some files.
fn check(dockerfile: &str, spoil: Spoil, arguments: &[&str], expected: &[&str]) {
    let project = Project::new(dockerfile);
    project.write("file", "content");
    project.write("directory/inner", "content");
    spoil(&project);
    let complaint = refuse(project.command().args(arguments));
    for part in expected {
        assert!(complaint.contains(part), "{dockerfile:?}: {part:?} is not in:\n{complaint}");
    }
    let image_written =
        fs::read_to_string(project.output().join("index.json")).is_ok_and(|index| index.contains("sha256:"));
    assert!(!image_written, "{dockerfile:?}: an image was written");
}

#[test]
fn a_malformed_dockerfile_is_shown_with_line_and_column() {
    let cases: &[Case<'_>] = &[
        ("", nothing, &["Dockerfile"]),
        ("# only a comment\n", nothing, &["Dockerfile"]),
        ("COPY a b\nFROM scratch\n", nothing, &["Dockerfile:1:1", "1 | COPY a b", "^^^^"]),
        ("FROM scratch\n\nCOPPY a b\n", nothing, &["Dockerfile:3:1", "COPPY", "COPY", "3 | COPPY a b", "^^^^^"]),
        ("FROM scratch\nCOPY --form=x a b\n", nothing, &["Dockerfile:2:6", "--form", "--from", "     ^^^^^^"]),
        ("FROM scratch\nCOPY --chmod=99999 file /\n", nothing, &["Dockerfile:2", "99999"]),
        ("FROM scratch\nCOPY file\n", nothing, &["Dockerfile:2:1"]),
        ("FROM scratch\nCMD [\"a\", b]\nENV\n", nothing, &["Dockerfile:3:1", "ENV"]),
        ("FROM scratch\nEXPOSE 99999\n", nothing, &["Dockerfile:2", "99999"]),
        ("FROM scratch\nENV A=${B\n", nothing, &["Dockerfile:2"]),
        ("FROM scratch\nENV A=${B:?is not set}\n", nothing, &["Dockerfile:2", "is not set"]),
        ("FROM scratch\nCOPY <<EOF /file\nnever ends\n", nothing, &["Dockerfile:2", "EOF"]),
        ("FROM scratch\nHEALTHCHECK --interval=never CMD x\n", nothing, &["Dockerfile:2", "never"]),
    ];
    for (dockerfile, spoil, expected) in cases {
        check(dockerfile, *spoil, &[], expected);
    }
}

#[test]
fn what_stages_cannot_be_is_named() {
    let cases: &[Case<'_>] = &[
        ("FROM scratch AS a\nCOPY --from=a file /\n", nothing, &["Dockerfile:2", "a"]),
        (
            "FROM scratch AS a\nCOPY --from=b /x /\nFROM scratch AS b\nCOPY --from=a /x /\n",
            nothing,
            &["Dockerfile:2", "b"],
        ),
        ("FROM scratch AS a\nCOPY file /\nFROM scratch\nCOPY --from=7 /file /\n", nothing, &["Dockerfile:4", "7"]),
        (
            "FROM scratch AS a\nCOPY file /\nFROM scratch\nCOPY --from=a /absent /\n",
            nothing,
            &["Dockerfile:4", "absent"],
        ),
        ("FROM ${NOTHING}\n", nothing, &["Dockerfile:1"]),
        ("FROM Not/A/Name\n", nothing, &["Dockerfile:1", "Not/A/Name"]),
        ("FROM scratch\nCOPY file /\nCOPY file /file/below\n", nothing, &["Dockerfile:3", "file"]),
        ("FROM scratch\nCOPY file directory/inner /target\n", nothing, &["Dockerfile:2", "/"]),
    ];
    for (dockerfile, spoil, expected) in cases {
        check(dockerfile, *spoil, &[], expected);
    }
    check("FROM scratch AS first\nCOPY file /\n", nothing, &["--target", "frist"], &["frist", "first"]);
}

#[test]
fn an_address_that_cannot_be_had_names_its_line() {
    // Nothing listens there.
    let reason = if cfg!(feature = "http") { "Connection refused" } else { "no fetcher" };
    check("FROM scratch\nADD http://127.0.0.1:9/x /\n", nothing, &[], &["Dockerfile:2:1", "127.0.0.1:9/x", reason]);
}

#[test]
fn what_a_context_cannot_give_is_named() {
    let cases: &[Case<'_>] = &[
        ("FROM scratch\nCOPY absent /\n", nothing, &["Dockerfile:2", "absent"]),
        ("FROM scratch\nCOPY file /\n", |p| p.write(".dockerignore", "file\n"), &["Dockerfile:2", "file"]),
        ("FROM scratch\nCOPY file /\n", |p| p.write(".dockerignore", "a\n[b\n"), &[".dockerignore:2", "[b"]),
        ("FROM scratch\nCOPY pipe /\n", fifo, &["Dockerfile:2", "pipe"]),
        ("FROM scratch\nCOPY . /\n", fifo, &["Dockerfile:2", "pipe"]),
        ("FROM scratch\nCOPY . /\n", |p| p.write("directory/.wh.inner", ""), &["Dockerfile:2", ".wh.inner"]),
        ("FROM scratch\nCOPY escape /\n", |p| link(p, "../../../../../etc/passwd"), &["Dockerfile:2", "escape"]),
        ("FROM scratch\nCOPY escape/passwd /\n", |p| link(p, "/etc"), &["Dockerfile:2", "escape"]),
        ("FROM scratch\nCOPY ../../etc/passwd /\n", nothing, &["Dockerfile:2", "etc/passwd"]),
        ("FROM scratch\nCOPY loop /\n", |p| symlink("loop", p.context("loop")).unwrap(), &["Dockerfile:2", "loop"]),
    ];
    for (dockerfile, spoil, expected) in cases {
        check(dockerfile, *spoil, &[], expected);
    }
}

fn fifo(project: &Project) {
    assert!(require_tool("mkfifo"));
    tool::run(Command::new("mkfifo").arg(project.context("pipe")));
}

fn link(project: &Project, target: &str) {
    symlink(target, project.context("escape")).unwrap();
}

#[test]
fn places_that_are_not_what_they_should_be_are_named() {
    let project = Project::new("FROM scratch\nCOPY file /\n");
    project.write("file", "content");
    let refused = |arguments: &[&str], expected: &[&str]| {
        let complaint = refuse(project.command().args(arguments));
        for part in expected {
            assert!(complaint.contains(part), "{arguments:?}: {part:?} is not in:\n{complaint}");
        }
        assert!(!project.output().join("index.json").exists(), "{arguments:?}: a layout was written");
    };
    refused(&["-f", "no-such-file"], &["no-such-file"]);
    refused(&["--base", "no-such-layout"], &["no-such-layout"]);
    refused(&["--build-context", "more=/no/such/directory"], &["/no/such/directory"]);

    let missing =
        refuse(crate::program::program("build").args(["-o"]).arg(project.path("out")).arg(project.path("absent")));
    assert!(missing.contains("absent"), "{missing}");

    // An output that is something else is left as it is.
    fs::write(project.path("out"), "a file").unwrap();
    assert!(refuse(&mut project.command()).contains("out"));
    assert_eq!(fs::read_to_string(project.path("out")).unwrap(), "a file");
    fs::remove_file(project.path("out")).unwrap();
    fs::create_dir(project.path("out")).unwrap();
    fs::write(project.path("out/notes"), "not a layout").unwrap();
    assert!(refuse(&mut project.command()).contains("out"));
    assert_eq!(fs::read_dir(project.path("out")).unwrap().count(), 1);
}

#[test]
fn a_failed_build_leaves_the_image_of_an_earlier_one() {
    let project = Project::new("FROM scratch\nCOPY file /\n");
    project.write("file", "content");
    let digest = project.build().digest;
    let index = || fs::read(project.output().join("index.json")).unwrap();
    let before = index();
    project.write("Dockerfile", "FROM scratch\nCOPY file /again\nCOPY absent /\n");
    assert!(refuse(&mut project.command()).contains("absent"));
    assert_eq!(index(), before);
    crate::program::verify(&project.output());
    project.write("Dockerfile", "FROM scratch\nCOPY file /\n");
    assert_eq!(project.build().digest, digest);
}

#[test]
fn a_state_of_another_version_is_left_alone() {
    let project = Project::new("FROM scratch\nCOPY file /\n");
    project.write("file", "content");
    project.build();
    let version = project.path("out.cache/version");
    fs::write(&version, "of the future").unwrap();
    let complaint = refuse(&mut project.command());
    assert!(complaint.contains("of the future") && complaint.contains("out.cache"), "{complaint}");
    assert_eq!(fs::read_to_string(&version).unwrap(), "of the future");
}
