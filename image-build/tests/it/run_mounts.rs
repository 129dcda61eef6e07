//! What is mounted in a run, and that nothing of it stays.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use image_build::exec::{Access, CacheSharing, Executor, MountKind, Owner, RunSpec, Secret};
use image_core::{CancelToken, Ctx};

use crate::run_fixture::{Machine, chain, for_each_runtime};

fn bind(source: impl AsRef<Path>, access: Access) -> MountKind {
    MountKind::Bind { source: source.as_ref().to_owned(), access }
}

fn cache(id: &str, sharing: CacheSharing) -> MountKind {
    MountKind::Cache { id: id.into(), sharing, access: Access::ReadWrite, owner: Owner::new(0, 0, 0o755), seed: None }
}

#[test]
fn files_and_directories_are_bound() {
    for_each_runtime(|machine| {
        let host = machine.path("host");
        fs::create_dir_all(host.join("sub")).unwrap();
        fs::write(host.join("sub/f"), "from the host").unwrap();
        symlink("/etc/up", machine.path("rootfs/link")).unwrap();
        symlink("../../../../..", machine.path("rootfs/etc/up")).unwrap();
        let before = machine.tree();
        let script = "cat /a/b/f rel/f2 /q/f; (echo x >/a/b/new) 2>/dev/null && echo WROTE; echo y >/rw/new; \
                      (mknod /rw/d c 1 3 && echo z >/rw/d) 2>/dev/null && echo DEVICE; ls -d /etc/up/q";
        let spec = machine
            .spec(script)
            .with_cwd("/tmp")
            .with_mount("/a/b", bind(host.join("sub"), Access::ReadOnly))
            .with_mount("rel/f2", bind(host.join("sub/f"), Access::ReadOnly))
            .with_mount("/rw", bind(&host, Access::ReadWrite))
            .with_mount("/link/q", bind(host.join("sub"), Access::ReadOnly));
        let output = machine.run(&spec);
        assert_eq!(output, "from the hostfrom the hostfrom the host/etc/up/q\n", "{}", machine.runtime());
        assert!(host.join("new").exists());
        before.assert_same(&machine.tree());
        machine.assert_clean();
    });
}

#[test]
fn mounts_lie_in_mounts() {
    for_each_runtime(|machine| {
        let host = machine.path("host");
        fs::create_dir_all(host.join("inner")).unwrap();
        let before = machine.tree();
        let spec = machine
            .spec("cd /outer; ls; stat -f -c %T inner; pwd; stat -f -c %T /dev/shm/deep")
            .with_cwd("/outer/inner")
            .with_mount("/outer/inner", MountKind::Tmpfs { size: Some(1 << 20) })
            .with_mount("/dev/shm/deep", MountKind::Tmpfs { size: None })
            .with_mount("/outer", bind(&host, Access::ReadOnly));
        assert_eq!(machine.run(&spec), "inner\ntmpfs\n/outer\ntmpfs\n");
        before.assert_same(&machine.tree());
        machine.assert_clean();
    });
}

