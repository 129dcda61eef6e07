//! The `config.json` of a run.

use std::{collections::HashSet, path::Path};

use image_overlay::LayerPath;
use oci_spec::{
    OciSpecError,
    runtime::{
        Capability, Linux, LinuxCapabilities, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxNamespace,
        LinuxNamespaceType, LinuxPids, LinuxResources, Mount, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
        Process, Root, Spec, User,
    },
};

use super::{
    machine::{Machine, read_start},
    run_dir::RunDir,
    seccomp,
};
use crate::{
    error::{Error, Result},
    exec::{Limits, Network, RunSpec, Security},
};

/// The host name in a run: that of BuildKit, since some programs write it into what they build.
pub(super) const HOST_NAME: &str = "buildkitsandbox";

/// How long a period of processor time is, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// What a command may do that runs as root, in a sandbox: what Docker gives containers. Each with the kernel's number.
///
/// # Spec
/// capabilities(7), and `linux/capability.h` for the numbers.
const CAPABILITIES: [(Capability, u32); 14] = [
    (Capability::AuditWrite, 29),
    (Capability::Chown, 0),
    (Capability::DacOverride, 1),
    (Capability::Fowner, 3),
    (Capability::Fsetid, 4),
    (Capability::Kill, 5),
    (Capability::Mknod, 27),
    (Capability::NetBindService, 10),
    (Capability::NetRaw, 13),
    (Capability::Setfcap, 31),
    (Capability::Setgid, 6),
    (Capability::Setpcap, 8),
    (Capability::Setuid, 7),
    (Capability::SysChroot, 18),
];

/// What a command may do besides that is trusted as the machine's root.
const MORE_CAPABILITIES: [(Capability, u32); 24] = [
    (Capability::AuditControl, 30),
    (Capability::AuditRead, 37),
    (Capability::BlockSuspend, 36),
    (Capability::DacReadSearch, 2),
    (Capability::IpcLock, 14),
    (Capability::IpcOwner, 15),
    (Capability::Lease, 28),
    (Capability::LinuxImmutable, 9),
    (Capability::MacAdmin, 33),
    (Capability::MacOverride, 32),
    (Capability::NetAdmin, 12),
    (Capability::NetBroadcast, 11),
    (Capability::SysAdmin, 21),
    (Capability::SysBoot, 22),
    (Capability::SysModule, 16),
    (Capability::SysNice, 23),
    (Capability::SysPacct, 20),
    (Capability::SysPtrace, 19),
    (Capability::SysRawio, 17),
    (Capability::SysResource, 24),
    (Capability::SysTime, 25),
    (Capability::SysTtyConfig, 26),
    (Capability::Syslog, 34),
    (Capability::WakeAlarm, 35),
];

/// Files of the kernel that tell of the machine: hidden.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/firmware",
];

/// Files of the kernel that steer the machine: only to be read.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the types of the specification are built to.
pub(super) type Built<T> = std::result::Result<T, OciSpecError>;

/// Where a command runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its root file system, on this machine.
    pub(super) rootfs: &'a Path,
    /// Where it begins in there.
    pub(super) cwd: &'a LayerPath,
}

/// Writes the configuration.
///
/// # Spec
/// OCI runtime-spec 1.0, config.md and config-linux.md.
pub(super) fn write(
    run: &RunSpec,
    place: &Place<'_>,
    mounts: Vec<Mount>,
    machine: &Machine,
    dir: &RunDir,
) -> Result<Vec<u8>> {
    let failed = |e: OciSpecError| Error::Runtime { reason: format!("its configuration is not whole: {e}") };
    let mut root = Root::default();
    root.set_path(place.rootfs.into()).set_readonly(Some(false));
    let mut spec = Spec::default();
    spec.set_version("1.0.2".into());
    spec.set_root(Some(root)).set_hostname(Some(HOST_NAME.into())).set_mounts(Some(mounts));
    spec.set_process(Some(process(run, place.cwd, machine).map_err(failed)?))
        .set_linux(Some(linux(run, machine, dir).map_err(failed)?));
    serde_json::to_vec(&spec).map_err(|source| Error::Encode { source })
}

fn process(run: &RunSpec, cwd: &LayerPath, machine: &Machine) -> Built<Process> {
    let open_files = run.limits.open_files.map(open_files).transpose()?;
    let mut user = User::default();
    user.set_uid(run.user.uid);
    user.set_gid(run.user.gid);
    // With one id there are no groups to be in.
    user.set_additional_gids(machine.has_many_ids().then(|| groups(&run.user)));
    let secrets =
        run.secret_env.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_bytes())));
    let mut process = Process::default();
    process.set_terminal(Some(false));
    process.set_user(user);
    process.set_args(Some(run.args.clone()));
    process.set_env(Some(run.env.iter().cloned().chain(secrets).collect()));
    process.set_cwd(Path::new("/").join(as_path(cwd)));
    process.set_capabilities(Some(capabilities(run.security, machine)));
    process.set_rlimits(open_files.map(|limit| vec![limit]));
    // Programs like sudo gain privilege within the run, as they do in BuildKit's.
    process.set_no_new_privileges(Some(false));
    Ok(process)
}

