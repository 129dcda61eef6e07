//! What is mounted in a run, and where.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use image_core::Ctx;
use image_overlay::{LayerPath, MountPoints, Root};
use oci_spec::runtime::Mount as OciMount;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::{
    agent::AgentSocket,
    cache::{CacheMounts, Lease},
    config::{HOST_NAME, as_path},
    machine::Machine,
    network::{UserNetwork, host_resolv_conf},
    run_dir::RunDir,
    script::Script,
};
use crate::{
    effect::workdir::absolute,
    error::{Error, Result},
    exec::{Access, CacheSharing, MountKind, Network, Owner, RunSpec, Security},
};

/// What the kernel shows of itself: its places may be no links, and nothing else is mounted there.
const SYSTEM: [&str; 3] = ["proc", "sys", "dev"];

/// The size of `/dev/shm`, in bytes, where nothing else is asked for.
const SHM: u64 = 64 << 20;

/// What a run stands on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) machine: &'a Machine,
    pub(super) caches: &'a CacheMounts,
    pub(super) dir: &'a RunDir,
}

/// What is mounted in a run, with all that has to stay until its end.
pub(super) struct Mounts<'a> {
    ground: Ground<'a>,
    run: &'a RunSpec,
    /// Takes the files that are mounted.
    pub(super) script: Script,
    root: &'a Root,
    points: MountPoints<'a>,
    /// What was made for the command to begin in, and goes after the run.
    beginning: Option<MountPoints<'a>>,
    mounts: Vec<OciMount>,
    /// Where directories of this machine are mounted, with the directory.
    sources: Vec<(LayerPath, Option<PathBuf>)>,
    leases: HashMap<String, Lease>,
    agents: Vec<AgentSocket>,
}

impl<'a> Mounts<'a> {
    pub(super) fn new(root: &'a Root, run: &'a RunSpec, ground: Ground<'a>) -> Self {
        let (mounts, sources, leases, agents) = Default::default();
        let script = Script::new(ground.machine);
        let points = root.mount_points();
        Self { ground, run, script, root, points, beginning: None, mounts, sources, leases, agents }
    }

