//! What this machine has to run commands with.

use std::{
    ffi::OsString,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::fs::{Access, access};

use super::{OciOptions, cgroup};
use crate::{
    error::{Error, Result},
    id_map,
};

/// The runtimes that are looked for, the preferred first.
const RUNTIMES: [&str; 3] = ["runc", "crun", "youki"];

/// What every run needs besides: a shell, and from util-linux and coreutils what a new namespace is prepared with.
const TOOLS: [&str; 6] = ["sh", "setpriv", "unshare", "mount", "head", "mkdir"];

/// The namespaces that hold a run, runtime and all. When `unshare` is killed, the first process in them is killed, which
/// ends all others there, and the mounts go with the last of them.
const NAMESPACES: [&str; 6] = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"];

/// Files of the kernel that forbid user namespaces, and what they then say.
const FORBIDDING: [(&str, &str); 3] = [
    ("/proc/sys/user/max_user_namespaces", "0"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
];

/// The programs that were found, and the privilege that they run with.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    search: Vec<PathBuf>,
    runtime: PathBuf,
    flavour: Flavour,
    privilege: Privilege,
    /// Whether control groups are out of the runtime's sight.
    hides_cgroups: bool,
}

/// Whose runtime it is, as far as that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    Crun,
    Other,
}

/// With which privilege the runtime runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privilege {
    /// As the machine's root.
    Root,
    /// As root of the user namespace that this process is in.
    Namespace,
    /// In a user namespace with the ids that the user was given in `/etc/subuid` and `/etc/subgid`.
    ManyIds,
    /// In a user namespace with the user's own id alone, as root.
    OneId,
}

impl Privilege {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Root | Self::Namespace => &[],
            Self::ManyIds => &["--user", "--map-root-user", "--map-auto"],
            Self::OneId => &["--user", "--map-root-user"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Root => "as root",
            Self::Namespace => "as root of this user namespace",
            Self::ManyIds => "in a user namespace with the ids of /etc/subuid and /etc/subgid",
            Self::OneId => "in a user namespace with one id",
        }
    }
}

impl Machine {
    /// Finds the programs, and tries which privilege works.
    pub(super) fn probe(options: &OciOptions) -> Result<Self> {
        let search = options.search.clone();
        let missing: Vec<_> = TOOLS.into_iter().filter(|name| find(&search, name).is_none()).collect();
        if !missing.is_empty() {
            let reason =
                format!("{} not found in {}: install util-linux and coreutils", missing.join(", "), listed(&search));
            return Err(Error::CannotRun { reason });
        }
        let runtime = find_runtime(options)?;
        let is_crun = runtime.file_name().is_some_and(|name| name.to_string_lossy().contains("crun"));
        let flavour = if is_crun { Flavour::Crun } else { Flavour::Other };
        let hides_cgroups = is_crun && cgroup::is_hybrid();
        let mut machine = Self { search, runtime, flavour, privilege: Privilege::Root, hides_cgroups };
        machine.choose_privilege()?;
        Ok(machine)
    }

    fn choose_privilege(&mut self) -> Result<()> {
        let mut reasons = Vec::new();
        let root = if id_map::is_whole() { Privilege::Root } else { Privilege::Namespace };
        let as_root = rustix::process::geteuid().is_root().then_some(root);
        for privilege in as_root.into_iter().chain([Privilege::ManyIds, Privilege::OneId]) {
            self.privilege = privilege;
            match self.try_namespaces() {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(format!("{}: {reason}", privilege.name())),
            }
        }
        for (file, value) in FORBIDDING {
            if read_start(Path::new(file)) == value {
                reasons.push(format!("{file} is {value}, which forbids user namespaces"));
            }
        }
        Err(Error::CannotRun { reason: format!("no way to make namespaces works: {}", reasons.join("; ")) })
    }

    /// Does what each run does first.
    fn try_namespaces(&self) -> Result<(), String> {
        let script = "set -e; mount -t proc proc /proc; mount -t tmpfs tmpfs /proc/self/fdinfo";
        self.run_shell(script.into())
    }

    /// A command that runs a shell script in namespaces of its own; they end with the thread that starts it.
    pub(super) fn shell(&self, script: OsString) -> Command {
        let mut command = Command::new(self.program("setpriv"));
        command.args(["--pdeathsig", "KILL"]).arg(self.program("unshare"));
        command.args(self.privilege.arguments()).args(NAMESPACES);
        command.arg(self.program("sh")).arg("-c").arg(script).arg("image-build");
        command.env_clear().env("PATH", std::env::join_paths(&self.search).unwrap_or_default()).env("LC_ALL", "C");
        command
    }

    /// Runs a short shell script with the privilege of the runs.
    pub(super) fn run_shell(&self, script: OsString) -> Result<(), String> {
        let output = self.shell(script).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.lines().last().map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
    }

    /// Where a program is; the name alone where it is not found.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        find(&self.search, name).unwrap_or_else(|| name.into())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        find(&self.search, name).is_some()
    }

    pub(super) fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// Whether the runtime runs in a user namespace.
    pub(super) fn is_rootless(&self) -> bool {
        self.privilege != Privilege::Root
    }

    pub(super) fn has_many_ids(&self) -> bool {
        match self.privilege {
            Privilege::Root | Privilege::ManyIds => true,
            Privilege::Namespace => id_map::count() > 1,
            Privilege::OneId => false,
        }
    }

    pub(super) fn hides_cgroups(&self) -> bool {
        self.hides_cgroups
    }

    /// Whether the runtime keeps limits by control groups, and which devices may be used.
    pub(super) fn has_cgroups(&self) -> bool {
        !self.is_rootless() && !self.hides_cgroups
    }

    pub(super) fn flavour(&self) -> Flavour {
        self.flavour
    }
}

fn find_runtime(options: &OciOptions) -> Result<PathBuf> {
    let Some(named) = &options.runtime else {
        let found = RUNTIMES.into_iter().find_map(|name| find(&options.search, name));
        return found.ok_or_else(|| Error::CannotRun {
            reason: format!(
                "none of {} found in {}: install one, or name it",
                RUNTIMES.join(", "),
                listed(&options.search)
            ),
        });
    };
    let found = if named.components().count() > 1 {
        is_program(named).then(|| named.clone())
    } else {
        find(&options.search, named)
    };
    found.ok_or_else(|| Error::CannotRun { reason: format!("{}: no such program", named.display()) })
}

fn find(search: &[PathBuf], name: impl AsRef<Path>) -> Option<PathBuf> {
    search.iter().map(|directory| directory.join(&name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file()) && access(path, Access::EXEC_OK).is_ok()
}

fn listed(search: &[PathBuf]) -> String {
    search.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

/// The start of a small file of the kernel, trimmed; nothing where it cannot be read.
pub(super) fn read_start(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(4096).read_to_string(&mut text));
    if read.is_ok() { text.trim_end().to_owned() } else { String::new() }
}
