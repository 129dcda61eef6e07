//! What is known of files that did not change: never wrong, and worth something.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool, atomic::Ordering},
    thread,
    time::Duration,
};

use image_build::{BuildContext, Error, FileFingerprint, Ignore, ModePolicy, StatCache};
use image_core::{Ctx, Digest, Event, hasher::Sha256, observer::TaskKind};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use test_support::{SmallDisk, TempDir, require_tool, temp_dir};

/// What a context comes to: all of it, and each file.
#[derive(Debug, Clone, PartialEq)]
struct Fingerprint {
    digest: Digest,
    files: Vec<FileFingerprint>,
}

/// A context and a cache of what is known of it.
struct Files {
    directory: TempDir,
}

/// How much older than the moment of reading a file has to be, to be remembered.
const SAFE_AGE: Duration = Duration::from_millis(3100);

impl Files {
    fn new(count: usize) -> Self {
        let this = Self { directory: temp_dir() };
        fs::create_dir(this.path("")).unwrap();
        for n in 0..count {
            this.write(&format!("d{}/f{n:02}", n % 3), format!("content {n:02}"));
        }
        this
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("context").join(path)
    }

    fn cache_directory(&self) -> PathBuf {
        self.directory.path().join("stat")
    }

    /// The file that holds what is known.
    fn cache_file(&self) -> PathBuf {
        let mut files = fs::read_dir(self.cache_directory()).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.is_file()).expect("something is known")
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn context(&self) -> BuildContext {
        BuildContext::open(self.path(""), Ignore::for_context(self.path("")).unwrap()).unwrap()
    }

    /// The fingerprint of everything, and how many files were read for it.
    fn fingerprint(&self) -> (Fingerprint, usize) {
        fingerprint_of(&self.context(), Some(&StatCache::open(self.cache_directory()).unwrap()))
    }

    /// The fingerprint by one who knows nothing, and has listed the files before they are read.
    fn truth(&self) -> Fingerprint {
        let context = self.context();
        let nothing = context.fingerprint(&["no-such-*"], None, &Ctx::default());
        assert_eq!(nothing.unwrap().file_count, 0);
        fingerprint_of(&context, None).0
    }
}

/// The fingerprint of everything, and how many files were read for it.
fn fingerprint_of(context: &BuildContext, cache: Option<&StatCache>) -> (Fingerprint, usize) {
    // Files that are read as they are found are counted as they come.
    let read = Arc::new(Mutex::new(0));
    let (seen, reading) = (Arc::clone(&read), Mutex::new(None));
    let observer = move |event: &Event<'_>| match event {
        Event::Begin { task, kind: TaskKind::Fingerprint, label, .. } => {
            if let Some((count, _)) = label.split_once(" files of ") {
                *seen.lock().unwrap() += count.parse::<usize>().unwrap();
            } else if label.starts_with("read ") {
                *reading.lock().unwrap() = Some(*task);
            }
        }
        Event::Advance { task, items, .. } if *reading.lock().unwrap() == Some(*task) => {
            *seen.lock().unwrap() += usize::try_from(*items).unwrap();
        }
        _ => {}
    };
    let ctx = Ctx::default().with_observer(Arc::new(observer));
    let all = context.fingerprint(&["."], cache, &ctx).unwrap();
    let files = context.file_fingerprints(&["."], cache, &ctx).unwrap();
    assert_eq!(all.file_count, files.len());
    let read = *read.lock().unwrap();
    (Fingerprint { digest: all.digest, files }, read)
}

fn set_times_of(path: &Path, other: &fs::Metadata) {
    File::options().write(true).open(path).unwrap().set_modified(other.modified().unwrap()).unwrap();
}

/// Other content of the same length, in place, with the time of modification put back.
fn rewrite_unseen(path: &Path) {
    let before = fs::metadata(path).unwrap();
    fs::write(path, "x".repeat(usize::try_from(before.len()).unwrap())).unwrap();
    set_times_of(path, &before);
}

/// The same by another file under the same name.
fn replace_unseen(path: &Path) {
    let before = fs::metadata(path).unwrap();
    let other = path.with_extension("new");
    fs::write(&other, "y".repeat(usize::try_from(before.len()).unwrap())).unwrap();
    set_times_of(&other, &before);
    fs::rename(&other, path).unwrap();
}

