//! How a command ended.

use std::fmt;

use super::spec::Network;
use crate::error::{Error, Result};

/// Names of the signals that end a command, by number, on the architectures that containers are built for.
const SIGNALS: [(i32, &str); 14] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (31, "SIGSYS"),
];

/// The largest number of a signal.
const MAX_SIGNAL: i32 = 64;

/// How a command ended, and the last lines that it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// The exit status, from 0 to 255; 128 and the number where a signal ended the command, as shells tell it.
    pub status: i32,
    /// The last lines of output, bounded, what is no UTF-8 replaced.
    pub tail: String,
    /// Which network the command had.
    pub network: Network,
}

impl Exit {
    /// An exit with this status.
    #[must_use]
    pub fn new(status: i32) -> Self {
        Self { status, tail: String::new(), network: Network::default() }
    }

    /// With these last lines of output.
    #[must_use]
    pub fn with_tail(self, tail: impl Into<String>) -> Self {
        Self { tail: tail.into(), ..self }
    }

    /// Of a command with this network.
    #[must_use]
    pub fn with_network(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// Whether the command did what it should.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == 0
    }

    /// The signal that ended the command, as far as the status tells: a shell ends with the same status where a
    /// signal ended its last command.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        (1..=MAX_SIGNAL).contains(&(self.status - 128)).then(|| self.status - 128)
    }

    /// Makes an error of a command that failed.
    ///
    /// # Errors
    /// [`Error::Command`] where the status is not 0.
    pub fn into_result(self) -> Result<()> {
        if self.is_success() { Ok(()) } else { Err(Error::Command { exit: Box::new(self) }) }
    }

    /// What to say of it after "the command failed".
    pub(crate) fn report(&self) -> String {
        let mut text = self.to_string();
        // A program that was not found, or was killed, did not come to want one.
        if self.network == Network::None && self.status < 126 {
            text.push_str(
                "; it had no network: if it needs one, build with one (`--network=user` or `--network=host`)",
            );
        }
        if !self.tail.is_empty() {
            text.push_str("\nthe last that it wrote:\n");
            text.push_str(self.tail.trim_end_matches('\n'));
        }
        text
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit status {}", self.status)?;
        let Some(signal) = self.signal() else { return Ok(()) };
        match SIGNALS.iter().find(|(number, _)| *number == signal) {
            Some((_, name)) => write!(f, " (signal {signal}, {name})"),
            None => write!(f, " (signal {signal})"),
        }
    }
}
