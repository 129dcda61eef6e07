//! Images made by steps that a program gives, without a Dockerfile.

use std::time::Duration;

use image_build::{
    AddOptions, CommandMount, CommandOptions, CopyOptions, Dockerfile, Error, ImageSteps,
    dockerfile::{Command, HealthcheckTest},
    exec::{Access, CacheSharing, Network, Security},
};
use proptest::prelude::*;

use crate::build_fixture::{Built, Fixture, chain, dir, file, link};

fn steps(fixture: &Fixture, steps: ImageSteps) -> Built<'_> {
    fixture.try_build_of(&steps.finish().unwrap()).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn error(fixture: &Fixture, steps: ImageSteps) -> String {
    match steps.finish().and_then(|steps| fixture.try_build_of(&steps)) {
        Ok(_) => panic!("the build did not fail"),
        Err(error) => chain(&error),
    }
}

#[test]
fn steps_are_the_instructions_of_a_dockerfile() {
    let mut fixture = Fixture::with_files(&["a.c", "b.c", "src/x", "src/y", "app"]);
    fixture.bases.add("base", vec![dir("etc"), file("etc/group"), file("etc/passwd")], |_| {});
    let text = r#"FROM base AS build
COPY a.c b.c /src/
COPY <<note.txt ./
hello
note.txt
FROM base
WORKDIR /srv
COPY --chown=app --chmod=0755 app bin/
COPY --from=build /src /srv/src
COPY --link --exclude=y src /linked/
ADD --chmod=0600 app /added
ENV NAME=value
LABEL title="two words"
USER app:staff
EXPOSE 53/udp
VOLUME /data
STOPSIGNAL SIGTERM
SHELL ["/bin/ash", "-c"]
HEALTHCHECK --interval=30s --timeout=3s --retries=2 CMD ["/check", "--fast"]
ENTRYPOINT ["/srv/bin/app"]
CMD ["--port", "53"]
"#;
    let given = ImageSteps::from_image("base")
        .named("BUILD")
        .copy_with(["a.c", "b.c"], "/src/", CopyOptions::default())
        .file("note.txt", "hello\n")
        .then_from_image("base")
        .workdir("/srv")
        .copy_with(["app"], "bin/", CopyOptions::default().with_chown("app").with_chmod("0755"))
        .copy_with(["/src"], "/srv/src", CopyOptions::default().with_from("build"))
        .copy_with(["src"], "/linked/", CopyOptions::default().with_link().with_exclude("y"))
        .add_with(["app"], "/added", AddOptions::default().with_chmod("0600"))
        .env("NAME", "value")
        .label("title", "two words")
        .user("app:staff")
        .expose("53/udp")
        .volume("/data")
        .stop_signal("SIGTERM")
        .shell(["/bin/ash", "-c"])
        .healthcheck(
            HealthcheckTest::exec(["/check", "--fast"])
                .with_interval(Duration::from_secs(30))
                .with_timeout(Duration::from_secs(3))
                .with_retries(2),
        )
        .entrypoint(["/srv/bin/app"])
        .cmd(["--port", "53"]);
    let of_text = fixture.build(text);
    let of_steps = steps(&fixture, given.clone());
    assert_eq!(of_steps.done(), [""; 0], "a step is the same step, however it was given");
    assert_eq!(of_steps.image.manifest, of_text.image.manifest);
    assert_eq!(of_steps.config(), of_text.config());
    // And the other way, with nothing left of the text's build.
    let anew = fixture.try_build_of_anew(&given.finish().unwrap()).unwrap();
    assert_eq!(anew.image.manifest.digest, of_text.image.manifest.digest);
    assert_eq!(anew.image.cached, 0);
}

