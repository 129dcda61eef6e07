//! Commands run by real runtimes: what they see, and how they end.

use std::{fs, os::unix::fs::MetadataExt, time::Duration};

use image_build::exec::{Executor, Limits, OciOptions, OciRuntime, RunSpec, Security, User};
use image_core::{CancelToken, Ctx, Platform};
use test_support::{Tree, temp_dir};

use crate::run_fixture::{Machine, chain, for_each_runtime};

#[test]
fn output_comes_line_by_line_and_whole() {
    for_each_runtime(|machine| {
        let script =
            "cat; printf 'one\\ntwo\\r\\n\\033[1mred'; echo err >&2; printf '\\033[0m\\n'; printf '\\377\\000end'";
        let mut lines = Vec::new();
        let spec = machine.spec(script);
        let exit = machine.open().run(&spec, &mut |line| lines.push(line.to_vec()), &Ctx::default()).unwrap();
        assert!(exit.is_success(), "{exit}");
        assert!(exit.tail.contains("one\n") && exit.tail.contains("err\n"), "{}", exit.tail);
        let error = lines.iter().position(|line| line == b"err\n").unwrap();
        lines.remove(error);
        assert_eq!(lines, [&b"one\n"[..], b"two\r\n", b"\x1b[1mred\x1b[0m\n", b"\xff\0end"]);
        machine.assert_clean();
    });
}

#[test]
fn much_output_is_lossless() {
    for_each_runtime(|machine| {
        let mut bytes = 0;
        let mut longest = 0;
        let spec = machine.spec("head -c 5000000 /dev/zero; echo; seq 1 200000");
        let exit = machine
            .open()
            .run(&spec, &mut |line| (bytes, longest) = (bytes + line.len(), longest.max(line.len())), &Ctx::default())
            .unwrap();
        assert_eq!(bytes, 5_000_001 + 1_288_895);
        assert!(longest <= 128 << 10, "{longest}");
        assert!(exit.tail.ends_with("199999\n200000\n") && exit.tail.lines().count() == 20, "{}", exit.tail);
    });
}

#[test]
fn ends_are_told() {
    for_each_runtime(|machine| {
        for (script, status, text) in [
            ("exit 0", 0, "exit status 0"),
            ("exit 3", 3, "exit status 3"),
            ("nope", 127, "exit status 127"),
            ("exit 255", 255, "exit status 255"),
            ("sleep 0 & kill -KILL $!; wait $!", 137, "exit status 137 (signal 9, SIGKILL)"),
            ("kill -SEGV $$; exec sh -c 'kill -TERM $$; exit 143'", 143, "exit status 143 (signal 15, SIGTERM)"),
        ] {
            let (exit, output) = machine.run_to_end(&machine.spec(script));
            assert_eq!((exit.status, exit.to_string()), (status, text.to_owned()), "{script}: {output}");
            assert_eq!(exit.signal(), (status > 128 && status < 193).then(|| status - 128));
        }
        let (exit, _) = machine.run_to_end(&machine.spec("echo first; echo cannot resolve >&2; exit 4"));
        let error = exit.into_result().unwrap_err().to_string();
        assert!(error.contains("exit status 4") && error.contains("--network=user"), "{error}");
        // In either order: each stream has its own way to us.
        for expected in ["first", "cannot resolve"] {
            assert!(error.lines().any(|line| line == expected), "{error}");
        }
        machine.assert_clean();
    });
}

#[test]
fn what_cannot_be_run_is_said() {
    for_each_runtime(|machine| {
        let rootfs = machine.path("rootfs");
        let error = machine.error(&RunSpec::new(&rootfs, ["no-such-program"]).with_env(["PATH=/bin"]));
        assert!(error.contains("no-such-program") && error.contains("cannot run the command"), "{error}");
        assert!(machine.error(&RunSpec::new(&rootfs, [""; 0])).contains("there is none"));
        assert!(machine.error(&RunSpec::new(&rootfs, ["a\0b"])).contains("NUL"));
        assert!(machine.error(&RunSpec::new(machine.path("none"), ["/bin/true"])).contains("No such file"));
        let error = machine.error(&machine.spec("true").with_platform(Platform::new("linux", "s390x")));
        assert!(error.contains("linux/s390x") && error.contains("binfmt_misc"), "{error}");
        let error = machine.error(&machine.spec("true").with_security(Security::Insecure));
        assert!(error.contains("--security=insecure"), "{error}");
        machine.assert_clean();
    });
}

