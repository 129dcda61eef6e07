//! Whatever is edited between builds, the cache never changes the result.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use image_core::Timestamp;
use proptest::{prelude::*, sample::select};

use crate::build_fixture::{Fixture, dir, file};

const FILES: [&str; 6] = ["a", "b", "d/a", "d/e/b", "d/e/c", "o/a"];

const CONTENTS: [&str; 3] = ["1", "2", "longer"];

/// Lines that may follow a FROM, in any order.
const LINES: [&str; 24] = [
    "COPY a /x",
    "COPY a /x/",
    "COPY a* b* /y/",
    "COPY d /x",
    "COPY d o /z/",
    "COPY . /all",
    "COPY d/e ./",
    "COPY --chown=app d /own",
    "COPY --chown=7 a /own7",
    "COPY --chmod=0600 d /mode",
    "COPY --chmod=go-r d /mode",
    "COPY --from=first / /f",
    "COPY --from=first /x* /g/",
    "COPY --from=base /etc /h",
    "WORKDIR /w",
    "WORKDIR v",
    "USER app",
    "USER 5:6",
    "ENV E=1",
    "ENV E=$X PATHLIKE=$E:2",
    "ARG X=default",
    "LABEL l=$X e=$E",
    "CMD run $X",
    "EXPOSE 80",
];

/// A Dockerfile of two stages, by the numbers of its lines.
#[derive(Debug, Clone)]
struct Text {
    base: &'static str,
    stages: [Vec<usize>; 2],
}

impl Text {
    fn print(&self) -> String {
        let lines = |stage: &[usize], first: bool| {
            let lines = stage.iter().map(|at| LINES[*at]);
            lines
                .filter(|line| !first || !line.contains("--from=first"))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        };
        let [first, second] = &self.stages;
        format!("FROM {} AS first\n{}FROM base\n{}", self.base, lines(first, true), lines(second, false))
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Write(&'static str, &'static str),
    Mode(&'static str, u32),
    Remove(&'static str),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
    Symlink(&'static str, &'static str),
    Ignore(&'static str),
    Insert(usize, usize, usize),
    Delete(usize, usize),
    Swap(usize, usize),
    Base(&'static str),
    Argument(Option<&'static str>),
    SwapBaseImage,
}

fn edits() -> impl Strategy<Value = Edit> {
    let path = || select(&FILES[..]);
    prop_oneof![
        4 => (path(), select(&CONTENTS[..])).prop_map(|(path, content)| Edit::Write(path, content)),
        2 => (path(), select(&[0o644_u32, 0o755, 0o600][..])).prop_map(|(path, mode)| Edit::Mode(path, mode)),
        1 => path().prop_map(Edit::Remove),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Link(from, to)),
        1 => (path(), path()).prop_map(|(target, path)| Edit::Symlink(target, path)),
        1 => select(&["", "d/e", "*\n!a\n", "**/c"][..]).prop_map(Edit::Ignore),
        4 => (0..2_usize, 0..8_usize, 0..LINES.len()).prop_map(|(stage, at, line)| Edit::Insert(stage, at, line)),
        2 => (0..2_usize, 0..8_usize).prop_map(|(stage, at)| Edit::Delete(stage, at)),
        2 => (0..2_usize, 0..8_usize).prop_map(|(stage, at)| Edit::Swap(stage, at)),
        1 => select(&["base", "scratch", "other"][..]).prop_map(Edit::Base),
        1 => select(&[None, Some("1"), Some("2")][..]).prop_map(Edit::Argument),
        1 => Just(Edit::SwapBaseImage),
    ]
}

impl Edit {
    fn apply(&self, fixture: &mut Fixture, text: &mut Text) {
        let context = fixture.context();
        let prepare = |path: &str| {
            let path = context.join(path);
            drop(fs::remove_file(&path));
            path
        };
        match *self {
            Self::Write(path, content) => {
                prepare(path);
                fixture.write(path, content);
            }
            Self::Mode(path, mode) => set_mode(&context.join(path), mode),
            Self::Remove(path) => drop(prepare(path)),
            Self::Rename(from, to) => drop(fs::rename(context.join(from), context.join(to))),
            Self::Link(from, to) if from != to => drop(fs::hard_link(context.join(from), prepare(to))),
            Self::Link(..) => {}
            Self::Symlink(target, path) => std::os::unix::fs::symlink(target, prepare(path)).unwrap(),
            Self::Ignore(lines) => fixture.write(".dockerignore", lines),
            Self::Insert(stage, at, line) => {
                let lines = &mut text.stages[stage];
                lines.insert(at.min(lines.len()), line);
            }
            Self::Delete(stage, at) if at < text.stages[stage].len() => drop(text.stages[stage].remove(at)),
            Self::Swap(stage, at) if at + 1 < text.stages[stage].len() => text.stages[stage].swap(at, at + 1),
            Self::Delete(..) | Self::Swap(..) => {}
            Self::Base(base) => text.base = base,
            Self::Argument(None) => drop(fixture.options.build_args.remove("X")),
            Self::Argument(Some(value)) => drop(fixture.options.build_args.insert("X".into(), value.into())),
            Self::SwapBaseImage => {
                fixture.bases.add("base", vec![dir("etc"), file("etc/new"), file("etc/passwd")], |_| {})
            }
        }
    }
}

/// A symlink's own mode cannot be set, and the file it may lead to is not meant.
fn set_mode(path: &Path, mode: u32) {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&FILES);
    fixture.bases.add("base", vec![dir("etc"), file("etc/passwd")], |_| {});
    fixture.bases.add("other", vec![dir("etc"), file("etc/passwd"), dir("x")], |_| {});
    // Nothing is older, so that times are all the same: they are in no key.
    fixture.options = fixture.options.clone().with_source_date_epoch(Some(Timestamp::from_seconds(0)));
    fixture
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cached_build_is_the_build_without_a_cache(
        base in select(&["base", "scratch", "other"][..]),
        first in prop::collection::vec(0..LINES.len(), 0..4),
        second in prop::collection::vec(0..LINES.len(), 0..5),
        edits in prop::collection::vec(edits(), 1..8),
    ) {
        let mut fixture = fixture();
        let mut text = Text { base, stages: [first, second] };
        for edit in std::iter::once(None).chain(edits.iter().map(Some)) {
            if let Some(edit) = edit {
                edit.apply(&mut fixture, &mut text);
            }
            let text = text.print();
            let cached = fixture.try_build(&text).map(|built| built.image.manifest.digest.to_string()).map_err(|e| e.to_string());
            let fresh = fixture.try_build_anew(&text).map(|built| built.image.manifest.digest.to_string()).map_err(|e| e.to_string());
            prop_assert_eq!(cached, fresh, "after {:?}:\n{}", edit, text);
        }
    }
}
