//! Which edits run a command again, and what is said of them.

use std::{fs, io::Write};

use image_build::{
    BuildOptions, Result,
    exec::{Executor, Exit, Limits, Network, RunSpec, Secret},
};
use image_core::{Ctx, Timestamp};
use test_support::require_root;

use crate::{
    build_explain::said,
    build_fixture::{Fixture, dir, file},
};

const TEXT: &str = "FROM base AS one
ARG VERSION=1
ENV MODE=a LEVEL=b
RUN --mount=source=lib,target=/lib --mount=type=cache,target=/c --mount=type=secret,id=s make
RUN <<EOF
#!/bin/tool
first line
EOF
FROM base AS two
COPY b.txt /b
RUN --mount=from=one,source=/ran,target=/ran check
";

/// How the command begins that has mounts.
const FLAGS: &str = "RUN --mount=source=lib,target=/lib --mount=type=cache,target=/c --mount=type=secret,id=s ";

/// A program that writes down what it was called with.
struct Scribe;

impl Executor for Scribe {
    fn run(&self, spec: &RunSpec, _: &mut dyn FnMut(&[u8]), _: &Ctx) -> Result<Exit> {
        let mut file = fs::File::options().append(true).create(true).open(spec.rootfs.join("ran")).unwrap();
        writeln!(file, "{:?} {:?}", spec.args, spec.env).unwrap();
        Ok(Exit::new(0))
    }
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&["a.txt", "b.txt", "lib/x", "lib/y"]);
    fixture.write(".dockerignore", "ignored\n");
    fixture.bases.add("base", vec![dir("etc"), file("etc/os")], |_| {});
    fixture.executor = Some(Box::new(Scribe));
    // What is written in another second is no other layer.
    fixture.options = fixture.options.clone().with_source_date_epoch(Some(Timestamp::from_seconds(1)));
    fixture
}

type Edit = Box<dyn Fn(&mut Fixture, &mut String)>;

/// Builds, edits, builds again: what is said of the steps that ran the second time.
fn check(name: &str, edit: &Edit, expected: &[&str]) {
    let (mut fixture, mut text) = (fixture(), TEXT.to_owned());
    fixture.build(&text);
    assert_eq!(said(&fixture.build(&text)), [""; 0], "{name}: nothing changed");
    edit(&mut fixture, &mut text);
    fixture.now = Timestamp::from_seconds(1_900_000_000);
    let shorter = |line: String| line.replace(FLAGS, "RUN … ");
    let lines: Vec<String> = said(&fixture.build(&text)).into_iter().map(shorter).collect();
    assert_eq!(lines, expected, "{name}");
    assert_eq!(said(&fixture.build(&text)), [""; 0], "{name}: built again");
}

fn replace(from: &'static str, to: &'static str) -> Edit {
    Box::new(move |_, text| {
        assert!(text.contains(from), "{from}");
        *text = text.replace(from, to);
    })
}

fn write(path: &'static str, content: &'static str) -> Edit {
    Box::new(move |fixture, _| fixture.write(path, content))
}

fn option(change: impl Fn(BuildOptions) -> BuildOptions + 'static) -> Edit {
    Box::new(move |fixture, _| fixture.options = change(fixture.options.clone()))
}

