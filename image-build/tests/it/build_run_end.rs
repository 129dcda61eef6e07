//! Builds with commands that nobody waits for, builds of ordinary users, and what is cleared of what they leave.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::chown,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use image_build::{
    BuildState,
    cache::{ExpiryPolicy, RunMode},
    exec::{OciOptions, OciRuntime, Secret},
};
use image_core::{Ctx, FixedClock, Timestamp};
use test_support::{require_root, require_tool, temp_dir};

use crate::{
    build_run_fixture::{allow, bytes_of, files_below, fixture, for_each_runtime, made},
    run_fixture::{RUNTIMES, cgroups, mounts},
};

/// What tells this program to be a process that is started by a test: what to do, and a runtime.
const ROLE: &str = "IMAGE_BUILD_TEST_BUILD";

/// Builds, where this program was started to do so; see the tests after it.
#[test]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "a test is steered through the environment")]
    let Ok(given) = std::env::var(ROLE) else { return };
    let (role, runtime) = given.split_once(' ').unwrap();
    let mut fixture = fixture(RUNTIMES.into_iter().find(|known| *known == runtime).unwrap()).unwrap();
    if role == "victim" {
        allow(&mut fixture, |run| run.with_secret("s", Secret::new(*b"k1lled-secret")));
        let said = fixture.said.clone();
        thread::spawn(move || {
            while !said.lock().unwrap().contains("up") {
                thread::sleep(Duration::from_millis(5));
            }
            println!("up here");
        });
        drop(
            fixture.try_build(
                "FROM base\nRUN echo 1 >/1\nRUN --mount=type=secret,id=s echo up; while :; do sleep 1; done",
            ),
        );
        return;
    }
    let owner = if role == "many" { "33:44" } else { "0:0" };
    let built = fixture.build(&format!(
        "FROM base\nRUN echo 1 >/1 && chown {owner} /1 && mkdir /d && ln /1 /d/1 && chmod 2750 /d\n\
         RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t touch /c/x /t/y && rm -r /d && cat /1 >/2\n\
         RUN stat -c '%u:%g' /1 >/3\n"
    ));
    let expected = [format!("{owner} /1 1\n"), "0:0 /2 1\n".into(), format!("0:0 /3 {owner}\n")];
    assert_eq!(made(&built), expected.map(|line| format!("f 0644 {line}")));
    assert_eq!(built.layer_paths(2), ["/", "/.wh.d", "/2"]);
    assert!(fixture.build("FROM base\nRUN true\n").image.done > 0);
    let error = fixture.error("FROM base\nRUN chown 70000 /etc/passwd\n");
    assert!(error.contains("exit status 1"), "{error}");
    println!("built as {role} by {runtime}");
}

/// This program, with a role.
fn program(path: &Path, role: &str, runtime: &str, directory: &Path, around: &[&str]) -> Command {
    let mut words: Vec<_> = around.iter().map(|word| (*word).into()).collect();
    words.push(path.as_os_str().to_owned());
    let mut command = Command::new(words.remove(0));
    command.args(words).args(["build_run_end::child", "--exact", "--nocapture"]);
    command.env(ROLE, format!("{role} {runtime}")).env("TMPDIR", directory).stdout(Stdio::piped());
    command
}

#[test]
fn a_killed_build_leaves_nothing_that_the_next_one_does_not_remove() {
    for runtime in RUNTIMES {
        let Some(fixture) = fixture(runtime) else { continue };
        let (before, directory) = (mounts(), temp_dir());
        let this = std::env::current_exe().unwrap();
        let mut victim = program(&this, "victim", runtime, directory.path(), &[]).spawn().unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("up here")), "{runtime}");
        victim.kill().unwrap();
        victim.wait().unwrap();
        let mut states = fs::read_dir(directory.path()).unwrap().flatten().map(|entry| entry.path().join("state"));
        let state = states.find(|state| state.join("version").is_file()).unwrap();
        assert_eq!(fs::read_dir(state.join("snapshots/active")).unwrap().count(), 1);
        let run = fs::read_dir(state.join("exec/runs")).unwrap().next().unwrap().unwrap().file_name();
        let built = fixture.try_build_in("FROM base\nRUN echo 2 >/2\n", &state).unwrap();
        assert_eq!(made(&built), ["f 0644 0:0 /2 2\n"]);
        // What the runtime was at is removed by the next one that works there: the directory of the run, and its control groups.
        drop(OciRuntime::open(state.join("exec"), &OciOptions::default().with_runtime(runtime)).unwrap());
        assert_eq!(fs::read_dir(state.join("exec/runs")).unwrap().count(), 0, "{runtime}");
        assert!(!cgroups().iter().any(|group| group.contains(run.to_str().unwrap())), "{runtime}");
        for empty in ["snapshots/active", "snapshots/tmp", "snapshots/views", "tmp"] {
            assert_eq!(fs::read_dir(state.join(empty)).unwrap().count(), 0, "{runtime}: {empty}");
        }
        for file in files_below(state.clone()) {
            let bytes = bytes_of(&file);
            assert!(!bytes.windows(13).any(|part| part == b"k1lled-secret"), "{}", file.display());
        }
        let here = state.display().to_string();
        let left: Vec<_> = mounts().difference(&before).filter(|line| line.contains(&here)).cloned().collect();
        assert!(left.is_empty(), "{left:#?}");
    }
}

