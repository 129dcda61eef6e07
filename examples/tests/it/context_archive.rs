//! `build -`: a context that comes as an archive on standard input.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use test_support::{layout::gzip, require_tool, temp_dir};

use crate::program::{Said, program, refuse};

/// The example that is bundled.
fn hello() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hello"))
}

/// Runs `build` with these arguments and this on its standard input.
fn build(arguments: &[&str], layout: &Path, archive: &[u8]) -> Said {
    let mut command = program("build");
    command.args(["--source-date-epoch", "0", "-o"]).arg(layout).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let archive = archive.to_vec();
    // A program that refuses does not read to the end.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&archive)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn digest(said: &Said) -> String {
    assert_eq!(said.status, Some(0), "{said}");
    said.stdout.lines().find_map(|line| line.strip_prefix("digest: ")).unwrap().to_owned()
}

#[test]
fn an_archive_on_standard_input_is_built_as_its_directory() {
    if !require_tool("tar") {
        return;
    }
    let dir = temp_dir();
    let archive = Command::new("tar").arg("-C").arg(hello()).args(["-c", "."]).output().unwrap().stdout;
    let of_directory = digest(&build(&[hello().to_str().unwrap()], &dir.path().join("one"), b""));
    for (name, stream) in [("plain", archive.clone()), ("gzip", gzip(&archive))] {
        let layout = dir.path().join(name);
        assert_eq!(digest(&build(&["-"], &layout, &stream)), of_directory, "{name}");
        let again = build(&["-f", "Dockerfile", "--progress", "plain", "-"], &layout, &stream);
        assert_eq!(digest(&again), of_directory, "{name}");
        assert!(!again.stderr.lines().any(|line| line.starts_with("DONE ")), "every step is cached: {again}");
        let tmp = dir.path().join(format!("{name}.cache/tmp"));
        assert_eq!(fs::read_dir(tmp).unwrap().count(), 0, "nothing of the archive is left");
    }
}

#[test]
fn what_is_no_context_is_refused() {
    let dir = temp_dir();
    for (archive, file, expected) in [
        (&b"FROM scratch\nRUN this is no archive, but a file of more than one block of it, so that there is something to read\n"[..], "Dockerfile", "cannot unpack the context archive"),
        (&[0; 1024], "Dockerfile", "Dockerfile: not found in the context archive"),
        (&[0; 1024], "../Dockerfile", ""),
    ] {
        let said = build(&["-f", file, "-"], &dir.path().join("out"), archive);
        assert_eq!(said.status, Some(1), "{said}");
        assert!(said.stderr.contains("error: ") && said.stderr.contains(expected), "{expected}: {said}");
    }
    let empty = refuse(program("build").arg("-o").arg(dir.path().join("out")).arg("-").stdin(Stdio::null()));
    assert!(empty.contains("context archive"), "{empty}");
}
