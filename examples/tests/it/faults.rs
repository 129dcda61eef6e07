//! The programs on a machine that fails: each system call that changes something fails once, or is the last.
//!
//! `strace` makes the n-th call of a kind fail, or kills the process in it, for every n. Afterwards the layout is whole,
//! what was there is there, what is new is there whole or not at all, and the next run completes.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use image_core::{
    Ctx, Descriptor, Digest, Document, ImageConfig, ImageManifest, MediaType, Platform,
    blob::{BlobStoreExt, FsBlobStore},
    gc::GcOptions,
    id::DiffId,
};
use image_layout::{OciLayout, SaveOptions, fsck::VerifyOptions, save};
use test_support::{TempDir, require_tool, skip, temp_dir};

use crate::program;

/// With this set, to anything but nothing, each call of each kind fails; else one in seven.
const ALL_FAULTS: &str = "ALL_FAULTS";

/// What may happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Error(&'static str),
    Kill,
}

const EIO: Fault = Fault::Error("EIO");
const ENOSPC: Fault = Fault::Error("ENOSPC");
const EROFS: Fault = Fault::Error("EROFS");

/// The calls that are tampered with, and how.
const CALLS: [(&str, &[Fault]); 19] = [
    ("openat", &[EIO, ENOSPC, EROFS, Fault::Kill]),
    ("mkdir", &[EIO, ENOSPC, EROFS, Fault::Kill]),
    ("mkdirat", &[EIO, ENOSPC, EROFS, Fault::Kill]),
    ("write", &[EIO, ENOSPC, Fault::Kill]),
    ("pwrite64", &[EIO, ENOSPC, Fault::Kill]),
    ("ftruncate", &[EIO, Fault::Kill]),
    ("fchmod", &[EIO, EROFS, Fault::Kill]),
    ("utimensat", &[EIO, EROFS, Fault::Kill]),
    ("fsync", &[EIO, ENOSPC, Fault::Kill]),
    ("fdatasync", &[EIO, ENOSPC, Fault::Kill]),
    ("syncfs", &[EIO, ENOSPC, Fault::Kill]),
    ("rename", &[EIO, ENOSPC, EROFS, Fault::Kill]),
    ("renameat", &[EIO, ENOSPC, EROFS, Fault::Kill]),
    ("linkat", &[EIO, ENOSPC, EROFS, Fault::Kill]),
    ("unlink", &[EIO, EROFS, Fault::Kill]),
    ("unlinkat", &[EIO, EROFS, Fault::Kill]),
    ("flock", &[EIO, Fault::Kill]),
    ("read", &[EIO]),
    ("getdents64", &[EIO]),
];

/// One call that fails.
#[derive(Debug, Clone, Copy)]
struct Case {
    call: &'static str,
    number: usize,
    fault: Fault,
}

/// A program's work in a directory, and what must hold after it.
struct Scenario {
    name: &'static str,
    /// What is there before.
    template: TempDir,
    program: &'static str,
    arguments: Vec<String>,
    /// The names that are in the layout whatever happens, with what they name.
    kept: BTreeMap<String, Digest>,
    /// The names that are there besides when the program succeeds; what they name, where that is the same in each run.
    made: BTreeMap<String, Option<Digest>>,
    /// Those of `kept` that are gone when the program succeeds.
    dropped: BTreeSet<String>,
}

const LAYOUT: &str = "layout";
const ARCHIVE: &str = "saved.tar";

impl Scenario {
    /// Two images in a layout to read from, an archive of one of them, and one in the layout that is worked on.
    fn new(name: &'static str, program: &'static str, arguments: &[&str]) -> Self {
        let template = temp_dir();
        let from = OciLayout::create(template.path().join("from")).unwrap();
        let new = image(from.blobs(), "new", 3);
        from.tag("new:1", &new).unwrap();
        let images = [(from.image("new:1", None).unwrap(), vec!["new:1".to_owned()])];
        let archive = fs::File::create(template.path().join("archive.tar")).unwrap();
        save(&images, archive, &SaveOptions::default(), &Ctx::default()).unwrap();
        let layout = OciLayout::create(template.path().join(LAYOUT)).unwrap();
        let old = image(layout.blobs(), "old", 2);
        layout.tag("old:1", &old).unwrap();
        fs::create_dir(template.path().join("tree")).unwrap();
        fs::write(template.path().join("tree/file"), vec![b'f'; 10_000]).unwrap();
        Self {
            name,
            template,
            program,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            kept: BTreeMap::from([("old:1".to_owned(), old.digest)]),
            made: BTreeMap::new(),
            dropped: BTreeSet::new(),
        }
    }

