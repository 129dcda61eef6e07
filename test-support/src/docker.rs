//! Docker Engine as an oracle: Debian's `dockerd`, which shares nothing with one that the machine may run.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{TempDir, daemon::Daemon, temp_dir, tool};

/// A running Docker Engine: socket, images and state in a directory of its own, and no network.
///
/// It ends, and all that it mounted and stored goes, when the last test of the process lets go of it.
#[derive(Debug)]
pub struct Docker {
    daemon: Daemon,
}

impl Docker {
    /// The engine of this process, started where none runs; says that the test is skipped where it cannot be.
    ///
    /// # Panics
    /// As [`crate::skip()`], and where it does not start.
    #[must_use]
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Docker>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let docker = match shared.upgrade() {
            Some(running) => running,
            None => Arc::new(Self::start()?),
        };
        *shared = Arc::downgrade(&docker);
        Some(docker)
    }

    fn start() -> Option<Self> {
        let directory = Daemon::directory(&["dockerd", "docker", "containerd", "mount"])?;
        let mut command = Command::new("dockerd");
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--shutdown-timeout=1"]);
        let option = |name: &str, value: PathBuf| format!("--{name}={}", value.display());
        command.arg(option("data-root", directory.join("data")));
        command.arg(option("exec-root", directory.join("exec")));
        command.arg(option("pidfile", directory.join("pid")));
        command.arg(format!("--host=unix://{}", socket(&directory).display()));
        let answers = || client(&directory).arg("version").output().is_ok_and(|output| output.status.success());
        Some(Self { daemon: Daemon::start(&directory, &command, answers) })
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.daemon.path())
    }

    /// Its client, to which a test adds arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        client(self.daemon.path())
    }

    /// Runs the client to its end and gives what it wrote to standard output.
    ///
    /// # Panics
    /// Where it does not succeed.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        tool::run(self.command().args(arguments))
    }

    /// Gives `look` the tree of an image as the engine's containers see it, read-only, where the engine keeps images
    /// for overlayfs; `None` where it does not.
    ///
    /// `docker export` leaves out most extended attributes, and has the files that the engine adds to a container.
    ///
    /// # Panics
    /// As [`Docker::run`], and where the kernel does not mount the tree.
    pub fn with_image_tree<T>(&self, image: &str, look: impl FnOnce(&Path) -> T) -> Option<T> {
        let format = "{{.GraphDriver.Name}} {{.GraphDriver.Data.UpperDir}}";
        let inspected = self.run(["image", "inspect", "--format", format, image]);
        let upper = Path::new(inspected.trim().strip_prefix("overlay2 ")?);
        // Short names, from here: mount takes one page of options.
        let overlays = self.daemon.path().join("data/overlay2");
        let layer = upper.parent().expect("a directory of the layer");
        let name = layer.file_name().expect("a name").display();
        #[expect(clippy::disallowed_methods, reason = "a small file of the engine, absent for the lowest layer")]
        let lower = fs::read_to_string(layer.join("lower")).map(|lower| format!(":{lower}")).unwrap_or_default();
        let mounted = Mounted::overlay(&overlays, &format!("{name}/diff{lower}"));
        Some(look(mounted.at.path()))
    }
}

/// A read-only overlayfs that is unmounted when dropped.
struct Mounted {
    at: TempDir,
    /// The lowest directory: one alone is no overlay for the kernel.
    _empty: TempDir,
}

impl Mounted {
    /// Of directories below `from`, the uppermost first.
    fn overlay(from: &Path, lowers: &str) -> Self {
        let (at, empty) = (temp_dir(), temp_dir());
        let options = format!("ro,redirect_dir=off,lowerdir={lowers}:{}", empty.path().display());
        let mut mount = Command::new("mount");
        tool::run(mount.current_dir(from).args(["-t", "overlay", "overlay", "-o", &options]).arg(at.path()));
        Self { at, _empty: empty }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.at.path()).status());
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("socket")
}

/// A client of the engine in `directory` alone, without the user's settings.
fn client(directory: &Path) -> Command {
    let mut command = Command::new("docker");
    command.arg(format!("--host=unix://{}", socket(directory).display()));
    command.env("DOCKER_CONFIG", directory.join("client")).env_remove("DOCKER_CONTEXT").env_remove("DOCKER_HOST");
    command
}