#[test]
fn what_a_command_cannot_see_does_not_run_it_again() {
    if !require_root() {
        return;
    }
    let cases: Vec<(&str, Edit)> = vec![
        ("a file that no mount takes", write("a.txt", "new")),
        ("a file that is ignored", write("ignored", "new")),
        ("a comment", replace("ENV MODE", "# comment\n\nENV MODE")),
        ("a cache of another name", replace("type=cache,target=/c", "type=cache,target=/c,id=other,sharing=locked")),
        (
            "a secret's value",
            option(|options| {
                let run = options.run.clone().with_secret("s", Secret::new(*b"new"));
                options.with_run(run)
            }),
        ),
        (
            "whether a secret must be given",
            option(|options| {
                let run = options.run.clone().with_agent("default", "/nowhere");
                options.with_run(run)
            }),
        ),
        (
            "limits",
            option(|options| {
                let run = options.run.clone().with_limits(Limits::default().with_memory(1 << 30));
                options.with_run(run)
            }),
        ),
        (
            "more that is allowed",
            option(|options| {
                let run = options.run.clone().with_allowed_network(Network::Host);
                options.with_run(run)
            }),
        ),
        ("a proxy", option(|options| options.with_build_arg("HTTPS_PROXY", "http://there"))),
        ("an argument that nobody declares", option(|options| options.with_build_arg("OTHER", "x"))),
        (
            "the times of files",
            Box::new(|fixture, _| {
                let touched = fs::File::options().write(true).open(fixture.context().join("lib/x")).unwrap();
                touched.set_modified(std::time::UNIX_EPOCH).unwrap();
            }),
        ),
    ];
    for (name, edit) in &cases {
        check(name, edit, &[]);
    }
}