    fn layout(&self) -> OciLayout {
        OciLayout::open(self.template.path().join(LAYOUT)).unwrap()
    }

    /// With a name that the program makes, for what it makes when nothing fails.
    fn making(mut self, name: &str) -> Self {
        let copy = self.copy();
        assert!(self.command(copy.path()).status().unwrap().success(), "{}", self.name);
        let layout = OciLayout::open(copy.path().join(LAYOUT)).unwrap();
        self.made.insert(name.to_owned(), Some(layout.resolve(name).unwrap().digest));
        self
    }

    /// With a name that the program makes for something that is new in each run.
    fn making_anew(mut self, name: &str) -> Self {
        self.made.insert(name.to_owned(), None);
        self
    }

    /// With a name that is gone when the program succeeds.
    fn dropping(mut self, name: &str) -> Self {
        self.dropped.insert(name.to_owned());
        self
    }

    /// What is there before, for one run.
    fn copy(&self) -> TempDir {
        let copy = temp_dir();
        let source = self.template.path().join(".");
        assert!(Command::new("cp").arg("-a").arg(source).arg(copy.path()).status().unwrap().success());
        copy
    }

    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(program::path(self.program));
        self.prepare(&mut command, dir);
        command
    }

    fn prepare(&self, command: &mut Command, dir: &Path) {
        command.args(&self.arguments).current_dir(dir).env("SOURCE_DATE_EPOCH", "1700000000");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }

    /// The program under `strace`, whose record goes to a file.
    fn traced(&self, dir: &Path, record: &Path, options: &[String]) -> ExitStatus {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(record).args(options).arg(program::path(self.program));
        self.prepare(&mut command, dir);
        command.status().expect("strace starts")
    }

    /// How often one thread makes each call.
    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let (copy, records) = (self.copy(), temp_dir());
        let record = records.path().join("record");
        let names: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
        let status = self.traced(copy.path(), &record, &["-e".to_owned(), format!("trace={}", names.join(","))]);
        assert!(status.success(), "{}", self.name);
        let mut of_threads: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
        for line in read(&record).lines() {
            let mut words = line.split_whitespace();
            let (Some(thread), Some(call)) = (words.next(), words.next()) else { continue };
            if let Some((call, _)) = CALLS.iter().find(|(name, _)| call.starts_with(&format!("{name}("))) {
                *of_threads.entry((thread.to_owned(), call)).or_default() += 1;
            }
        }
        let mut counts = BTreeMap::new();
        for ((_, call), count) in of_threads {
            let most: &mut usize = counts.entry(call).or_default();
            *most = count.max(*most);
        }
        counts
    }

    /// Runs the program with one fault; whether the fault came about.
    fn survive(&self, case: Case) -> bool {
        let (copy, records) = (self.copy(), temp_dir());
        let record = records.path().join("record");
        let what = match case.fault {
            Fault::Error(error) => format!("error={error}"),
            Fault::Kill => "signal=KILL".to_owned(),
        };
        let inject = format!("inject={}:{what}:when={}", case.call, case.number);
        let trace = format!("trace={}", case.call);
        let options = ["-e".to_owned(), trace, "-e".to_owned(), inject];
        let status = self.traced(copy.path(), &record, &options);
        let is_killed = status.signal() == Some(9);
        assert!(is_killed || status.code().is_some(), "{} {case:?}: {status}", self.name);
        let came = is_killed || read(&record).contains("(INJECTED)");
        self.check(copy.path(), status.success(), &format!("{} {case:?}: {status}", self.name));
        came
    }

    /// What must hold after a run, and after another one that nothing disturbs.
    fn check(&self, dir: &Path, is_success: bool, case: &str) {
        self.check_layout(dir, is_success, case);
        self.check_archive(dir, is_success, case);
        if self.program == "save" && dir.join(ARCHIVE).exists() {
            fs::remove_file(dir.join(ARCHIVE)).unwrap();
        }
        let again = self.command(dir).status().expect("the program starts");
        assert!(again.success(), "{case}: then undisturbed: {again}");
        self.check_layout(dir, true, &format!("{case}: then undisturbed"));
        self.check_archive(dir, true, case);
        let layout = OciLayout::open(dir.join(LAYOUT)).unwrap();
        layout.blobs().clean_stale_ingests().unwrap();
        layout.collect(&GcOptions::default(), &Ctx::default()).unwrap();
        for directory in ["ingest", "leases"] {
            let left = list(&layout.path().join(directory));
            assert!(left.is_empty(), "{case}: {left:?}");
        }
    }

    fn check_layout(&self, dir: &Path, is_success: bool, case: &str) {
        let layout = OciLayout::open(dir.join(LAYOUT)).unwrap_or_else(|error| panic!("{case}: {error}"));
        let report = layout.verify(None, &VerifyOptions::default().with_unreachable(), &Ctx::default());
        let report = report.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(report.is_clean(), "{case}: {report:?}");
        let names = layout.tags().unwrap_or_else(|error| panic!("{case}: {error}"));
        let names: BTreeMap<String, Digest> =
            names.iter().map(|tag| (tag.name().to_owned(), tag.descriptor().digest.clone())).collect();
        for (name, digest) in &self.kept {
            let found = names.get(name);
            let may_be_gone = self.dropped.contains(name);
            assert!(found == Some(digest) || (found.is_none() && may_be_gone), "{case}: {name}: {found:?}");
            assert!(!(is_success && may_be_gone && found.is_some()), "{case}: {name} is not dropped");
        }
        for (name, digest) in &self.made {
            let found = names.get(name);
            let is_right = found.is_some() && (digest.is_none() || found == digest.as_ref());
            assert!(is_right || (found.is_none() && !is_success), "{case}: {name}: {found:?}");
        }
        let known = |name: &String| self.kept.contains_key(name) || self.made.contains_key(name);
        assert!(names.keys().all(known), "{case}: {names:?}");
    }

    /// An archive is whole or not there.
    fn check_archive(&self, dir: &Path, is_success: bool, case: &str) {
        if self.program != "save" {
            return;
        }
        let archive = dir.join(ARCHIVE);
        assert!(archive.exists() || !is_success, "{case}: no archive");
        if archive.exists() {
            let to = temp_dir();
            let layout = OciLayout::create(to.path().join("to")).unwrap();
            let file = fs::File::open(archive).unwrap();
            let loaded = layout.load(file, &Default::default(), &Ctx::default());
            assert!(loaded.is_ok(), "{case}: {loaded:?}");
        }
    }
}

