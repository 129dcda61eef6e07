//! What runs again after a change, and what does not.

use std::{
    fs::{self, File, FileTimes, Permissions},
    os::unix::fs::PermissionsExt,
    time::{Duration, SystemTime},
};

use crate::{
    base_image::{Form, base_image},
    build::{DOCKERFILE, project},
    program::{program, run, succeed, verify},
    project::{Built, Project},
};

const COPY_MODULES: &str = "COPY modules/ ./modules/";
const COPY_CONFIG: &str = "COPY config.json settings/config.json";
const COPY_ASSETS: &str = "COPY --from=assets /srv/assets ./assets";
const COPY_BIN: &str = "COPY --chown=1000:2000 --chmod=0750 bin/ /usr/local/bin/";
const COPY_CONTEXT: &str = "COPY . context/";

#[test]
fn an_unchanged_build_is_cached_whole() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = project(base);
    let first = project.build();
    assert!(first.cached().is_empty(), "{first:?}");
    let second = project.build();
    assert!(second.ran().is_empty(), "{second:?}");
    assert_eq!(first.digest, second.digest);
    assert_eq!(first.steps.len(), second.steps.len());
    assert_eq!(places(&first), places(&second));

    let third = project.build_with(&["--no-cache"]);
    assert!(third.cached().is_empty(), "{third:?}");
    verify(&project.output());
}

#[test]
fn a_change_of_content_runs_its_copy_and_what_follows() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = project(base);
    let first = project.build();
    project.write("config.json", r#"{"changed": true}"#);
    let second = project.build();
    let ran = second.ran();
    for step in [COPY_CONFIG, COPY_ASSETS, COPY_BIN, COPY_CONTEXT] {
        assert!(ran.contains(&step), "{step} runs: {ran:?}");
    }
    for step in second.cached() {
        assert!(![COPY_CONFIG, COPY_ASSETS, COPY_BIN, COPY_CONTEXT].contains(&step), "{step}");
    }
    assert!(second.cached().contains(&COPY_MODULES), "{second:?}");
    assert_eq!(ran[0], COPY_CONFIG, "nothing before it runs");
    assert_ne!(first.digest, second.digest);

    // The old content is the old image, and nothing of it has to be made again.
    project.write("config.json", "{}");
    let third = project.build();
    assert!(third.ran().is_empty(), "{third:?}");
    verify(&project.output());
}

#[test]
fn a_file_that_only_the_last_copy_takes_runs_only_that() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = project(base);
    project.build();
    project.write("new-file", "for COPY .");
    assert_eq!(&project.build().ran()[..1], [COPY_CONTEXT]);
    fs::remove_file(project.context("new-file")).unwrap();
    assert!(project.build().ran().is_empty());
}

#[test]
fn times_and_what_is_ignored_run_nothing() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = project(base);
    let first = project.build();
    let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    for touched in ["config.json", "modules/module-30/src/file-07.txt", "modules/module-30/src", "bin/run"] {
        File::open(project.context(touched)).unwrap().set_times(times).unwrap();
    }
    project.write("secrets/another", "ignored");
    project.write("modules/module-02/src/another.txt", "ignored");
    let second = project.build();
    assert!(second.ran().is_empty(), "{second:?}");
    assert_eq!(first.digest, second.digest);
}

#[test]
fn what_a_step_depends_on_runs_it_again() {
    const TWO: &str = "FROM scratch\nARG WHO=one\nCOPY a /a\nENV WHO=$WHO\nCOPY b /b\n";
    const ALL: &[&str] = &["FROM scratch", "ARG WHO=one", "COPY a /a", "ENV WHO=$WHO", "COPY b /b"];
    type Case<'a> = (&'a str, fn(&Project), &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 9] = [
        ("nothing", |_| (), &[], &[]),
        ("the mode of a file", |p| mode(p, "b", 0o755), &[], &["COPY b /b"]),
        ("the content of a file", |p| p.write("a", "A"), &[], &["COPY a /a", "ENV WHO=$WHO", "COPY b /b"]),
        // The layer is the same one as before.
        ("the name of a source", rename_a, &[], &["COPY renamed /a"]),
        ("a build argument", |_| (), &["--build-arg", "WHO=two"], &["ARG WHO=one", "ENV WHO=$WHO"]),
        ("an instruction", |p| p.write("Dockerfile", TWO.replace("/b", "/c")), &[], &["COPY b /c"]),
        ("a comment", |p| p.write("Dockerfile", format!("# new\n{TWO}")), &[], &[]),
        ("the end", |p| p.write("Dockerfile", format!("{TWO}COPY a /d\n")), &[], &["COPY a /d"]),
        ("the epoch", |_| (), &["--source-date-epoch", "1"], ALL),
    ];
    for (change, make, arguments, expected) in cases {
        let project = Project::new(TWO);
        project.write("a", "a");
        project.write("b", "b");
        mode(&project, "b", 0o644);
        project.build();
        make(&project);
        assert_eq!(project.build_with(arguments).ran(), expected, "{change}");
        verify(&project.output());
    }
}

