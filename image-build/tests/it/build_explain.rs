//! What a build says of each step that an edit runs again.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::symlink,
    path::Path,
    time::UNIX_EPOCH,
};

use image_build::{BuildOptions, CachePolicy, cache::explain::Miss};
use image_core::{Platform, Timestamp};

use crate::build_fixture::{Built, Fixture, dir, file};

const TEXT: &str = "ARG BASE=base
FROM $BASE AS one
ARG VERSION=1
LABEL version=$VERSION
ENV DIR=/srv
WORKDIR $DIR
COPY a.txt /a
COPY lib /lib
ENV X=1
FROM scratch AS two
COPY --chown=1:2 b.txt conf.json /conf/
FROM one
COPY --from=two /conf /conf
COPY c* ./
USER 7
CMD [\"/a\"]
";

fn fixture() -> Fixture {
    let mut fixture =
        Fixture::with_files(&["a.txt", "b.txt", "conf.json", "c1", "lib/x", "lib/y", "lib/sub/z", "unrelated"]);
    fixture.symlink("x", "lib/link");
    fixture.write(".dockerignore", "ignored\n");
    for (name, path) in [("base", "etc/os"), ("base2", "etc/other")] {
        fixture.bases.add(name, vec![dir("etc"), file(path)], |config| {
            config.config.labels.insert("label".into(), String::new());
        });
    }
    fixture
}

/// Why steps were carried out, those of one reason together: `STAGE NUMBER, STAGE NUMBER: CAUSE; CAUSE`.
pub(crate) fn said(built: &Built<'_>) -> Vec<String> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for miss in &built.image.misses {
        let step = format!("{} {}", miss.step.stage, miss.step.number);
        let causes = miss.causes.iter().map(|cause| without_digests(&cause.to_string())).collect::<Vec<_>>().join("; ");
        match lines.last_mut().filter(|(_, last)| *last == causes) {
            Some((steps, _)) => *steps += &format!(", {step}"),
            None => lines.push((step, causes)),
        }
    }
    lines.into_iter().map(|(steps, causes)| format!("{steps}: {causes}")).collect()
}

/// The text with digests cut short: they are those of compressed bytes.
fn without_digests(text: &str) -> String {
    let mut pieces = text.split("sha256:");
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + "sha256:…" + piece.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

type Edit = Box<dyn Fn(&mut Fixture, &mut String)>;

/// Builds, edits, builds again.
#[expect(clippy::needless_pass_by_value, reason = "a table is easier to read without a borrow in each line")]
fn check(name: &str, edit: Edit, expected: &[&str]) {
    let (mut fixture, mut text) = (fixture(), TEXT.to_owned());
    fixture.build(&text);
    assert_eq!(said(&fixture.build(&text)), [""; 0], "{name}: nothing changed");
    edit(&mut fixture, &mut text);
    fixture.now = Timestamp::from_seconds(1_900_000_000);
    let second = fixture.build(&text);
    let steps = second.image.misses.iter().map(|miss| (&*miss.step.stage, miss.step.number));
    let steps: Vec<String> = steps.map(|(stage, number)| format!("[{stage} {number}/")).collect();
    assert_eq!(second.done().len(), steps.len(), "{name}: each step that ran is explained");
    assert!(second.done().iter().zip(&steps).all(|(label, step)| label.starts_with(step)), "{name}: {steps:?}");
    assert_eq!(said(&second), expected, "{name}");
    let json = serde_json::to_string(&second.image.misses).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Miss>>(&json).unwrap(), second.image.misses, "{name}");
    // What was edited is not told again.
    fixture.options = fixture.options.clone().with_cache(CachePolicy::Use);
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

fn argument(name: &'static str, value: &'static str) -> Edit {
    option(move |options| options.with_build_arg(name, value))
}

fn files(change: impl Fn(&Path) -> io::Result<()> + 'static) -> Edit {
    Box::new(move |fixture, _| change(&fixture.context()).unwrap())
}

fn state(change: impl Fn(&Path) -> io::Result<()> + 'static) -> Edit {
    Box::new(move |fixture, _| change(&fixture.state()).unwrap())
}

fn mode(path: &'static str, mode: u32) -> Edit {
    Box::new(move |fixture, _| fixture.set_mode(path, mode))
}

fn base(name: &'static str, path: &'static str, label: &'static str) -> Edit {
    Box::new(move |fixture, _| {
        fixture.bases.add(name, vec![dir("etc"), file(path)], |config| {
            config.config.labels.insert("label".into(), label.into());
        });
    })
}

fn both(a: Edit, b: Edit) -> Edit {
    Box::new(move |fixture, text| {
        a(fixture, text);
        b(fixture, text);
    })
}

/// Other bytes of the same size, and the time put back.
fn same_size_and_time(context: &Path) -> io::Result<()> {
    let path = context.join("a.txt");
    let before = fs::metadata(&path)?.modified()?;
    fs::write(&path, "A.TXT")?;
    File::options().write(true).open(&path)?.set_modified(before)
}

/// Cuts every list of files short.
fn cut_lists(state: &Path) -> io::Result<()> {
    for entry in fs::read_dir(state.join("files"))? {
        let file = File::options().write(true).open(entry?.path())?;
        file.set_len(file.metadata()?.len() / 2)?;
    }
    Ok(())
}

/// Removes a directory with all that is in it.
#[expect(clippy::disallowed_methods, reason = "a test's own directory")]
fn remove_all(directory: impl AsRef<Path>) -> io::Result<()> {
    fs::remove_dir_all(directory)
}

/// Removes all of a directory but one name.
fn only(directory: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() != name {
            remove_all(entry.path())?;
        }
    }
    Ok(())
}

