//! What a build says where results of several earlier builds are there, and where it is not the edit at hand that counts.

use std::fs;

use image_build::{BuildState, LastStep, cache::explain::Miss};
use image_core::{Platform, Timestamp};

use crate::{
    build_explain::said,
    build_fixture::{Fixture, dir, file},
};

const TEXT: &str = "FROM base AS server
ARG SITE=a
ENV SITE=$SITE
COPY a /a
FROM scratch
COPY --from=server /a /a
COPY b /b
CMD [\"/a\"]
";

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&["a", "b", "c"]);
    fixture.bases.add("base", vec![dir("etc"), file("etc/os")], |_| {});
    fixture
}

/// Builds later than before, so that what is made anew is another layer: the steps that were carried out, with reasons.
fn build(fixture: &mut Fixture, text: &str) -> Vec<String> {
    fixture.now = Timestamp::from_seconds(fixture.now.seconds() + 1000);
    said(&fixture.build(text))
}

fn site(fixture: &mut Fixture, site: &str) {
    fixture.options = fixture.options.clone().with_build_arg("SITE", site);
}

#[test]
fn a_step_that_is_cached_is_not_the_one_to_ask_for_the_reason() {
    let mut fixture = fixture();
    let text = "FROM base AS server\nARG SITE=a\nENV X=1\nCMD [\"/a\"]\n";
    build(&mut fixture, text);
    site(&mut fixture, "b");
    let of_argument = r#"server 2: build argument SITE changed from "a" to "b""#;
    let and_more = "server 3, server 4: an earlier step changed: [server 2] ARG SITE=a";
    assert_eq!(build(&mut fixture, text), [of_argument, and_more]);
    site(&mut fixture, "a");
    let other = text.replace("X=1", "X=2");
    // With the argument as it was before the last build all would have been there.
    let of_instruction = "server 3: the instruction changed: ENV X=1 → ENV X=2";
    assert_eq!(build(&mut fixture, &other), [of_instruction, "server 4: an earlier step changed: [server 3] ENV X=2"]);
    // Each was there before, and not together.
    site(&mut fixture, "b");
    let of_argument =
        r#"build argument SITE changed from "a" to "b" in an earlier step that was cached: [server 2] ARG SITE=a"#;
    assert_eq!(build(&mut fixture, &other), [format!("server 3, server 4: {of_argument}")]);
}

#[test]
fn what_a_cached_step_took_is_named_for_those_behind_it() {
    let mut fixture = fixture();
    build(&mut fixture, TEXT);
    fixture.write("a", "new");
    build(&mut fixture, TEXT);
    fixture.write("a", "a");
    fixture.write("b", "new");
    // Without the edit of the other one all would have been there.
    let of_file = "1 3: 1 file of the build context changed: b (content)";
    assert_eq!(build(&mut fixture, TEXT), [of_file, "1 4: an earlier step changed: [1 3] COPY b /b"]);
    // Each was there before, and not together.
    fixture.write("a", "new");
    let of_file =
        "1 file of the build context changed: a (content) in an earlier step that was cached: [server 4] COPY a /a";
    assert_eq!(build(&mut fixture, TEXT), [format!("1 3, 1 4: {of_file}")]);

    // Without the lists of what was taken, that it was something else is known all the same.
    fixture.write("a", "a");
    fixture.write("b", "newer");
    build(&mut fixture, TEXT);
    fixture.write("a", "new");
    #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
    fs::remove_dir_all(fixture.state().join("files")).unwrap();
    let of_file = "files of the build context changed in an earlier step that was cached: [server 4] COPY a /a";
    assert_eq!(build(&mut fixture, TEXT), [format!("1 3, 1 4: {of_file}")]);
}

/// The files of a list are those of the last build, wherever the same ones were taken from before.
#[test]
fn files_are_compared_with_where_they_were_taken_from_last() {
    let mut fixture = fixture();
    let text = "FROM base AS pages\nARG SITE=/one\nCOPY a b $SITE/\nFROM scratch\nARG SITE=/one\nCOPY --from=pages $SITE /site\n";
    build(&mut fixture, text);
    site(&mut fixture, "/two");
    build(&mut fixture, text);
    fixture.write("a", "new");
    let reasons = build(&mut fixture, text).join("\n");
    assert!(reasons.contains("1 file of stage pages changed: two/a (content)"), "{reasons}");
}

