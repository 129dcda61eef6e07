//! What a command is given to run.

use std::{fmt, path::PathBuf, sync::Arc};

use image_core::Platform;

/// A command, and all that it sees.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunSpec {
    /// The directory that is the command's root. The command writes to it.
    pub rootfs: PathBuf,
    /// The program and its arguments; a program without a slash is looked up in the `PATH` of [`RunSpec::env`].
    pub args: Vec<String>,
    /// The variables, each `NAME=value`.
    pub env: Vec<String>,
    /// Variables with secret values, which no file and no message ever holds.
    pub secret_env: Vec<(String, Secret)>,
    /// The directory to begin in. It is made where it is missing.
    pub cwd: String,
    /// Who runs it.
    pub user: User,
    /// What is mounted for the time of the run.
    pub mounts: Vec<Mount>,
    /// Which network there is.
    pub network: Network,
    /// How much the command is allowed.
    pub security: Security,
    /// What the command may use of the machine.
    pub limits: Limits,
    /// The platform of the command's programs.
    pub platform: Platform,
}

impl RunSpec {
    /// Runs `args` in `rootfs` as root, in its `/`, without variables, mounts, network or limits.
    #[must_use]
    pub fn new(rootfs: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            rootfs: rootfs.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            secret_env: Vec::new(),
            cwd: "/".into(),
            user: User::default(),
            mounts: Vec::new(),
            network: Network::default(),
            security: Security::default(),
            limits: Limits::default(),
            platform: Platform::of_target(),
        }
    }

    /// With these variables, each `NAME=value`.
    #[must_use]
    pub fn with_env(self, env: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { env: env.into_iter().map(Into::into).collect(), ..self }
    }

    /// With a variable whose value is a secret.
    #[must_use]
    pub fn with_secret_env(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.secret_env.push((name.into(), value));
        self
    }

    /// Beginning in this directory.
    #[must_use]
    pub fn with_cwd(self, cwd: impl Into<String>) -> Self {
        Self { cwd: cwd.into(), ..self }
    }

    /// As this user.
    #[must_use]
    pub fn with_user(self, user: User) -> Self {
        Self { user, ..self }
    }

    /// With this mounted.
    #[must_use]
    pub fn with_mount(mut self, target: impl Into<String>, kind: MountKind) -> Self {
        self.mounts.push(Mount { target: target.into(), kind });
        self
    }

    /// With this network.
    #[must_use]
    pub fn with_network(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// With this much allowed.
    #[must_use]
    pub fn with_security(self, security: Security) -> Self {
        Self { security, ..self }
    }

    /// Within these limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// With programs of this platform.
    #[must_use]
    pub fn with_platform(self, platform: Platform) -> Self {
        Self { platform, ..self }
    }
}

/// A user by numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// More groups.
    pub groups: Vec<u32>,
}

impl User {
    /// A user with one group.
    #[must_use]
    pub fn new(uid: u32, gid: u32) -> Self {
        Self { uid, gid, groups: Vec::new() }
    }

    /// In these groups too.
    #[must_use]
    pub fn with_groups(self, groups: impl Into<Vec<u32>>) -> Self {
        Self { groups: groups.into(), ..self }
    }
}

/// Something that is mounted for the time of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Mount {
    /// Where: a path in the root file system, from [`RunSpec::cwd`] where it is relative. Links are followed inside the
    /// root. What is missing is made, and removed after the run.
    pub target: String,
    /// What.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MountKind {
    /// A file or directory of this machine.
    Bind {
        /// Which; no link. Whoever takes it out of a context or a stage resolves links there.
        source: PathBuf,
        /// Whether the command may write to it.
        access: Access,
    },
    /// A directory that is kept for later runs.
    Cache {
        /// Its name: runs that give the same see the same files.
        id: String,
        /// Who else may use it at the same time.
        sharing: CacheSharing,
        /// Whether the command may write to it.
        access: Access,
        /// Whose it is when it is made.
        owner: Owner,
        /// A directory of this machine, a copy of which it is when it is made; empty where it is `None`.
        seed: Option<PathBuf>,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// How much it may hold, in bytes; half of the machine's memory where it is `None`.
        size: Option<u64>,
    },
    /// A file in memory with a secret.
    Secret {
        /// Its content.
        value: Secret,
        /// Whose it is.
        owner: Owner,
    },
    /// A socket that leads to an agent's socket on this machine.
    Ssh {
        /// The agent's.
        agent: PathBuf,
        /// Whose the socket in the run is.
        owner: Owner,
    },
}