#[test]
fn steps_without_a_text_of_their_own_show_what_they_do() {
    let fixture = Fixture::with_files(&["a b"]);
    let given = ImageSteps::from_scratch()
        .copy("a b", "/x y")
        .file_with("/etc/a.conf", "", CopyOptions::default().with_chmod("u=rw,go="))
        .add_with(["a b"], "/", AddOptions::default().without_unpack())
        .env("A", "$B\n\u{1b}[1m")
        .cmd(["a", "\"b\""])
        .no_healthcheck();
    let built = steps(&fixture, given.clone());
    assert_eq!(
        built.done(),
        [
            "[0 1/7] FROM scratch",
            "[0 2/7] COPY \"a b\" \"/x y\"",
            "[0 3/7] COPY --chmod=u=rw,go= <<a.conf /etc/",
            "[0 4/7] ADD --unpack=false \"a b\" /",
            "[0 5/7] ENV A=\"\\$B\\n\\u{1b}[1m\"",
            "[0 6/7] CMD [\"a\", \"\\\"b\\\"\"]",
            "[0 7/7] HEALTHCHECK NONE",
        ]
    );
    let printed = given.finish().unwrap().to_string();
    assert_eq!(printed.lines().count(), 7, "{printed}");
}

#[test]
fn values_are_taken_as_they_are() {
    let fixture = Fixture::with_files(&["$HOME", "--from=other", "quo\"te", "<<EOF", "http:"]);
    let built = steps(
        &fixture,
        ImageSteps::from_scratch()
            .env("A", "one")
            .env("B", "$A ${A:-x} \\$A \"q\" 'q' `x`\nRUN false")
            .label("$A", "# escape=`")
            .workdir("/$A")
            .user("$A\nUSER root")
            .volume("/v $A")
            .copy("$HOME", "$B/")
            .copy("--from=other", "/--chown=1")
            .copy("quo\"te", "/")
            .copy("<<EOF", "/")
            .cmd(["$A", "<<EOF", "\\"]),
    );
    let config = built.config().config;
    assert_eq!(config.env[1..], ["A=one", "B=$A ${A:-x} \\$A \"q\" 'q' `x`\nRUN false"]);
    assert_eq!(config.labels["$A"], "# escape=`");
    assert_eq!((&*config.working_dir, &*config.user), ("/$A", "$A\nUSER root"));
    assert!(config.volumes.contains_key("/v $A"));
    assert_eq!(config.cmd.as_deref(), Some(&["$A".to_owned(), "<<EOF".to_owned(), "\\".to_owned()][..]));
    let paths: Vec<String> = built.tree().walk(built.tree().root()).map(|node| node.path().to_string()).collect();
    for path in ["/$A", "/$A/$B/$HOME", "/--chown=1", "/quo\"te", "/<<EOF"] {
        assert!(paths.iter().any(|known| known == path), "{path} in {paths:?}");
    }
}

#[test]
fn triggers_of_the_base_are_text_still() {
    let mut fixture = Fixture::with_files(&["a"]);
    fixture.bases.add("base", vec![], |config| {
        config.config.on_build = vec!["ENV HERE=$WHO".into()];
        config.config.env = vec!["WHO=me".into()];
    });
    let built = steps(&fixture, ImageSteps::from_image("base").env("THERE", "$WHO"));
    let env = built.config().config.env;
    assert!(env.contains(&"HERE=me".to_owned()) && env.contains(&"THERE=$WHO".to_owned()), "{env:?}");
}

#[test]
fn files_are_bytes_at_exactly_their_path() {
    let mut fixture = Fixture::new();
    fixture.bases.add("base", vec![dir("etc"), dir("etc/taken"), link("lib", "etc")], |_| {});
    let given = |content: Vec<u8>| {
        ImageSteps::from_image("base")
            .workdir("/w")
            .file("relative", "")
            .file("/etc/new", "new")
            .file("/lib/through", "link")
            .file_with("/bin", content, CopyOptions::default().with_chown("7:8").with_chmod("4711"))
    };
    let built = steps(&fixture, given(b"1".to_vec()));
    let listing = built.listing();
    for line in
        ["f 0644 0:0 /w/relative ", "f 0644 0:0 /etc/new new", "f 0644 0:0 /etc/through link", "f 4711 7:8 /bin 1"]
    {
        assert!(listing.iter().any(|known| known == line), "{line} in {listing:?}");
    }
    // Not text: what is no UTF-8 is kept too, and another content is another step.
    let bytes: Vec<u8> = (0..=255).collect();
    let other = steps(&fixture, given(bytes.clone()));
    assert_eq!(other.done(), ["[0 6/6] COPY --chown=7:8 --chmod=4711 <<bin /"]);
    assert_eq!(other.content("/bin"), bytes);
    let because: Vec<String> =
        other.image.misses.iter().flat_map(|miss| &miss.causes).map(ToString::to_string).collect();
    assert_eq!(because.len(), 1, "{because:?}");
    assert!(because[0].contains("bin"), "{because:?}");
    let taken = error(&fixture, ImageSteps::from_image("base").file("/etc/taken", "x"));
    assert!(taken.starts_with("steps:2:1: cannot carry out COPY <<taken /etc/: "), "{taken}");
}

