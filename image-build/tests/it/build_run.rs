//! RUN: its forms, what commands see, what becomes a layer, and how they end.

use std::{collections::BTreeSet, fs, sync::Arc};

use image_build::{
    CommandMount, CommandOptions, ImageSteps,
    exec::{Network, Security},
};
use image_core::{Ctx, Image, Timestamp, observer::TaskKind};
use image_overlay::{CopyForm, Snapshots};
use test_support::temp_dir;

use crate::{
    build_fixture::{Fixture, chain},
    build_run_fixture::{add_directory, allow, bytes_of, files_below, for_each_runtime, forget, made},
};

#[test]
fn every_form_of_a_command_runs() {
    for_each_runtime(|fixture| {
        let built = fixture.build(
            r##"FROM base
WORKDIR /w
RUN echo "shell   $FROM_BASE" > shell
RUN ["/bin/sh", "-c", "echo exec > exec"]
SHELL ["/bin/sh", "-e", "-c"]
RUN false || echo $- > flags; \
    # a comment
    echo more >> flags
RUN <<EOF
echo one > document
echo 'two $FROM_BASE' >> document
EOF
RUN <<"EOF"
#!/bin/busybox ash
echo "$0 $FROM_BASE" > script
EOF
RUN <<-EOF
	echo stripped > stripped
EOF
RUN cat <<ONE > cat; cat <<'TWO' >> cat
a $FROM_BASE
ONE
b $FROM_BASE
TWO
"##,
        );
        assert_eq!(
            made(&built),
            [
                "d 0755 0:0 /w",
                "f 0644 0:0 /w/cat a 1\nb $FROM_BASE\n",
                "f 0644 0:0 /w/document one\ntwo $FROM_BASE\n",
                "f 0644 0:0 /w/exec exec\n",
                "f 0644 0:0 /w/flags ce\nmore\n",
                "f 0644 0:0 /w/script /dev/pipes/EOF 1\n",
                "f 0644 0:0 /w/shell shell   1\n",
                "f 0644 0:0 /w/stripped stripped\n",
            ]
        );
        let history: Vec<_> =
            built.config().history.iter().skip(2).filter_map(|step| step.created_by.clone()).collect();
        assert_eq!(history[0], "RUN /bin/sh -c echo \"shell   $FROM_BASE\" > shell # buildkit");
        assert_eq!(history[1], "RUN /bin/sh -c echo exec > exec # buildkit");
        assert_eq!(history[3], "RUN /bin/sh -e -c false || echo $- > flags;     echo more >> flags # buildkit");
        assert_eq!(history[5], "RUN /bin/sh -e -c /dev/pipes/EOF # buildkit");
        assert!(built.config().history.iter().all(|step| step.comment.as_deref() != Some("")));
    });
}