/// Also where the last build only found what an earlier one had made of the same files in another place.
#[test]
fn files_are_compared_with_where_they_were_taken_from_by_what_was_found() {
    let mut fixture = fixture();
    let text = "FROM base AS pages\nARG SITE=/one\nCOPY a b $SITE/\nFROM scratch\nARG SITE=/one\nCOPY --from=pages $SITE $SITE\n";
    for there in ["/one", "/two", "/one"] {
        site(&mut fixture, there);
        build(&mut fixture, text);
    }
    fixture.write("a", "new");
    let reasons = build(&mut fixture, text).join("\n");
    assert!(reasons.contains("1 file of stage pages changed: one/a (content)"), "{reasons}");
}

#[test]
fn a_cached_step_that_the_last_build_did_not_have_is_named_as_added() {
    let mut fixture = fixture();
    build(&mut fixture, "FROM base\nENV X=1\nCOPY a /a\n");
    build(&mut fixture, "FROM base\nENV Y=1\nCOPY b /b\nCMD [\"/a\"]\n");
    let expected = [
        "0 4: an earlier step was added: [0 2] ENV X=1",
        "0 5: an earlier step was added: [0 3] COPY a /a",
        "0 6: an earlier step was added: [0 2] ENV X=1",
    ];
    let text = "FROM base\nENV X=1\nCOPY a /a\nENV Y=1\nCOPY b /b\nCMD [\"/a\"]\n";
    assert_eq!(build(&mut fixture, text), expected);
}

/// What is said where steps change places.
#[test]
fn a_build_that_failed_is_not_what_the_next_one_is_compared_with() {
    let mut fixture = fixture();
    let text = "FROM base AS server\nCOPY a /a\nCOPY b /b\nFROM server\nCOPY c /c\nCMD [\"/c\"]\n";
    build(&mut fixture, text);
    fixture.write("a", "new");
    fs::remove_file(fixture.context().join("c")).unwrap();
    // In the first stage at its second step, then in the second.
    fs::rename(fixture.context().join("b"), fixture.context().join("kept")).unwrap();
    fixture.error(text);
    fs::rename(fixture.context().join("kept"), fixture.context().join("b")).unwrap();
    fixture.error(text);
    // What it made serves, and is told of.
    let latest = fixture_state(&fixture).last_steps().unwrap();
    let of_failed: Vec<String> = latest.iter().flat_map(|step| &step.causes).map(ToString::to_string).collect();
    assert!(of_failed.contains(&"1 file of the build context changed: a (content)".into()), "{of_failed:?}");
    assert_eq!(latest.len(), 6, "each step once");
    let because_of_a =
        "1 file of the build context changed: a (content) in an earlier step that was cached: [server 2] COPY a /a";
    fixture.write("c", "c");
    assert_eq!(build(&mut fixture, text), [format!("1 2, 1 3: {because_of_a}")]);
    assert_eq!(build(&mut fixture, text), [""; 0]);

    // Of a first build that failed there is nothing but what it came to.
    let mut fixture = self::fixture();
    fs::remove_file(fixture.context().join("c")).unwrap();
    fixture.error(text);
    fixture.write("a", "new");
    fixture.write("c", "c");
    let said = build(&mut fixture, text);
    assert_eq!(said[0], "server 2: 1 file of the build context changed: a (content)", "{said:?}");
}

#[test]
fn what_changed_in_a_build_of_another_target_is_named() {
    let mut fixture = fixture();
    let text = "FROM base AS server\nCOPY a /a\nFROM server\nCOPY c /c\n";
    build(&mut fixture, text);
    fixture.write("a", "new");
    let whole = fixture.options.clone();
    fixture.options = whole.clone().with_target("server");
    assert_eq!(build(&mut fixture, text), ["server 2: 1 file of the build context changed: a (content)"]);
    fixture.options = whole;
    let of_a =
        "1 file of the build context changed: a (content) in an earlier step that was cached: [server 2] COPY a /a";
    assert_eq!(build(&mut fixture, text), [format!("1 1, 1 2: {of_a}")]);
}

