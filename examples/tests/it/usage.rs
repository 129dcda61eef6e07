//! Help, and wrong usage.

use test_support::temp_dir;

use crate::program::{program, run, succeed};

const PROGRAMS: [&str; 16] = [
    "build",
    "unpack",
    "inspect",
    "verify",
    "copy",
    "load",
    "save",
    "import",
    "commit",
    "diff",
    "apply",
    "flatten",
    "cat",
    "gc",
    "why",
    "task_cache",
];

#[test]
fn every_program_prints_its_help() {
    for name in PROGRAMS {
        let said = succeed(program(name).arg("--help"));
        assert!(said.stdout.contains("Usage: "), "{name}: {said}");
        assert!(said.stderr.is_empty(), "{name}: {said}");
    }
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let dir = temp_dir();
    let cases: [(&str, &[&str]); 15] = [
        ("build", &[]),
        ("build", &["--no-such-flag", "-o", "out", "."]),
        ("build", &["."]),
        ("build", &["-o", "out", "--platform", "no/such/platform/at/all", "."]),
        ("unpack", &["layout"]),
        ("unpack", &["layout", "tree", "more"]),
        ("inspect", &[]),
        ("verify", &["--no-such-flag", "layout"]),
        ("copy", &["layout"]),
        ("load", &["archive.tar"]),
        ("save", &["layout"]),
        ("save", &["--format", "zip", "layout", "archive.tar"]),
        ("gc", &[]),
        ("gc", &["--keep-days", "many", "layout"]),
        ("copy", &["--all", "--platform", "linux/amd64", "from", "to"]),
    ];
    for (name, arguments) in cases {
        let said = run(program(name).args(arguments).current_dir(dir.path()));
        assert_eq!(said.status, Some(2), "{name} {arguments:?}: {said}");
        assert!(!said.stderr.is_empty(), "{name} {arguments:?}: {said}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0, "wrong usage writes nothing");
}
