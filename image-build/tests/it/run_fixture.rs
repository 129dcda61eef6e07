//! Root file systems of one static program, runtimes, and what must not change by a run.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use image_build::exec::{Executor, Exit, OciOptions, OciRuntime, RunSpec};
use image_core::Ctx;
use test_support::{TempDir, Tree, require_root, require_tool, temp_dir, tool};

/// The runtimes that every test is made with.
pub(crate) const RUNTIMES: [&str; 2] = ["runc", "crun"];

/// A root file system, a runtime's state, and what the machine was like before.
pub(crate) struct Machine {
    dir: TempDir,
    runtime: &'static str,
    mounts: BTreeSet<String>,
}

/// Calls `test` with each runtime; the test is skipped where one is missing, or without root.
pub(crate) fn for_each_runtime(test: impl Fn(&Machine)) {
    for runtime in RUNTIMES {
        if let Some(machine) = Machine::new(runtime) {
            test(&machine);
        }
    }
}

impl Machine {
    pub(crate) fn new(runtime: &'static str) -> Option<Self> {
        let tools = [runtime, "busybox", "unshare", "setpriv"];
        if !require_root() || !tools.iter().all(|tool| require_tool(tool)) {
            return None;
        }
        let dir = temp_dir();
        rootfs(&dir.path().join("rootfs"));
        Some(Self { dir, runtime, mounts: mounts() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn runtime(&self) -> &'static str {
        self.runtime
    }

    /// Whether the runtime is kept within control groups here: crun takes no machine with both versions of them.
    pub(crate) fn has_cgroups(&self) -> bool {
        let both = fs::File::open("/sys/fs/cgroup/unified/cgroup.controllers");
        self.runtime != "crun" || both.is_err()
    }

    pub(crate) fn open(&self) -> OciRuntime {
        self.open_with(OciOptions::default())
    }

    pub(crate) fn open_with(&self, options: OciOptions) -> OciRuntime {
        let opened = OciRuntime::open(self.path("state"), &options.with_runtime(self.runtime));
        opened.unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    pub(crate) fn spec(&self, script: &str) -> RunSpec {
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        RunSpec::new(self.path("rootfs"), ["/bin/sh", "-c", script]).with_env([path])
    }

    /// Runs a command that must succeed; gives what it wrote.
    pub(crate) fn run(&self, spec: &RunSpec) -> String {
        let (exit, output) = self.run_to_end(spec);
        assert!(exit.is_success(), "{}: {exit}: {output}", self.runtime);
        output
    }

    /// Runs a command to its end; gives how it ended, and what it wrote.
    pub(crate) fn run_to_end(&self, spec: &RunSpec) -> (Exit, String) {
        let mut output = Vec::new();
        let ended = self.open().run(spec, &mut |line| output.extend_from_slice(line), &Ctx::default());
        let exit = ended.unwrap_or_else(|error| {
            panic!("{}: {}: {}", self.runtime, chain(&error), String::from_utf8_lossy(&output))
        });
        (exit, String::from_utf8_lossy(&output).into_owned())
    }

    /// The error of a command that cannot be run.
    pub(crate) fn error(&self, spec: &RunSpec) -> String {
        match self.open().run(spec, &mut |_| {}, &Ctx::default()) {
            Ok(exit) => panic!("{}: it runs: {exit}", self.runtime),
            Err(error) => chain(&error),
        }
    }

    /// What the root file system is like.
    pub(crate) fn tree(&self) -> Tree {
        Tree::scan(&self.path("rootfs"))
    }

    /// Nothing but caches is left of any run.
    pub(crate) fn assert_clean(&self) {
        let runs = self.path("state/runs");
        let left: Vec<_> =
            fs::read_dir(&runs).map(|dir| dir.flatten().map(|entry| entry.file_name()).collect()).unwrap_or_default();
        assert!(left.is_empty(), "{}: {left:?}", self.runtime);
        let here = self.dir.path().to_str().unwrap();
        let new: Vec<_> = mounts().difference(&self.mounts).filter(|line| line.contains(here)).cloned().collect();
        assert!(new.is_empty(), "{}: {new:#?}", self.runtime);
    }
}

/// A root file system of busybox.
pub(crate) fn rootfs(path: &Path) {
    for name in ["bin", "etc", "tmp", "root"] {
        fs::create_dir_all(path.join(name)).unwrap();
    }
    fs::copy(tool::find("busybox").unwrap(), path.join("bin/busybox")).unwrap();
    let listed = tool::run(Command::new("busybox").arg("--list"));
    for name in listed.lines().filter(|name| *name != "busybox") {
        symlink("busybox", path.join("bin").join(name)).unwrap();
    }
    fs::write(path.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n").unwrap();
}

/// The mounts of this process's namespace, by place.
pub(crate) fn mounts() -> BTreeSet<String> {
    tool::run(Command::new("cat").arg("/proc/self/mountinfo")).lines().map(str::to_owned).collect()
}

/// The command lines of all processes.
pub(crate) fn processes() -> Vec<String> {
    let numbers = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    // Some end meanwhile.
    let lines = numbers.filter_map(|path| fs::File::open(path).and_then(std::io::read_to_string).ok());
    lines.map(|line| line.replace('\0', " ")).collect()
}

/// The control groups of runs.
pub(crate) fn cgroups() -> BTreeSet<String> {
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", "image-build-*"]).output().unwrap();
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