/// An image of small layers, that is different for each text.
pub(crate) fn image(store: &FsBlobStore, text: &str, layers: usize) -> Descriptor {
    let mut config = ImageConfig::new(&Platform::default());
    let mut descriptors = Vec::new();
    for number in 0..layers {
        let mut tar = vec![0; 1024];
        tar.extend(format!("{text} {number} ").into_bytes().repeat(200));
        tar.resize(tar.len().next_multiple_of(512), 0);
        let blob = store.put_bytes(&tar).unwrap();
        config.rootfs.diff_ids.push(DiffId::from_digest(blob.digest.clone()));
        descriptors.push(Descriptor::new(MediaType::OciLayer, blob.digest, blob.size));
    }
    let config = Document::new(config).unwrap();
    store.put_document(&config).unwrap();
    let manifest = ImageManifest::new(config.descriptor(MediaType::OciConfig), descriptors);
    let manifest = Document::new(manifest).unwrap();
    store.put_document(&manifest).unwrap();
    manifest.descriptor(MediaType::OciManifest)
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn list(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map_or_else(|_| Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
}

/// Says how much was tried, past what captures the output of tests.
pub(crate) fn tell(what: &str) {
    drop(writeln!(io::stderr(), "{what}"));
}

/// Whether processes can be traced here.
pub(crate) fn may_trace() -> bool {
    if !require_tool("strace") || !require_tool("cp") {
        return false;
    }
    let status = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    let may = status.is_ok_and(|status| status.success());
    if !may {
        skip("processes cannot be traced");
    }
    may
}

fn is_thorough() -> bool {
    env::var_os(ALL_FAULTS).is_some_and(|value| !value.is_empty())
}

/// Lets every call fail in every way, one at a time, on all processors.
fn survive_all(scenario: &Scenario) {
    let mut cases = Vec::new();
    for (call, count) in scenario.counts() {
        let faults = CALLS.iter().find(|(name, _)| *name == call).map_or(&[][..], |(_, faults)| faults);
        for number in 1..=count {
            cases.extend(faults.iter().map(|fault| Case { call, number, fault: *fault }));
        }
    }
    if !is_thorough() {
        cases = cases.into_iter().step_by(7).collect();
    }
    let (cases, came) = (Mutex::new(cases.into_iter()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(case) = cases.lock().unwrap().next() else { return };
                    came.fetch_add(usize::from(scenario.survive(case)), Ordering::Relaxed);
                }
            });
        }
    });
    let came = came.into_inner();
    assert!(came > 0, "{}: no fault came about", scenario.name);
    tell(&format!("{}: {came} faults injected, all survived", scenario.name));
}