#[test]
fn places_that_lead_elsewhere_are_refused() {
    for_each_runtime(|machine| {
        let host = machine.path("host");
        fs::create_dir_all(&host).unwrap();
        symlink("/proc/self/fd/7", host.join("trap")).unwrap();
        symlink("host", machine.path("to-host")).unwrap();
        symlink("/proc/sys", machine.path("rootfs/p")).unwrap();
        symlink("loop", machine.path("rootfs/loop")).unwrap();
        fs::write(machine.path("rootfs/file"), "").unwrap();
        let before = machine.tree();
        let tmpfs = || MountKind::Tmpfs { size: None };
        for (target, kind, expected) in [
            ("/", tmpfs(), "nothing can be mounted on the root"),
            ("/tmp/..", tmpfs(), "nothing can be mounted on the root"),
            ("/proc/x", tmpfs(), "the kernel's"),
            ("/p", tmpfs(), "the kernel's"),
            ("/sys", tmpfs(), "the kernel's"),
            ("/dev", tmpfs(), "the kernel's"),
            ("/loop/x", tmpfs(), "Too many levels"),
            ("/file", tmpfs(), "Not a directory"),
            ("/etc", MountKind::Secret { value: Secret::new(*b"s"), owner: Owner::new(0, 0, 0o400) }, "Is a directory"),
            ("/x", bind(machine.path("to-host"), Access::ReadOnly), "a symbolic link"),
            ("/x", bind(machine.path("none"), Access::ReadOnly), "No such file"),
        ] {
            let error = machine.error(&machine.spec("true").with_mount(target, kind));
            assert!(error.to_lowercase().contains(&expected.to_lowercase()), "{target}: {error}");
        }
        // A link in what is mounted, to begin in.
        let spec = machine.spec("ls").with_mount("/m", bind(&host, Access::ReadOnly)).with_cwd("/m/trap");
        assert!(machine.error(&spec).contains("behind a symbolic link"));
        before.assert_same(&machine.tree());
        machine.assert_clean();
    });
}