/// The same by a new file, which may well have the old one's inode.
fn remake_unseen(path: &Path) {
    let before = fs::metadata(path).unwrap();
    for _ in 0..50 {
        fs::remove_file(path).unwrap();
        fs::write(path, "z".repeat(usize::try_from(before.len()).unwrap())).unwrap();
        set_times_of(path, &before);
        if fs::metadata(path).unwrap().ino() == before.ino() {
            break;
        }
    }
}

#[test]
fn without_a_cache_all_is_read_each_time() {
    let files = Files::new(30);
    let truth = files.truth();
    for _ in 0..2 {
        assert_eq!(fingerprint_of(&files.context(), None), (truth.clone(), 30));
    }
    let (context, cache) = (files.context(), StatCache::open(files.cache_directory()).unwrap());
    assert_eq!(fingerprint_of(&context, None), (truth.clone(), 30));
    assert_eq!(fingerprint_of(&context, Some(&cache)), (truth.clone(), 0), "it is known to who read it");
    assert_eq!(files.fingerprint(), (truth, 30), "and to nobody else");
}

#[test]
fn what_did_not_change_is_not_read_again_and_every_change_is_seen() {
    let files = Files::new(30);
    let (first, read) = files.fingerprint();
    assert_eq!(read, 30, "all is read the first time");
    assert_eq!(first.files.len(), 30);
    let several = files.context().fingerprint(&["d0", "d0/f00", "d1"], None, &Ctx::default()).unwrap();
    assert_eq!(several.file_count, 20, "a file that two sources take is counted once");
    assert_eq!(first.files[0].path, b"d0/f00");
    assert_eq!(first.files[0].digest(), Digest::sha256_of(b"content 00"));
    thread::sleep(SAFE_AGE);
    assert_eq!(files.fingerprint(), (first.clone(), 30), "what is too young is read again");
    assert_eq!(files.fingerprint(), (first.clone(), 0), "what is old enough is known");
    assert_eq!(files.fingerprint(), (first.clone(), 0), "and stays known");

    let check = |name: &str, read: usize, edit: &dyn Fn()| {
        let before = files.fingerprint().0;
        edit();
        let (after, count) = files.fingerprint();
        assert_eq!(after, files.truth(), "{name}");
        assert_eq!(after.digest == before.digest, read == 0, "{name}: a change is seen");
        assert!(count >= read, "{name}: {count} files read");
    };
    check("nothing", 0, &|| ());
    check("content of the same size and time", 1, &|| rewrite_unseen(&files.path("d0/f03")));
    check("another file of the same size and time", 1, &|| replace_unseen(&files.path("d1/f04")));
    check("an inode that is used again", 1, &|| remake_unseen(&files.path("d2/f05")));
    check("a file moved over another", 1, &|| fs::rename(files.path("d0/f06"), files.path("d1/f07")).unwrap());
    check("two files that change places", 1, &|| {
        fs::rename(files.path("d2/f08"), files.path("other")).unwrap();
        fs::rename(files.path("d0/f09"), files.path("d2/f08")).unwrap();
        fs::rename(files.path("other"), files.path("d0/f09")).unwrap();
    });
    check("more content", 1, &|| {
        File::options().append(true).open(files.path("d1/f10")).unwrap().write_all(b"+").unwrap();
    });
    check("a new file", 1, &|| files.write("d1/new", "new"));
    thread::sleep(SAFE_AGE);
    let before = files.fingerprint().0.digest;
    symlink("f12", files.path("d0/link")).unwrap();
    let (after, read) = files.fingerprint();
    assert_eq!((after.digest == before, after == files.truth(), read), (false, true, 0), "a link is not read");
}

#[test]
fn an_edit_in_the_same_moment_is_seen() {
    let files = Files::new(3);
    for round in 0..200 {
        let content = format!("{round:08}");
        files.write("d0/f00", &content);
        let (found, _) = files.fingerprint();
        assert_eq!(found.files[0].digest(), Digest::sha256_of(content.as_bytes()), "round {round}");
    }
}