#[test]
fn root_of_a_user_namespace_builds() {
    if !require_root() || !["unshare", "setpriv", "busybox"].iter().all(|tool| require_tool(tool)) {
        return;
    }
    // Somewhere that everybody can enter.
    let place = temp_dir();
    let this = place.path().join("it");
    fs::copy(std::env::current_exe().unwrap(), &this).unwrap();
    for runtime in RUNTIMES.into_iter().filter(|runtime| require_tool(runtime)) {
        let directory = temp_dir();
        chown(directory.path(), Some(65534), Some(65534)).unwrap();
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let around = [&nobody[..], &["unshare", "--map-root-user", "--mount"]].concat();
        let output = program(&this, "one", runtime, directory.path(), &around).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(&format!("built as one by {runtime}")), "{said}");

        chown(directory.path(), Some(200_000), Some(200_000)).unwrap();
        let begin = "read go && exec setpriv --reuid=0 --regid=0 --clear-groups \"$@\"";
        let around = ["unshare", "--user", "--keep-caps", "--mount", "sh", "-c", begin, "sh"];
        let mut command = program(&this, "many", runtime, directory.path(), &around);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Once it is in its namespace, it waits for the maps.
        let map = format!("/proc/{}/uid_map", child.id());
        while bytes_of(Path::new(&map)).starts_with(b"         0          0") {
            thread::sleep(Duration::from_millis(5));
        }
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{}/{map}", child.id()), "0 200000 65536").unwrap();
        }
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(&format!("built as many by {runtime}")), "{said}");
    }
}

#[test]
fn snapshots_and_caches_go_when_nothing_can_use_them() {
    for_each_runtime(|fixture| {
        let count = |fixture: &crate::build_fixture::Fixture| {
            fs::read_dir(fixture.state().join("snapshots/committed/sha256")).unwrap().count()
        };
        let expire = |fixture: &crate::build_fixture::Fixture, policy: ExpiryPolicy, now: i64, mode| {
            let ctx = Ctx::default().with_clock(std::sync::Arc::new(FixedClock::new(Timestamp::from_seconds(now))));
            BuildState::open(fixture.state()).unwrap().expire(&policy, mode, &ctx).unwrap()
        };
        let first = "FROM base\nRUN --mount=type=cache,target=/c head -c 10000 /dev/zero >/c/f; echo 1 >/1\n";
        let (now, later) = (4_000_000_000, 4_000_000_000 + 10 * 86_400);
        fixture.now = Timestamp::from_seconds(now);
        fixture.build(&format!("{first}RUN echo 2 >/2\n"));
        assert_eq!(count(fixture), 3);
        let kept = expire(fixture, ExpiryPolicy::default(), now, RunMode::Real);
        assert_eq!((kept.snapshots.count, kept.caches.count, count(fixture)), (0, 0, 3));
        // Ten days later only the first command served. The cache was used by the machine's time, long ago.
        fixture.now = Timestamp::from_seconds(later);
        fixture.build(&format!("{first}RUN echo 3 >/3\n"));
        assert_eq!(count(fixture), 4);
        let week = ExpiryPolicy::default().with_max_age(Duration::from_secs(7 * 86_400));
        let would = expire(fixture, week, later, RunMode::Dry);
        assert_eq!((would.snapshots.count, would.caches.count, count(fixture)), (1, 1, 4));
        assert!(would.caches.bytes >= 10_000, "{would:?}");
        let swept = expire(fixture, week, later, RunMode::Real);
        assert_eq!((swept.snapshots, swept.caches, count(fixture)), (would.snapshots, would.caches, 3));
        // What is left of the others serves.
        let cache = "RUN --mount=type=cache,target=/c ls /c >/4; echo x >/c/x\n";
        let built = fixture.build(&format!("{first}{cache}"));
        assert_eq!(built.image.done, 1);
        assert_eq!(made(&built)[1], "f 0644 0:0 /4 ");
        let none = ExpiryPolicy::default().with_max_bytes(0);
        let swept = expire(fixture, none, later, RunMode::Real);
        assert_eq!((swept.snapshots.count, swept.caches.count, count(fixture)), (4, 1, 0));
        let text = &format!("{first}RUN echo 2 >/2\n");
        let again = fixture.build(text);
        assert_eq!(made(&again), ["f 0644 0:0 /1 1\n", "f 0644 0:0 /2 2\n"]);
    });
}