#[test]
fn commands_see_what_buildkit_shows_them() {
    for_each_runtime(|fixture| {
        fixture.options = fixture
            .options
            .clone()
            .with_build_arg("GIVEN", "g")
            .with_build_arg("HTTP_PROXY", "http://proxy")
            .with_build_arg("UNDECLARED", "u");
        let built = fixture.build(
            r#"ARG GLOBAL=global
FROM base
ENV A=1 B="two words"
ARG GLOBAL
ARG GIVEN
ARG PLAIN=p B=over
ARG NOTHING
RUN chmod 1777 /tmp
USER user
WORKDIR /home/user
RUN env > env; id > id; pwd > pwd; hostname > hostname; cat /etc/hosts > hosts; umask > umask
USER 7
RUN id > /tmp/id
USER root:51
RUN id > /tmp/id2
"#,
        );
        let listing = built.listing();
        let text = |path: &str| {
            let line = listing.iter().find(|line| line.split(' ').nth(3) == Some(path));
            let line = line.unwrap_or_else(|| panic!("{path} is not in {listing:#?}"));
            line.splitn(5, ' ').nth(4).unwrap().to_owned()
        };
        let env: BTreeSet<String> = text("/home/user/env").lines().map(str::to_owned).collect();
        let seen = env.iter().filter(|line| !["SHLVL=", "PWD=", "OLDPWD="].iter().any(|own| line.starts_with(own)));
        let seen: Vec<_> = seen.cloned().collect();
        let expected = [
            "A=1",
            "B=over",
            "FROM_BASE=1",
            "GIVEN=g",
            "GLOBAL=global",
            "HOME=/home/user",
            "HTTP_PROXY=http://proxy",
            "PATH=/bin",
            "PLAIN=p",
            "http_proxy=http://proxy",
        ];
        assert_eq!(seen, expected);
        assert_eq!(text("/home/user/id"), "uid=1000(user) gid=1001(users) groups=50(extra),51(more),1001(users)\n");
        assert_eq!(text("/tmp/id"), "uid=7 gid=0(root) groups=0(root)\n");
        // The group that a set-group-id program would let go of is one of the groups.
        assert_eq!(text("/tmp/id2"), "uid=0(root) gid=51(more) groups=51(more)\n");
        assert_eq!(text("/home/user/pwd"), "/home/user\n");
        assert_eq!(text("/home/user/hostname"), "buildkitsandbox\n");
        assert!(text("/home/user/hosts").starts_with("127.0.0.1\tlocalhost buildkitsandbox\n"));
        assert_eq!(text("/home/user/umask"), "0022\n");
        let config = built.config();
        let runs = config.history.iter().filter_map(|step| step.created_by.as_deref());
        let first = runs.filter(|line| line.starts_with("RUN")).nth(1).unwrap();
        assert!(
            first.starts_with("RUN |5 GLOBAL=global GIVEN=g PLAIN=p B=over NOTHING= /bin/sh -c env > env"),
            "{first}"
        );
        assert_eq!(config.config.env, ["PATH=/bin", "FROM_BASE=1", "A=1", "B=two words"]);
        let text = serde_json::to_string(&config).unwrap();
        assert!(!text.contains("proxy"), "{text}");
    });
}

#[test]
fn what_changed_is_the_layer_and_nothing_else() {
    for_each_runtime(|fixture| {
        let bare = bare(fixture);
        add_directory(fixture, "bare", &bare, |_| {});
        let built = fixture.build(
            "FROM base\nRUN mkdir -p /d/e && echo x >/d/e/f && ln /d/e/f /d/g && ln -s f /d/e/l && chmod 4750 /d/e/f\n\
             RUN rm -r /d/e && mkdir /d/e && echo y >>/d/g && rm /etc/group\nRUN true\nRUN touch /tmp/t && rm /tmp/t\n",
        );
        assert_eq!(built.layer_paths(1), ["/", "/d", "/d/e", "/d/e/f", "/d/e/l", "/d/g"]);
        assert_eq!(
            built.layer_paths(2),
            ["/", "/d", "/d/e", "/d/e/.wh.f", "/d/e/.wh.l", "/d/g", "/etc", "/etc/.wh.group"]
        );
        assert_eq!(built.layer_paths(3), [""; 0]);
        assert_eq!(built.layer_paths(4), [""; 0]);
        let made = made(&built);
        assert_eq!(made, ["d 0755 0:0 /d", "d 0755 0:0 /d/e", "f 4750 0:0 /d/g x\ny\n"]);
        let config = built.config();
        assert_eq!(config.rootfs.diff_ids.len(), 5);
        // That of a tar of nothing, which other builders have too.
        let empty = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
        assert_eq!(config.rootfs.diff_ids[3].to_string(), empty);
        assert!(config.history.iter().rev().take(4).all(|step| !step.empty_layer));
    });
}

/// A directory with nothing in it but a shell.
fn bare(fixture: &Fixture) -> std::path::PathBuf {
    let bare = fixture.context().with_file_name("bare");
    fs::create_dir_all(bare.join("bin")).unwrap();
    fs::copy(test_support::tool::find("busybox").unwrap(), bare.join("bin/sh")).unwrap();
    bare
}

#[test]
fn places_that_were_made_for_mounts_are_in_no_layer() {
    for_each_runtime(|fixture| {
        let bare = bare(fixture);
        add_directory(fixture, "bare", &bare, |_| {});
        let built = fixture.build("FROM bare\nRUN --mount=type=tmpfs,target=/a/b/c echo x >/made\n");
        assert_eq!(built.layer_paths(1), ["/", "/made"]);
    });
}