#[test]
fn memory_is_bounded() {
    for_each_runtime(|machine| {
        fs::set_permissions(machine.path("rootfs/tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        let tmpfs = |size| MountKind::Tmpfs { size };
        let spec = machine.spec("head -c 3000000 /dev/zero >/t/f 2>/dev/null; stat -c %s /t/f; stat -c %a /t /tmp");
        let output = machine.run(&spec.with_mount("/t", tmpfs(Some(1 << 20))).with_mount("/tmp", tmpfs(None)));
        assert_eq!(output, "1048576\n755\n1777\n", "{}", machine.runtime());
        machine.assert_clean();
    });
}

#[test]
fn secrets_are_nowhere_but_in_the_run() {
    for_each_runtime(|machine| {
        let before = machine.tree();
        let needle = "n33dle-in-the-haystack";
        let owner = Owner::new(1000, 1001, 0o440);
        let mut spec = machine
            .spec("stat -c '%a %u %g' /run/secrets/key; md5sum </run/secrets/key; echo $TOKEN | md5sum; (echo x >/run/secrets/key) 2>/dev/null && echo WROTE; echo now; sleep 0.3")
            .with_mount("/run/secrets/key", MountKind::Secret { value: Secret::new(needle.repeat(5000).into_bytes()), owner })
            .with_secret_env("TOKEN", Secret::new(needle.as_bytes()));
        let found = |what: &str| {
            let grep = std::process::Command::new("grep")
                .args(["-r", "-l", "-a", "-e", needle])
                .arg(machine.path(""))
                .output()
                .unwrap();
            assert_eq!((grep.status.code(), String::from_utf8_lossy(&grep.stdout).as_ref()), (Some(1), ""), "{what}");
        };
        let mut output = Vec::new();
        let looked = |line: &[u8]| {
            // While the command runs, too.
            if line == b"now\n" {
                found("during the run");
            }
            output.extend_from_slice(line);
        };
        let mut looked = looked;
        let exit = machine.open().run(&spec, &mut looked, &Ctx::default()).unwrap();
        assert!(exit.is_success());
        let md5 = |text: String| {
            test_support::tool::run(std::process::Command::new("sh").args(["-c", &format!("printf '{text}' | md5sum")]))
        };
        let expected = format!("440 1000 1001\n{}{}now\n", md5(needle.repeat(5000)), md5(format!("{needle}\\n")));
        assert_eq!(String::from_utf8_lossy(&output), expected);
        found("after the run");
        assert!(!format!("{spec:?}").contains(needle));
        before.assert_same(&machine.tree());
        // A failed run says nothing of it.
        spec.args = vec!["/none".into()];
        assert!(!machine.error(&spec).contains(needle));
        found("after a failure");
        let error = machine.error(&machine.spec("true").with_secret_env("KEY", Secret::new(*b"\xff\xfe")));
        assert!(error.contains("the secret of KEY is no text"), "{error}");
        machine.assert_clean();
    });
}

#[test]
fn caches_are_kept_and_counted_and_cleared() {
    for_each_runtime(|machine| {
        let before = machine.tree();
        let owned = MountKind::Cache {
            id: "own".into(),
            sharing: CacheSharing::Shared,
            access: Access::ReadWrite,
            owner: Owner::new(5, 6, 0o2750),
            seed: None,
        };
        let spec = machine.spec("stat -c '%a %u %g' /o; head -c 100000 /dev/zero >/c/f; ls /c /d");
        let spec = spec
            .with_mount("/c", cache("a", CacheSharing::Shared))
            .with_mount("/d", cache("a", CacheSharing::Locked))
            .with_mount("/o", owned);
        assert_eq!(machine.run(&spec), "2750 5 6\n/c:\nf\n\n/d:\nf\n");
        let read = MountKind::Cache {
            id: "a".into(),
            sharing: CacheSharing::Shared,
            access: Access::ReadOnly,
            owner: Owner::new(0, 0, 0o755),
            seed: None,
        };
        let spec = machine
            .spec("stat -c %s /e/f; (touch /e/g) 2>/dev/null && echo WROTE; ls /n")
            .with_mount("/e", read)
            .with_mount("/n", cache("new", CacheSharing::Private));
        assert_eq!(machine.run(&spec), "100000\n");
        before.assert_same(&machine.tree());
        let runtime = machine.open();
        let caches = runtime.caches();
        let ids = |list: Vec<image_build::exec::CacheMount>| list.into_iter().map(|cache| cache.id).collect::<Vec<_>>();
        let list = caches.list().unwrap();
        assert!(list.iter().find(|cache| cache.id == "a").unwrap().bytes >= 100_000);
        assert_eq!(ids(list).first().map(String::as_str), Some("own"));
        let ctx = Ctx::default();
        assert_eq!(ids(caches.prune(1 << 20, &ctx).unwrap()), [""; 0]);
        let removed = ids(caches.prune(90_000, &ctx).unwrap());
        assert!(
            removed.contains(&"a".into()) && removed.contains(&"own".into()) && !removed.contains(&"new".into()),
            "{removed:?}"
        );
        assert_eq!(ids(caches.prune(0, &ctx).unwrap()), ["new"]);
        assert!(caches.list().unwrap().is_empty());
        assert_eq!(machine.run(&machine.spec("ls /c").with_mount("/c", cache("a", CacheSharing::Shared))), "");
        machine.assert_clean();
    });
}

/// Runs one command until it says `up`, then another to its end, while the first still runs or, where the cache is locked,
/// behind it; what the other one wrote, and whether it waited.
fn two(machine: &Machine, sharing: CacheSharing) -> (String, bool) {
    let runtime = &machine.open();
    let spec = |name: &str, script: &str| {
        let rootfs = machine.path(&format!("{name}-{sharing:?}"));
        crate::run_fixture::rootfs(&rootfs);
        RunSpec::new(rootfs, ["/bin/sh", "-c", script]).with_env(["PATH=/bin"]).with_mount("/c", cache("both", sharing))
    };
    let first = spec(
        "first",
        "echo 1 >/c/first; echo up; while [ ! -e /c/go ] && [ ! -e /tmp/go ]; do sleep 0.05; done; sleep 0.3; echo done",
    );
    let second = spec("second", "touch /c/go; ls /c");
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let one = scope.spawn(move || {
            let ended = runtime.run(
                &first,
                &mut |line| {
                    if line == b"up\n" {
                        tell.send(()).unwrap()
                    }
                },
                &Ctx::default(),
            );
            assert!(ended.unwrap().is_success());
        });
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        let other = scope.spawn(move || {
            let mut output = Vec::new();
            let exit = runtime.run(&second, &mut |line| output.extend_from_slice(line), &Ctx::default()).unwrap();
            assert!(exit.is_success());
            String::from_utf8(output).unwrap()
        });
        if sharing == CacheSharing::Locked {
            // With a file that only the first sees, since the other waits for it.
            thread::sleep(Duration::from_millis(500));
            let is_waiting = !other.is_finished();
            fs::write(machine.path("first-Locked/tmp/go"), "").unwrap();
            one.join().unwrap();
            return (other.join().unwrap(), is_waiting);
        }
        let output = other.join();
        // The file that the other one made may not be for the first.
        fs::write(machine.path(&format!("first-{sharing:?}/tmp/go")), "").unwrap();
        one.join().unwrap();
        (output.unwrap(), false)
    })
}

