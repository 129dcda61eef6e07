//! Running commands by an OCI runtime: runc, crun or youki.
//!
//! A run has a mount and a process namespace of its own around those of its container, rootless a user namespace too.
//! A shell begins there: it puts all that may not come to the disk into a file system in memory, and becomes the
//! runtime, which makes the container. When the thread that started it ends, for whatever reason, the kernel kills the
//! first process of the namespace and with it all others, and the mounts go with the last of them. What is left on
//! disk, a few names and in the worst case control groups, is removed by the next start.
//!
//! - `machine`: which programs there are, and with which privilege they work.
//! - `mounts`: what is mounted and where; `cache`, `agent`, `network`: what that takes; `config`, `seccomp`: all of it in
//!   the form of the specification.
//! - `script`: what the shell does. `process`: from there to the end.
//! - `run_dir`, `cgroup`: what is on disk meanwhile, and how it goes.

mod agent;
mod cache;
mod cgroup;
mod config;
mod machine;
mod mounts;
mod network;
mod process;
mod run_dir;
mod script;
mod seccomp;

use std::{
    fs,
    path::{Path, PathBuf},
};

use image_core::{Ctx, Platform};
use image_overlay::Root;

pub use cache::{CacheMount, CacheMounts};
use config::Place;
use machine::{Machine, read_start};
use mounts::{Ground, Mounts};
use network::UserNetwork;
use process::Process;
use run_dir::RunDir;

use super::{Executor, Exit, Network, Owner, RunSpec, Security};
use crate::error::{Error, Result};

/// Where programs usually are.
const SEARCH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// How an [`OciRuntime`] runs commands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OciOptions {
    /// The runtime, as a path or a name; whichever is found where it is `None`.
    pub runtime: Option<PathBuf>,
    /// The directories that programs are looked for in.
    pub search: Vec<PathBuf>,
    /// The most that a command may be allowed.
    pub security: Security,
}

impl Default for OciOptions {
    fn default() -> Self {
        Self { runtime: None, search: SEARCH.map(PathBuf::from).into(), security: Security::default() }
    }
}

impl OciOptions {
    /// With this runtime, a path or a name.
    #[must_use]
    pub fn with_runtime(self, runtime: impl Into<PathBuf>) -> Self {
        Self { runtime: Some(runtime.into()), ..self }
    }

    /// With programs looked for in these directories.
    #[must_use]
    pub fn with_search(self, search: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self { search: search.into_iter().map(Into::into).collect(), ..self }
    }

    /// With commands allowed this much, if they ask for it.
    #[must_use]
    pub fn with_security(self, security: Security) -> Self {
        Self { security, ..self }
    }
}

/// Runs commands by runc, crun or youki, as root or in a user namespace.
///
/// ```no_run
/// use image_build::exec::{Executor, OciOptions, OciRuntime, RunSpec};
/// let runtime = OciRuntime::open("/var/lib/builds/exec", &OciOptions::default())?;
/// let spec = RunSpec::new("/tmp/rootfs", ["/bin/sh", "-c", "echo hello >/greeting"]);
/// runtime.run(&spec, &mut |line| print!("{}", line.escape_ascii()), &Default::default())?.into_result()?;
/// # Ok::<(), image_build::Error>(())
/// ```
#[derive(Debug)]
pub struct OciRuntime {
    machine: Machine,
    runs: PathBuf,
    caches: CacheMounts,
    allowed: Security,
}

impl OciRuntime {
    /// Looks for what it takes, and removes what killed processes left in the directory, which is made where it is
    /// missing. Several processes may use it at once.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] where this machine cannot run commands; the error names all that is missing.
    pub fn open(directory: impl AsRef<Path>, options: &OciOptions) -> Result<Self> {
        let directory = directory.as_ref();
        let runs = directory.join("runs");
        fs::create_dir_all(&runs).map_err(|e| Error::io("create", &runs, e))?;
        let (directory, runs) = (real(directory)?, real(&runs)?);
        run_dir::clean_stale(&runs)?;
        let machine = Machine::probe(options)?;
        let caches = CacheMounts::open(directory.join(cache::CACHES), machine.clone())?;
        Ok(Self { machine, runs, caches, allowed: options.security })
    }

    /// The directories that runs left for later ones.
    #[must_use]
    pub fn caches(&self) -> &CacheMounts {
        &self.caches
    }

