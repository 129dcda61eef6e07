//! Whole builds: configuration, history, stages, and what a build does not do.

use image_build::CachePolicy;
use image_core::{Platform, Timestamp, observer::TaskKind};

use crate::build_fixture::{Fixture, dir, file};

#[test]
fn every_metadata_instruction_is_in_the_config_and_the_history() {
    let fixture = Fixture::with_files(&["run"]);
    let built = fixture.build(
        r#"FROM scratch
ARG VERSION=1.2
MAINTAINER me
ENV A=1 B="two words"
ENV C $A-$VERSION
LABEL org.example.version=$VERSION empty=""
WORKDIR /srv
WORKDIR app
USER 1000:1000
EXPOSE 80 53/udp 8000-8001
VOLUME /data /b
VOLUME ["/c"]
STOPSIGNAL SIGUSR1
SHELL ["/bin/bash", "-c"]
CMD echo hi
ENTRYPOINT ["/run", "a\"b"]
HEALTHCHECK --interval=30s --timeout=1500ms --retries=3 CMD curl -f localhost
ONBUILD RUN true
COPY run ./
"#,
    );
    let config = built.config();
    let json = serde_json::to_value(&config.config).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "User": "1000:1000",
            "ExposedPorts": {"53/udp": {}, "80/tcp": {}, "8000/tcp": {}, "8001/tcp": {}},
            "Env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=two words", "C=1-1.2"
            ],
            "Entrypoint": ["/run", "a\"b"],
            "Cmd": ["/bin/bash", "-c", "echo hi"],
            "Volumes": {"/b": {}, "/c": {}, "/data": {}},
            "WorkingDir": "/srv/app",
            "Labels": {"empty": "", "org.example.version": "1.2"},
            "StopSignal": "SIGUSR1",
            "ArgsEscaped": true,
            "Healthcheck": {
                "Test": ["CMD-SHELL", "curl -f localhost"],
                "Interval": 30_000_000_000_u64, "Timeout": 1_500_000_000_u64, "Retries": 3
            },
            "OnBuild": ["RUN true"],
            "Shell": ["/bin/bash", "-c"]
        })
    );
    assert_eq!(config.author.as_deref(), Some("me"));
    assert_eq!(config.created, Some(fixture.now));
    let lines: Vec<(String, bool)> = config
        .history
        .iter()
        .map(|step| {
            assert_eq!(step.created, Some(fixture.now));
            assert_eq!(step.comment.as_deref(), Some("buildkit.dockerfile.v0"));
            (step.created_by.clone().unwrap(), step.empty_layer)
        })
        .collect();
    let expected = [
        ("ARG VERSION=1.2", true),
        ("MAINTAINER me", true),
        ("ENV A=1 B=two words", true),
        ("ENV C=1-1.2", true),
        ("LABEL org.example.version=1.2 empty=", true),
        ("WORKDIR /srv", false),
        ("WORKDIR /srv/app", false),
        ("USER 1000:1000", true),
        ("EXPOSE [80/tcp 53/udp 8000/tcp 8001/tcp]", true),
        ("VOLUME [/data /b]", true),
        ("VOLUME [/c]", true),
        ("STOPSIGNAL SIGUSR1", true),
        ("SHELL [/bin/bash -c]", true),
        (r#"CMD ["/bin/bash" "-c" "echo hi"]"#, true),
        (r#"ENTRYPOINT ["/run" "a\"b"]"#, true),
        (
            "HEALTHCHECK {Test:[CMD-SHELL curl -f localhost] Interval:30s Timeout:1.5s StartPeriod:0s StartInterval:0s Retries:3}",
            true,
        ),
        ("COPY run ./ # buildkit", false),
    ];
    assert_eq!(lines, expected.map(|(line, empty)| (line.to_owned(), empty)));
    assert_eq!(config.rootfs.diff_ids.len(), 3);
}

#[test]
fn entrypoint_resets_the_cmd_of_the_base_but_not_one_of_its_own_stage() {
    let mut fixture = Fixture::new();
    fixture.bases.add("base", vec![dir("etc")], |config| config.config.cmd = Some(vec!["base".into()]));
    assert_eq!(fixture.build("FROM base\nENTRYPOINT [\"x\"]").config().config.cmd, None);
    let own = fixture.build("FROM base\nCMD [\"own\"]\nENTRYPOINT [\"x\"]").config().config.cmd;
    assert_eq!(own, Some(vec!["own".into()]));
    assert_eq!(fixture.build("FROM base\nUSER 1").config().config.cmd, Some(vec!["base".into()]));
}

#[test]
fn a_base_image_gives_its_layers_environment_and_history() {
    let mut fixture = Fixture::with_files(&["a"]);
    fixture.bases.add("registry.test/base:1", vec![dir("etc"), file("etc/os")], |config| {
        config.config.env = vec!["PATH=/bin".into(), "X=from base".into()];
        config.config.working_dir = "/w".into();
        config.extra.insert("docker_version".into(), "1".into());
    });
    let built = fixture.build("FROM registry.test/base:1\nENV Y=$X\nCOPY a .");
    let config = built.config();
    assert_eq!(config.config.env, ["PATH=/bin", "X=from base", "Y=from base"]);
    assert_eq!(config.history.len(), 3, "the base has no history, so an entry stands in for its layer");
    assert!(config.extra.is_empty(), "what is true of the base alone is not taken over");
    assert_eq!(
        built.listing(),
        ["d 0755 0:0 /etc", "f 0644 0:0 /etc/os /etc/os", "d 0755 0:0 /w", "f 0644 0:0 /w/a a"]
    );
}

#[test]
fn args_of_the_file_and_of_a_stage_have_their_scopes() {
    let mut fixture = Fixture::new();
    fixture.bases.add("base:7", vec![dir("seven")], |_| {});
    fixture.bases.add("base:8", vec![dir("eight")], |_| {});
    let text =
        "ARG TAG=7\nFROM base:$TAG\nLABEL before=[$TAG]\nARG TAG\nLABEL after=[$TAG]\nARG OWN=x${TAG}x\nLABEL own=$OWN";
    let labels = |fixture: &Fixture| {
        let labels = fixture.build(text).config().config.labels;
        labels.values().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(labels(&fixture), "[7] [] x7x");
    fixture.options = fixture.options.clone().with_build_arg("TAG", "8");
    assert_eq!(labels(&fixture), "[8] [] x8x");
    fixture.options = fixture.options.clone().with_build_arg("OWN", "given");
    assert_eq!(labels(&fixture), "[8] [] given");
}

#[test]
fn the_platform_is_known_to_from_and_where_it_is_declared() {
    let mut fixture = Fixture::new();
    fixture.bases.add("base-arm64", vec![dir("x")], |_| {});
    fixture.options = fixture.options.clone().with_platform(Platform::new("linux", "arm64"));
    let built = fixture.build("FROM base-$TARGETARCH AS a\nFROM scratch\nLABEL a=$TARGETOS\nARG TARGETOS TARGETARCH\nLABEL b=$TARGETOS/$TARGETARCH");
    assert_eq!(built.config().config.labels["a"], "");
    assert_eq!(built.config().config.labels["b"], "linux/arm64");
    assert_eq!(built.config().architecture, "arm64");
    assert_eq!(built.image.manifest.platform.as_ref().unwrap().architecture, "arm64");
}

#[test]
fn only_the_stages_that_the_target_needs_are_built() {
    let fixture = Fixture::with_files(&["a"]);
    let text = "FROM scratch AS one\nCOPY a /one\nFROM scratch AS unused\nCOPY missing /x\nFROM scratch AS two\nCOPY --from=0 /one /two\nFROM one\nCOPY --from=two /two /three";
    let built = fixture.build(text);
    assert_eq!(built.listing(), ["f 0644 0:0 /one a", "f 0644 0:0 /three a"]);
    assert!(!built.steps().iter().any(|step| step.contains("unused")), "{:?}", built.steps());

    let mut fixture = Fixture::with_files(&["a"]);
    fixture.options = fixture.options.clone().with_target("TWO");
    assert_eq!(fixture.build(text).listing(), ["f 0644 0:0 /two a"]);
    fixture.options = fixture.options.clone().with_target("0");
    assert_eq!(fixture.build(text).listing(), ["f 0644 0:0 /one a"]);
}

#[test]
fn a_stage_may_copy_from_one_that_stands_behind_it() {
    let fixture = Fixture::with_files(&["a"]);
    let built =
        fixture.build("FROM scratch AS first\nCOPY --from=second /b /c\nFROM scratch AS second\nCOPY a /b\nFROM first");
    assert_eq!(built.listing(), ["f 0644 0:0 /c a"]);
}

#[test]
fn a_build_never_extracts_its_base() {
    let mut fixture = Fixture::with_files(&["a"]);
    fixture.bases.add(
        "base",
        vec![dir("etc"), file("etc/group"), file("etc/passwd"), file("etc/secret-of-the-base")],
        |_| {},
    );
    let built =
        fixture.build("FROM base\nWORKDIR /w\nCOPY --chown=app a .\nCOPY --from=base /etc/secret-of-the-base /copy");
    assert_eq!(built.listing().len(), 7);
    let kinds: Vec<TaskKind> = built.tasks.iter().map(|(kind, ..)| *kind).collect();
    assert!(kinds.contains(&TaskKind::Index), "the base is read: {kinds:?}");
    assert!(!kinds.contains(&TaskKind::Extract), "and not extracted: {kinds:?}");
    let mut todo = vec![fixture.state()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            assert!(!entry.file_name().to_string_lossy().contains("secret"), "{:?}", entry.path());
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            }
        }
    }
}

