//! The most memory that a program takes at any time, which has nothing to do with how large the image is.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    process::Command,
};

use test_support::{require_tool, temp_dir};

use crate::{
    base_image::{Form, base_image},
    program::succeed,
    project::Project,
};

/// In bytes.
const MOST: u64 = 128 << 20;

/// Of the largest file, in bytes.
const LARGE: usize = 96 << 20;

/// How many small files there are.
const FILES: usize = 20_000;

#[test]
fn building_and_unpacking_a_large_image_stays_small() {
    if !require_tool("time") {
        return;
    }
    let Some(base) = base_image(Form::Gzip) else { return };
    let dockerfile =
        "FROM localhost/base:1 AS files\nCOPY . /files/\nFROM localhost/base:1\nCOPY --from=files /files /copied\n";
    let project = Project::on(base, dockerfile);
    write_noise(&project.context("large"), LARGE);
    for file in 0..FILES {
        let directory = project.context(&format!("small/{:03}", file / 100));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("file-{file:05}")), file.to_string()).unwrap();
    }
    let first = peak(&mut project.command());
    let second = peak(&mut project.command());
    let tree = temp_dir();
    let mut unpack = crate::program::program("unpack");
    let unpacked = peak(unpack.arg("--rootless").arg(project.image()).arg(tree.path().join("tree")));
    let verified = peak(crate::program::program("verify").arg(project.output()));
    for (what, bytes) in [("build", first), ("cached build", second), ("unpack", unpacked), ("verify", verified)] {
        println!("{what}: {} MiB at most", bytes >> 20);
        assert!(bytes < MOST, "{what} takes {bytes} bytes of memory");
    }
}

/// Runs a program and gives the size of the most memory that it had resident, in bytes.
fn peak(command: &mut Command) -> u64 {
    let dir = temp_dir();
    let report = dir.path().join("peak");
    let mut timed = Command::new("time");
    timed.args(["--format=%M", "--output"]).arg(&report).arg(command.get_program()).args(command.get_args());
    succeed(timed.env_remove("SOURCE_DATE_EPOCH"));
    let kibibytes: u64 = fs::read_to_string(report).unwrap().trim().parse().unwrap();
    kibibytes << 10
}

/// Writes bytes that do not compress, the same each time.
fn write_noise(path: &Path, size: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..size / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}