#[test]
fn one_platform_is_compared_with_itself_among_several() {
    let mut fixture = fixture();
    let text = "FROM scratch\nCOPY a /a\nCOPY b /b\n";
    let build_both = |fixture: &mut Fixture| {
        fixture.now = Timestamp::from_seconds(fixture.now.seconds() + 1000);
        let (built, _) = fixture.try_build_for(text, &["linux/amd64", "linux/arm64"]).unwrap();
        let misses = built.images.iter().flat_map(|image| &image.misses);
        let said = |miss: &Miss| format!("{} {}: {}", miss.step.stage, miss.step.number, miss.causes[0]);
        misses.map(said).collect::<Vec<_>>()
    };
    build(&mut fixture, text);
    fixture.write("b", "new");
    let of_b = "1 file of the build context changed: b (content)";
    let first = "no earlier build of it is known";
    let said = build_both(&mut fixture);
    let arm64 = [1, 2, 3].map(|number| format!("linux/arm64 0 {number}: {first}"));
    assert_eq!(said, [&[format!("linux/amd64 0 3: {of_b}")][..], &arm64].concat());
    // Each is compared with what it was the last time, whatever was built meanwhile.
    fixture.write("b", "newer");
    assert_eq!(build(&mut fixture, text), [format!("0 3: {of_b}")]);
    assert_eq!(build_both(&mut fixture), [format!("linux/arm64 0 3: {of_b}")]);
    fixture.write("b", "newest");
    assert_eq!(build_both(&mut fixture), [format!("linux/amd64 0 3: {of_b}"), format!("linux/arm64 0 3: {of_b}")]);
    let steps = fixture_state(&fixture).last_steps().unwrap();
    let mut builds: Vec<_> = steps.iter().map(|step| (step.platforms.join(" "), &*step.step.stage)).collect();
    builds.sort();
    builds.dedup();
    let both = String::from("linux/amd64 linux/arm64");
    let expected = [("linux/amd64".into(), "0"), (both.clone(), "linux/amd64 0"), (both, "linux/arm64 0")];
    assert_eq!((builds, steps.len()), (expected.to_vec(), 9));

    // A first build is compared with the last one, where that was for one, too.
    fixture.options = fixture.options.clone().with_platform(Platform::new("linux", "s390x"));
    assert_eq!(build(&mut fixture, text), [format!("0 1, 0 2, 0 3: {first}")]);
    fixture.options = fixture.options.clone().with_platform(Platform::new("linux", "riscv64"));
    let of_platform = r#"platform changed from "linux/s390x" to "linux/riscv64""#;
    assert_eq!(build(&mut fixture, text), [format!("0 1, 0 2, 0 3: {of_platform}")]);
}