/// The group of a user and those besides. That the first is among them matters when a set-group-id program changes it: what a
/// file denies its group, it goes on denying to who came in that group.
fn groups(user: &crate::exec::User) -> Vec<u32> {
    let besides = user.groups.iter().copied().filter(|group| *group != user.gid);
    std::iter::once(user.gid).chain(besides).collect()
}

fn open_files(count: u64) -> Built<PosixRlimit> {
    PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile).hard(count).soft(count).build()
}

fn capabilities(security: Security, machine: &Machine) -> LinuxCapabilities {
    let more: &[_] = if security == Security::Insecure { &MORE_CAPABILITIES } else { &[] };
    let ours = bounding_set();
    let all = CAPABILITIES.iter().chain(more).filter(|(_, number)| ours & (1 << number) != 0);
    let mut held: HashSet<Capability> = all.map(|(capability, _)| *capability).collect();
    if security == Security::Sandbox && !machine.has_cgroups() {
        // Nothing else would keep a device that the command makes from being opened.
        held.remove(&Capability::Mknod);
    }
    let mut capabilities = LinuxCapabilities::default();
    capabilities.set_bounding(Some(held.clone()));
    capabilities.set_effective(Some(held.clone()));
    capabilities.set_permitted(Some(held));
    // One that is inherited would outlive a change of user.
    capabilities.set_inheritable(None);
    capabilities.set_ambient(None);
    capabilities
}

/// What this process could give at all, by the kernel's numbers.
///
/// # Spec
/// proc(5), `/proc/[pid]/status`.
fn bounding_set() -> u64 {
    let status = read_start(Path::new("/proc/self/status"));
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(u64::MAX)
}

fn linux(run: &RunSpec, machine: &Machine, dir: &RunDir) -> Built<Linux> {
    let is_sandbox = run.security == Security::Sandbox;
    let names = |paths: &[&str]| Some(paths.iter().filter(|_| is_sandbox).map(ToString::to_string).collect());
    let mut linux = Linux::default();
    linux.set_namespaces(Some(namespaces(run.network, dir)));
    linux.set_resources(Some(resources(&run.limits, is_sandbox)));
    linux.set_cgroups_path(machine.has_cgroups().then(|| Path::new("/").join(dir.name())));
    linux.set_masked_paths(names(&MASKED));
    linux.set_readonly_paths(names(&READ_ONLY));
    linux.set_seccomp(is_sandbox.then(seccomp::filter).transpose()?);
    Ok(linux)
}

fn namespaces(network: Network, dir: &RunDir) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network as Net, Pid, Uts};
    let namespace = |kind, path| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind).set_path(path);
        namespace
    };
    let mut all: Vec<_> = [Mount, Pid, Ipc, Uts, Cgroup].map(|kind| namespace(kind, None)).into();
    match network {
        Network::None => all.push(namespace(Net, None)),
        // The way out leads from there: see the script.
        Network::User => all.push(namespace(Net, Some(dir.path().join("private/netns")))),
        Network::Host => {}
    }
    all
}

fn resources(limits: &Limits, is_sandbox: bool) -> LinuxResources {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut resources = LinuxResources::default();
    let mut devices = LinuxDeviceCgroup::default();
    // What every container has comes on top of it.
    devices.set_allow(!is_sandbox).set_access(Some("rwm".into()));
    resources.set_devices(Some(vec![devices]));
    resources.set_memory(limits.memory.map(|bytes| {
        let mut memory = LinuxMemory::default();
        memory.set_limit(Some(signed(bytes)));
        memory
    }));
    resources.set_cpu(limits.cpu_millis.map(|millis| {
        let mut cpu = LinuxCpu::default();
        cpu.set_period(Some(CPU_PERIOD)).set_quota(Some(signed(u64::from(millis) * CPU_PERIOD / 1000)));
        cpu
    }));
    resources.set_pids(limits.processes.map(|count| {
        let mut pids = LinuxPids::default();
        pids.set_limit(count.into());
        pids
    }));
    resources
}

/// A path below the root as one of the machine's, without a leading slash.
pub(super) fn as_path(path: &LayerPath) -> &Path {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    Path::new(OsStr::from_bytes(path.as_bytes()))
}
