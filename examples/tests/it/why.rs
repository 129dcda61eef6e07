//! What the programs say of the reasons for their work.

use std::fs;

use crate::{
    program::{program, refuse, succeed},
    project::Project,
};

const TEXT: &str = "FROM scratch\nARG WHO=one\nCOPY a /a\nENV WHO=$WHO\nCOPY b /b\n";

fn project() -> Project {
    let project = Project::new(TEXT);
    project.write("a", "a");
    project.write("b", "b");
    project
}

#[test]
fn every_step_that_runs_again_says_why_in_a_line() {
    let project = project();
    let lines = |arguments: &[&str]| {
        let said = succeed(project.command().args(arguments));
        said.stderr.lines().filter(|line| line.starts_with("  ")).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[]), [""; 0], "a first build needs no reason");
    project.write("a", "A");
    project.write("b", "B");
    let expected = [
        "  because 1 file of the build context changed: a (content)",
        "  because an earlier step changed: [0 3] COPY a /a",
        "  because 1 file of the build context changed: b (content) (and 1 other reason)",
    ];
    assert_eq!(lines(&[]), expected);
    assert_eq!(lines(&[]), [""; 0]);
    assert_eq!(lines(&["--no-cache-filter", "0:3,0:5"]), [""; 0], "that was what was asked for");
}