#[test]
fn load_survives_every_fault() {
    if may_trace() {
        survive_all(&Scenario::new("load", "load", &["archive.tar", LAYOUT]).making("new:1"));
    }
}

#[test]
fn copy_survives_every_fault() {
    if may_trace() {
        survive_all(&Scenario::new("copy", "copy", &["from:new:1", "layout:copied:1"]).making("copied:1"));
    }
}

#[test]
fn tag_survives_every_fault() {
    if may_trace() {
        survive_all(&Scenario::new("tag", "copy", &["layout:old:1", "layout:tagged:1"]).making("tagged:1"));
    }
}

#[test]
fn put_survives_every_fault() {
    if may_trace() {
        survive_all(&Scenario::new("put", "import", &["tree", "layout:made:1"]).making_anew("made:1"));
    }
}

#[test]
fn save_survives_every_fault() {
    if may_trace() {
        survive_all(&Scenario::new("save", "save", &["from:new:1", ARCHIVE]));
    }
}

#[test]
fn collect_survives_every_fault() {
    if !may_trace() {
        return;
    }
    let mut scenario = Scenario::new("collect", "gc", &[LAYOUT, "--keep-bytes", "8000"]).dropping("old:1");
    let layout = scenario.layout();
    let kept = image(layout.blobs(), "kept", 2);
    layout.tag("kept:1", &kept).unwrap();
    scenario.kept.insert("kept:1".to_owned(), kept.digest);
    image(layout.blobs(), "garbage", 10);
    // Used before the other.
    let old = layout.path().join("blobs/sha256").join(scenario.kept["old:1"].encoded());
    let file = fs::File::open(old).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH)).unwrap();
    survive_all(&scenario);
}

#[test]
fn a_file_that_is_cut_short_at_any_byte_is_survived() {
    if !require_tool("prlimit") || !require_tool("cp") {
        return;
    }
    let scenarios = [
        Scenario::new("load", "load", &["archive.tar", LAYOUT]).making("new:1"),
        Scenario::new("copy", "copy", &["from:new:1", "layout:copied:1"]).making("copied:1"),
        Scenario::new("put", "import", &["tree", "layout:made:1"]).making_anew("made:1"),
        Scenario::new("save", "save", &["from:new:1", ARCHIVE]),
    ];
    let mut count = 0;
    for scenario in &scenarios {
        let step = if is_thorough() { 37 } else { 499 };
        for limit in (0..4000).step_by(step) {
            // Killed at that byte, and told of it.
            for script in [r#"exec "$@""#, r#"trap '' XFSZ; exec "$@""#] {
                let copy = scenario.copy();
                let mut command = Command::new("sh");
                command.args(["-c", script, "sh", "prlimit", &format!("--fsize={limit}"), "--core=0"]);
                command.arg(program::path(scenario.program));
                scenario.prepare(&mut command, copy.path());
                let status = command.status().unwrap();
                let case = format!("{} cut short at {limit}: {status}", scenario.name);
                scenario.check(copy.path(), status.success(), &case);
                count += usize::from(!status.success());
            }
        }
    }
    assert!(count > 0, "nothing was cut short");
    tell(&format!("{count} files cut short, all survived"));
}