#[test]
fn a_machine_without_what_it_takes_says_what_is_missing() {
    let state = temp_dir();
    let empty = temp_dir();
    let file = empty.path().join("file");
    fs::write(&file, "").unwrap();
    for (options, expected) in [
        (OciOptions::default().with_search([empty.path()]), "sh, setpriv, unshare, mount"),
        (OciOptions::default().with_runtime("no-such-runtime"), "no-such-runtime: no such program"),
        (OciOptions::default().with_runtime(&file), "file: no such program"),
    ] {
        let error = OciRuntime::open(state.path(), &options).unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn the_command_has_its_variables_its_user_and_its_directory() {
    for_each_runtime(|machine| {
        let spec = machine.spec(
            "env | grep -v -e ^SHLVL -e ^_= -e ^PWD | sort; pwd; id -u; id -g; id -G; hostname; umask; cat /etc/hosts",
        );
        let spec = spec.with_env(["PATH=/bin", "A=b c\n=d", "EMPTY="]).with_cwd("/srv/../made/here");
        let output = machine.run(&spec.with_user(User::new(1000, 1001).with_groups([7, 8])));
        let expected = "=d\nA=b c\nEMPTY=\nHOME=/home/user\nPATH=/bin\n/made/here\n1000\n1001\n1001 7 8\nbuildkitsandbox\n0022\n\
                        127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n";
        assert_eq!(output, expected, "{}", machine.runtime());
        let made = fs::metadata(machine.path("rootfs/made/here")).unwrap();
        assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o755, 0, 0));
        machine.assert_clean();
    });
}

#[test]
fn a_run_leaves_what_it_wrote_and_nothing_else() {
    for_each_runtime(|machine| {
        let before = machine.tree();
        let script = "mount | wc -l; ls -la / /dev /etc /proc/self/fd; echo x >/dev/null; touch /dev/shm/s /dev/new; :>/dev/mqueue/q";
        machine.run(&machine.spec(script));
        before.assert_same(&machine.tree());
        machine.run(&machine.spec("mkdir /new; echo y >/new/file; rm /etc/passwd"));
        let after = machine.tree();
        assert_eq!(machine.run(&machine.spec("cat /new/file")), "y\n");
        let names: Vec<_> = before.diff(&after);
        assert_eq!(
            names.iter().filter(|line| line.contains("proc") || line.contains("hosts") || line.contains("dev")).count(),
            0,
            "{names:?}"
        );
        machine.assert_clean();
    });
}

#[test]
fn a_sandbox_reaches_nothing_outside() {
    for_each_runtime(|machine| {
        let script = "\
            (mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk && echo DISK); \
            (mknod /dev/disk b 254 0 && head -c 1 /dev/disk && echo DISK); \
            (mount -t tmpfs none /tmp && echo MOUNT); (umount /proc/sys && echo UMOUNT); \
            (echo 1 >/proc/sys/kernel/panic && echo SYSCTL); (echo b >/proc/sysrq-trigger && echo SYSRQ); \
            (head -c 1 /proc/kcore | wc -c | grep 1 && echo KCORE); (unshare -m true && echo UNSHARE); \
            (unshare -U true && echo USERNS); (chroot /tmp true; true); (dmesg | grep . && echo DMESG); \
            (for c in /sys/fs/cgroup/*/; do mkdir $c/x && echo CGROUP; done; true); ps | wc -l | grep -q '^[0-9]$' || echo PROCESSES; \
            grep -E 'Cap(Bnd|Eff|Inh|Amb)|Seccomp:|NoNewPrivs' /proc/self/status; echo fds $(ls /proc/self/fd)";
        let output = machine.run(&machine.spec(script));
        for word in ["DISK", "MOUNT", "SYSCTL", "SYSRQ", "KCORE", "UNSHARE", "USERNS", "DMESG", "CGROUP", "PROCESSES"] {
            assert!(
                !output.lines().any(|line| line == word || line.ends_with("MOUNT")),
                "{}: {word}: {output}",
                machine.runtime()
            );
        }
        let capabilities = if machine.has_cgroups() { "00000000a80425fb" } else { "00000000a00425fb" };
        for line in ["CapInh:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t0", "Seccomp:\t2"] {
            assert!(output.contains(line), "{line}: {output}");
        }
        for set in ["CapEff", "CapBnd"] {
            assert!(output.contains(&format!("{set}:\t{capabilities}")), "{set}: {output}");
        }
        // `ls` has the directory open.
        assert!(output.contains("fds 0 1 2 3\n"), "{output}");
    });
}

#[test]
fn who_is_trusted_may_do_more() {
    for_each_runtime(|machine| {
        let runtime = machine.open_with(OciOptions::default().with_security(Security::Insecure));
        let spec = machine
            .spec("mount -t tmpfs none /tmp && touch /tmp/x && grep Seccomp: /proc/self/status")
            .with_security(Security::Insecure);
        let mut output = Vec::new();
        let exit = runtime.run(&spec, &mut |line| output.extend_from_slice(line), &Ctx::default()).unwrap();
        assert!(exit.is_success(), "{}", String::from_utf8_lossy(&output));
        assert_eq!(output, b"Seccomp:\t0\n");
        assert!(!machine.path("rootfs/tmp/x").exists());
        machine.assert_clean();
    });
}

