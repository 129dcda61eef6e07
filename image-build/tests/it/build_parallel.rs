//! Stages that are built at the same time: what comes of it, and what is told of it, is what one thread makes.

use std::{
    collections::BTreeMap,
    io::Write,
    num::NonZero,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use image_build::{
    BuildState, CachePolicy, Error, Fetcher,
    fetch::{Checkout, Download, Repository},
};
use image_core::{Ctx, Timestamp, observer::TaskKind};

use crate::build_fixture::{Built, Fixture, dir, file};

/// Stages that need each other in several ways, and some that do the same.
const TEXT: &str = "ARG BASE=base
FROM base AS one
COPY a /a
ENV X=1
COPY lib /lib
FROM $BASE AS two
COPY a /a
ENV X=1
COPY lib /lib
FROM scratch AS three
ARG VERSION=1
LABEL v=$VERSION
COPY b /b
FROM three AS four
COPY --from=one /lib /from-one
COPY --from=two /lib /from-two
FROM scratch AS five
COPY a b /both/
WORKDIR /both
FROM base
COPY a /a
COPY --from=three /b /b
COPY --from=four / /four
COPY --from=five / /five
COPY --from=base /etc /etc-of-base
";

fn threads(count: usize) -> NonZero<usize> {
    NonZero::new(count).unwrap()
}

fn fixture(count: usize) -> Fixture {
    let mut fixture = Fixture::with_files(&["a", "b", "lib/x", "lib/y"]);
    for (name, path) in [("base", "etc/os"), ("base2", "etc/other")] {
        fixture.bases.add(name, vec![dir("etc"), file(path)], |_| {});
    }
    // What was written at another time is the same.
    let epoch = Some(Timestamp::from_seconds(1_000));
    fixture.options = fixture.options.clone().with_parallelism(threads(count)).with_source_date_epoch(epoch);
    fixture
}

/// All that is told of a build, but for the order in which it was told.
fn told(built: &Built<'_>, state: &Path) -> String {
    let mut steps = built.steps();
    steps.sort();
    let mut last = BuildState::open(state).unwrap().last_steps().unwrap();
    last.iter_mut().for_each(|step| step.context.clear());
    format!("{:#?}\n{steps:#?}\n{last:#?}", built.image)
}

/// What is changed before a build, and how.
type Edit<'a> = (&'a str, &'a dyn Fn(&mut Fixture));

#[test]
fn the_number_of_threads_changes_nothing() {
    let edits: [Edit<'_>; 7] = [
        ("the first build", &|_| {}),
        ("nothing", &|_| {}),
        ("a file", &|fixture| fixture.write("a", "changed")),
        ("another", &|fixture| fixture.write("lib/x", "changed")),
        ("an argument", &|fixture| fixture.options = fixture.options.clone().with_build_arg("VERSION", "2")),
        ("a base", &|fixture| fixture.options = fixture.options.clone().with_build_arg("BASE", "base2")),
        ("all again", &|fixture| fixture.options = fixture.options.clone().with_cache(CachePolicy::Refresh)),
    ];
    let mut fixtures: Vec<Fixture> = [1, 2, 3, 8].map(fixture).into();
    for (number, (name, edit)) in (0..).zip(edits) {
        let mut expected = None;
        for fixture in &mut fixtures {
            edit(fixture);
            fixture.now = Timestamp::from_seconds(1_800_000_000 + number);
            let told = told(&fixture.build(TEXT), &fixture.state());
            assert_eq!(*expected.get_or_insert_with(|| told.clone()), told, "{name}");
        }
    }
}

#[test]
fn what_stages_have_in_common_is_done_once_and_counts_for_each() {
    for count in [1, 2, 4] {
        let fixture = fixture(count);
        let stages = |names: &[&str]| -> String {
            names.iter().map(|name| format!("FROM base AS {name}\nCOPY lib /lib\nCOPY a /a\n")).collect()
        };
        let text = stages(&["one", "two", "three", "four"]);
        let text = format!("{text}FROM scratch\nCOPY --from=one / /1\nCOPY --from=two / /2\n");
        let text = format!("{text}COPY --from=three / /3\nCOPY --from=four / /4\nCOPY --from=four / /4\n");
        let built = fixture.build(&text);
        let packed = built.tasks.iter().filter(|(kind, ..)| *kind == TaskKind::Pack).count();
        // The last line makes no other files than the one before it, but on top of them.
        assert_eq!(packed, 2 + 5, "{count} threads: {:?}", built.tasks);
        assert_eq!((built.image.cached, built.image.done), (0, 4 * 3 + 6), "{count} threads");
        let again = fixture.build(&text);
        assert_eq!((again.image.cached, again.image.done), (4 * 3 + 6, 0), "{count} threads");
        assert_eq!(again.image.manifest, built.image.manifest);
        // What a stage makes that this one needs is there before it, whatever the threads.
        let fixture = self::fixture(count);
        let text = "FROM scratch AS x\nCOPY a /a\nFROM scratch AS y\nCOPY a /a\nCOPY --from=x /a /x\n";
        let built = fixture.build(&format!("{text}FROM scratch\nCOPY --from=y / /\n"));
        assert_eq!((built.image.cached, built.image.done), (1, 6), "{count} threads");
        assert!(built.steps().contains(&"CACHED [y 2/3] COPY a /a".to_owned()), "{:?}", built.steps());
    }
}

/// Gives files whose addresses end in what becomes of them, and lets tests see who asks.
#[derive(Default)]
struct Meeting {
    state: Mutex<Met>,
    changed: Condvar,
}

#[derive(Default)]
struct Met {
    /// How many are asking.
    now: usize,
    /// The most that were asking at once.
    most: usize,
    /// How many have asked in all.
    asked: usize,
    /// Who was cancelled.
    cancelled: usize,
}

/// Long enough for any machine: it is over only where a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

impl Meeting {
    /// Waits until this holds of those that ask.
    fn wait(&self, holds: impl Fn(&Met) -> bool) {
        let state = self.state.lock().unwrap();
        let (_state, waited) = self.changed.wait_timeout_while(state, PATIENCE, |met| !holds(met)).unwrap();
        assert!(!waited.timed_out(), "nobody came");
    }

    fn note(&self, change: impl FnOnce(&mut Met)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn answer(&self, url: &str, ctx: &Ctx) -> Result<(), Error> {
        let fail = || Err(Error::external(format!("get {url}"), "it is to fail"));
        match url.rsplit('/').next().unwrap() {
            "two-at-once" => self.wait(|met| met.most >= 2),
            "fails" => return fail(),
            "fails-of-three" => {
                self.wait(|met| met.asked == 3);
                return fail();
            }
            "fails-last" => {
                self.wait(|met| met.cancelled == 1);
                return fail();
            }
            "is-cancelled" => {
                let checks = (0..PATIENCE.as_millis() / 10).find_map(|_| {
                    std::thread::sleep(Duration::from_millis(10));
                    ctx.check().err()
                });
                self.note(|met| met.cancelled += 1);
                return Err(checks.expect("nobody cancelled").into());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whoever asks for a file.
struct Asking(Arc<Meeting>);

impl Fetcher for Asking {
    fn download(&self, url: &str, to: &mut dyn Write, ctx: &Ctx) -> Result<Download, Error> {
        self.0.note(|met| {
            met.now += 1;
            met.asked += 1;
            met.most = met.most.max(met.now);
        });
        let answer = self.0.answer(url, ctx);
        self.0.note(|met| met.now -= 1);
        answer?;
        to.write_all(url.as_bytes()).map_err(|e| Error::external("write", e))?;
        Ok(Download::default())
    }

    fn checkout(&self, repository: &Repository, _: &Path, _: &Ctx) -> Result<Checkout, Error> {
        Err(Error::external(format!("clone {}", repository.remote), "there is none"))
    }
}

/// A fixture with stages that each add an address, and a last one that copies from them.
fn with_meeting(count: usize, addresses: &[&str]) -> (Fixture, Arc<Meeting>, String) {
    let meeting = Arc::new(Meeting::default());
    let mut fixture = fixture(count);
    fixture.fetcher = Some(Box::new(Asking(Arc::clone(&meeting))));
    let stages = addresses.iter().enumerate();
    let stages: String =
        stages.map(|(at, end)| format!("FROM scratch AS s{at}\nADD https://example.org/{at}/{end} /{at}\n")).collect();
    let copies: String = (0..addresses.len()).map(|at| format!("COPY --from=s{at} / /\n")).collect();
    (fixture, meeting, format!("{stages}FROM scratch\n{copies}"))
}

#[test]
fn independent_stages_are_built_at_once_within_the_bound() {
    for count in [2, 3] {
        let (fixture, meeting, text) = with_meeting(count, &["two-at-once"; 9]);
        let built = fixture.build(&text);
        let met = meeting.state.lock().unwrap();
        assert_eq!(met.asked, 9);
        assert!((2..=count).contains(&met.most), "{count} threads, {} at once", met.most);
        assert_eq!(built.listing().len(), 9);
    }
    let (fixture, meeting, text) = with_meeting(1, &["file"; 9]);
    fixture.build(&text);
    assert_eq!(meeting.state.lock().unwrap().most, 1);
}

#[test]
fn the_error_is_that_of_the_first_stage_and_those_behind_it_are_stopped() {
    // The second fails first, when all have begun, and stops the third; the first fails when that is over.
    let (fixture, meeting, text) = with_meeting(3, &["fails-last", "fails-of-three", "is-cancelled", "file", "file"]);
    let error = fixture.error(&text);
    assert!(error.starts_with("Dockerfile:2:1: "), "{error}");
    assert!(error.contains("example.org/0/fails-last"), "{error}");
    assert_eq!(meeting.state.lock().unwrap().asked, 3, "no stage behind one that failed is begun");

    // What is before a stage that fails is built nevertheless: it might have failed.
    for count in [1, 2, 8] {
        let (fixture, _, text) = with_meeting(count, &["file", "file", "fails", "file"]);
        let error = fixture.error(&text);
        assert!(error.contains("example.org/2/fails"), "{count} threads: {error}");
        let last = BuildState::open(fixture.state()).unwrap().last_steps().unwrap();
        let mut built = BTreeMap::<_, usize>::new();
        last.iter().for_each(|step| *built.entry(step.step.stage.clone()).or_default() += 1);
        let expected = [("s0", 2), ("s1", 2), ("s2", 1)].map(|(stage, count)| (stage.to_owned(), count));
        assert_eq!(built, BTreeMap::from(expected), "{count} threads: the build counts as far as one thread had come");
    }
}

#[test]
fn many_steps_and_many_stages_are_built() {
    let steps: String = (0..200)
        .map(|at| match at % 4 {
            0 => format!("COPY a /dir/{at}\n"),
            1 => format!("ENV E{at}=$E{}:{at}\n", at.max(4) - 4),
            2 => format!("WORKDIR /work/{at}\n"),
            _ => format!("COPY lib /lib/{at}\n"),
        })
        .collect();
    let long = format!("FROM base\n{steps}");
    let stages: String = (0..40)
        .map(|at| match at {
            0 => "FROM base AS s0\nCOPY a /0\n".to_owned(),
            at if at % 3 == 0 => format!("FROM s{} AS s{at}\nCOPY b /{at}\n", at - 3),
            at => format!("FROM scratch AS s{at}\nCOPY --from=s{} /* /from/\nCOPY lib /{at}\n", at / 3),
        })
        .collect();
    let copies: String = (0..40).map(|at| format!("COPY --from=s{at} / /all/{at}\n")).collect();
    let wide = format!("{stages}FROM scratch\n{copies}");
    for (name, text, count) in [("steps", long, 201), ("stages", wide, 147)] {
        let mut expected = None;
        for count_of_threads in [1, 4] {
            let fixture = fixture(count_of_threads);
            let built = fixture.build(&text);
            assert_eq!(built.image.cached + built.image.done, count, "{name}");
            let listing = built.listing();
            let digest = expected.get_or_insert_with(|| built.image.manifest.digest.clone());
            assert_eq!(*digest, built.image.manifest.digest, "{name}");
            assert!(listing.len() > 200, "{name}");
            let again = fixture.build(&text);
            assert_eq!((again.image.cached, again.image.done), (count, 0), "{name}");
            assert_eq!(*digest, again.image.manifest.digest, "{name}");
        }
    }
}