#[test]
fn with_a_source_date_epoch_the_image_is_the_same_everywhere() {
    let text =
        "FROM scratch AS a\nWORKDIR /made\nCOPY x y ./\nFROM scratch\nCOPY --from=a /made /\nCOPY . /all/\nENV A=1";
    let build = |now: i64, mtime: u64| {
        let mut fixture = Fixture::with_files(&["x", "y", "z/z"]);
        fixture.now = Timestamp::from_seconds(now);
        fixture.options = fixture.options.clone().with_source_date_epoch(Some(Timestamp::from_seconds(1_000_000)));
        for path in ["x", "y", "z/z", "z"] {
            let file = std::fs::File::open(fixture.context().join(path)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime)).unwrap();
        }
        let built = fixture.build(text);
        assert_eq!(built.config().created, Some(Timestamp::from_seconds(1_000_000)));
        let latest = built.tree().walk(built.tree().root()).map(|node| node.metadata().mtime).max();
        assert_eq!(latest, Some(Timestamp::from_seconds(1_000_000)));
        built.image.manifest.digest.clone()
    };
    assert_eq!(build(1_700_000_000, 1_600_000_000), build(1_900_000_000, 1_500_000_000));
}

#[test]
fn without_an_epoch_files_keep_their_times_and_the_rest_is_new() {
    let fixture = Fixture::with_files(&["x"]);
    let file = std::fs::File::open(fixture.context().join("x")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_millis(5_500)).unwrap();
    let built = fixture.build("FROM scratch\nCOPY x /new/");
    let tree = built.tree();
    let times: Vec<Timestamp> = tree.walk(tree.root()).skip(1).map(|node| node.metadata().mtime).collect();
    assert_eq!(times, [fixture.now, Timestamp::from_seconds(5)], "whole seconds, in canonical order");
}