    /// The runtime that was found.
    #[must_use]
    pub fn runtime(&self) -> &Path {
        self.machine.runtime()
    }

    fn check(&self, run: &RunSpec) -> Result<()> {
        let refuse = |reason: &str| Err(Error::CannotRun { reason: reason.into() });
        if run.security == Security::Insecure && self.allowed != Security::Insecure {
            return refuse("--security=insecure gives it all power over this machine, which is not allowed here");
        }
        if run.limits.need_cgroup() && !self.machine.has_cgroups() {
            return refuse(
                "limits of memory, processors and processes need control groups, which only root has, and crun only \
                 where there is one version of them",
            );
        }
        if run.args.is_empty() {
            return Err(Error::Runtime { reason: "there is none".into() });
        }
        for text in run.args.iter().chain(&run.env).chain(run.secret_env.iter().map(|(name, _)| name)) {
            if text.contains('\0') {
                return Err(Error::Runtime { reason: "an argument or a variable holds a NUL byte".into() });
            }
        }
        for (name, value) in &run.secret_env {
            if value.as_bytes().contains(&0) || std::str::from_utf8(value.as_bytes()).is_err() {
                return Err(Error::Runtime { reason: format!("the secret of {name} is no text: mount it as a file") });
            }
        }
        check_platform(&run.platform)
    }

    /// Prepares all, runs the command, and gives how it ended.
    fn run_in(&self, dir: &RunDir, run: &RunSpec, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> Result<Exit> {
        let rootfs = real(&run.rootfs)?;
        let root = Root::open(&rootfs)?;
        let ground = Ground { machine: &self.machine, caches: &self.caches, dir };
        let network = (run.network == Network::User).then(|| UserNetwork::find(&self.machine)).transpose()?;
        let mut mounts = Mounts::new(&root, run, ground);
        mounts.lease(ctx)?;
        mounts.system()?;
        mounts.names(network.as_ref())?;
        mounts.asked_for()?;
        let cwd = mounts.cwd()?;
        let place = Place { rootfs: &rootfs, cwd: &cwd };
        let config = config::write(run, &place, mounts.for_runtime(), &self.machine, dir)?;
        mounts.script.file("config.json", &config, Owner::new(0, 0, 0o600));
        if let Some(network) = &network {
            mounts.script.network(network);
        }
        if !self.machine.has_cgroups() && !self.machine.is_rootless() && run.security == Security::Sandbox {
            mounts.script.without_devices(&rootfs);
        }
        let (script, input) = mounts.script.finish(&self.machine, dir.name());
        let ended =
            Process::start(self.machine.shell(script), &input, dir).and_then(|process| process.wait(output, ctx));
        let removed = mounts.remove();
        let exit = ended?;
        removed.map(|()| exit.with_network(run.network))
    }
}

impl Executor for OciRuntime {
    fn run(&self, spec: &RunSpec, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> Result<Exit> {
        ctx.check()?;
        self.check(spec)?;
        let dir = RunDir::create(&self.runs)?;
        let ended = self.run_in(&dir, spec, output, ctx);
        let removed = dir.remove();
        let exit = ended?;
        removed.map(|()| exit)
    }
}

/// A path without links, from the root.
#[expect(clippy::disallowed_methods, reason = "the directory is the caller's, and runtimes take no path with links")]
fn real(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|e| Error::io("open", path, e))
}

/// Whether the programs of a platform run here.
fn check_platform(platform: &Platform) -> Result<()> {
    let here = Platform::of_target();
    let architecture = platform.normalised().architecture;
    let is_native = here.architecture == architecture || (here.architecture == "amd64" && architecture == "386");
    if is_native || is_emulated(&architecture) {
        return Ok(());
    }
    Err(Error::CannotRun {
        reason: format!(
            "its programs are for {platform}, this machine is {here}, and no emulator is registered for them: install \
             QEMU's user-mode emulators and register them by binfmt_misc"
        ),
    })
}

fn is_emulated(architecture: &str) -> bool {
    let name = match architecture {
        "386" => "i386",
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "loong64" => "loongarch64",
        "mips64le" => "mips64el",
        other => other,
    };
    let registered = Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{name}"));
    read_start(&registered).lines().next() == Some("enabled")
}
