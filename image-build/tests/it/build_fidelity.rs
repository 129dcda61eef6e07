//! What BuildKit's Dockerfile frontend does, where it is easily done otherwise.

use image_core::Platform;

use crate::build_fixture::{Built, Fixture, dir};

/// The lines of the history that a build added.
fn history(built: &Built<'_>) -> Vec<String> {
    built.config().history.iter().filter_map(|step| step.created_by.clone()).collect()
}

#[test]
fn args_of_a_stage_are_inherited_by_stages_built_on_it() {
    let mut fixture = Fixture::with_files(&["a"]);
    let text = "FROM scratch AS one\nARG X=1\nENV Y=2\nARG Y=3\nFROM one\nLABEL x=[$X] y=[$Y]";
    let labels = fixture.build(text).config().config.labels;
    assert_eq!(
        (&*labels["x"], &*labels["y"]),
        ("[1]", "[2]"),
        "the variables of the image come anew over those of ARG"
    );
    fixture.options = fixture.options.clone().with_build_arg("X", "given");
    assert_eq!(fixture.build(text).config().config.labels["x"], "[given]");
    // A stage that only copies from it inherits nothing.
    let text = "FROM scratch AS one\nARG X=1\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /a\nLABEL x=[$X]";
    assert_eq!(fixture.build(text).config().config.labels["x"], "[]");
}

#[test]
fn a_default_that_is_not_used_is_not_expanded() {
    let mut fixture = Fixture::new();
    let text = "ARG A=${NONE:?give-A}\nFROM scratch\nARG B=${NONE:?give-B}\nLABEL b=$B";
    assert!(fixture.error(text).contains("give-A"));
    fixture.options = fixture.options.clone().with_build_arg("A", "1");
    assert!(fixture.error(text).contains("give-B"));
    fixture.options = fixture.options.clone().with_build_arg("B", "2");
    assert_eq!(fixture.build(text).config().config.labels["b"], "2");
}

#[test]
fn a_stage_has_the_platform_of_the_stage_that_it_is_built_on() {
    let fixture = Fixture::with_files(&["a"]);
    let built = fixture.build("FROM --platform=linux/arm64 scratch AS one\nCOPY a /\nFROM one\nENV X=1");
    assert_eq!(built.config().architecture, "arm64");
    assert_eq!(built.image.manifest.platform, Some(Platform::new("linux", "arm64")));
}

#[test]
fn an_image_without_a_search_path_gets_one() {
    let mut fixture = Fixture::new();
    fixture.bases.add("base", vec![dir("etc")], |config| config.config.env = vec!["A=1".into()]);
    fixture.bases.add("own", vec![dir("etc")], |config| config.config.env = vec!["PATH=/x".into()]);
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(fixture.build("FROM base\nENV B=2").config().config.env, ["A=1", path, "B=2"]);
    assert_eq!(fixture.build("FROM own\nENV B=2").config().config.env, ["PATH=/x", "B=2"]);
}