#[test]
fn layers_are_stored_as_asked_and_have_one_diff_id_in_every_form() {
    let mut diff_ids = Vec::new();
    for (form, media_type) in [("none", "tar"), ("gzip", "tar+gzip"), ("gzip:9", "tar+gzip"), ("zstd:5", "tar+zstd")] {
        let mut fixture = Fixture::with_files(&["a"]);
        fixture.now = Timestamp::from_seconds(7);
        let a = std::fs::File::open(fixture.context().join("a")).unwrap();
        a.set_modified(std::time::UNIX_EPOCH).unwrap();
        fixture.options = fixture.options.clone().with_encode(form.parse().unwrap());
        let built = fixture.build("FROM scratch\nCOPY a /");
        let image = built.open();
        let layer = image.layers().next().unwrap();
        assert_eq!(layer.descriptor.media_type.as_str(), format!("application/vnd.oci.image.layer.v1.{media_type}"));
        diff_ids.push(layer.diff_id.clone());
    }
    diff_ids.dedup();
    assert_eq!(diff_ids.len(), 1);
}

#[test]
fn no_cache_carries_every_step_out_again() {
    let mut fixture = Fixture::with_files(&["a"]);
    let text = "FROM scratch\nCOPY a /\nENV A=1";
    assert_eq!(fixture.build(text).image.done, 3);
    assert_eq!(fixture.build(text).image.cached, 3);
    fixture.options = fixture.options.clone().with_cache(CachePolicy::Refresh);
    assert_eq!(fixture.build(text).image.done, 3);
}