#[test]
fn explanations_follow_the_steps_that_ran() {
    let project = Project::new("FROM scratch\nARG WHO=one\nCOPY a /a\nENV WHO=$WHO\n");
    project.write("a", "a");
    let explain = |arguments: &[&str]| {
        let said = succeed(project.command().arg("--explain").args(arguments));
        let text = said.stderr.lines().map(|line| match line.strip_prefix("DONE ") {
            Some(rest) => format!("DONE {}", rest.split_once(' ').unwrap().1),
            None => line.into(),
        });
        (text.collect::<Vec<_>>(), said.stdout)
    };
    assert_eq!(explain(&[]).0[1], "  because no earlier build of it is known");
    project.write("a", "A");
    let (said, json) = explain(&["--build-arg", "WHO=two", "--json"]);
    let expected = [
        "CACHED [0 1/4] FROM scratch",
        "DONE [0 2/4] ARG WHO=one",
        "  because build argument WHO changed from \"one\" to \"two\"",
        "DONE [0 3/4] COPY a /a",
        "  because 1 file of the build context changed: a (content)",
        "DONE [0 4/4] ENV WHO=$WHO",
        "  because build argument WHO changed from \"one\" to \"two\"",
    ];
    assert_eq!(said, expected);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["misses"][1]["causes"][0]["changes"]["first"][0]["path"], "a");
    assert_eq!(json["misses"][2]["step"]["number"], 4);
    assert!(!succeed(project.command().args(["--no-cache"])).stderr.contains("because"), "only where it is asked for");
}

#[test]
fn another_base_runs_everything_but_nothing_of_other_stages() {
    let project =
        Project::new("FROM scratch AS other\nCOPY b /b\nFROM localhost/base:1\nCOPY a /a\nCOPY --from=other /b /b\n");
    project.write("a", "a");
    project.write("b", "b");
    let (one, two) = (Project::new("FROM scratch\nLABEL base=one\n"), Project::new("FROM scratch\nLABEL base=two\n"));
    let build_on = |base: &Project| {
        Built::of(&mut base.command_for("localhost/base:1"));
        Built::of(project.command().arg("--base").arg(base.output()))
    };
    let first = build_on(&one);
    assert!(build_on(&one).ran().is_empty());
    let second = build_on(&two);
    assert_eq!(second.cached()[..2], ["FROM scratch AS other", "COPY b /b"]);
    assert!(second.ran().contains(&"FROM localhost/base:1"), "{second:?}");
    assert_ne!(first.digest, second.digest);
}

#[test]
fn an_earlier_state_that_is_gone_costs_work_and_nothing_else() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = project(base);
    let epoch = ["--source-date-epoch", "1700000000"];
    let first = project.build_with(&epoch);
    let state = project.path("out.cache");
    assert!(state.is_dir(), "the state lies beside the layout");
    for part in ["records", "toc", "blobs", ""] {
        fs::remove_dir_all(state.join(part)).unwrap();
        let again = project.build_with(&epoch);
        assert_eq!(first.digest, again.digest, "without {part:?}");
        verify(&project.output());
    }
}

#[test]
fn damaged_records_and_layers_of_the_state_are_never_believed() {
    let project = Project::new(&DOCKERFILE[..0]);
    project.write("Dockerfile", "FROM scratch\nCOPY data /data\nFROM scratch\nCOPY --from=0 /data /copied\n");
    project.write("data", "content ".repeat(1000));
    let epoch = ["--source-date-epoch", "1700000000"];
    let first = project.build_with(&epoch);
    let state = project.path("out.cache");
    for part in ["records", "toc", "blobs"] {
        for file in files(&state.join(part)) {
            let mut bytes = fs::read(&file).unwrap();
            bytes.truncate(bytes.len() / 2);
            fs::remove_file(&file).unwrap();
            fs::write(&file, bytes).unwrap();
        }
        let again = project.build_with(&epoch);
        assert_eq!(first.digest, again.digest, "{part} cut short");
        verify(&project.output());
    }
}

#[test]
fn a_layer_of_the_state_that_was_tampered_with_reaches_no_image() {
    let project = Project::new("FROM scratch\nCOPY data /data\nFROM scratch\nCOPY --from=0 /data /copied\n");
    project.write("data", "content ".repeat(1000));
    project.build();
    for file in files(&project.path("out.cache/blobs")) {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
    }
    // The second COPY has to read what the first made.
    for dockerfile in ["/copied\n", "/elsewhere\n"] {
        let text = format!("FROM scratch\nCOPY data /data\nFROM scratch\nCOPY --from=0 /data {dockerfile}");
        project.write("Dockerfile", text);
        fs::remove_dir_all(project.output()).unwrap();
        let said = run(&mut project.command());
        match said.status {
            Some(0) => verify(&project.output()),
            _ => assert!(said.status == Some(1) && said.stderr.contains("/data"), "{said}"),
        }
        let index = fs::read_to_string(project.output().join("index.json")).unwrap();
        assert_eq!(index.contains("sha256:"), said.status == Some(0));
        if said.status == Some(0) {
            let tree = project.path("tree");
            succeed(program("unpack").arg("--rootless").arg(project.image()).arg(&tree));
            for file in files(&tree) {
                assert_eq!(fs::read_to_string(file).unwrap(), "content ".repeat(1000));
            }
            fs::remove_dir_all(tree).unwrap();
        }
    }
}

fn places(built: &Built) -> Vec<(&str, &str)> {
    let mut places: Vec<_> = built.steps.iter().map(|step| (&*step.place, &*step.instruction)).collect();
    places.sort_unstable();
    places
}

fn mode(project: &Project, path: &str, mode: u32) {
    fs::set_permissions(project.context(path), Permissions::from_mode(mode)).unwrap();
}

fn rename_a(project: &Project) {
    fs::rename(project.context("a"), project.context("renamed")).unwrap();
    let text = fs::read_to_string(project.context("Dockerfile")).unwrap();
    project.write("Dockerfile", text.replace("COPY a ", "COPY renamed "));
}

/// All files below a directory.
fn files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut todo = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { todo.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}
