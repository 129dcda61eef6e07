//! The ends of runs that nobody waits for, and runs of ordinary users.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, chown},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use image_build::exec::{
    Access, CacheSharing, Executor, MountKind, OciOptions, OciRuntime, Owner, RunSpec, Secret, User,
};
use image_core::{CancelToken, Ctx};
use test_support::{Tree, require_root, require_tool, temp_dir, unprivileged};

use crate::run_fixture::{RUNTIMES, cgroups, chain, for_each_runtime, rootfs};

/// What tells this program to be the process that is killed: a directory and a runtime.
const VICTIM: &str = "IMAGE_BUILD_TEST_VICTIM";

/// Runs a command until it is killed, where this program was started to do so; see the test after it.
#[test]
fn victim() {
    #[expect(clippy::disallowed_methods, reason = "a test is steered through the environment")]
    let Ok(given) = std::env::var(VICTIM) else { return };
    let (runtime, dir) = given.split_once(' ').unwrap();
    let executor =
        OciRuntime::open(Path::new(dir).join("state"), &OciOptions::default().with_runtime(runtime)).unwrap();
    let owner = Owner::new(0, 0, 0o400);
    let spec = RunSpec::new(
        Path::new(dir).join("rootfs"),
        ["/bin/sh", "-c", "echo up $MARK; while :; do sleep 1; echo tick; done"],
    )
    .with_env(["PATH=/bin", "MARK=here"])
    .with_mount("/s", MountKind::Secret { value: Secret::new(*b"k1lled-secret"), owner });
    drop(executor.run(&spec, &mut |line| println!("{}", String::from_utf8_lossy(line).trim_end()), &Ctx::default()));
}

/// The processes with this in their command line.
fn processes(needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(file) = fs::File::open(entry.path().join("cmdline")) else { continue };
        let line = std::io::read_to_string(file).unwrap_or_default();
        if line.contains(needle) {
            found.push(line.replace('\0', " "));
        }
    }
    found
}

#[test]
fn a_killed_process_leaves_nothing_that_the_next_start_does_not_remove() {
    for_each_runtime(|machine| {
        let groups = cgroups();
        let dir = machine.path("").display().to_string().trim_end_matches('/').to_owned();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["run_end::victim", "--exact", "--nocapture"])
            .env(VICTIM, format!("{} {dir}", machine.runtime()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("up here")), "{}", machine.runtime());
        let runs = fs::read_dir(machine.path("state/runs")).unwrap().count();
        assert_eq!(runs, 1);
        // Another process does not touch what is in use.
        let other = machine.open();
        assert_eq!(fs::read_dir(machine.path("state/runs")).unwrap().count(), 1);
        drop(other);
        let name = fs::read_dir(machine.path("state/runs")).unwrap().next().unwrap().unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(!processes(name).is_empty());
        victim.kill().unwrap();
        victim.wait().unwrap();
        // Without anybody's help.
        for _ in 0..500 {
            if processes(name).is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(processes(name), [""; 0]);
        let grep =
            Command::new("grep").args(["-r", "-l", "-a", "k1lled-secret"]).arg(machine.path("state")).output().unwrap();
        assert_eq!(grep.status.code(), Some(1), "{}", String::from_utf8_lossy(&grep.stdout));
        // The next start.
        drop(machine.open());
        machine.assert_clean();
        let left: Vec<_> = cgroups().difference(&groups).filter(|group| group.contains(name)).cloned().collect();
        assert_eq!(left, [""; 0]);
    });
}