#[test]
fn errors_name_the_step_and_show_it() {
    let fixture = Fixture::with_files(&["a"]);
    let scratch = ImageSteps::from_scratch;
    let cases = [
        (ImageSteps::from_image(""), "steps:1:1: the name of the base image is empty"),
        (scratch().named("1st"), "steps:1:1: invalid name \"1st\" of a stage: "),
        (scratch().env("A", "b").named("late"), "steps:2:1: a stage is named once, and before anything else is done"),
        (scratch().named("a").named("b"), "steps:1:1: a stage is named once"),
        (scratch().env("", "x"), "steps:2:1: a name is not empty and holds no '='"),
        (scratch().env("A=B", "x"), "steps:2:1: a name is not empty and holds no '='"),
        (scratch().label("l", "nul\0"), "steps:2:1: a value holds a NUL byte"),
        (scratch().user("1").workdir(""), "steps:3:1: the path is empty"),
        (scratch().copy("a", ""), "steps:2:1: the destination is empty"),
        (scratch().copy_with([""; 0], "/", CopyOptions::default()), "steps:2:1: there is no source"),
        (
            scratch().copy_with(["a"], "/", CopyOptions::default().with_chmod("")),
            "steps:2:1: the value of --chmod is empty",
        ),
        (scratch().copy_with(["a"], "/", CopyOptions::default().with_chmod("9")), "steps:2:1: invalid mode \"9\""),
        (scratch().file("/etc/..", ""), "steps:2:1: \"/etc/..\" names no file"),
        (scratch().file("/etc/", ""), "steps:2:1: \"/etc/\" names no file"),
        (
            scratch().file_with("/x", "", CopyOptions::default().with_from("other")),
            "steps:2:1: a file that is given comes from nowhere",
        ),
        (scratch().run([""; 0]), "steps:2:1: there is no program to run"),
        (scratch().shell([""; 0]), "steps:2:1: there is no program to be the shell"),
        (scratch().healthcheck(HealthcheckTest::exec([""; 0])), "steps:2:1: there is no command to check by"),
        (
            scratch().healthcheck(HealthcheckTest::shell("x").with_timeout(Duration::from_nanos(1))),
            "steps:2:1: a time of a health check cannot be less than 1ms",
        ),
        (scratch().expose("70000"), "steps:2:1: "),
        (scratch().stop_signal("SIGNONE"), "steps:2:1: invalid signal \"SIGNONE\""),
        (scratch().copy("https://example.invalid/x", "/"), "steps:2:1: COPY does not fetch"),
        (scratch().copy("missing", "/"), "steps:2:1: cannot carry out COPY missing /: missing: not found"),
        (scratch().copy_with(["a"], "/", CopyOptions::default().with_from("7")), "steps:2:1: there is no stage 7"),
        // Of several, the first is told.
        (scratch().volume("").user(""), "steps:2:1: the path is empty"),
    ];
    for (given, expected) in cases {
        let told = error(&fixture, given);
        assert!(told.starts_with(expected), "{told}\nis not\n{expected}");
    }
    let error = scratch().label("a", "b").env("x=y", "z").finish_named("server").unwrap_err();
    assert_eq!(
        error.render(),
        "server:3:1: a name is not empty and holds no '=', unlike \"x=y\"\n  |\n3 | ENV x=y=z\n  | ^^^^^^^^^"
    );
    assert!(matches!(error, Error::Dockerfile { .. }));
}