#[test]
fn an_edit_of_a_file_is_named() {
    check(
        "a file's content",
        write("a.txt", "new"),
        &[
            "one 6: 1 file of the build context changed: a.txt (content)",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a",
        ],
    );
    check(
        "content of the same size and time",
        files(same_size_and_time),
        &[
            "one 6: 1 file of the build context changed: a.txt (content)",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a",
        ],
    );
    check(
        "content below a directory",
        write("lib/x", "new"),
        &[
            "one 7: 1 file of the build context changed: lib/x (content)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check(
        "content that another stage copies",
        write("b.txt", "new"),
        &[
            "two 2: 1 file of the build context changed: b.txt (content)",
            "2 2: 1 file of stage two changed: conf/b.txt (content); an earlier step changed: [two 2] COPY --chown=1:2 b.txt conf.json /conf/",
            "2 3, 2 4, 2 5: an earlier step changed: [two 2] COPY --chown=1:2 b.txt conf.json /conf/",
        ],
    );
    check(
        "a mode",
        mode("a.txt", 0o755),
        &[
            "one 6: 1 file of the build context changed: a.txt (mode 0644 to 0755)",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a",
        ],
    );
    check(
        "the mode of a directory",
        mode("lib/sub", 0o700),
        &[
            "one 7: 1 file of the build context changed: lib/sub (mode 0755 to 0700)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check(
        "a file added",
        write("lib/z", "new"),
        &[
            "one 7: 1 file of the build context changed: lib/z (added)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check(
        "a file added to a pattern",
        write("c2", "new"),
        &[
            "2 3: 1 file of the build context changed: c2 (added)",
            "2 4, 2 5: an earlier step changed: [2 3] COPY c* ./",
        ],
    );
    check(
        "a file removed",
        files(|context| fs::remove_file(context.join("lib/x"))),
        &[
            "one 7: 1 file of the build context changed: lib/x (removed)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
}

#[test]
fn edits_of_several_files_are_named() {
    check(
        "a file renamed",
        files(|context| fs::rename(context.join("lib/x"), context.join("lib/w"))),
        &[
            "one 7: 2 files of the build context changed: lib/w (added), lib/x (removed)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check(
        "a file that becomes a symlink",
        files(|context| fs::remove_file(context.join("lib/x")).and_then(|()| symlink("y", context.join("lib/x")))),
        &[
            "one 7: 1 file of the build context changed: lib/x (another kind of file, mode 0644 to 0777)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check(
        "the target of a symlink",
        files(|context| {
            fs::remove_file(context.join("lib/link")).and_then(|()| symlink("y", context.join("lib/link")))
        }),
        &[
            "one 7: 1 file of the build context changed: lib/link (content)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check(
        "many files",
        Box::new(|fixture, _| (0..12).for_each(|n| fixture.write(&format!("lib/new/{n:02}"), ""))),
        &[
            "one 7: 13 files of the build context changed: lib/new (added), lib/new/00 (added), lib/new/01 (added), lib/new/02 (added), lib/new/03 (added), lib/new/04 (added), lib/new/05 (added), lib/new/06 (added), lib/new/07 (added), lib/new/08 (added), and 3 more",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check(
        "content and mode",
        both(write("a.txt", "new"), mode("a.txt", 0o600)),
        &[
            "one 6: 1 file of the build context changed: a.txt (content, mode 0644 to 0600)",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a",
        ],
    );
    check(
        "files of two steps",
        both(write("a.txt", "new"), write("lib/y", "new")),
        &[
            "one 6: 1 file of the build context changed: a.txt (content)",
            "one 7: 1 file of the build context changed: lib/y (content); an earlier step changed: [one 6] COPY a.txt /a",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a",
        ],
    );
}

#[test]
fn files_that_are_not_selected_do_not_count() {
    check(
        "a rule that leaves a file out",
        write(".dockerignore", "ignored\nlib/x\n"),
        &[
            "one 7: 1 file of the build context changed: lib/x (ignored now)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
    check("a rule that selects the same", write(".dockerignore", "nothing\n"), &[]);
    check("a file that nobody copies", write("unrelated", "new"), &[]);
    check("a file that is ignored", write("ignored", "new"), &[]);
    check("a time", files(|context| File::open(context.join("a.txt"))?.set_modified(UNIX_EPOCH)), &[]);
    check("an edit that is undone", both(write("a.txt", "new"), write("a.txt", "a.txt")), &[]);
}

#[test]
fn a_list_of_files_that_is_gone_leaves_the_rest_of_the_explanation() {
    check(
        "the list of files gone, and an edit",
        both(state(|state| remove_all(state.join("files"))), write("a.txt", "new")),
        &[
            "one 6: files of the build context changed",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a",
        ],
    );
    check(
        "the list of files damaged, and an edit",
        both(state(cut_lists), write("a.txt", "new")),
        &[
            "one 6: files of the build context changed",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a",
        ],
    );
}

#[test]
fn edits_of_instructions_are_named() {
    check(
        "an ENV",
        replace("ENV X=1", "ENV X=2"),
        &[
            "one 8: the instruction changed: ENV X=1 → ENV X=2",
            "2 1, 2 4, 2 5: an earlier step changed: [one 8] ENV X=2",
        ],
    );
    check(
        "an ENV that is used",
        replace("DIR=/srv", "DIR=/opt"),
        &[
            "one 4: the instruction changed: ENV DIR=/srv → ENV DIR=/opt",
            r#"one 5: environment variable DIR changed from "/srv" to "/opt""#,
            "one 6, one 7: an earlier step changed: [one 5] WORKDIR $DIR",
            "one 8, 2 1: an earlier step changed: [one 4] ENV DIR=/opt",
            "2 2: an earlier step changed: [one 5] WORKDIR $DIR",
            "2 3: the instruction comes to something else: COPY c* /srv/ → COPY c* /opt/; an earlier step changed: [one 5] WORKDIR $DIR",
            "2 4, 2 5: an earlier step changed: [one 4] ENV DIR=/opt",
        ],
    );
    check(
        "the destination of a COPY",
        replace("COPY a.txt /a\n", "COPY a.txt /a2\n"),
        &[
            "one 6: the instruction changed: COPY a.txt /a → COPY a.txt /a2",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY a.txt /a2",
        ],
    );
    check(
        "the source of a COPY",
        replace("COPY a.txt /a\n", "COPY unrelated /a\n"),
        &[
            "one 6: the instruction changed: COPY a.txt /a → COPY unrelated /a",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY unrelated /a",
        ],
    );
    check(
        "an owner",
        replace("--chown=1:2", "--chown=3"),
        &[
            "two 2: the instruction changed: COPY --chown=1:2 b.txt conf.json /conf/ → COPY --chown=3 b.txt conf.json /conf/",
            "2 2: 2 files of stage two changed: conf/b.txt (owner 1:2 to 3:3), conf/conf.json (owner 1:2 to 3:3); an earlier step changed: [two 2] COPY --chown=3 b.txt conf.json /conf/",
            "2 3, 2 4, 2 5: an earlier step changed: [two 2] COPY --chown=3 b.txt conf.json /conf/",
        ],
    );
    check(
        "a --chmod",
        replace("COPY a.txt", "COPY --chmod=0600 a.txt"),
        &[
            "one 6: the instruction changed: COPY a.txt /a → COPY --chmod=0600 a.txt /a",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 6] COPY --chmod=0600 a.txt /a",
        ],
    );
    check(
        "a CMD",
        replace("CMD [\"/a\"]", "CMD [\"/b\"]"),
        &[r#"2 5: the instruction changed: CMD ["/a"] → CMD ["/b"]"#],
    );
    check(
        "a USER",
        replace("USER 7", "USER 8"),
        &["2 4: the instruction changed: USER 7 → USER 8", "2 5: an earlier step changed: [2 4] USER 8"],
    );
    check(
        "two instructions",
        both(replace("ENV X=1", "ENV X=2"), replace("USER 7", "USER 8")),
        &[
            "one 8: the instruction changed: ENV X=1 → ENV X=2",
            "2 1: an earlier step changed: [one 8] ENV X=2",
            "2 4: the instruction changed: USER 7 → USER 8; an earlier step changed: [one 8] ENV X=2",
            "2 5: an earlier step changed: [one 8] ENV X=2",
        ],
    );
    check(
        "a destination, and a file",
        both(replace("COPY lib /lib", "COPY lib /lib2"), write("lib/y", "new")),
        &[
            "one 7: the instruction changed: COPY lib /lib → COPY lib /lib2; 1 file of the build context changed: lib/y (content)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib2",
        ],
    );
}

#[test]
fn steps_that_moved_came_or_went_are_named() {
    check(
        "the order",
        replace("COPY a.txt /a\nCOPY lib /lib\n", "COPY lib /lib\nCOPY a.txt /a\n"),
        &[
            "one 6: the step moved from 7 to 6",
            "one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: the order of steps changed: [one 6] COPY lib /lib moved from 7 to 6",
        ],
    );
    check(
        "the order of steps that make no layer",
        replace("USER 7\nCMD [\"/a\"]\n", "CMD [\"/a\"]\nUSER 7\n"),
        &["2 4: the step moved from 5 to 4", r#"2 5: the order of steps changed: [2 4] CMD ["/a"] moved from 5 to 4"#],
    );
    check(
        "a step moved far up",
        both(replace("COPY lib /lib\n", ""), replace("ARG VERSION", "COPY lib /lib\nARG VERSION")),
        &[
            "one 2: the step moved from 7 to 2",
            "one 3, one 4, one 5, one 6, one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: the order of steps changed: [one 2] COPY lib /lib moved from 7 to 2",
        ],
    );
    check(
        "a COPY removed",
        replace("COPY a.txt /a\n", ""),
        &["one 6, one 7, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step was removed: [one 6] COPY a.txt /a"],
    );
    check(
        "a LABEL removed",
        replace("LABEL version=$VERSION\n", ""),
        &["one 3, one 7, 2 1, 2 4, 2 5: an earlier step was removed: [one 3] LABEL version=$VERSION"],
    );
    check(
        "a COPY added",
        replace("COPY lib /lib\n", "COPY unrelated /u\nCOPY lib /lib\n"),
        &[
            "one 7: the step is new",
            "one 8, one 9, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step was added: [one 7] COPY unrelated /u",
        ],
    );
    check(
        "an ENV added",
        replace("COPY lib /lib\n", "ENV Y=1\nCOPY lib /lib\n"),
        &["one 7: the step is new", "one 9, 2 1, 2 4, 2 5: an earlier step was added: [one 7] ENV Y=1"],
    );
    check("a last step", replace("CMD [\"/a\"]\n", "CMD [\"/a\"]\nEXPOSE 80\n"), &["2 6: the step is new"]);
    check("a step twice", replace("USER 7\n", "USER 7\nUSER 7\n"), &[]);
}

#[test]
fn edits_of_stages_are_named() {
    check(
        "a stage renamed",
        both(replace("AS two", "AS due"), replace("from=two", "from=due")),
        &["due 1: the instruction changed: FROM scratch AS two → FROM scratch AS due"],
    );
    check(
        "a stage added",
        replace("FROM one\n", "FROM scratch AS three\nCOPY unrelated /u\nFROM one\nCOPY --from=three /u /u\n"),
        &[
            "three 1, three 2: no earlier build of it is known",
            "3 2: the step is new",
            "3 3, 3 4, 3 5, 3 6: an earlier step was added: [3 2] COPY --from=three /u /u",
        ],
    );
    check(
        "another stage to start from",
        replace("FROM one\n", "FROM two\n"),
        &[
            "2 1: the instruction changed: FROM one → FROM two",
            "2 2: an earlier step changed: [2 1] FROM two",
            "2 3: the instruction comes to something else: COPY c* /srv/ → COPY c* /; an earlier step changed: [2 1] FROM two",
            "2 4, 2 5: an earlier step changed: [2 1] FROM two",
        ],
    );
    check(
        "another stage to copy from",
        replace("--from=two /conf /conf", "--from=one /lib /conf"),
        &[
            "2 2: the instruction changed: COPY --from=two /conf /conf → COPY --from=one /lib /conf",
            "2 3, 2 4, 2 5: an earlier step changed: [2 2] COPY --from=one /lib /conf",
        ],
    );
}

#[test]
fn ways_of_writing_do_not_count() {
    check("a comment", replace("ENV X", "# why\n\nENV X"), &[]);
    check("a continuation", replace("COPY a.txt /a", "COPY a.txt \\\n   /a"), &[]);
    check("the case of a keyword", replace("COPY a.txt", "copy a.txt"), &[]);
}

#[test]
fn edits_of_arguments_and_base_images_are_named() {
    check(
        "a build argument",
        argument("VERSION", "2"),
        &[
            r#"one 2, one 3: build argument VERSION changed from "1" to "2""#,
            "one 4, one 8, 2 1, 2 4, 2 5: an earlier step changed: [one 2] ARG VERSION=1",
        ],
    );
    check(
        "the default of an argument",
        replace("ARG VERSION=1", "ARG VERSION=2"),
        &[
            "one 2: the instruction changed: ARG VERSION=1 → ARG VERSION=2",
            r#"one 3: build argument VERSION changed from "1" to "2"; an earlier step changed: [one 2] ARG VERSION=2"#,
            "one 4, one 8, 2 1, 2 4, 2 5: an earlier step changed: [one 2] ARG VERSION=2",
        ],
    );
    check("an argument that nobody declares", argument("NOBODY", "2"), &[]);
    check("the value that the argument had", argument("VERSION", "1"), &[]);
    check(
        "an argument for a base image",
        argument("BASE", "base2"),
        &[
            r#"one 1: build argument BASE changed from "base" to "base2"; the base image changed from base (sha256:…) to base2 (sha256:…)"#,
            "one 2, one 3, one 4, one 5, one 6, one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 1] FROM $BASE AS one",
        ],
    );
    check(
        "the default of an argument for a base image",
        replace("ARG BASE=base", "ARG BASE=base2"),
        &[
            r#"one 1: build argument BASE changed from "base" to "base2"; the base image changed from base (sha256:…) to base2 (sha256:…)"#,
            "one 2, one 3, one 4, one 5, one 6, one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 1] FROM $BASE AS one",
        ],
    );
    check(
        "a base image behind its name",
        base("base", "etc/new", ""),
        &[
            "one 1: the base image base changed from sha256:… to sha256:…",
            "one 2, one 3, one 4, one 5, one 6, one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 1] FROM $BASE AS one",
        ],
    );
    check(
        "the configuration of a base image",
        base("base", "etc/os", "new"),
        &[
            "one 1: the base image base changed from sha256:… to sha256:…",
            "one 2, one 3, one 4, one 8, 2 1, 2 4, 2 5: an earlier step changed: [one 1] FROM $BASE AS one",
        ],
    );
    check(
        "a base image in the text",
        replace("FROM $BASE", "FROM base2"),
        &[
            "one 1: the instruction changed: FROM $BASE AS one → FROM base2 AS one; the base image changed from base (sha256:…) to base2 (sha256:…)",
            "one 2, one 3, one 4, one 5, one 6, one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 1] FROM base2 AS one",
        ],
    );
}

#[test]
fn edits_of_two_kinds_are_named() {
    check(
        "an argument and a file",
        both(argument("VERSION", "2"), write("c1", "new")),
        &[
            r#"one 2, one 3: build argument VERSION changed from "1" to "2""#,
            "one 4, one 8, 2 1: an earlier step changed: [one 2] ARG VERSION=1",
            "2 3: 1 file of the build context changed: c1 (content)",
            "2 4, 2 5: an earlier step changed: [one 2] ARG VERSION=1",
        ],
    );
    check(
        "a base image and an argument",
        both(base("base", "etc/new", ""), argument("VERSION", "2")),
        &[
            "one 1: the base image base changed from sha256:… to sha256:…",
            r#"one 2, one 3: build argument VERSION changed from "1" to "2"; an earlier step changed: [one 1] FROM $BASE AS one"#,
            "one 4, one 5, one 6, one 7, one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 1] FROM $BASE AS one",
        ],
    );
}

#[test]
fn other_reasons_are_named() {
    check(
        "a source date epoch",
        option(|options| options.with_source_date_epoch(Some(Timestamp::from_seconds(1)))),
        &[
            r#"one 1, one 2, one 3, one 4, one 5, one 6, one 7, one 8, two 1, two 2, 2 1, 2 2, 2 3, 2 4, 2 5: setting source-date-epoch changed from "none" to "1970-01-01T00:00:01Z""#,
        ],
    );
    check(
        "a platform",
        option(|options| options.with_platform(Platform::new("linux", "arm64"))),
        &[
            r#"one 1, one 2, one 3, one 4, one 5, one 6, one 7, one 8, two 1, two 2, 2 1, 2 2, 2 3, 2 4, 2 5: platform changed from "linux/amd64" to "linux/arm64""#,
        ],
    );
    check(
        "a compression",
        option(|options| options.with_encode("zstd".parse().unwrap())),
        &[
            r#"one 5, one 6, one 7: setting compression changed from "gzip:5" to "zstd:3""#,
            "one 8, 2 1: an earlier step changed: [one 5] WORKDIR $DIR",
            r#"2 2, 2 3: setting compression changed from "gzip:5" to "zstd:3""#,
            "2 4, 2 5: an earlier step changed: [one 5] WORKDIR $DIR",
        ],
    );
    check(
        "no cache",
        option(|options| options.with_cache(CachePolicy::Refresh)),
        &[
            "one 1, one 2, one 3, one 4, one 5, one 6, one 7, one 8, two 1, two 2, 2 1, 2 2, 2 3, 2 4, 2 5: the cache was not to be used",
        ],
    );
}

#[test]
fn what_is_gone_is_named() {
    check(
        "no state",
        state(|state| remove_all(state)),
        &[
            "one 1, one 2, one 3, one 4, one 5, one 6, one 7, one 8, two 1, two 2, 2 1, 2 2, 2 3, 2 4, 2 5: no earlier build of it is known",
        ],
    );
    check(
        "no trail",
        state(|state| remove_all(state.join("records"))),
        &[
            "one 1, one 2, one 3, one 4, one 5, one 6, one 7, one 8, two 1, two 2, 2 1, 2 2, 2 3, 2 4, 2 5: no earlier build of it is known",
        ],
    );
    check(
        "no records",
        state(|state| only(&state.join("records"), "latest")),
        &[
            "one 1, one 2, one 3, one 4, one 5: nothing changed, but the record of its result is gone",
            "one 6, one 7, one 8: an earlier step changed: [one 5] WORKDIR $DIR",
            "two 1, two 2: nothing changed, but the record of its result is gone",
            "2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 5] WORKDIR $DIR",
        ],
    );
    check(
        "no records, and an edit",
        both(state(|state| only(&state.join("records"), "latest")), replace("ENV X=1", "ENV X=2")),
        &[
            "one 1, one 2, one 3, one 4, one 5: nothing changed, but the record of its result is gone",
            "one 6, one 7: an earlier step changed: [one 5] WORKDIR $DIR",
            "one 8: the instruction changed: ENV X=1 → ENV X=2",
            "two 1, two 2: nothing changed, but the record of its result is gone",
            "2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 5] WORKDIR $DIR",
        ],
    );
    check(
        "no layers",
        state(|state| remove_all(state.join("blobs/sha256")).and_then(|()| fs::create_dir(state.join("blobs/sha256")))),
        &[
            "one 5: nothing changed, but its layer sha256:… is gone",
            "one 6, one 7, one 8: an earlier step changed: [one 5] WORKDIR $DIR",
            "two 2: nothing changed, but its layer sha256:… is gone",
            "2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 5] WORKDIR $DIR",
        ],
    );
    check(
        "a build that fails in between",
        Box::new(|fixture, text| {
            fixture.write("a.txt", "new");
            fixture.error(&text.replace("ENV X=1", "COPY missing /m"));
            fixture.write("lib/x", "new");
        }),
        &[
            "one 7: 1 file of the build context changed: lib/x (content)",
            "one 8, 2 1, 2 2, 2 3, 2 4, 2 5: an earlier step changed: [one 7] COPY lib /lib",
        ],
    );
}
