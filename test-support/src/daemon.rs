//! Services that a test runs for itself, in a directory of their own, and that are gone without a trace afterwards.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{skip::require_tool, temp_dir};

/// How often a service is asked whether it answers, and how long it is waited between.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// A service that runs until this is dropped, and no longer than the process of the test.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Holds the service, and ends it when its standard input ends.
    guard: Child,
    service: u32,
    directory: PathBuf,
}

impl Daemon {
    /// A new directory for a service; the tools that end one must be there, and root is needed, or the test is skipped.
    pub(crate) fn directory(programs: &[&str]) -> Option<PathBuf> {
        let tools = ["sh", "awk", "tac", "umount"];
        let found = tools.iter().chain(programs).all(|name| require_tool(name));
        (found && crate::require_root()).then(|| temp_dir().keep())
    }

    /// Starts a service that keeps all its files in `directory`, which is removed in the end, and waits until it answers.
    ///
    /// # Panics
    /// Where it ends or does not answer for a minute, with what it said.
    pub(crate) fn start(directory: &Path, command: &Command, answers: impl Fn() -> bool) -> Self {
        let mut guard = Command::new("sh");
        guard.args([OsStr::new("-c"), include_str!("daemon.sh").as_ref(), "daemon".as_ref(), directory.as_os_str()]);
        guard.arg(command.get_program()).args(command.get_args());
        // Signals of a terminal go to the test, and reach the service by the test's end.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = guard.spawn().expect("sh was found above");
        let mut line = String::new();
        BufReader::new(guard.stdout.take().expect("a pipe")).read_line(&mut line).expect("the guard tells a number");
        let service = line.trim().parse().expect("the number of a process");
        let daemon = Self { guard, service, directory: directory.to_owned() };
        daemon.wait(answers);
        daemon
    }

    fn wait(&self, answers: impl Fn() -> bool) {
        for _ in 0..TRIES {
            if answers() {
                return;
            }
            assert!(self.is_running(), "a service ends at once: {}", self.log());
            thread::sleep(PAUSE);
        }
        #[expect(clippy::panic, reason = "the test cannot go on")]
        {
            panic!("a service does not answer: {}", self.log());
        }
    }

    /// Where all files of the service are.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// What the service wrote to its standard output and error.
    pub(crate) fn log(&self) -> String {
        read(&self.directory.join("log"))
    }

    /// A process that has ended has no command line, even while it waits to be taken off.
    fn is_running(&self) -> bool {
        !read(Path::new(&format!("/proc/{}/cmdline", self.service))).is_empty()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "a small file, if it is there")]
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
