//! What runs commands keeps its contract: a double without any isolation, and real runtimes.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use image_build::{
    Error, Result,
    exec::{Executor, Exit, Network, RunSpec, conformance},
};
use image_core::Ctx;
use test_support::temp_dir;

/// Runs commands as children of this process, in the directory that would be their root: for tests whose scripts name
/// relative paths alone. What it takes a container to do, it refuses.
struct Children;

impl Executor for Children {
    fn run(&self, spec: &RunSpec, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> Result<Exit> {
        ctx.check()?;
        let cwd = spec.rootfs.join(spec.cwd.trim_start_matches('/'));
        let Some((program, args)) = spec.args.split_first() else { return Err(external("find the program", "none")) };
        if !spec.mounts.is_empty() || spec.user != Default::default() || spec.network != Network::None {
            return Err(Error::cannot_run("it takes a container"));
        }
        if !spec.rootfs.is_dir() {
            return Err(external("open the root", "it is not there"));
        }
        fs::create_dir_all(&cwd).map_err(|e| external("make the directory", e))?;
        let mut command = Command::new(program);
        command.args(args).current_dir(cwd).env_clear().process_group(0).stdin(Stdio::null());
        command.envs(spec.env.iter().filter_map(|line| line.split_once('=')));
        let secrets = spec.secret_env.iter();
        command.envs(secrets.map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned())));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|e| external("start", e))?;
        let (send, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let send = send.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) && send.send(line.clone()).is_ok() {
                    line.clear();
                }
            });
        }
        drop(send);
        let mut tail = String::new();
        for line in lines {
            tail.push_str(&String::from_utf8_lossy(&line));
            output(&line);
            if let Err(cancelled) = ctx.check() {
                // All of the group, as the kernel ends all of a container.
                let group = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
                child.wait().unwrap();
                return Err(cancelled.into());
            }
        }
        let status = child.wait().map_err(|e| external("wait", e))?;
        let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255);
        Ok(Exit::new(status).with_tail(tail))
    }
}

fn external(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::external(what, source)
}

/// Makes directories of mode 0755, each of another name.
fn directories(below: &Path) -> impl Fn() -> PathBuf + Sync {
    let count = AtomicUsize::new(0);
    move || {
        let path = below.join(format!("rootfs-{}", count.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

#[test]
fn a_double_keeps_the_contract() {
    let directory = temp_dir();
    let rootfs = directories(directory.path());
    conformance::check_all(conformance::Subject::new(&Children, &rootfs));
    // Behind a pointer it is the same.
    let boxed: Box<dyn Executor> = Box::new(Children);
    conformance::failure_is_no_error(conformance::Subject::new(&boxed, &rootfs));
}

#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
#[test]
fn runtimes_keep_the_contract() {
    crate::run_fixture::for_each_runtime(|machine| {
        let executor = machine.open();
        let below = machine.path("");
        let directory = directories(&below);
        let rootfs = || {
            let path = directory();
            crate::run_fixture::rootfs(&path);
            path
        };
        conformance::check_all(conformance::Subject::new(&executor, &rootfs));
        machine.assert_clean();
    });
}