/// Whether something may be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// It may only be read.
    #[default]
    ReadOnly,
    /// It may be written too.
    ReadWrite,
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheSharing {
    /// Anybody.
    #[default]
    Shared,
    /// One run; who comes meanwhile is given another directory.
    Private,
    /// One run; who comes meanwhile waits.
    Locked,
}

/// Owner and permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permissions, within `0o7777`.
    pub mode: u32,
}

impl Owner {
    /// A user, a group, and permissions within `0o7777`.
    #[must_use]
    pub fn new(uid: u32, gid: u32, mode: u32) -> Self {
        Self { uid, gid, mode: mode & 0o7777 }
    }
}

/// Bytes that no message, file or layer may hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// A secret of these bytes.
    #[must_use]
    pub fn new(value: impl Into<Arc<[u8]>>) -> Self {
        Self(value.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which network a command has, the least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Network {
    /// None but the loopback interface of its own.
    #[default]
    None,
    /// One of its own that leads out through a program of this machine, but not to this machine's loopback interface.
    User,
    /// That of this machine.
    Host,
}

impl Network {
    /// The name: `none`, `user`, `host`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::User => "user",
            Self::Host => "host",
        }
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    /// Reads what [`Network::as_str`] gives.
    fn from_str(name: &str) -> Result<Self, String> {
        let found = [Self::None, Self::User, Self::Host].into_iter().find(|network| network.as_str() == name);
        found.ok_or_else(|| format!("{name:?} is no network: it is none, user or host"))
    }
}

/// How much a command is allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// What a build needs, and nothing that reaches outside.
    #[default]
    Sandbox,
    /// All that the machine's root may do. For commands that are trusted as such.
    Insecure,
}

impl Security {
    /// As a Dockerfile writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Insecure => "insecure",
        }
    }
}

impl std::str::FromStr for Security {
    type Err = String;

    /// Reads what [`Security::as_str`] gives.
    fn from_str(name: &str) -> Result<Self, String> {
        let found = [Self::Sandbox, Self::Insecure].into_iter().find(|security| security.as_str() == name);
        found.ok_or_else(|| format!("{name:?} is neither sandbox nor insecure"))
    }
}

/// What a command may use of the machine; without a limit where `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processor time, in thousandths of one processor.
    pub cpu_millis: Option<u32>,
    /// How many processes and threads.
    pub processes: Option<u32>,
    /// How many files each process has open.
    pub open_files: Option<u64>,
    /// The size of `/dev/shm`, in bytes; 64 MiB where it is `None`.
    pub shm: Option<u64>,
}

impl Limits {
    /// With this much memory, in bytes.
    #[must_use]
    pub fn with_memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// With this many thousandths of one processor.
    #[must_use]
    pub fn with_cpu_millis(self, millis: u32) -> Self {
        Self { cpu_millis: Some(millis), ..self }
    }

    /// With this many processes and threads.
    #[must_use]
    pub fn with_processes(self, count: u32) -> Self {
        Self { processes: Some(count), ..self }
    }

    /// With this many files open in each process.
    #[must_use]
    pub fn with_open_files(self, count: u64) -> Self {
        Self { open_files: Some(count), ..self }
    }

    /// With a `/dev/shm` of this size, in bytes.
    #[must_use]
    pub fn with_shm(self, bytes: u64) -> Self {
        Self { shm: Some(bytes), ..self }
    }

    /// Whether the kernel must keep them by a control group.
    #[cfg(all(target_os = "linux", feature = "oci-runtime"))]
    pub(crate) fn need_cgroup(&self) -> bool {
        self.memory.is_some() || self.cpu_millis.is_some() || self.processes.is_some()
    }
}
