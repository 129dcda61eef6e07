//! Several processes that load, build, copy, name and collect in one layout.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use image_core::{Ctx, Digest};
use image_layout::{OciLayout, SaveOptions, fsck::VerifyOptions, save};
use test_support::temp_dir;

use crate::{
    faults::image,
    program::{Said, image as name_of, program, succeed},
};

/// For how many seconds the processes work; without it each works for a few rounds.
const SECONDS: &str = "TOGETHER_SECONDS";

/// How many rounds each works at least.
const ROUNDS: u32 = 4;

/// The work of one process after another: every name that it gave, and what it gave it to.
fn work(dir: &Path, worker: usize, is_over: &dyn Fn(u32) -> bool) -> (BTreeMap<String, Digest>, u32) {
    let layout = dir.join("layout");
    let mut names = BTreeMap::new();
    let mut round = 0;
    while !is_over(round) {
        // Names are given again, so that what they named before becomes garbage.
        let name = |kind: &str| format!("{kind}-{worker}:{}", round % 3);
        let mut note = |name: String| {
            let found = OciLayout::open(&layout).unwrap().resolve(&name).unwrap().digest;
            names.insert(name, found);
        };
        let archive = dir.join(format!("{}.tar", (round as usize + worker) % 2));
        succeed(program("load").arg(archive).arg(&layout).args(["--ref", &name("loaded")]));
        note(name("loaded"));
        fs::write(dir.join(format!("tree-{worker}/file")), format!("{worker} {round}").repeat(5000)).unwrap();
        let tree = dir.join(format!("tree-{worker}"));
        succeed(program("import").arg(&tree).arg(name_of(&layout, &name("imported"))));
        note(name("imported"));
        let hello = concat!(env!("CARGO_MANIFEST_DIR"), "/hello");
        let mut build = program("build");
        build.args(["-t", &name("built"), "--build-arg", &format!("VERSION={round}"), "-o"]).arg(&layout);
        succeed(build.arg("--cache").arg(dir.join("cache")).arg(hello));
        note(name("built"));
        let from = name_of(&dir.join("from"), "b:1");
        succeed(program("copy").arg(from).arg(name_of(&layout, &name("copied"))));
        note(name("copied"));
        round += 1;
    }
    (names, round)
}

/// Collects until told to stop; gives how often, and how many blobs it removed.
fn collect(layout: &Path, is_done: &AtomicBool) -> (u32, u64) {
    let (mut times, mut removed) = (0, 0);
    while !is_done.load(Ordering::Relaxed) {
        let Said { stdout, .. } = succeed(program("gc").arg(layout).arg("--json"));
        let collected: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        removed += collected["removed"].as_u64().unwrap();
        times += 1;
    }
    (times, removed)
}

#[test]
fn processes_that_work_in_one_layout_lose_nothing() {
    let dir = temp_dir();
    let dir = dir.path();
    let from = OciLayout::create(dir.join("from")).unwrap();
    for (number, name) in ["a:1", "b:1"].into_iter().enumerate() {
        from.tag(name, &image(from.blobs(), name, 8)).unwrap();
        let images = [(from.image(name, None).unwrap(), vec![name.to_owned()])];
        let archive = fs::File::create(dir.join(format!("{number}.tar"))).unwrap();
        save(&images, archive, &SaveOptions::default(), &Ctx::default()).unwrap();
        fs::create_dir(dir.join(format!("tree-{number}"))).unwrap();
    }
    let layout = dir.join("layout");
    OciLayout::create(&layout).unwrap();

    let seconds = env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let (since, time) = (Instant::now(), Duration::from_secs(seconds));
    let is_over = |round| round >= ROUNDS && since.elapsed() >= time;
    let (is_done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    let (names, (times, removed)) = thread::scope(|scope| {
        let collector = scope.spawn(|| collect(&layout, &is_done));
        let workers: Vec<_> = (0..2).map(|worker| scope.spawn(move || work(dir, worker, &is_over))).collect();
        let mut names = BTreeMap::new();
        for worker in workers {
            let (own, count) = worker.join().unwrap();
            names.extend(own);
            rounds.fetch_add(count, Ordering::Relaxed);
        }
        is_done.store(true, Ordering::Relaxed);
        (names, collector.join().unwrap())
    });

    let opened = OciLayout::open(&layout).unwrap();
    let found: BTreeMap<String, Digest> =
        opened.tags().unwrap().iter().map(|tag| (tag.name().to_owned(), tag.descriptor().digest.clone())).collect();
    assert_eq!(found, names, "every name is there, for what it was given to last");
    let report = opened.verify(None, &VerifyOptions::default().with_unreachable(), &Ctx::default()).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(removed > 0, "there was garbage to collect");
    crate::faults::tell(&format!(
        "{} rounds of two processes, {times} collections that removed {removed} blobs: nothing lost",
        rounds.into_inner()
    ));
}
