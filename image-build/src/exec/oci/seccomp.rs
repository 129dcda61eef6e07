//! Which system calls a command may make.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompOperator, LinuxSyscall,
};

use super::config::Built;

/// Calls that no build needs and that reach beyond a container, or at parts of the kernel that were often broken. They
/// fail with `EPERM`.
const DENIED: &[&str] = &[
    // Mounts and roots.
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "open_tree_attr",
    "pivot_root",
    "quotactl",
    "quotactl_fd",
    "swapoff",
    "swapon",
    "umount",
    "umount2",
    // Namespaces.
    "setns",
    "unshare",
    // The kernel itself.
    "acct",
    "bpf",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "lookup_dcookie",
    "nfsservctl",
    "perf_event_open",
    "query_module",
    "reboot",
    "syslog",
    "userfaultfd",
    "uselib",
    "vhangup",
    "vm86",
    "vm86old",
    "_sysctl",
    // The machine's time.
    "clock_settime",
    "clock_settime64",
    "settimeofday",
    "stime",
    // Keys are not of a namespace.
    "add_key",
    "keyctl",
    "request_key",
    // Other processes.
    "kcmp",
    "pidfd_getfd",
];

/// The flags of `clone` that make namespaces: mount, cgroup, uts, ipc, user, pid, net.
const NEW_NAMESPACES: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// `EPERM` and `ENOSYS`.
const NOT_PERMITTED: u32 = 1;
const NO_SUCH_CALL: u32 = 38;

/// Families of sockets that are not of a network namespace, or that reach at other parts of the machine: `AF_ALG`, `AF_VSOCK`.
const DENIED_FAMILIES: [u64; 2] = [38, 40];

/// The filter: all that is not denied is allowed.
///
/// # Spec
/// OCI runtime-spec 1.0, config-linux.md § Seccomp.
pub(super) fn filter() -> Built<LinuxSeccomp> {
    let mut filter = LinuxSeccomp::default();
    let mut calls = vec![
        denied(DENIED, NOT_PERMITTED, vec![]),
        // Its flags are out of a filter's sight; without it, C libraries take `clone`.
        denied(&["clone3"], NO_SUCH_CALL, vec![]),
    ];
    // On that architecture the stack comes first.
    let flags_at = usize::from(std::env::consts::ARCH == "s390x");
    // A filter compares under a mask for equality alone, so each flag is a rule.
    for flag in NEW_NAMESPACES {
        calls.push(denied(
            &["clone"],
            NOT_PERMITTED,
            vec![condition(flags_at, LinuxSeccompOperator::ScmpCmpMaskedEq, flag)?],
        ));
    }
    for family in DENIED_FAMILIES {
        calls.push(denied(&["socket"], NOT_PERMITTED, vec![condition(0, LinuxSeccompOperator::ScmpCmpEq, family)?]));
    }
    filter.set_default_action(LinuxSeccompAction::ScmpActAllow);
    filter.set_architectures(architectures());
    filter.set_syscalls(Some(calls));
    Ok(filter)
}

fn denied(names: &[&str], errno: u32, arguments: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    let mut call = LinuxSyscall::default();
    call.set_names(names.iter().map(ToString::to_string).collect());
    call.set_action(LinuxSeccompAction::ScmpActErrno);
    call.set_errno_ret(Some(errno));
    call.set_args((!arguments.is_empty()).then_some(arguments));
    call
}

/// A condition on an argument: that it is `value`, or that it has all of the bits of `value`.
fn condition(index: usize, operator: LinuxSeccompOperator, value: u64) -> Built<LinuxSeccompArg> {
    LinuxSeccompArgBuilder::default().index(index).value(value).value_two(value).op(operator).build()
}

/// Those whose calls the machine takes beside its own, or a filter could be walked around.
fn architectures() -> Option<Vec<Arch>> {
    match std::env::consts::ARCH {
        "x86_64" => Some(vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]),
        "aarch64" => Some(vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm]),
        _ => None,
    }
}
