//! Reference tools as oracles.

use std::{path::PathBuf, process::Command};

use crate::skip::find_tool;

/// Where on `PATH` a program is; `None` where it is not. [`crate::require_tool`] skips the test then.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    find_tool(name)
}

/// Runs a program to its end and gives what it wrote to standard output.
///
/// # Panics
/// Where it does not start or does not succeed, with what it wrote to standard error.
pub fn run(command: &mut Command) -> String {
    match try_run(command) {
        Ok(stdout) => stdout,
        #[expect(clippy::panic, reason = "the test cannot go on")]
        Err(said) => panic!("{command:?}: {said}"),
    }
}

/// Runs a program that may fail.
///
/// # Errors
/// What it wrote to standard error, and how it ended.
///
/// # Panics
/// Where it does not start.
pub fn try_run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|e| {
        #[expect(clippy::panic, reason = "the test cannot go on")]
        {
            panic!("{command:?} does not start: {e}")
        }
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{}: {}{}", output.status, text(&output.stderr), text(&output.stdout)))
    }
}