#[test]
fn why_answers_later() {
    let project = project();
    project.build();
    project.write("a", "A");
    project.build_with(&["--build-arg", "WHO=two"]);
    project.build_with(&["--build-arg", "WHO=two"]);
    let state = project.path("out.cache");
    let why = |step: &str| {
        let said = succeed(program("why").arg(&state).arg(step)).stdout;
        said.lines().filter_map(|line| line.strip_prefix("  made then because ")).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(why("0:3"), ["1 file of the build context changed: a (content)"]);
    for same in ["COPY a", "0:3", "0 3", "[0 3/5]", "0 3/5"] {
        assert_eq!(why(same), why("3"), "{same}");
    }
    assert!(refuse(program("why").arg(&state).arg("3/a")).contains("no step \"3/a\""), "a part of a path is no number");
    assert_eq!(why("ARG WHO"), [r#"build argument WHO changed from "one" to "two""#]);
    assert_eq!(why("FROM"), ["no earlier build of it is known"]);
    let json = succeed(program("why").arg(&state).arg("--json")).stdout;
    let steps: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(steps.as_array().unwrap().len(), 5);
    assert_eq!(steps[2]["causes"][0]["changes"]["first"][0]["path"], "a");
    assert!(refuse(program("why").arg(&state).arg("RUN")).contains("the last build had no step \"RUN\""));
    assert!(refuse(program("why").arg(project.path("nothing"))).contains("no build left its results here"));
}

#[test]
fn an_argument_may_be_that_of_the_environment() {
    let project = project();
    project.build_with(&["--build-arg", "WHO=two"]);
    let build = |value: Option<&str>| {
        let mut command = project.command();
        command.args(["--explain", "--build-arg", "WHO"]).env_remove("WHO");
        command.envs(value.map(|value| ("WHO", value)));
        let said = succeed(&mut command).stderr;
        said.lines().find_map(|line| line.strip_prefix("  because ")).map(String::from)
    };
    assert_eq!(build(Some("two")), None);
    assert_eq!(
        build(None).as_deref(),
        Some(r#"build argument WHO changed from "two" to "one""#),
        "as if it were not given"
    );
    let said = succeed(project.command().args(["--build-arg", "WHOM=x"])).stderr;
    assert!(
        said.contains("WHOM: no ARG declares this build argument, which changes nothing, did you mean WHO?"),
        "{said}"
    );
}

#[test]
fn what_was_found_in_the_cache_is_told_as_of_then() {
    let project = project();
    let why = || {
        let said = succeed(program("why").arg(project.path("out.cache")).arg("0:3")).stdout;
        let untimed = |line: &str| line.split(' ').filter(|word| !word.contains("T")).collect::<Vec<_>>().join(" ");
        said.lines().skip(2).map(untimed).collect::<Vec<_>>()
    };
    let build = |content: &str| {
        project.write("a", content);
        project.build_with(&["--source-date-epoch", "1"]);
    };
    build("a");
    assert_eq!(why(), ["  made last used", "  because no earlier build of it is known"]);
    build("A");
    assert_eq!(why(), ["  made last used", "  because 1 file of the build context changed: a (content)"]);
    build("a");
    let expected = [
        "  found in the cache: made by an earlier build, last used",
        "  made then because no earlier build of it is known",
    ];
    assert_eq!(why(), expected, "as it was before");
    let said = succeed(program("why").arg(project.path("out.cache"))).stdout;
    assert!(!said.contains("1970"), "the time of the work, not the date of its result: {said}");
}

#[test]
fn a_step_of_one_of_several_platforms_is_named_as_the_build_names_it() {
    let project = project();
    let printed = succeed(project.command().args(["--platform", "linux/amd64,linux/arm64"])).stderr;
    assert!(printed.contains("[linux/arm64 0 3/5] COPY a /a"), "{printed}");
    let why = |step: &str| {
        let said = succeed(program("why").arg(project.path("out.cache")).arg(step)).stdout;
        said.lines().filter(|line| line.starts_with('[')).map(String::from).collect::<Vec<_>>()
    };
    let (amd64, arm64) = ("[linux/amd64 0 3] COPY a /a", "[linux/arm64 0 3] COPY a /a");
    for label in ["[linux/arm64 0 3/5]", "[linux/arm64 0 3]", "linux/arm64 0:3"] {
        assert_eq!(why(label), [arm64], "{label}");
    }
    assert_eq!(why("0:3"), [amd64, arm64]);
}

#[test]
fn builds_of_two_places_are_not_taken_for_one() {
    let (one, two) = (project(), project());
    let build = |project: &Project, context: &str| {
        let mut command = program("build");
        command.current_dir(project.context("")).args(["--explain", "--progress", "plain", "--cache"]);
        command.arg(one.path("shared")).arg("-o").arg(project.path("out")).arg(context);
        let said = succeed(&mut command).stderr;
        said.lines().filter_map(|line| line.strip_prefix("  because ")).map(String::from).collect::<Vec<_>>()
    };
    build(&one, ".");
    two.write("a", "another");
    // What both have in common is cached, and the rest was never built here.
    let said = build(&two, ".");
    assert_eq!(said, ["no earlier build of it is known"; 3]);
    one.write("a", "A");
    let whole = one.context("");
    let said = build(&one, whole.to_str().unwrap());
    assert_eq!(said[0], "1 file of the build context changed: a (content)");
}

#[test]
fn a_task_runs_once_for_the_same_inputs() {
    let dir = test_support::temp_dir();
    let write = |name: &str, content: &str| fs::write(dir.path().join(name), content).unwrap();
    write("one.txt", "1\n");
    write("two.txt", "2\n");
    let run = |script: &str| {
        let mut command = program("task_cache");
        command.current_dir(dir.path()).args(["state", "-i", "*.txt", "-o", "sum", "--", "sh", "-c", script]);
        succeed(&mut command).stdout
    };
    let sum = || fs::read_to_string(dir.path().join("sum")).unwrap();
    const SCRIPT: &str = "echo ran >>log; cat *.txt >sum; chmod 750 sum";
    assert_eq!(run(SCRIPT), "because no earlier run is known\n");
    fs::remove_file(dir.path().join("sum")).unwrap();
    assert_eq!((run(SCRIPT), sum()), ("cached: sum\n".into(), "1\n2\n".into()));
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(dir.path().join("sum")).unwrap());
    assert_eq!(mode & 0o777, 0o750, "the output is what it was");

    write("two.txt", "3\n");
    let said = run(SCRIPT);
    assert!(said.starts_with("because content two.txt changed from sha256:"), "{said}");
    assert_eq!((said.lines().count(), sum()), (1, "1\n3\n".into()));
    write("three.txt", "4\n");
    assert!(run(SCRIPT).contains("because content three.txt was added"));
    let said = run(&SCRIPT.replace("cat", "tac"));
    assert!(said.contains(r#"because instruction command changed from "#), "{said}");

    fs::remove_file(dir.path().join("three.txt")).unwrap();
    write("two.txt", "2\n");
    assert_eq!((run(SCRIPT), sum()), ("cached: sum\n".into(), "1\n2\n".into()), "what was made before is there");
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert_eq!(log.lines().count(), 4, "it ran as often as something was new");

    // What is damaged is made again.
    for entry in fs::read_dir(dir.path().join("state/blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        fs::remove_file(&path).unwrap();
        fs::write(path, "1\nx\n").unwrap();
    }
    run(SCRIPT);
    assert_eq!(sum(), "1\n2\n");
}

#[test]
fn results_that_were_collected_are_told_from_those_that_never_were() {
    let project = project();
    project.build();
    let state = project.path("out.cache");
    let collect = |arguments: &[&str]| succeed(program("gc").arg(&state).args(arguments)).stdout;
    assert!(collect(&[]).contains("removed: 0 layers"), "a build could use all of it");
    let told = collect(&["--keep-bytes", "0", "--dry-run"]);
    assert!(told.contains("would be dropped: COPY a /a: ") && told.contains("would be removed: 2 layers"), "{told}");
    assert!(project.build().steps.iter().all(|step| step.is_cached), "nothing was removed");
    let told = collect(&["--keep-bytes", "0"]);
    assert!(told.contains("removed: 2 layers") && told.contains("kept: "), "{told}");
    let said = succeed(project.command().arg("--explain")).stderr;
    assert!(said.contains("expired"), "{said}");
    refuse(program("gc").arg(project.path("a")));
}
