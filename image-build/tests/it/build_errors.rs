//! Builds that fail: each says where, what and why, and leaves no image behind.

use image_core::BlobStore;

use crate::build_fixture::{Fixture, dir, file};

#[test]
fn each_bad_build_names_the_thing() {
    let mut fixture = Fixture::with_files(&["a", "d/b", ".wh.x", "sub/.wh..wh..opq"]);
    rustix::fs::mkfifoat(rustix::fs::CWD, fixture.context().join("fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .unwrap();
    fixture.bases.add("base", vec![dir("dir"), file("file")], |_| {});
    fixture.bases.add("triggers", vec![dir("dir")], |config| config.config.on_build = vec!["RUN true".into()]);
    for (text, place, expected) in [
        ("FROM scratch\nCOPY missing /", "2:1", "missing: not found in the build context"),
        ("FROM scratch AS s\nCOPY a /\nFROM scratch\nCOPY --from=s /b /", "4:1", "b: not found in stage s"),
        ("FROM base\nCOPY a /dir\nCOPY d /file", "3:1", "/file of the image: it is no directory"),
        ("FROM base\nCOPY a /file/x", "2:1", "/file of the image: it is no directory"),
        ("FROM base\nWORKDIR /file", "2:1", "/file of the image: it is no directory"),
        ("FROM scratch\nCOPY . /x\nCOPY fifo /", "2:1", "/fifo of the build context is a device or a fifo"),
        ("FROM scratch\nCOPY .wh.x /", "2:1", "/.wh.x: cannot be written into a layer: its name is that of a whiteout"),
        ("FROM scratch\nCOPY sub /", "2:1", "its name is that of a whiteout"),
        ("FROM scratch\nCOPY [a /x", "2:1", "invalid pattern \"[a\""),
        ("FROM scratch\nCOPY --chown=nobody a /", "2:1", "unknown owner \"nobody\": the image has no /etc/passwd"),
        (
            "FROM scratch\nCOPY --chown=1:4294967295 a /",
            "2:1",
            "unknown owner \"4294967295\": it is larger than 4294967294",
        ),
        ("FROM scratch\nCOPY --chmod=rwx a /", "2:14", "invalid mode \"rwx\""),
        ("FROM scratch\nEXPOSE 80/icmp", "2:8", "invalid port \"80/icmp\": the protocol"),
        ("FROM scratch\nEXPOSE 90-80", "2:8", "the range ends before it begins"),
        ("FROM scratch\nEXPOSE 65536", "2:8", "no number from 0 to 65535"),
        ("FROM nothing", "1:1", "image nothing not found: known are base, triggers"),
        ("FROM Not_A_Name!", "1:6", "invalid image reference"),
        ("FROM $EMPTY", "1:6", "the name of the base image is empty"),
        ("FROM --platform=a/b/c/d scratch", "1:", "invalid platform"),
        ("FROM triggers", "1:1 (ONBUILD of triggers):1:1", "RUN needs something that runs commands"),
        (
            "FROM scratch AS a\nCOPY --from=b /x /\nFROM scratch AS b\nCOPY --from=a /x /",
            "",
            "need each other: a cycle cannot be built",
        ),
        ("FROM scratch AS a\nCOPY --from=a /x /", "2:1", "stage a copies from itself"),
        ("FROM scratch\nCOPY --from=7 /x /", "2:13", "there is no stage 7: the file has stages 0 to 0"),
        ("FROM scratch\nCOPY --from=nothing /x /", "2:1", "image nothing not found"),
        ("FROM scratch\nRUN true", "2:1", "RUN needs something that runs commands"),
        ("FROM scratch\nCOPY missing /\nRUN x", "3:1", "RUN needs something that runs commands"),
        ("FROM scratch\nADD missing /", "2:1", "missing: not found in the build context"),
        ("FROM scratch\nADD https://example.org/x /", "2:1", "https://example.org/x cannot be fetched"),
        ("FROM scratch\nCOPY <<EOF /x\n${A:?say}\nEOF", "3:1", "say"),
        ("FROM scratch\nLABEL a=${B:?say-which}", "2:", "say-which"),
        ("FROM scratch\nCOPY --form=x a /", "2:6", "did you mean --from?"),
    ] {
        let error = fixture.error(text);
        assert!(error.contains(expected), "{text}\n{error}\ndoes not say {expected:?}");
        assert!(error.starts_with(&format!("Dockerfile:{place}")), "{text}\n{error}\ndoes not name {place}");
    }
    let mut blobs = 0;
    fixture
        .output
        .for_each(&mut |_, _| {
            blobs += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(blobs, 0, "a build that fails puts nothing into the output");
}

#[test]
fn several_matches_need_a_directory() {
    let fixture = Fixture::with_files(&["a1", "a2"]);
    let error = fixture.error("FROM scratch\nCOPY a* /x");
    assert!(error.contains("several files go there, but it is no directory: end it with a slash"), "{error}");
}

#[test]
fn an_unknown_target_is_suggested() {
    let mut fixture = Fixture::new();
    fixture.options = fixture.options.clone().with_target("fnal");
    let error = fixture.error("FROM scratch AS first\nFROM scratch AS final");
    assert!(error.contains("no stage is named \"fnal\": there are first, final (did you mean final?)"), "{error}");
}

#[test]
fn a_missing_context_and_a_state_of_another_version_are_named() {
    let fixture = Fixture::new();
    let missing = fixture.context().join("missing");
    let error = image_build::BuildContext::open(&missing, image_build::Ignore::default()).unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("missing"), "{error}");
    std::fs::create_dir(fixture.state()).unwrap();
    std::fs::write(fixture.state().join("version"), "image-build state 999\n").unwrap();
    let error = fixture.error("FROM scratch");
    assert!(error.contains("\"image-build state 999\" is not a version of the build state"), "{error}");
}

#[test]
fn a_directory_with_other_things_is_no_state() {
    let fixture = Fixture::new();
    let state = fixture.state();
    std::fs::create_dir_all(state.join("lost+found")).unwrap();
    std::fs::create_dir(state.join("exec")).unwrap();
    fixture.build("FROM scratch");
    std::fs::remove_file(state.join("version")).unwrap();
    let error = fixture.error("FROM scratch");
    assert!(error.contains("it holds other things than results of builds"), "{error}");

    let other = test_support::temp_dir();
    std::fs::write(other.path().join("mine"), "").unwrap();
    assert!(fixture.try_build_in("FROM scratch", other.path()).is_err());
    let left: Vec<_> = std::fs::read_dir(other.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"], "nothing is put beside it");
    // What a process that was killed at once leaves is taken up.
    std::fs::rename(other.path().join("mine"), other.path().join("version")).unwrap();
    assert!(fixture.try_build_in("FROM scratch", other.path()).is_ok());
}

#[test]
fn an_argument_that_nothing_declares_is_told_of() {
    let mut fixture = Fixture::new();
    fixture.bases.add("triggers", vec![dir("d")], |config| config.config.on_build = vec!["ARG TRIGGERED".into()]);
    let notices = |fixture: &mut Fixture, name: &str, text: &str| {
        let without = fixture.options.clone();
        fixture.options = without.clone().with_build_arg(name, "x");
        fixture.build(text);
        fixture.options = without;
        fixture.notices()
    };
    let text = "ARG GLOBAL\nFROM scratch AS unused\nARG UNUSED\nFROM triggers\nARG VERSION=1 OTHER";
    for known in ["GLOBAL", "UNUSED", "VERSION", "OTHER", "TRIGGERED", "http_proxy", "NO_PROXY", "TARGETARCH"] {
        assert_eq!(notices(&mut fixture, known, text), [""; 0], "{known}");
    }
    let said = "no ARG declares this build argument, which changes nothing";
    assert_eq!(notices(&mut fixture, "VERSON", text), [format!("VERSON: {said}, did you mean VERSION?")]);
    assert_eq!(notices(&mut fixture, "version", "FROM scratch"), [format!("version: {said}")]);
    let made_up = "FROM scratch\nENV NAME=ONE\nARG ${NAME}";
    assert_eq!(notices(&mut fixture, "TWO", made_up), [""; 0], "a name that is made of others may be any");
}

#[test]
fn what_is_unwise_is_said_by_its_rule() {
    let mut fixture = Fixture::with_files(&["a", "skipped/b"]);
    fixture.write(".dockerignore", "skipped\n");
    fixture.bases.add("base", vec![dir("dir")], |config| config.architecture = "s390x".into());
    for (text, expected) in [
        (
            "FROM base",
            "Dockerfile:1:6: Base image base was pulled with platform \"linux/s390x\", expected \"linux/amd64\" for current build",
        ),
        (
            "ARG BASE\nFROM $BASE",
            "Dockerfile:2:6: Default value for ARG $BASE results in empty or invalid base image name",
        ),
        ("FROM scratch\nLABEL l=$VRSION", "Dockerfile:2:9: Usage of undefined variable '$VRSION'"),
    ] {
        if text.contains("BASE") {
            fixture.options = fixture.options.clone().with_build_arg("BASE", "scratch");
        } else {
            fixture.options.build_args.clear();
        }
        fixture.notices();
        fixture.build(text);
        assert!(fixture.notices().iter().any(|notice| notice.starts_with(expected)), "{text}");
        // A directive makes an error of it.
        let error = fixture.error(&format!("# check=error=true\n{text}"));
        assert!(error.contains("`check=error=true` makes an error of it"), "{error}");
        fixture.build(&format!("# check=error=true;skip=all\n{text}"));
        assert_eq!(fixture.notices(), [""; 0]);
    }
    let error = fixture.error("FROM scratch\nCOPY ./skipped/b /");
    assert!(error.contains("skipped/b: not found"), "{error}");
    assert_eq!(
        fixture.notices(),
        ["Dockerfile:2:6: Attempting to Copy file \"./skipped/b\" that is excluded by .dockerignore"]
    );
}