#[test]
fn nothing_is_unpacked_for_what_is_cached() {
    for_each_runtime(|fixture| {
        let text = "FROM base\nRUN echo 1 >/1\nRUN echo 2 >/2\n";
        let first = fixture.build(text).image;
        forget(&fixture.state().join("snapshots"));
        let second = fixture.build(text);
        assert_eq!((second.image.cached, second.image.done), (3, 0));
        assert_eq!(second.image.manifest, first.manifest);
        assert!(!fixture.state().join("snapshots").exists());
        // What the next command needs is made of layers.
        let third = fixture.build(&format!("{text}RUN cat /1 /2 >/3\n"));
        assert_eq!(third.done(), ["[0 4/4] RUN cat /1 /2 >/3"]);
        assert!(third.listing().contains(&"f 0644 0:0 /3 1\n2\n".to_owned()));
        // And then is there.
        let fourth = fixture.build(&format!("{text}RUN cat /1 /2 >/3\nRUN true\n"));
        assert!(!fourth.tasks.iter().any(|(kind, ..)| *kind == TaskKind::Index), "{:?}", fourth.tasks);
    });
}

#[test]
fn layers_are_the_same_whenever_they_are_made() {
    for_each_runtime(|fixture| {
        let epoch = Timestamp::from_seconds(1_000_000_000);
        fixture.options = fixture.options.clone().with_source_date_epoch(Some(epoch));
        let text = "FROM base\nRUN mkdir /d && echo x >/d/f && ln -s f /d/l && touch /tmp/t && rm /tmp/t\n\
                    RUN chmod 0700 /d/f && chmod 0644 /d/f && stat -c '%Y %n' /d /d/f /d/l /tmp >/times\n";
        let first = fixture.build(text).image;
        // In the root file system that the commands left, and in one that is made of the first layer.
        forget(&fixture.state().join("snapshots"));
        let other = text.replace("0700 /d", "0700  /d");
        let second = fixture.build(&other);
        assert_eq!(second.done().len(), 1);
        assert_eq!(second.open().manifest().value().layers, {
            let image = Image::open(Arc::new(fixture.output.clone()), &first.manifest).unwrap();
            image.manifest().value().layers.clone()
        });
        assert_eq!(second.layer_paths(2), ["/", "/times"]);
        let third = fixture.try_build_anew(text).unwrap();
        assert_eq!(third.image.manifest, first.manifest);
        let times = second.listing().into_iter().find(|line| line.contains(" /times ")).unwrap();
        assert!(times.contains("1000000000 /d\n1000000000 /d/f\n1000000000 /d/l\n"), "{times}");
    });
}

#[test]
fn a_command_that_fails_names_its_line_and_leaves_nothing() {
    for_each_runtime(|fixture| {
        let text = "FROM base\nRUN echo fine\n\nRUN echo out; echo err >&2; echo x >/x; exit 3\n";
        let error = fixture.error(text);
        for part in ["Dockerfile:4:1", "exit status 3", "\nout", "\nerr", "--network=user"] {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
        assert_eq!(fixture.said.lock().unwrap().lines().next(), Some("fine"));
        assert_eq!(fs::read_dir(fixture.state().join("snapshots/active")).unwrap().count(), 0);
        let killed = fixture.error("FROM base\nRUN sh -c 'kill -9 $$' || exit $?\n");
        assert!(killed.contains("SIGKILL"), "{killed}");
        let missing = fixture.error("FROM base\nRUN [\"/nothing\"]\n");
        assert!(missing.contains("Dockerfile:2:1") && missing.contains("/nothing"), "{missing}");
        let unknown = fixture.error("FROM base\nUSER nobody-here\nRUN true\n");
        assert!(unknown.contains("Dockerfile:3:1") && unknown.contains("nobody-here"), "{unknown}");
    });
}

#[test]
fn a_build_that_is_cancelled_ends_its_command() {
    for_each_runtime(|fixture| {
        let (cancel, said) = (fixture.cancel.clone(), fixture.said.clone());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while !said.lock().unwrap().contains("up") {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                cancel.cancel();
            });
            let error = fixture.try_build("FROM base\nRUN echo up; sleep 1000\n").err().unwrap();
            assert!(error.is_cancelled(), "{}", chain(&error));
        });
        assert_eq!(fs::read_dir(fixture.state().join("snapshots/active")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(fixture.state().join("exec/runs")).unwrap().count(), 0);
    });
}