    /// What every run has.
    pub(super) fn system(&mut self) -> Result<()> {
        let (run, machine) = (self.run, self.ground.machine);
        for name in SYSTEM {
            let path = LayerPath::parse(name.as_bytes())?;
            if self.points.directory(&path)? != path {
                return Err(Error::mount(&path.to_string(), "it is a symbolic link, and must be a directory"));
            }
        }
        let shm = format!("size={}", run.limits.shm.unwrap_or(SHM));
        let owned_by_tty: &[&str] = if machine.has_many_ids() { &["gid=5"] } else { &[] };
        let pts = [&["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"], owned_by_tty].concat();
        let quiet = ["nosuid", "noexec", "nodev"];
        self.push("/proc", "proc", "proc", &quiet);
        self.push("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]);
        self.push("/dev/pts", "devpts", "devpts", &pts);
        self.push("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]);
        self.push("/dev/mqueue", "mqueue", "mqueue", &quiet);
        let access = if run.security == Security::Insecure { "rw" } else { "ro" };
        if machine.is_rootless() && run.network == Network::Host {
            // Whoever does not own the network may not mount what shows it.
            self.push("/sys", "bind", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
        } else {
            self.push("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]);
        }
        if machine.has_cgroups() {
            self.push("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", access]);
        }
        Ok(())
    }

    /// `/etc/hosts` and `/etc/resolv.conf`.
    pub(super) fn names(&mut self, network: Option<&UserNetwork>) -> Result<()> {
        let hosts = format!("127.0.0.1\tlocalhost {HOST_NAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        let resolv_conf = match (self.run.network, network) {
            (_, Some(network)) => network.resolv_conf(),
            (Network::Host, None) => host_resolv_conf(),
            _ => Vec::new(),
        };
        for (name, content) in [("hosts", hosts.into_bytes()), ("resolv.conf", resolv_conf)] {
            let place = self.points.file(&LayerPath::parse(format!("etc/{name}").as_bytes())?)?;
            self.script.file(name, &content, Owner::new(0, 0, 0o644));
            self.bind(&place, &self.private(name), &["ro", "nosuid", "nodev"]);
        }
        Ok(())
    }

    /// Waits for the caches that a run mounts. They are asked for in the order of their names, and each once: two runs
    /// never wait for each other.
    pub(super) fn lease(&mut self, ctx: &Ctx) -> Result<()> {
        let mut wanted: BTreeMap<&str, CacheSharing> = BTreeMap::new();
        for mount in &self.run.mounts {
            if let MountKind::Cache { id, sharing, .. } = &mount.kind {
                let strictest = wanted.entry(id).or_insert(*sharing);
                *strictest = if strictness(*sharing) > strictness(*strictest) { *sharing } else { *strictest };
            }
        }
        for (id, sharing) in wanted {
            self.leases.insert(id.to_owned(), self.ground.caches.lease(id, sharing, ctx)?);
        }
        Ok(())
    }

    /// What the run asks for, what is above before what is below it.
    pub(super) fn asked_for(&mut self) -> Result<()> {
        let run = self.run;
        let mut order: Vec<_> =
            run.mounts.iter().map(|mount| (absolute(&run.cwd, &mount.target, false), &mount.kind)).collect();
        order.sort_by_key(|(target, _)| target.matches('/').count());
        for (number, (target, kind)) in order.into_iter().enumerate() {
            self.mount(number, &target, kind).map_err(|error| match error {
                Error::Overlay(error) if !error.is_cancelled() => Error::mount(&target, chain(&error)),
                error => error,
            })?;
        }
        Ok(())
    }

    fn mount(&mut self, number: usize, target: &str, kind: &MountKind) -> Result<()> {
        match kind {
            MountKind::Bind { source, access } => {
                let meta = source.symlink_metadata().map_err(|e| Error::io("mount", source, e))?;
                if meta.is_symlink() {
                    return Err(Error::mount(target, "what is to be mounted is a symbolic link"));
                }
                let place = self.place(target, meta.is_dir(), Some(source))?;
                self.bind(&place, source, access_options(*access));
            }
            MountKind::Cache { id, access, owner, seed, .. } => {
                let Some(lease) = self.leases.get(id) else { return Ok(()) };
                self.ground.caches.ensure(lease, *owner, seed.as_deref())?;
                let data = lease.data.clone();
                let place = self.place(target, true, Some(&data))?;
                self.bind(&place, &data, access_options(*access));
            }
            MountKind::Tmpfs { size } => {
                let place = self.place(target, true, None)?;
                let size = size.map(|bytes| format!("size={bytes}"));
                let mode = self.mode(&place)?;
                let options: Vec<&str> = ["nosuid", "nodev", &mode].into_iter().chain(size.as_deref()).collect();
                self.push(Path::new("/").join(as_path(&place)), "tmpfs", "tmpfs", &options);
            }
            MountKind::Secret { value, owner } => {
                let name = format!("secret-{number}");
                let place = self.place(target, false, None)?;
                self.script.file(&name, value.as_bytes(), *owner);
                self.bind(&place, &self.private(&name), &["ro", "nosuid", "nodev", "noexec"]);
            }
            MountKind::Ssh { agent, owner } => {
                let name = format!("agent-{number}");
                let place = self.place(target, false, None)?;
                self.agents.push(AgentSocket::listen(self.ground.dir.handle(), &name, agent)?);
                self.script.own(name.as_ref(), *owner);
                self.bind(&place, &self.ground.dir.path().join(name), &["ro", "nosuid", "nodev", "noexec"]);
            }
        }
        Ok(())
    }

    /// Makes sure of a place, and notes what it shows.
    fn place(&mut self, target: &str, is_directory: bool, source: Option<&Path>) -> Result<LayerPath> {
        let path = LayerPath::parse(target.as_bytes())?;
        if path.is_root() {
            return Err(Error::mount(target, "nothing can be mounted on the root"));
        }
        // The runtime makes it, in a file system of the run's own.
        let place = if path.starts_with(&LayerPath::parse(b"dev")?) && path.components().count() > 1 {
            path
        } else if is_directory {
            self.points.directory(&path)?
        } else {
            self.points.file(&path)?
        };
        if let Some(system) = SYSTEM.iter().find(|name| covers(name, &place)) {
            return Err(Error::mount(target, format!("it is in /{system}, which is the kernel's")));
        }
        self.sources.push((place.clone(), source.map(Path::to_owned)));
        Ok(place)
    }

    /// The directory that a command begins in; it is made where it is missing.
    ///
    /// Links that lead to `/proc` would lead to files that the runtime has open, and outside with them.
    pub(super) fn cwd(&mut self) -> Result<LayerPath> {
        let cwd = self.run.cwd.as_str();
        let asked = absolute("/", cwd, false);
        let failed = |reason: &str| Error::mount(cwd, reason.to_owned());
        let mut points = self.root.mount_points();
        let place = match points.directory(&LayerPath::parse(asked.as_bytes())?) {
            Err(error) => return Err(Error::mount(cwd, chain(&error))),
            Ok(place) => place,
        };
        if SYSTEM.iter().any(|name| place.starts_with(&LayerPath::parse(name.as_bytes()).unwrap_or_default())) {
            return Err(failed("a command cannot begin in /proc, /sys or /dev"));
        }
        let Some((top, source)) = self.sources.iter().rev().find(|(top, _)| place.starts_with(top)) else {
            points.keep();
            return Ok(place);
        };
        if let Some(source) = source {
            let below = place.as_bytes().get(top.as_bytes().len()..).unwrap_or_default();
            let below = [b".", below].concat();
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
            let top = rustix::fs::openat(CWD, source, flags, Mode::empty())
                .map_err(|e| Error::io("open", source, e.into()))?;
            rustix::fs::openat2(top, below, flags, Mode::empty(), resolve)
                .map_err(|_| failed("it is no directory of what is mounted there, or behind a symbolic link"))?;
        }
        self.beginning = Some(points);
        Ok(place)
    }

    /// The mounts as the runtime takes them.
    pub(super) fn for_runtime(&self) -> Vec<OciMount> {
        self.mounts.clone()
    }

    /// Takes away what was made for the mounts.
    pub(super) fn remove(self) -> Result<()> {
        // The last that was made first.
        self.beginning.map(MountPoints::remove).transpose()?;
        Ok(self.points.remove()?)
    }

    /// The permissions that a file system has which is mounted over a directory: those of the directory.
    fn mode(&self, place: &LayerPath) -> Result<String> {
        let mode = match self.root.open_dir(place) {
            // In a file system that the runtime makes.
            Err(error) if error.is_not_found() => 0o755,
            directory => {
                let status =
                    rustix::fs::fstat(directory?).map_err(|e| Error::io("look at", place.to_string(), e.into()))?;
                status.st_mode & 0o7777
            }
        };
        Ok(format!("mode={mode:04o}"))
    }

    /// Where a file is that the script takes.
    fn private(&self, name: &str) -> PathBuf {
        self.ground.dir.path().join("private").join(name)
    }

    fn bind(&mut self, place: &LayerPath, source: &Path, options: &[&str]) {
        self.push(Path::new("/").join(as_path(place)), "bind", source, &[&["bind", "private"], options].concat());
    }

    fn push(&mut self, target: impl Into<PathBuf>, kind: &str, source: impl Into<PathBuf>, options: &[&str]) {
        let mut mount = OciMount::default();
        mount.set_destination(target.into()).set_typ(Some(kind.into())).set_source(Some(source.into()));
        mount.set_options(Some(options.iter().map(ToString::to_string).collect()));
        self.mounts.push(mount);
    }
}

/// Whether a mount at `place` would hide what the kernel shows in a directory of that name: but for `/dev`, also below it.
fn covers(name: &str, place: &LayerPath) -> bool {
    let mut components = place.components();
    components.next() == Some(name.as_bytes()) && (name != "dev" || components.next().is_none())
}

fn access_options(access: Access) -> &'static [&'static str] {
    match access {
        Access::ReadOnly => &["ro", "nosuid", "nodev"],
        Access::ReadWrite => &["rw", "nosuid", "nodev"],
    }
}

fn strictness(sharing: CacheSharing) -> u8 {
    match sharing {
        CacheSharing::Shared => 0,
        CacheSharing::Private => 1,
        CacheSharing::Locked => 2,
    }
}

/// An error with its causes, in one line.
fn chain(error: &image_overlay::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
