//! Stages with commands that are built at the same time: within the bound, and none outlives a failure.

use std::{fs, num::NonZero};

use crate::{
    build_run_fixture::{for_each_runtime, made},
    run_fixture::cgroups,
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
const MEET: &str = "touch /c/here-$N; ls /c | grep -c here- >>/c/counts; \
    until [ -e /c/two ] || [ $(ls /c | grep -c here-) -ge 2 ]; do sleep 0.02; done; touch /c/two; rm /c/here-$N";

#[test]
fn commands_of_independent_stages_run_at_once_within_the_bound() {
    for_each_runtime(|fixture| {
        for (threads, command) in [(1, COME_AND_GO), (2, MEET), (3, MEET)] {
            let state = fixture.state().with_extension(threads.to_string());
            fixture.options = fixture.options.clone().with_parallelism(NonZero::new(threads).unwrap());
            let shared = format!("meeting-of-{threads}");
            let count = format!("RUN --mount=type=cache,id={shared},target=/c");
            let count = format!("{count} sort -n /c/counts | tail -n 1 >/most; wc -l </c/counts >/all\n");
            let built = fixture.try_build_in(&format!("{}{count}", stages(&shared, &[command; 5])), &state).unwrap();
            let made = made(&built);
            assert!(made.contains(&"f 0644 0:0 /all 5\n".into()), "{made:#?}");
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
        let left: Vec<_> = cgroups().difference(&before).cloned().collect();
        assert!(left.is_empty(), "{left:?}");
        let here = fixture.state().display().to_string();
        let processes = test_support::tool::run(std::process::Command::new("ps").args(["-eo", "args"]));
        assert!(!processes.contains(&here), "{processes}");
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