#[test]
fn what_a_command_sees_runs_it_again_and_is_named() {
    if !require_root() {
        return;
    }
    let cases: Vec<(&str, Edit, Vec<&str>)> = vec![
        (
            "the command",
            replace("make", "make all"),
            vec![
                "one 4: the instruction changed: RUN … make → RUN … make all",
                "one 5: an earlier step changed: [one 4] RUN … make all",
                "two 3: 1 file of stage one changed: ran (content); an earlier step changed: [one 4] RUN … make all",
            ],
        ),
        (
            "a blank in the command",
            replace("make", "make  it"),
            vec![
                "one 4: the instruction changed: RUN … make → RUN … make  it",
                "one 5: an earlier step changed: [one 4] RUN … make  it",
                "two 3: 1 file of stage one changed: ran (content); an earlier step changed: [one 4] RUN … make  it",
            ],
        ),
        (
            "a line of a here-document",
            replace("first line", "other line"),
            vec![r#"one 5: the instruction changed: #!/bin/tool\nfirst line\n → #!/bin/tool\nother line\n"#],
        ),
        (
            "the shell",
            replace("RUN --mount=source", "SHELL [\"/bin/bash\", \"-c\"]\nRUN --mount=source"),
            vec![
                "one 4: the step is new",
                r#"one 5: the instruction comes to something else: RUN ["/bin/sh","-c","make"] → RUN ["/bin/bash","-c","make"]"#,
                r#"one 6: the instruction changed: RUN ["/bin/sh","-c","/dev/pipes/EOF"] → RUN ["/bin/bash","-c","/dev/pipes/EOF"]; an earlier step changed: [one 5] RUN … make"#,
                "two 3: 1 file of stage one changed: ran (content); an earlier step changed: [one 5] RUN … make",
            ],
        ),
        (
            "an argument",
            option(|options| options.with_build_arg("VERSION", "2")),
            vec![
                r#"one 2: build argument VERSION changed from "1" to "2""#,
                "one 3: an earlier step changed: [one 2] ARG VERSION=1",
                r#"one 4, one 5: build argument VERSION changed from "1" to "2""#,
                "two 3: 1 file of stage one changed: ran (content); an earlier step changed: [one 4] RUN … make",
            ],
        ),
        (
            "a variable",
            replace("MODE=a", "MODE=c"),
            vec![
                "one 3: the instruction changed: ENV MODE=a LEVEL=b → ENV MODE=c LEVEL=b",
                r#"one 4, one 5: environment variable MODE changed from "a" to "c""#,
                "two 3: 1 file of stage one changed: ran (content); an earlier step changed: [one 4] RUN … make",
            ],
        ),
        (
            "the order of variables",
            replace("MODE=a LEVEL=b", "LEVEL=b MODE=a"),
            vec![
                "one 3: the instruction changed: ENV MODE=a LEVEL=b → ENV LEVEL=b MODE=a",
                "one 4, one 5: environment MODE moved",
                "two 3: 1 file of stage one changed: ran (content); an earlier step changed: [one 4] RUN … make",
            ],
        ),
        (
            "one variable more",
            replace("LEVEL=b", "LEVEL=b MORE=c"),
            vec![
                "one 3: the instruction changed: ENV MODE=a LEVEL=b → ENV MODE=a LEVEL=b MORE=c",
                r#"one 4, one 5: environment variable MORE changed from unset to "c""#,
                "two 3: 1 file of stage one changed: ran (content); an earlier step changed: [one 4] RUN … make",
            ],
        ),
        (
            "the user",
            replace("RUN --mount=source", "USER 7\nRUN --mount=source"),
            vec!["one 4: the step is new", r#"one 5, one 6: setting user changed from "" to "7""#],
        ),
        (
            "the directory",
            replace("RUN --mount=source", "WORKDIR /etc\nRUN --mount=source"),
            vec!["one 4: the step is new", r#"one 5, one 6: setting directory changed from "/" to "/etc""#],
        ),
    ];
    for (name, edit, expected) in &cases {
        check(name, edit, expected);
    }
}

#[test]
fn what_a_command_is_given_runs_it_again_and_is_named() {
    if !require_root() {
        return;
    }
    let cases: Vec<(&str, Edit, Vec<&str>)> = vec![
        (
            "a file of a mount",
            write("lib/x", "new"),
            vec!["one 4: 1 file of the build context changed: lib/x (content)"],
        ),
        (
            "a new file of a mount",
            write("lib/z", "new"),
            vec!["one 4: 1 file of the build context changed: lib/z (added)"],
        ),
        (
            "the mode of a file of a mount",
            Box::new(|fixture, _| fixture.set_mode("lib/x", 0o600)),
            vec!["one 4: 1 file of the build context changed: lib/x (mode 0644 to 0600)"],
        ),
        (
            "how a mount is mounted",
            replace("target=/lib", "target=/lib,rw"),
            vec![r#"one 4: mount /lib changed from "bind ro" to "bind rw""#],
        ),
        (
            "where a mount is",
            replace("target=/lib", "target=/lob"),
            vec![r#"one 4: mount /lob was added: "bind ro"; mount /lib was removed: "bind ro""#],
        ),
        (
            "whose a secret is",
            replace("id=s", "id=s,uid=5"),
            vec![r#"one 4: mount /run/secrets/s changed from "secret \"s\" 0:0 0400" to "secret \"s\" 5:0 0400""#],
        ),
        (
            "a mount more",
            replace("RUN <<EOF", "RUN --mount=type=tmpfs,target=/t <<EOF"),
            vec![r#"one 5: mount /t was added: "tmpfs""#],
        ),
        (
            "the network",
            option(|options| {
                let run = options.run.clone().with_network(Network::Host);
                options.with_run(run)
            }),
            vec![r#"one 4, one 5, two 3: setting network changed from "none" to "host""#],
        ),
        ("the network of one", replace("RUN <<EOF", "RUN --network=none <<EOF"), vec![]),
        (
            "the base",
            Box::new(|fixture, _| fixture.bases.add("base", vec![dir("etc"), file("etc/new")], |_| {})),
            vec![
                "one 1: the base image base changed from sha256:… to sha256:…",
                "one 2, one 3, one 4, one 5: an earlier step changed: [one 1] FROM base AS one",
                "two 1: the base image base changed from sha256:… to sha256:…",
                "two 2, two 3: an earlier step changed: [two 1] FROM base AS two",
            ],
        ),
        (
            "a file below",
            write("b.txt", "new"),
            vec![
                "two 2: 1 file of the build context changed: b.txt (content)",
                "two 3: an earlier step changed: [two 2] COPY b.txt /b",
            ],
        ),
    ];
    for (name, edit, expected) in &cases {
        check(name, edit, expected);
    }
}
