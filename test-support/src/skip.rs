//! Leaving a test out where the machine cannot run it: said aloud, and an error where the run demands it.

use std::{env, ffi::OsStr, path::PathBuf};

/// The environment variable that turns every skipped test into a failed one.
pub const REQUIRE_ALL_TESTS: &str = "REQUIRE_ALL_TESTS";

/// Says that the calling test leaves something out, and why. The test returns after it.
///
/// # Panics
/// Where [`REQUIRE_ALL_TESTS`] is set in the environment, to anything but nothing.
pub fn skip(reason: &str) {
    let required = variable(REQUIRE_ALL_TESTS).is_some_and(|v| !v.is_empty());
    assert!(!required, "all tests are required, but: {reason}");
    #[expect(clippy::print_stdout, reason = "a test that is left out says so")]
    {
        println!("skipped: {reason}");
    }
}

/// Says that the calling test leaves something out for want of what no machine can give itself: it is on no server that this
/// one asks. That is an error nowhere, since nobody here could mend it.
pub fn unobtainable(reason: &str) {
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    {
        eprintln!("NOT CHECKED: {reason}");
    }
}

/// The environment variable that has slow tests go through all of their cases.
pub const ALL_CASES: &str = "ALL_CASES";

/// Of the cases of a slow test, one in `each`, or all where [`ALL_CASES`] is set in the environment, to anything but nothing.
pub fn some_cases<T>(cases: &[T], each: usize) -> impl Iterator<Item = &T> {
    let all = variable(ALL_CASES).is_some_and(|v| !v.is_empty());
    cases.iter().step_by(if all { 1 } else { each })
}

/// Whether the process is root; says that the test is skipped where not.
///
/// # Panics
/// As [`skip`].
#[must_use]
pub fn require_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("not root");
    }
    is_root
}

/// Whether a program of this name is found on `PATH`; says that the test is skipped where not.
///
/// # Panics
/// As [`skip`].
#[must_use]
pub fn require_tool(name: &str) -> bool {
    let found = find_tool(name).is_some();
    if !found {
        skip(&format!("no {name} on PATH"));
    }
    found
}

/// Where on `PATH` a program of this name is.
pub(crate) fn find_tool(name: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_executable(file.as_os_str()))
}

fn is_executable(file: &OsStr) -> bool {
    let is_file = std::fs::metadata(file).is_ok_and(|meta| meta.is_file());
    is_file && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    #[expect(clippy::disallowed_methods, reason = "tests are steered through the environment")]
    env::var_os(name)
}
