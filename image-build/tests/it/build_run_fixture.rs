//! Builds with commands: on a root file system of one static program, by each runtime.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use image_build::exec::{OciOptions, OciRuntime, RunOptions, Security};
use test_support::{require_root, require_tool, temp_dir};

use crate::{
    build_fixture::{Built, Fixture, chain},
    run_fixture::{RUNTIMES, mounts, rootfs},
};

/// The base image's accounts.
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n";
const GROUP: &str = "root:x:0:\nusers:x:1001:\nextra:x:50:other,user\nmore:x:51:user\n";

/// A fixture with the base image `base`, whose commands are run by each runtime in turn; the test is skipped where one is
/// missing, or without root.
pub(crate) fn for_each_runtime(test: impl Fn(&mut Fixture)) {
    for runtime in RUNTIMES {
        if let Some(mut fixture) = fixture(runtime) {
            let before = mounts();
            test(&mut fixture);
            let here = fixture.state().display().to_string();
            let left: Vec<_> = mounts().difference(&before).filter(|line| line.contains(&here)).cloned().collect();
            assert!(left.is_empty(), "{runtime}: {left:#?}");
        }
    }
}

/// A fixture with the base image `base`.
pub(crate) fn fixture(runtime: &str) -> Option<Fixture> {
    if !require_root() || ![runtime, "busybox", "unshare", "setpriv"].iter().all(|tool| require_tool(tool)) {
        return None;
    }
    let mut fixture = Fixture::new();
    let directory = temp_dir();
    let root = directory.path().join("rootfs");
    rootfs(&root);
    fs::write(root.join("etc/passwd"), PASSWD).unwrap();
    fs::write(root.join("etc/group"), GROUP).unwrap();
    fixture
        .bases
        .add_directory("base", &root, |config| config.config.env = vec!["PATH=/bin".into(), "FROM_BASE=1".into()]);
    let options = OciOptions::default().with_runtime(runtime).with_security(Security::Insecure);
    let executor = OciRuntime::open(fixture.state().join("exec"), &options);
    fixture.executor = Some(Box::new(executor.unwrap_or_else(|error| panic!("{runtime}: {}", chain(&error)))));
    Some(fixture)
}

/// What commands may have.
pub(crate) fn allow(fixture: &mut Fixture, change: impl FnOnce(RunOptions) -> RunOptions) {
    fixture.options = fixture.options.clone().with_run(change(fixture.options.run.clone()));
}

/// The lines of an image's listing that are not the base's.
pub(crate) fn made(built: &Built<'_>) -> Vec<String> {
    let is_base = |line: &String| ["bin", "etc", "tmp", "root"].iter().any(|top| is_below(line, top));
    built.listing().into_iter().filter(|line| !is_base(line)).collect()
}

fn is_below(line: &str, top: &str) -> bool {
    let path = line.split(' ').nth(3).unwrap_or_default().trim_start_matches('/');
    path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

/// Removes a directory that a build left.
#[expect(clippy::disallowed_methods, reason = "a directory of the test's own")]
pub(crate) fn forget(directory: &Path) {
    fs::remove_dir_all(directory).unwrap();
}

/// All bytes of a file of the test's own.
pub(crate) fn bytes_of(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs::File::open(file).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Everything that a build leaves on disk, each file once.
pub(crate) fn files_below(directory: PathBuf) -> Vec<PathBuf> {
    let (mut files, mut todo) = (Vec::new(), vec![directory]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files
}