#[test]
fn caches_are_shared_as_asked() {
    for_each_runtime(|machine| {
        assert_eq!(two(machine, CacheSharing::Shared).0, "first\ngo\n");
        machine.open().caches().prune(0, &Ctx::default()).unwrap();
        assert_eq!(two(machine, CacheSharing::Private).0, "go\n");
        machine.open().caches().prune(0, &Ctx::default()).unwrap();
        assert_eq!(two(machine, CacheSharing::Locked), ("first\ngo\n".into(), true));
        machine.assert_clean();
    });
}

#[test]
fn who_waits_for_a_cache_can_be_cancelled_and_what_is_used_stays() {
    for_each_runtime(|machine| {
        let runtime = machine.open();
        let spec =
            machine.spec("touch /c/f; echo up; sleep 2; ls /c").with_mount("/c", cache("held", CacheSharing::Locked));
        let mut output = Vec::new();
        let exit = runtime.run(
            &spec,
            &mut |line| {
                output.extend_from_slice(line);
                if line == b"up\n" {
                    let cancel = CancelToken::default();
                    let ctx = Ctx::default().with_cancel(cancel.clone());
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            thread::sleep(Duration::from_millis(100));
                            cancel.cancel();
                        });
                        assert!(runtime.run(&spec, &mut |_| {}, &ctx).unwrap_err().is_cancelled());
                    });
                    assert!(runtime.caches().prune(0, &Ctx::default()).unwrap().is_empty());
                }
            },
            &Ctx::default(),
        );
        assert!(exit.unwrap().is_success());
        assert_eq!(output, b"up\nf\n");
        machine.assert_clean();
    });
}

#[test]
fn an_agent_is_reached_by_a_socket_of_the_users_own() {
    for_each_runtime(|machine| {
        let before = machine.tree();
        let agent = machine.path("agent.sock");
        let listener = UnixListener::bind(&agent).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o600)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut question = String::new();
                if (&stream).take(4).read_to_string(&mut question).is_ok_and(|count| count == 4) {
                    (&stream).write_all(format!("{question} pong").as_bytes()).unwrap();
                }
            }
        });
        let owner = Owner::new(1000, 1001, 0o600);
        let spec = machine.spec("stat -c '%F %a %u %g' /run/agent; echo up; sleep 1");
        let spec = spec.with_mount("/run/agent", MountKind::Ssh { agent: agent.clone(), owner });
        let mut output = Vec::new();
        let exit = machine.open().run(
            &spec,
            &mut |line| {
                output.extend_from_slice(line);
                if line == b"up\n" {
                    let run = fs::read_dir(machine.path("state/runs")).unwrap().next().unwrap().unwrap().path();
                    assert_eq!(fs::metadata(run.join("agent-0")).unwrap().uid(), 1000);
                    let mut stream = UnixStream::connect(run.join("agent-0")).unwrap();
                    stream.write_all(b"ping").unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    assert_eq!(answer, "ping pong");
                }
            },
            &Ctx::default(),
        );
        assert!(exit.unwrap_or_else(|error| panic!("{}", chain(&error))).is_success());
        assert_eq!(String::from_utf8_lossy(&output), "socket 600 1000 1001\nup\n");
        before.assert_same(&machine.tree());
        let none = MountKind::Ssh { agent: machine.path("none.sock"), owner };
        assert!(machine.error(&machine.spec("true").with_mount("/run/agent", none)).contains("none.sock"));
        machine.assert_clean();
    });
}