#[test]
fn a_fifo_is_refused_where_it_is_taken_though_all_files_are_known() {
    let files = Files::new(2);
    thread::sleep(SAFE_AGE);
    files.fingerprint();
    mknodat(CWD, files.path("d0/pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let cache = StatCache::open(files.cache_directory()).unwrap();
    let look = |source: &str| files.context().fingerprint(&[source], Some(&cache), &Ctx::default());
    assert!(matches!(look(".").unwrap_err(), Error::SpecialFile { path, .. } if path == "/d0/pipe"));
    assert_eq!(look("d1").unwrap().file_count, 1);
}

#[test]
fn what_is_damaged_or_from_the_future_is_discarded_whole() {
    let files = Files::new(8);
    thread::sleep(SAFE_AGE);
    let (truth, _) = files.fingerprint();
    assert_eq!(files.fingerprint(), (truth.clone(), 0));
    let mut whole = Vec::new();
    File::open(files.cache_file()).unwrap().read_to_end(&mut whole).unwrap();
    let check = |name: &str, bytes: &[u8]| {
        fs::write(files.cache_file(), bytes).unwrap();
        assert_eq!(files.fingerprint(), (truth.clone(), 8), "{name}: nothing is believed");
        assert_eq!(files.fingerprint(), (truth.clone(), 0), "{name}: and then all is known again");
    };
    for at in [0, 18, 19, 31, 60, 90, whole.len() - 33, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        check(&format!("byte {at}"), &damaged);
    }
    for length in [0, 1, 31, 40, whole.len() - 81, whole.len() - 1] {
        check(&format!("cut at {length}"), &whole[..length]);
    }
    check("more at the end", &[&whole[..], b"0"].concat());
    // Whole, but begun at a time that the clock has yet to reach: it was set back since.
    let mut future = whole[..whole.len() - 32].to_vec();
    future[19..27].copy_from_slice(&i64::MAX.to_be_bytes());
    let mut hasher = Sha256::default();
    hasher.update(&future);
    future.extend_from_slice(&hasher.finish());
    check("a clock set back", &future);
}

#[test]
fn files_that_change_all_the_time_are_right_once_they_hold_still() {
    let files = Files::new(12);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u32.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                files.write(&format!("d0/f{:02}", (round * 3) % 12), format!("round {round:010}"));
            }
        });
        for _ in 0..30 {
            let context = files.context();
            let cache = StatCache::open(files.cache_directory()).unwrap();
            if let Err(error) = context.fingerprint(&["."], Some(&cache), &Ctx::default()) {
                assert!(error.to_string().contains("changes while the build reads it"), "{error}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(files.fingerprint().0, files.truth());
}

#[test]
fn files_are_the_same_whether_they_are_read_as_they_are_found_or_later() {
    let files = Files::new(30);
    // More names than one thread looks at together, with directories, links and other names of files among them.
    for n in 0..1300 {
        let path = format!("big/n{n:04}");
        match n % 9 {
            0 => files.write(&format!("{path}/in/it"), format!("{n}")),
            1 => symlink("n0002", files.path(&path)).unwrap(),
            2 => fs::hard_link(files.path(&format!("d{}/f{:02}", n % 3, n % 3)), files.path(&path)).unwrap(),
            3 => fs::hard_link(files.path(&format!("big/n{:04}/in/it", n - 3)), files.path(&path)).unwrap(),
            _ => files.write(&path, "x".repeat(n)),
        }
    }
    let names = rustix::fs::XattrFlags::empty();
    for path in ["big/n0004", "big/n0003", "d0/f00"] {
        // Where the file system keeps none, there are none to be compared.
        let _ = rustix::fs::setxattr(files.path(path), "user.note", path.as_bytes(), names);
    }
    files.write(".dockerignore", "big/n01*\n!big/n0108\n!big/n0109/in\nd1\n!d1/f01\n");
    let truth = files.truth();
    let inodes: BTreeSet<_> = truth
        .files
        .iter()
        .map(|file| fs::metadata(files.path(str::from_utf8(&file.path).unwrap())).unwrap().ino())
        .collect();
    for _ in 0..20 {
        let (found, read) = fingerprint_of(&files.context(), None);
        assert_eq!((found == truth, read), (true, inodes.len()));
    }
    // What cannot be read is an error only where it is taken, and then names its path.
    let secret = files.path("d2/f05");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let state = temp_dir();
    for directory in [state.path(), files.directory.path()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let (error, others) = test_support::unprivileged(|| {
        let cache = StatCache::open(state.path().join("stat")).unwrap();
        let all = files.context().fingerprint(&["."], Some(&cache), &Ctx::default());
        (all.unwrap_err(), files.context().fingerprint(&["big"], Some(&cache), &Ctx::default()))
    });
    assert!(error.is_denied(), "{error}");
    assert!(error.to_string().contains("d2/f05"), "{error}");
    others.unwrap();
}

#[test]
fn extended_attributes_count_and_are_not_forgotten() {
    let files = Files::new(4);
    let set = |path: &str, value: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(files.path(path), "user.note", value, flags)
    };
    if set("d0/f00", b"1").is_err() {
        return test_support::skip("the file system of the tests keeps no extended attributes");
    }
    let plain = files.truth();
    thread::sleep(SAFE_AGE);
    files.fingerprint();
    assert_eq!(files.fingerprint(), (plain.clone(), 1), "attributes are looked up, content is known");
    let mut seen = vec![plain.digest];
    for (path, value) in [("d0/f00", &b"2"[..]), ("d1", b"of a directory"), ("d1", b"another")] {
        set(path, value).unwrap();
        let (found, _) = files.fingerprint();
        assert_eq!(found, files.truth());
        assert!(!seen.contains(&found.digest), "{path} has another attribute");
        seen.push(found.digest);
    }
}

#[test]
fn modes_are_exact_or_those_that_git_keeps() {
    let files = Files::new(3);
    files.write("run", "#!/bin/sh");
    let digests = |umask: u32| {
        let mode = |path: &str, mode: u32| {
            fs::set_permissions(files.path(path), fs::Permissions::from_mode(mode & !umask)).unwrap();
        };
        ["d0/f00", "d1/f01", "d2/f02"].iter().for_each(|path| mode(path, 0o666));
        ["d0", "d1", "d2", "", "run"].iter().for_each(|path| mode(path, 0o777));
        let of = |modes| {
            let context = files.context().with_modes(modes);
            fingerprint_of(&context, None).0.digest
        };
        (of(ModePolicy::Exact), of(ModePolicy::Git))
    };
    let (strict, lax) = (digests(0o077), digests(0o002));
    assert_ne!(strict.0, lax.0, "exact modes are another under another umask");
    assert_eq!(strict.1, lax.1, "git's are not");
    let git = |files: &Files| fingerprint_of(&files.context().with_modes(ModePolicy::Git), None).0.digest;
    fs::set_permissions(files.path("d0/f00"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_ne!(git(&files), lax.1, "whether a file is executable counts");
}

/// A context is listed once: what comes in the place of a file before it is read is not taken for it.
#[test]
fn what_is_no_file_any_more_when_it_is_read_is_named() {
    let files = Files::new(2);
    let cache = StatCache::open(files.cache_directory()).unwrap();
    type Replacement = (&'static str, fn(&Path));
    let replacements: [Replacement; 3] = [
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("a fifo", |path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap()),
        ("a symlink", |path| symlink("f01", path).unwrap()),
    ];
    for (what, make) in replacements {
        files.write("d0/f00", "content 00");
        let context = files.context();
        let look = |source: &str| context.fingerprint(&[source], Some(&cache), &Ctx::default());
        look("d1/f01").unwrap();
        let path = files.path("d0/f00");
        fs::remove_file(&path).unwrap();
        make(&path);
        let error = look("d0/f00").unwrap_err();
        assert!(error.to_string().contains("d0/f00"), "{what}: {error}");
        assert_eq!(matches!(error, Error::Changed { .. }), what != "a symlink", "{what}: {error}");
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
    }
    // A file that is another one by then is taken as it is, and that it was is not kept.
    for content in ["content", "other content", "longer content 00"] {
        files.write("d0/f00", "content 00");
        let context = files.context();
        let look = |source: &str| context.file_fingerprints(&[source], Some(&cache), &Ctx::default()).unwrap();
        look("d1/f01");
        files.write("d0/f00", content);
        assert_eq!(look("d0/f00")[0].digest(), Digest::sha256_of(content.as_bytes()));
        assert_eq!(files.fingerprint().0, files.truth());
    }
}

#[test]
fn an_image_in_the_place_of_another_is_another_tree() {
    if !require_tool("mksquashfs") {
        return;
    }
    let files = Files::new(0);
    let cache = StatCache::open(files.cache_directory()).unwrap();
    let mut digests = Vec::new();
    for content in ["one", "two", "six"] {
        files.write("file", content);
        let image = files.path("../image");
        // All times are one, whatever is in the files.
        let mut make = std::process::Command::new("mksquashfs");
        make.arg(files.path("")).arg(&image).args(["-noappend", "-quiet", "-no-progress", "-all-time", "1000000000"]);
        assert!(make.stdout(std::process::Stdio::null()).status().unwrap().success());
        let Some(disk) = SmallDisk::of_image(&image) else { return };
        let context = BuildContext::open(disk.path(), Ignore::default()).unwrap();
        for _ in 0..2 {
            digests.push(fingerprint_of(&context, Some(&cache)).0.files.remove(0).digest());
        }
    }
    let expected = ["one", "one", "two", "two", "six", "six"].map(|content| Digest::sha256_of(content.as_bytes()));
    assert_eq!(digests, expected);
}
