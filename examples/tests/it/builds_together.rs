//! Several builds at once with one state directory, killed or not.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    program::{program, succeed, verify},
    project::{Built, Project},
};

const TEXT: &str = "FROM scratch AS one
COPY a /a
COPY many /many
FROM scratch AS two
COPY b /b
WORKDIR /work
FROM scratch AS like-two
COPY b /b
WORKDIR /work
FROM one AS three
COPY --from=like-two / /like-two
FROM three
COPY --from=two / /two
COPY . /all
ENV DONE=1
";

const EPOCH: [&str; 2] = ["--source-date-epoch", "1700000000"];

fn project() -> Project {
    let project = Project::new(TEXT);
    project.write("a", "a".repeat(200_000));
    project.write("b", "b");
    for n in 0..200 {
        project.write(&format!("many/{n}"), format!("{n} ").repeat(n));
    }
    project
}

/// The command that builds into a layout of its own, with the state that all share.
fn command(project: &Project, layout: &str) -> Command {
    let mut command = program("build");
    command.args(["--progress", "plain", "--compression", "gzip:1", "-o"]).arg(project.path(layout)).args(EPOCH);
    command.arg("--cache").arg(project.path("state")).arg(project.context(""));
    command
}

/// Begins a build that has so many stages under way at once.
fn start(project: &Project, layout: &str, jobs: usize) -> Child {
    command(project, layout)
        .args(["--jobs", &jobs.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The files of the state but for those that tell of the machine.
fn unfinished(state: &Path) -> usize {
    let entries = ["tmp", "records/tmp", "stat/tmp", "ingest"].map(|name| state.join(name));
    entries.iter().filter_map(|path| fs::read_dir(path).ok()).map(Iterator::count).sum()
}

#[test]
fn builds_at_the_same_time_are_the_same_image() {
    for count in [2, 8] {
        let project = project();
        let layouts: Vec<String> = (0..count).map(|n| format!("out{n}")).collect();
        let builds: Vec<Child> = (1..).zip(&layouts).map(|(jobs, layout)| start(&project, layout, jobs)).collect();
        let mut digests = Vec::new();
        for build in builds {
            let output = build.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            digests.extend(said.lines().find_map(|line| line.strip_prefix("digest: ").map(String::from)));
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "{count} builds, one image");
        layouts.iter().for_each(|layout| verify(&project.path(layout)));
        let after = Built::of(&mut command(&project, "after"));
        assert!(after.ran().is_empty() && after.digest == digests[0], "{after:?}");
        assert_eq!(unfinished(&project.path("state")), 0);
    }
}

#[test]
fn builds_that_are_killed_at_any_moment_disturb_no_other_and_not_the_next() {
    let project = project();
    let started = Instant::now();
    let expected = Built::of(&mut command(&project, "expected")).digest;
    let whole = started.elapsed();
    let state = project.path("state");
    for round in 0..6_u32 {
        if round % 2 == 0 {
            fs::remove_dir_all(&state).unwrap();
        }
        let mut killed: Vec<Child> = (0..3).map(|n| start(&project, &format!("killed{n}"), n + 1)).collect();
        let survivor = start(&project, "survivor", 3);
        for (n, build) in (0_u32..).zip(&mut killed) {
            thread::sleep(whole.mul_f64(0.1) * (round + n) / 3 + Duration::from_millis(1));
            build.kill().unwrap();
            build.wait().unwrap();
        }
        let output = survivor.wait_with_output().unwrap();
        assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        verify(&project.path("survivor"));
        let next = Built::of(&mut command(&project, "next"));
        assert_eq!(next.digest, expected, "round {round}");
        assert!(next.ran().is_empty(), "round {round}: {next:?}");
        assert_eq!(unfinished(&state), 0, "round {round}");
        verify(&project.path("next"));
    }
}

#[test]
fn results_are_handed_on() {
    let (first, second) = (project(), project());
    let cache = format!("{}:build-cache", first.path("shared").display());
    let made = Built::of(command(&first, "out").args(["--cache-to", &cache, "--cache-mode", "max"]));
    assert!(made.cached().is_empty());
    let taken = Built::of(command(&second, "out").args(["--cache-from", &cache]));
    assert!(taken.ran().is_empty(), "{taken:?}");
    assert_eq!(taken.digest, made.digest);
    verify(&first.path("shared"));
    let copied = format!("{}:copied", first.path("copy").display());
    succeed(program("copy").arg("--all").arg(&cache).arg(&copied));
    let third = project();
    assert!(Built::of(command(&third, "out").args(["--cache-from", &copied])).ran().is_empty());

    let own = format!("{}:min", first.path("shared").display());
    Built::of(command(&first, "out").args(["--cache-to", &own]));
    let fourth = project();
    let some = Built::of(command(&fourth, "out").args(["--cache-from", &own, "--cache-from", "/nowhere:x"]));
    let mut ran = some.ran();
    ran.sort_unstable();
    let copied = ["COPY b /b", "COPY b /b", "FROM scratch AS like-two", "FROM scratch AS two"];
    assert_eq!(ran, [&copied[..], &["WORKDIR /work"; 2]].concat());
    assert_eq!(some.digest, made.digest);
}
