//! The same files and Dockerfile give the same bytes, wherever and however they are built.

use std::{
    fs::{self, File, FileTimes},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use crate::{
    base_image::{Form, base_image},
    build::{self, DOCKERFILE},
    program::{path, verify},
    project::{Built, Project},
};

const EPOCH: &str = "1700000000";

#[test]
fn place_times_umask_and_threads_do_not_show() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let here = build::project(base);
    modes(&here.context(""));
    let expected = here.build_with(&["--source-date-epoch", EPOCH]).digest;

    // Elsewhere, made in another order, later, read by one thread under another umask.
    let there = Project::on(base, DOCKERFILE);
    for file in (0..50).rev() {
        there.write(&format!("modules/module-59/src/file-{file:02}.txt"), "to be overwritten");
    }
    build::fill(&there);
    modes(&there.context(""));
    let late = FileTimes::new().set_modified(SystemTime::now() + Duration::from_secs(86_400));
    for late_file in ["config.json", "modules/module-33/src/file-49.txt", "bin/run"] {
        File::open(there.context(late_file)).unwrap().set_times(late).unwrap();
    }
    let build = there.command();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(path("build")).args(build.get_args());
    command
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .env("TZ", "Pacific/Kiritimati")
        .env("LC_ALL", "C")
        .current_dir(there.path(""));
    assert_eq!(Built::of(&mut command).digest, expected);
    if test_support::require_tool("taskset") {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0"]).arg(path("build")).args(build.get_args());
        command.args(["--no-cache", "--source-date-epoch", EPOCH]);
        assert_eq!(Built::of(&mut command).digest, expected);
    }
    verify(&there.output());
    verify(&here.output());
}

#[test]
fn nothing_of_this_machine_is_in_the_image() {
    let project = Project::new("FROM scratch\nCOPY data /data\nLABEL a=b\n");
    project.write("data", "content");
    project.build_with(&["--source-date-epoch", EPOCH, "--compression", "none"]);
    let place = project.path("").to_string_lossy().trim_end_matches('/').to_owned();
    for blob in fs::read_dir(project.output().join("blobs/sha256")).unwrap() {
        let blob = fs::read(blob.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&blob);
        assert!(!text.contains(&place), "the project's directory is in {text}");
        if let Some((_, created)) = text.split_once(r#""created":""#) {
            assert!(created.starts_with("2023-11-14T22:13:20Z"), "{created}");
        }
    }
}

/// Gives everything the same modes, whatever the umask of this test.
fn modes(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            modes(&path);
        } else {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}