#[test]
fn lines_of_the_history() {
    let mut fixture = Fixture::with_files(&["a"]);
    fixture.options = fixture.options.clone().with_build_arg("HTTP_PROXY", "http://p");
    for (instruction, expected) in [
        ("COPY --chmod=0755 a ./b", &["COPY --chmod=0755 a ./b # buildkit"][..]),
        ("COPY --chown=1:2 --chmod=u=rw,go=r a /", &["COPY --chown=1:2 --chmod=u=rw,go=r a / # buildkit"]),
        ("EXPOSE 90 80 443/TCP 80", &["EXPOSE [90/tcp 80/tcp 443/tcp 80/tcp]"]),
        (
            "HEALTHCHECK --interval=90s --start-period=1ms CMD [\"a\", \"b c\"]",
            &["HEALTHCHECK {Test:[CMD a b c] Interval:1m30s Timeout:0s StartPeriod:1ms StartInterval:0s Retries:0}"],
        ),
        (
            "HEALTHCHECK NONE",
            &["HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}"],
        ),
        ("ONBUILD COPY a /", &[]),
        ("ARG A B=2", &["ARG A B=2"]),
        // Declared, so that it is said that it counts.
        ("ARG HTTP_PROXY", &["ARG HTTP_PROXY=http://p"]),
        ("WORKDIR /", &["WORKDIR /"]),
        ("WORKDIR /x/../y/", &["WORKDIR /y"]),
    ] {
        assert_eq!(history(&fixture.build(&format!("FROM scratch\n{instruction}"))), expected, "{instruction}");
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let fixture = Fixture::with_files(&["a"]);
    for (instruction, expected) in [
        ("STOPSIGNAL SIGNOTHING", "invalid signal \"SIGNOTHING\""),
        ("STOPSIGNAL 0", "invalid signal \"0\""),
        ("STOPSIGNAL $NONE", "invalid signal \"\""),
        ("VOLUME $NONE", "the path of a volume is empty"),
        ("EXPOSE 80:x:90", "invalid port \"80:x:90\""),
        ("FROM --platform=$NONE scratch", "platform"),
        ("COPY --chmod=u=q a /", "invalid mode \"u=q\""),
        ("COPY --chmod=07778 a /", "invalid mode \"07778\""),
        ("COPY --chmod=17777 a /", "invalid mode \"17777\""),
    ] {
        let error = fixture.error(&format!("FROM scratch\n{instruction}"));
        assert!(error.contains(expected), "{instruction}\n{error}");
    }
    for signal in ["SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-14"] {
        let built = fixture.build(&format!("FROM scratch\nSTOPSIGNAL {signal}"));
        assert_eq!(built.config().config.stop_signal.as_deref(), Some(signal));
    }
}

#[test]
fn symbolic_modes() {
    let fixture = Fixture::with_files(&["d/f", "d/x"]);
    fixture.set_mode("d/x", 0o755);
    fixture.symlink("f", "d/l");
    for (mode, expected) in [
        ("u=rwX,go=rX", ["0755", "0644", "0755"]),
        ("a-w", ["0755", "0444", "0555"]),
        ("+x", ["0755", "0755", "0755"]),
        ("g=u,o=", ["0755", "0660", "0770"]),
        ("u+s,g+s,+t", ["0755", "7644", "7755"]),
        ("go-rwx,u+x", ["0755", "0700", "0700"]),
        ("ug+w-x", ["0755", "0664", "0665"]),
    ] {
        let built = fixture.build(&format!("FROM scratch\nCOPY --chmod={mode} d /x/"));
        let tree = built.tree();
        let mode_of = |path: &[u8]| {
            let node = tree.lookup(path, image_overlay::Follow::NotLast).unwrap().unwrap();
            format!("{:04o}", node.metadata().mode)
        };
        assert_eq!([mode_of(b"/x"), mode_of(b"/x/f"), mode_of(b"/x/x")], expected, "{mode}");
        assert_eq!(mode_of(b"/x/l"), "0777");
    }
}

#[test]
fn directories_made_on_the_way_have_the_octal_mode_of_a_copy() {
    let fixture = Fixture::with_files(&["a"]);
    let built = fixture.build("FROM scratch\nCOPY --chmod=0711 a /x/y/");
    assert_eq!(built.listing(), ["d 0711 0:0 /x", "d 0711 0:0 /x/y", "f 0711 0:0 /x/y/a a"]);
}

#[test]
fn workdir_asks_for_its_owner_only_where_it_makes_a_directory() {
    let fixture = Fixture::with_files(&["a"]);
    let built = fixture.build("FROM scratch\nCOPY a /w/a\nUSER nobody\nWORKDIR /w\nWORKDIR /");
    assert_eq!(built.config().config.working_dir, "/");
    assert!(fixture.error("FROM scratch\nUSER nobody\nWORKDIR /w").contains("unknown owner \"nobody\""));
}

#[test]
fn sources_are_files_of_their_own_where_they_are_named_on_their_own() {
    let fixture = Fixture::with_files(&["a"]);
    fixture.symlink("a", "l");
    std::fs::hard_link(fixture.context().join("a"), fixture.context().join("h")).unwrap();
    let built = fixture.build("FROM scratch\nCOPY a l h /x/");
    let tree = built.tree();
    let inode = |path: &[u8]| tree.lookup(path, image_overlay::Follow::NotLast).unwrap().unwrap().inode_id();
    assert_ne!(inode(b"/x/a"), inode(b"/x/l"));
    assert_ne!(inode(b"/x/a"), inode(b"/x/h"));
}