#[test]
fn links_to_the_kernels_files_are_no_place_to_begin() {
    for_each_runtime(|machine| {
        std::os::unix::fs::symlink("/proc/self/fd/7", machine.path("rootfs/w")).unwrap();
        let before = machine.tree();
        for cwd in ["/proc/self/fd/7", "/w", "/w/x", "/proc/self/cwd", "/sys", "/dev/fd/8", "/../proc/1/root"] {
            let error = machine.error(&machine.spec("ls").with_cwd(cwd));
            assert!(error.contains("cannot begin in /proc"), "{cwd}: {error}");
        }
        before.assert_same(&machine.tree());
        // A system directory that is a link.
        fs::create_dir(machine.path("outside")).unwrap();
        std::os::unix::fs::symlink(machine.path("outside"), machine.path("rootfs/proc")).unwrap();
        assert!(machine.error(&machine.spec("true")).contains("/proc of the command: it is a symbolic link"));
        assert_eq!(fs::read_dir(machine.path("outside")).unwrap().count(), 0);
        machine.assert_clean();
    });
}

#[test]
fn limits_are_kept() {
    for_each_runtime(|machine| {
        let output = machine.run(
            &machine
                .spec("ulimit -n; df -k /dev/shm | tail -1")
                .with_limits(Limits::default().with_open_files(77).with_shm(1 << 20)),
        );
        assert!(output.starts_with("77\n") && output.contains(" 1024 "), "{output}");
        let limits = Limits::default().with_memory(64 << 20).with_processes(20).with_cpu_millis(500);
        let spec = machine
            .spec("i=0; while [ $i -lt 40 ]; do sleep 9 & i=$((i+1)); done; echo started")
            .with_limits(limits.clone());
        if !machine.has_cgroups() {
            assert!(machine.error(&spec).contains("control groups"));
            return;
        }
        let (exit, output) = machine.run_to_end(&spec);
        assert!(!exit.is_success() && !output.contains("started"), "{exit} {output}");
        let eat = machine
            .spec("head -c 200000000 /dev/zero | tail -c 190000000 >/dev/null; echo survived $?")
            .with_limits(limits);
        assert!(!machine.run_to_end(&eat).1.contains("survived 0"));
        machine.assert_clean();
    });
}

#[test]
fn who_cancels_waits_for_nothing() {
    for_each_runtime(|machine| {
        for script in [
            "echo up; sleep 1000",
            "echo up; sleep 1000 & exec >/dev/null 2>&1; trap '' TERM INT; wait",
            "while :; do echo up; done",
        ] {
            let cancel = CancelToken::default();
            let ctx = Ctx::default().with_cancel(cancel.clone());
            let before = machine.tree();
            let spec = machine.spec(script);
            let ended = machine.open().run(&spec, &mut |_| cancel.cancel(), &ctx);
            assert!(
                ended.as_ref().is_err_and(image_build::Error::is_cancelled),
                "{:?}",
                ended.map_err(|error| chain(&error))
            );
            before.assert_same(&machine.tree());
            machine.assert_clean();
        }
        let cancel = CancelToken::default();
        cancel.cancel();
        let ended = machine.open().run(&machine.spec("true"), &mut |_| {}, &Ctx::default().with_cancel(cancel));
        assert!(ended.unwrap_err().is_cancelled());
        // Before anything was written.
        let cancel = CancelToken::default();
        let ctx = Ctx::default().with_cancel(cancel.clone());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                cancel.cancel();
            });
            let ended = machine.open().run(&machine.spec("sleep 1000"), &mut |_| {}, &ctx);
            assert!(ended.unwrap_err().is_cancelled());
        });
        machine.assert_clean();
    });
}

#[test]
fn runs_at_once_do_not_meet() {
    for_each_runtime(|machine| {
        let trees: Vec<_> = (0..6).map(|number| machine.path(&format!("rootfs-{number}"))).collect();
        let runtime = machine.open();
        std::thread::scope(|scope| {
            for (number, tree) in trees.iter().enumerate() {
                let runtime = &runtime;
                scope.spawn(move || {
                    crate::run_fixture::rootfs(tree);
                    let before = Tree::scan(tree);
                    let script = format!("echo {number} >/dev/shm/n; sleep 0.2; cat /dev/shm/n");
                    let mut output = Vec::new();
                    let spec = RunSpec::new(tree, ["/bin/sh", "-c", &script]).with_env(["PATH=/bin"]);
                    let exit = runtime.run(&spec, &mut |line| output.extend_from_slice(line), &Ctx::default()).unwrap();
                    assert!(exit.is_success());
                    assert_eq!(String::from_utf8_lossy(&output), format!("{number}\n"));
                    before.assert_same(&Tree::scan(tree));
                });
            }
        });
        machine.assert_clean();
    });
}

#[test]
fn a_machine_is_skipped_without_its_runtime() {
    // The fixture itself: a test that silently tests nothing would be worse than none.
    if let Some(machine) = Machine::new("runc") {
        assert!(machine.open().runtime().ends_with("runc"));
        assert!(machine.run(&machine.spec("echo it runs")).contains("it runs"));
    }
}