#[test]
fn a_stage_that_is_called_otherwise_is_the_same_one() {
    let mut fixture = fixture();
    let text = "FROM base AS docs\nCOPY a /a\nFROM scratch AS last\nCOPY --from=docs /a /a\nCMD [\"/a\"]\n";
    build(&mut fixture, text);
    let renamed = text.replace("docs", "manual");
    assert_eq!(build(&mut fixture, &renamed), [""; 0]);
    // The name is not what counts.
    fixture.write("a", "new");
    let of_a = "manual 2: 1 file of the build context changed: a (content)";
    let after = "an earlier step changed: [manual 2] COPY a /a";
    let of_stage = format!("last 2: 1 file of stage manual changed: a (content); {after}");
    assert_eq!(build(&mut fixture, &renamed), [of_a, &of_stage, &format!("last 3: {after}")]);
    // Nor where both change at once.
    fixture.write("a", "newer");
    let said = build(&mut fixture, text).join("\n").replace("docs", "manual");
    assert_eq!(said, [of_a, &of_stage, &format!("last 3: {after}")].join("\n"));
    // A name that is not there any more leaves its place.
    fixture.write("a", "newest");
    let said = build(&mut fixture, &text.replace(" AS last", "").replace("CMD [\"/a\"]", "CMD [\"/b\"]"));
    assert!(said.iter().all(|said| !said.contains("no earlier build")), "{said:?}");
    assert!(said[3].starts_with(r#"1 3: the instruction changed: CMD ["/a"] → CMD ["/b"]"#), "{said:?}");
}

#[test]
fn a_link_by_which_a_source_is_named_is_told_where_it_leads_elsewhere() {
    let mut fixture = Fixture::with_files(&["v1/a", "v2/a", "x", "y"]);
    let link = |fixture: &Fixture, target: &str, path: &str| {
        drop(fs::remove_file(fixture.context().join(path)));
        fixture.symlink(target, path);
    };
    link(&fixture, "v1", "current");
    link(&fixture, "x", "link1");
    link(&fixture, "x", "link2");
    let text = "FROM scratch\nCOPY current /app/\nCOPY link* x y /links/\n";
    build(&mut fixture, text);
    // What both lead to is taken anyway.
    link(&fixture, "y", "link2");
    assert_eq!(build(&mut fixture, text), ["0 3: 1 file of the build context changed: link2 (content)"]);
    link(&fixture, "v2", "current");
    let of_current = "3 files of the build context changed: current (content), v1/a (removed), v2/a (added)";
    let said = build(&mut fixture, text);
    assert_eq!(said, [format!("0 2: {of_current}"), "0 3: an earlier step changed: [0 2] COPY current /app/".into()]);
}

fn fixture_state(fixture: &Fixture) -> BuildState {
    BuildState::find(fixture.state()).unwrap().unwrap()
}

fn check_order(order: &str, expected: &[&str]) {
    let mut fixture = fixture();
    let text = |order: &str| {
        let steps: Vec<_> = order.split(' ').map(|name| format!("COPY {name} /{name}\n")).collect();
        format!("FROM base\n{}CMD [\"/a\"]\n", steps.concat())
    };
    build(&mut fixture, &text("a b c"));
    assert_eq!(build(&mut fixture, &text(order)), expected, "{order}");
    assert_eq!(build(&mut fixture, &text(order)), [""; 0], "{order}");
}

#[test]
fn a_step_that_moved_says_so_once_and_is_named_by_the_others() {
    check_order(
        "b a c",
        &[
            "0 2: the step moved from 3 to 2",
            "0 3, 0 4, 0 5: the order of steps changed: [0 2] COPY b /b moved from 3 to 2",
        ],
    );
    check_order(
        "c a b",
        &[
            "0 2: the step moved from 4 to 2",
            "0 3, 0 4, 0 5: the order of steps changed: [0 2] COPY c /c moved from 4 to 2",
        ],
    );
    // It moved behind those that it was before.
    check_order(
        "b c a",
        &[
            "0 2, 0 3: the order of steps changed: [0 4] COPY a /a moved from 2 to 4",
            "0 4: the step moved from 2 to 4",
            "0 5: the order of steps changed: [0 4] COPY a /a moved from 2 to 4",
        ],
    );
    // The one in the middle is where it was.
    check_order(
        "c b a",
        &[
            "0 2: the step moved from 4 to 2",
            "0 3, 0 4, 0 5: the order of steps changed: [0 2] COPY c /c moved from 4 to 2",
        ],
    );
}

#[test]
fn a_step_that_moved_and_took_something_else_says_both() {
    let mut fixture = fixture();
    build(&mut fixture, "FROM base\nCOPY a /a\nCOPY b /b\n");
    fixture.write("b", "new");
    let expected = [
        "0 2: the step moved from 3 to 2; 1 file of the build context changed: b (content)",
        "0 3: the order of steps changed: [0 2] COPY b /b moved from 3 to 2",
    ];
    assert_eq!(build(&mut fixture, "FROM base\nCOPY b /b\nCOPY a /a\n"), expected);
}

#[test]
fn what_is_copied_from_elsewhere_is_named_wherever_that_is() {
    let mut fixture = fixture();
    fixture.named_files("files", &["x", "y"]);
    fixture.others.add("image", vec![file("f"), file("g")], |_| {});
    fixture.name_image("image", "image");
    let text = "FROM scratch AS one
COPY a /a
FROM one AS two
COPY b /b
FROM scratch
COPY --from=files x /x
COPY --from=image /f /f
COPY --from=base /etc /etc
COPY --from=two /a /b /two/
";
    build(&mut fixture, text);
    let after = |step: usize, rest: &str| format!("{rest}: an earlier step changed: [2 {step}] ");
    fs::write(fixture.context().join("../files/x"), "new").unwrap();
    let expected = ["2 2: 1 file of the build context files changed: x (content)".into(), after(2, "2 3, 2 4, 2 5")];
    assert!(build(&mut fixture, text).iter().zip(&expected).all(|(said, expected)| said.starts_with(expected)));
    fixture.others.add("image", vec![dir("f"), file("f/h"), file("g")], |_| {});
    let expected = ["2 3: 2 files of image image changed: f (removed), f/h (added)".into(), after(3, "2 4, 2 5")];
    assert!(build(&mut fixture, text).iter().zip(&expected).all(|(said, expected)| said.starts_with(expected)));
    fixture.bases.add("base", vec![dir("etc"), file("etc/os"), file("etc/zone")], |_| {});
    let expected = ["2 4: 1 file of image base changed: etc/zone (added)".into(), after(4, "2 5")];
    assert!(build(&mut fixture, text).iter().zip(&expected).all(|(said, expected)| said.starts_with(expected)));
    fixture.write("a", "new");
    let expected = [
        "one 2: 1 file of the build context changed: a (content)",
        "two 1, two 2: an earlier step changed: [one 2] COPY a /a",
        "2 5: 1 file of stage two changed: a (content); an earlier step changed: [one 2] COPY a /a",
    ];
    assert_eq!(build(&mut fixture, text), expected);
}

#[test]
fn where_the_last_record_is_gone_the_step_that_made_what_is_copied_is_named() {
    let mut fixture = fixture();
    let text = "FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /a\n";
    build(&mut fixture, text);
    fixture.write("a", "new");
    let records = fs::read_dir(fixture.state().join("records")).unwrap().map(Result::unwrap);
    for directory in records.filter(|entry| entry.file_name() != "latest") {
        #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
        fs::remove_dir_all(directory.path()).unwrap();
    }
    let expected = [
        "one 1: nothing changed, but the record of its result is gone",
        "one 2: the record of the last build is gone: what changed is not known",
        "1 1: nothing changed, but the record of its result is gone",
        "1 2: an earlier step changed: [one 2] COPY a /a",
    ];
    assert_eq!(build(&mut fixture, text), expected);
}

#[test]
fn what_the_last_build_found_is_told_as_of_the_build_that_made_it() {
    let mut fixture = fixture();
    let steps = |fixture: &Fixture| {
        let steps = fixture_state(fixture).last_steps().unwrap();
        let told = |step: LastStep| {
            let causes: Vec<_> = step.causes.iter().map(ToString::to_string).collect();
            (step.is_cached, step.created.unwrap().seconds(), causes.join("; "))
        };
        steps.into_iter().map(told).collect::<Vec<_>>()
    };
    let text = "FROM base\nCOPY a /a\n";
    fixture.options = fixture.options.clone().with_source_date_epoch(Some(Timestamp::from_seconds(1)));
    build(&mut fixture, text);
    let (first, of_first) = (fixture.now.seconds(), "no earlier build of it is known".to_owned());
    assert_eq!(steps(&fixture), [(false, first, of_first.clone()), (false, first, of_first.clone())]);
    fixture.write("a", "new");
    build(&mut fixture, text);
    let of_file = "1 file of the build context changed: a (content)".to_owned();
    assert_eq!(steps(&fixture)[1], (false, fixture.now.seconds(), of_file));
    fixture.write("a", "a");
    build(&mut fixture, text);
    assert_eq!(steps(&fixture), [(true, first, of_first.clone()), (true, first, of_first.clone())]);
    // Found under another name of the base, it is as old as it was.
    fixture.bases.add("base2", vec![dir("etc"), file("etc/os")], |_| {});
    build(&mut fixture, &text.replace("base", "base2"));
    assert_eq!(steps(&fixture), [(true, first, of_first.clone()), (true, first, of_first)]);
}
