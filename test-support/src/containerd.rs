//! containerd as an oracle: Debian's, which shares nothing with one that the machine may run.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{daemon::Daemon, tool};

/// A running containerd: socket, content and state in a directory of its own, without the service for Kubernetes.
///
/// It ends, and all that it mounted and stored goes, when the last test of the process lets go of it. Tasks that a test
/// runs on it are the test's own to end.
#[derive(Debug)]
pub struct Containerd {
    daemon: Daemon,
}

impl Containerd {
    /// The containerd of this process, started where none runs; says that the test is skipped where it cannot be.
    ///
    /// # Panics
    /// As [`crate::skip()`], and where it does not start.
    #[must_use]
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Containerd>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let containerd = match shared.upgrade() {
            Some(running) => running,
            None => Arc::new(Self::start()?),
        };
        *shared = Arc::downgrade(&containerd);
        Some(containerd)
    }

    fn start() -> Option<Self> {
        let directory = Daemon::directory(&["containerd", "ctr"])?;
        let config = directory.join("config.toml");
        fs::write(&config, configuration(&directory)).expect("one's own directory can be written to");
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config);
        let answers = || client(&directory).arg("version").output().is_ok_and(|output| output.status.success());
        Some(Self { daemon: Daemon::start(&directory, &command, answers) })
    }

    /// `ctr`, to which a test adds arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        client(self.daemon.path())
    }

    /// Runs `ctr` to its end and gives what it wrote to standard output.
    ///
    /// # Panics
    /// Where it does not succeed.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        tool::run(self.command().args(arguments))
    }
}

fn configuration(directory: &Path) -> String {
    let at = |name: &str| format!("{:?}", directory.join(name).display().to_string());
    format!(
        "version = 2\nroot = {}\nstate = {}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = {}\n[plugins.\"io.containerd.internal.v1.opt\"]\npath = {}\n",
        at("root"),
        at("state"),
        at("socket"),
        at("opt")
    )
}

fn client(directory: &Path) -> Command {
    let mut command = Command::new("ctr");
    let socket: PathBuf = directory.join("socket");
    command.arg("--address").arg(socket).args(["--namespace", "test"]);
    command.env_remove("CONTAINERD_ADDRESS").env_remove("CONTAINERD_NAMESPACE");
    command
}
