//! ONBUILD: triggers of a base image or stage run behind FROM, and are dropped.

use crate::build_fixture::{Fixture, dir, file};

fn with_base(on_build: &[&str]) -> Fixture {
    let mut fixture = Fixture::with_files(&["a", "b"]);
    fixture.bases.add("base", vec![dir("d"), file("d/f")], |config| {
        config.config.working_dir = "/w".into();
        config.config.on_build = on_build.iter().map(|line| (*line).to_owned()).collect();
    });
    fixture
}

#[test]
fn triggers_of_a_base_run_behind_from_and_are_gone_from_the_child() {
    let fixture = with_base(&["COPY a .", "ARG X=x", "ENV FROM_TRIGGER=$X", "USER 7"]);
    let text = "FROM base\nCOPY b .\nLABEL x=$FROM_TRIGGER";
    let built = fixture.build(text);
    assert_eq!(
        built.listing(),
        ["d 0755 0:0 /d", "f 0644 0:0 /d/f /d/f", "d 0755 0:0 /w", "f 0644 0:0 /w/a a", "f 0644 0:0 /w/b b"]
    );
    let config = built.config().config;
    assert_eq!((&*config.user, config.on_build.len()), ("7", 0));
    assert_eq!(config.labels["x"], "x");
    assert_eq!(
        built.steps()[..3],
        ["DONE [0 1/7] FROM base", "DONE [0 2/7] ONBUILD COPY a .", "DONE [0 3/7] ONBUILD ARG X=x"]
    );
    assert_eq!(fixture.build(text).done(), [""; 0]);
    // Another trigger on the same layers is another build.
    let again = with_base(&["COPY a ./renamed"]);
    assert_eq!(again.build(text).layer_paths(1), ["/w", "/w/renamed"]);
}

#[test]
fn triggers_of_a_stage_run_in_stages_built_on_it_and_no_further() {
    let fixture = Fixture::with_files(&["a", "b"]);
    let text =
        "FROM scratch AS one\nONBUILD COPY a /x\nONBUILD LABEL l=1\nFROM one AS two\nCOPY b /y\nFROM two\nUSER 1";
    let built = fixture.build(text);
    assert_eq!(built.listing(), ["f 0644 0:0 /x a", "f 0644 0:0 /y b"]);
    assert_eq!(built.open().layers().count(), 2);
    assert!(built.config().config.on_build.is_empty());
    // The stage itself keeps them, for those who build on the image.
    let mut fixture = fixture;
    fixture.options = fixture.options.clone().with_target("one");
    let one = fixture.build(text);
    assert_eq!(one.listing(), [""; 0]);
    assert_eq!(one.config().config.on_build, ["COPY a /x", "LABEL l=1"]);
}

#[test]
fn triggers_may_need_stages_that_nothing_else_needs() {
    let mut fixture = with_base(&["COPY --from=assets /out /in", "COPY <<EOF /here\n$WHO\nEOF"]);
    let built = fixture.build("FROM scratch AS assets\nCOPY a /out/a\nFROM base\nENV X=1");
    assert!(built.listing().contains(&"f 0644 0:0 /in/a a".to_owned()));
    assert!(built.listing().contains(&"f 0644 0:0 /here \n".to_owned()), "{:?}", built.listing());
    // A base that is not needed is not looked at.
    fixture.options = fixture.options.clone().with_target("last");
    fixture.build("FROM nowhere AS unneeded\nFROM scratch AS last\nCOPY a /");
    let error = with_base(&["COPY --from=self /x /y"]).error("FROM base AS self");
    assert!(error.contains("copies from itself"), "{error}");
}

#[test]
fn bad_triggers_name_the_base_and_the_line() {
    for (trigger, expected) in [
        ("COPPY a b", "Dockerfile:2:1 (ONBUILD of base):1:1: unknown instruction COPPY (did you mean COPY?)"),
        ("FROM scratch", "an instruction that cannot be a trigger"),
        ("ONBUILD RUN x", "an instruction that cannot be a trigger"),
        ("USER a\nUSER b", "a trigger of more than one instruction"),
        ("COPY none /", "Dockerfile:2:1 (ONBUILD of base):1:1: cannot carry out COPY none /: none: not found"),
        ("COPY --from=9 a /", "Dockerfile:2:1 (ONBUILD of base):1:13: there is no stage 9"),
    ] {
        let error = with_base(&[trigger]).error("# comment\nFROM base");
        assert!(error.contains(expected), "{trigger}: {error}");
    }
}