#[test]
fn commands_are_those_of_run() {
    let given = ImageSteps::from_scratch().run(["a", "$b"]).run_shell("echo \"$HOME\" <<EOF").finish().unwrap();
    let text = Dockerfile::parse("FROM scratch\nRUN [\"a\", \"$b\"]\nRUN echo \"$HOME\" << EOF\n\nEOF").unwrap();
    let commands = |file: &Dockerfile| -> Vec<_> {
        let commands = file.instructions().iter().map(|instruction| match &instruction.command {
            Command::Run(run) => Some((run.command.clone(), run.flags.clone())),
            _ => None,
        });
        commands.collect()
    };
    assert_eq!(commands(&given)[1], commands(&text)[1]);
    let line = given.instructions()[2].text.clone();
    assert_eq!(line, "RUN echo \"$HOME\" <<EOF");
    assert!(given.instructions()[2].heredocs().is_empty(), "the line is the shell's, and nothing else");
}

#[test]
fn options_of_commands_are_the_flags_of_run() {
    let options = CommandOptions::default()
        .with_mount(CommandMount::bind("src dir", "/src").with_from("build").with_access(Access::ReadWrite))
        .with_mount(
            CommandMount::cache("/c")
                .with_id("one")
                .with_id("two")
                .with_sharing(CacheSharing::Locked)
                .with_owner(1, 2)
                .with_mode(0o700),
        )
        .with_mount(CommandMount::tmpfs("/t").with_size(1024))
        .with_mount(CommandMount::secret("key").with_target("/k").with_required())
        .with_mount(CommandMount::secret("a,b\"c").with_env("KEY"))
        .with_mount(CommandMount::ssh())
        .with_network(Network::None)
        .with_security(Security::Insecure);
    let given = ImageSteps::from_scratch()
        .run_with(["make"], options.clone())
        .run_shell_with("make", options)
        .run_with(["make"], CommandOptions::default().with_network(Network::Host))
        .finish()
        .unwrap();
    let mounts = [
        r#"--mount="type=bind,source=src dir,target=/src,from=build,readonly=false""#,
        "--mount=type=cache,target=/c,id=two,sharing=locked,uid=1,gid=2,mode=700",
        "--mount=type=tmpfs,target=/t,size=1024",
        "--mount=type=secret,id=key,target=/k,required=true",
        // A field in quotes, whose own quotes are doubled.
        r#"--mount="type=secret,\"id=a,b\"\"c\",env=KEY""#,
        "--mount=type=ssh",
    ];
    let flags = format!("{} --network=none --security=insecure", mounts.join(" "));
    let text = format!("FROM scratch\nRUN {flags} [\"make\"]\nRUN {flags} make\nRUN --network=host [\"make\"]");
    let text = Dockerfile::parse(&text).unwrap();
    for (ours, theirs) in given.instructions().iter().zip(text.instructions()) {
        assert_eq!(ours.command, theirs.command);
    }
    let fault = |options: CommandOptions| ImageSteps::from_scratch().run_with(["x"], options).finish();
    let error = fault(CommandOptions::default().with_mount(CommandMount::cache("a\0"))).unwrap_err();
    assert_eq!(error.to_string(), "steps:2:1: a value holds a NUL byte");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever a program gives comes out as it was given, and is no other step.
    #[test]
    fn any_value_comes_out_as_it_went_in(value in "[^\0]{0,40}", name in "[^\0=]{1,20}") {
        let fixture = Fixture::new();
        let built = steps(
            &fixture,
            ImageSteps::from_scratch().env(&*name, &*value).label(&*name, &*value).cmd([&*value]).entrypoint([&*value, &*name]),
        );
        let config = built.config().config;
        if name != "PATH" {
            prop_assert_eq!(&config.env[1..], [format!("{name}={value}")]);
        }
        prop_assert_eq!(&config.labels[&name], &value);
        prop_assert_eq!(config.entrypoint, Some(vec![value.clone(), name]));
        prop_assert_eq!(config.cmd, Some(vec![value]));
        prop_assert_eq!(built.image.done, 5);
    }
}