#[test]
fn networks_and_privileges_are_what_the_caller_allows() {
    for_each_runtime(|fixture| {
        let error = fixture.error("FROM base\nRUN --network=host true\n");
        assert!(error.contains("Dockerfile:2:1") && error.contains("--network=host is not allowed"), "{error}");
        let error = fixture.error("FROM base\nRUN --security=insecure true\n");
        assert!(error.contains("Dockerfile:2:1") && error.contains("--security=insecure is not allowed"), "{error}");
        let interfaces = "cat /proc/net/dev | grep -c :";
        let text = format!("FROM base\nRUN {interfaces} >/default\nRUN --network=none {interfaces} >/none\n");
        let own = made(&fixture.build(&text));
        assert_eq!(own, ["f 0644 0:0 /default 1\n", "f 0644 0:0 /none 1\n"]);
        allow(fixture, |run| run.with_allowed_network(Network::Host).with_security(Security::Insecure));
        let text = format!(
            "FROM base\nRUN --network=host {interfaces} >/host\n\
             RUN --security=insecure grep CapEff /proc/self/status | cut -f 2 >/all\n\
             RUN grep CapEff /proc/self/status | cut -f 2 >/few\n"
        );
        let built = made(&fixture.build(&text));
        let here = fs::read_dir("/sys/class/net").unwrap().count();
        assert_eq!(built[2], format!("f 0644 0:0 /host {here}\n"));
        assert_ne!(built[0].rsplit(' ').next(), built[1].rsplit(' ').next());
    });
}

#[test]
fn what_is_deleted_of_the_state_is_made_again() {
    for_each_runtime(|fixture| {
        let text = "FROM base\nRUN echo 1 >/1\nRUN echo 2 >/2\n";
        fixture.build(text);
        // One of the snapshots below others.
        let committed = fixture.state().join("snapshots/committed/sha256");
        let below = fs::read_dir(&committed).unwrap().flatten().map(|entry| entry.path());
        let below = below.filter(|path| bytes_of(&path.join("parents")).is_empty());
        for snapshot in below.collect::<Vec<_>>() {
            forget(&snapshot);
        }
        let built = fixture.build(&format!("{text}RUN cat /1 /2 >/3\n"));
        assert!(built.listing().contains(&"f 0644 0:0 /3 1\n2\n".to_owned()));
        assert!(files_below(fixture.state().join("snapshots")).len() > 3);
    });
}

#[test]
fn a_build_without_a_dockerfile_runs_commands() {
    for_each_runtime(|fixture| {
        fixture.write("a", "a");
        let options = CommandOptions::default().with_mount(CommandMount::bind("a", "/in"));
        let steps = ImageSteps::from_image("base")
            .env("PRICE", "$5")
            .run_with(["/bin/sh", "-c", "cat /in >/out; echo $PRICE >>/out"], options)
            .run_shell("echo \"$PRICE\" >/shell");
        let built = fixture.try_build_of(&steps.finish().unwrap()).unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(made(&built), ["f 0644 0:0 /out a$5\n", "f 0644 0:0 /shell $5\n"]);
    });
}

#[test]
fn snapshots_of_both_forms_make_the_same_image() {
    for_each_runtime(|fixture| {
        let epoch = Some(Timestamp::from_seconds(1_000_000_000));
        fixture.options = fixture.options.clone().with_source_date_epoch(epoch);
        let text = "FROM base\nRUN mkdir -p /d/e && echo x >/d/e/f && ln /d/e/f /d/g && ln -s f /d/e/l && chmod 4750 /d/e/f\n\
                    RUN rm -r /d/e && mkdir /d/e && echo y >>/d/g && rm /etc/group && mkfifo /d/p && chown 5:6 /d && touch /tmp/t && rm /tmp/t\n\
                    RUN stat -c '%a %u:%g %Y %n' /d /d/* /tmp >/seen\n";
        let mounted = fixture.build(text);
        let copies = temp_dir();
        let form = Arc::new(CopyForm::default());
        Snapshots::with_form(&copies.path().join("snapshots"), form, &Ctx::default()).unwrap();
        let copied = fixture.try_build_in(text, copies.path()).unwrap();
        assert_eq!(copied.image.done, 4);
        assert_eq!(copied.listing(), mounted.listing());
        assert_eq!(copied.image.manifest, mounted.image.manifest);
    });
}