#[test]
fn control_groups_go_with_their_runs() {
    for_each_runtime(|machine| {
        let ours = |machine: &crate::run_fixture::Machine| {
            let run = fs::read_dir(machine.path("state/runs")).unwrap().next().unwrap().unwrap().file_name();
            let name = run.to_str().unwrap().to_owned();
            let found = cgroups().iter().filter(|group| group.contains(&name)).count();
            (name, found)
        };
        for script in ["echo up; exit 1", "echo up; sleep 1000"] {
            let cancel = CancelToken::default();
            let mut seen = (String::new(), 0);
            let ctx = Ctx::default().with_cancel(cancel.clone());
            let ended = machine.open().run(
                &machine.spec(script),
                &mut |_| {
                    seen = ours(machine);
                    if script.contains("sleep") {
                        cancel.cancel();
                    }
                },
                &ctx,
            );
            assert_eq!(ended.is_ok(), !script.contains("sleep"));
            assert!(!machine.has_cgroups() || script.contains("exit") || seen.1 > 0);
            assert!(!cgroups().iter().any(|group| group.contains(&seen.0)), "{}", seen.0);
        }
    });
}

#[test]
fn an_ordinary_user_runs_commands() {
    if !require_root() || !require_tool("unshare") || !require_tool("busybox") {
        return;
    }
    for runtime in RUNTIMES.into_iter().filter(|runtime| require_tool(runtime)) {
        let dir = temp_dir();
        chown(dir.path(), Some(65534), Some(65534)).unwrap();
        unprivileged(|| {
            rootfs(&dir.path().join("rootfs"));
            let before = Tree::scan(&dir.path().join("rootfs"));
            let executor = OciRuntime::open(dir.path().join("state"), &OciOptions::default().with_runtime(runtime));
            let executor = executor.unwrap_or_else(|error| panic!("{runtime}: {}", chain(&error)));
            let run = |spec: RunSpec| {
                let mut output = Vec::new();
                let ended = executor.run(
                    &spec.with_env(["PATH=/bin"]),
                    &mut |line| output.extend_from_slice(line),
                    &Ctx::default(),
                );
                let exit = ended.unwrap_or_else(|error| {
                    panic!("{runtime}: {}: {}", chain(&error), String::from_utf8_lossy(&output))
                });
                assert!(exit.is_success(), "{runtime}: {exit} {}", String::from_utf8_lossy(&output));
                String::from_utf8(output).unwrap()
            };
            let spec = |script: &str| RunSpec::new(dir.path().join("rootfs"), ["/bin/sh", "-c", script]);
            let owner = Owner::new(0, 0, 0o700);
            let cache = MountKind::Cache {
                id: "c".into(),
                sharing: CacheSharing::Locked,
                access: Access::ReadWrite,
                owner,
                seed: None,
            };
            let secret = MountKind::Secret { value: Secret::new(*b"rootless"), owner: Owner::new(0, 0, 0o400) };
            let output = run(spec("id -u; cat /s; echo; touch /c/f /dev/null; cat /proc/self/uid_map; ls /sys/kernel >/dev/null && echo sys")
                .with_mount("/c", cache.clone())
                .with_mount("/s", secret)
                .with_user(User::new(0, 0).with_groups([4])));
            let words: Vec<_> = output.split_whitespace().collect();
            assert_eq!(words, ["0", "rootless", "0", "65534", "1", "sys"], "{runtime}");
            assert_eq!(run(spec("ls /c").with_mount("/c", cache)), "f\n");
            for network in [image_build::exec::Network::Host, image_build::exec::Network::None] {
                assert!(
                    run(spec("ls /sys/class/net; cat /proc/net/dev").with_network(network)).contains("lo"),
                    "{runtime}"
                );
            }
            before.assert_same(&Tree::scan(&dir.path().join("rootfs")));
            run(spec("echo made >/made"));
            assert_eq!(fs::metadata(dir.path().join("rootfs/made")).unwrap().uid(), 65534);
            assert_eq!(executor.caches().prune(0, &Ctx::default()).unwrap().len(), 1);
            assert_eq!(fs::read_dir(dir.path().join("state/runs")).unwrap().count(), 0);
            let cancel = CancelToken::default();
            let ctx = Ctx::default().with_cancel(cancel.clone());
            let ended =
                executor.run(&spec("echo up; sleep 1000").with_env(["PATH=/bin"]), &mut |_| cancel.cancel(), &ctx);
            assert!(ended.unwrap_err().is_cancelled());
            assert_eq!(fs::read_dir(dir.path().join("state/runs")).unwrap().count(), 0);
        });
    }
}
