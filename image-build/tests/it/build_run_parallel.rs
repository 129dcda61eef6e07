//! Stages with commands that are built at the same time: within the bound, and none outlives a failure.

use std::{
    collections::BTreeSet,
    fs,
    num::NonZero,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    build_run_fixture::{for_each_runtime, made},
    run_fixture::{cgroups, processes},
};

/// Stages that each run a command which is told its number as `$N` and shares `/c` with the others, and a last one that
/// copies from them.
fn stages(shared: &str, commands: &[&str]) -> String {
    let stages = commands.iter().enumerate();
    let stages: String = stages
        .map(|(at, command)| {
            let mount = format!("--mount=type=cache,id={shared},target=/c");
            format!("FROM base AS s{at}\nRUN {mount} N={at}; {command}; echo {at} >/{at}\n")
        })
        .collect();
    let copies: String = (0..commands.len()).map(|at| format!("COPY --from=s{at} /{at} /made/\n")).collect();
    format!("{stages}FROM base\n{copies}")
}

/// Notes how many are there, and leaves.
const COME_AND_GO: &str = "touch /c/here-$N; ls /c | grep -c here- >>/c/counts; rm /c/here-$N";

/// The same, but nobody leaves before two were there at once.
const MEET: &str = "touch /c/here-$N; \
    until n=$(ls /c | grep -c here-); echo $n >>/c/counts; [ -e /c/two ] || [ $n -ge 2 ]; do sleep 0.02; done; \
    touch /c/two; rm /c/here-$N";

#[test]
fn commands_of_independent_stages_run_at_once_within_the_bound() {
    for_each_runtime(|fixture| {
        for (threads, command) in [(1, COME_AND_GO), (2, MEET), (3, MEET)] {
            let state = fixture.state().with_extension(threads.to_string());
            fixture.options = fixture.options.clone().with_parallelism(NonZero::new(threads).unwrap());
            let shared = format!("meeting-of-{threads}");
            let count = format!("RUN --mount=type=cache,id={shared},target=/c");
            let count = format!("{count} sort -n /c/counts | tail -n 1 >/most\n");
            let built = fixture.try_build_in(&format!("{}{count}", stages(&shared, &[command; 5])), &state).unwrap();
            let made = made(&built);
            assert_eq!(made.iter().filter(|line| line.starts_with("f 0644 0:0 /made/")).count(), 5, "{made:#?}");
            let most = made.iter().find_map(|line| line.strip_prefix("f 0644 0:0 /most ")).unwrap();
            let most: usize = most.trim_end().parse().unwrap();
            assert!((threads.min(2)..=threads).contains(&most), "{threads} threads, {most} at once");
        }
    });
}

#[test]
fn a_command_that_fails_ends_those_of_later_stages() {
    for_each_runtime(|fixture| {
        fixture.options = fixture.options.clone().with_parallelism(NonZero::new(3).unwrap());
        let before = cgroups();
        // All are there when the second fails; the first might have failed too, so it goes on.
        let all = "touch /c/here-$N; until [ $(ls /c | grep -c here-) -ge 3 ]; do sleep 0.02; done";
        let fail = format!("{all}; touch /c/failed; exit 9");
        let go_on = format!("{all}; until [ -e /c/failed ]; do sleep 0.02; done");
        let for_ever = format!("{all}; while :; do sleep 1; done");
        let error = fixture.error(&stages("meeting", &[&go_on, &fail, &for_ever, "touch /c/begun", "touch /c/begun"]));
        assert!(error.starts_with("Dockerfile:4:1: ") && error.contains("exit status 9"), "{error}");
        for empty in ["snapshots/active", "snapshots/tmp", "snapshots/views", "exec/runs", "tmp"] {
            let left = fs::read_dir(fixture.state().join(empty)).map_or(0, Iterator::count);
            assert_eq!(left, 0, "{empty}");
        }
        // Those of other tests go too, in time.
        let mut left: BTreeSet<_> = cgroups().difference(&before).cloned().collect();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !left.is_empty() {
            assert!(Instant::now() < deadline, "{left:?}");
            thread::sleep(Duration::from_millis(50));
            left.retain(|group| Path::new(group).exists());
        }
        let here = fixture.state().display().to_string();
        let processes: Vec<_> = processes().into_iter().filter(|line| line.contains(&here)).collect();
        assert!(processes.is_empty(), "{processes:?}");
        // What was done before it is not done again, and the stages behind it never began.
        let text = format!(
            "{}RUN --mount=type=cache,id=meeting,target=/c ls /c | grep begun >/begun; true\n",
            stages("meeting", &[&go_on, "true"])
        );
        let built = fixture.build(&text);
        assert!(made(&built).contains(&"f 0644 0:0 /begun ".into()), "{:#?}", made(&built));
        assert!(built.steps().iter().any(|step| step.starts_with("CACHED [s0 2/2] RUN")), "{:?}", built.steps());
    });
}
