//! The store in a directory: what lies where, and what a directory can do wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[cfg(unix)]
use std::os::unix::{
    fs::{PermissionsExt, symlink},
    net::UnixListener,
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use image_core::{
    Descriptor, Digest, Error, MediaType,
    blob::{BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, Expected, FsBlobStore, FsBlobStoreOptions},
};
#[cfg(unix)]
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use tempfile::TempDir;
#[cfg(unix)]
use test_support::{SmallDisk, require_root, temp_dir, unprivileged};

#[cfg(windows)]
fn temp_dir() -> TempDir {
    TempDir::new().unwrap()
}

fn store() -> (TempDir, FsBlobStore) {
    let dir = temp_dir();
    let store = FsBlobStore::create(dir.path()).unwrap();
    (dir, store)
}

fn descriptor(content: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::OciLayer, Digest::sha256_of(content), content.len() as u64)
}

/// Where the blob of this content belongs; its directory is made.
fn place(store: &FsBlobStore, content: &[u8]) -> PathBuf {
    let dir = store.root().join("blobs/sha256");
    fs::create_dir_all(&dir).unwrap();
    dir.join(Digest::sha256_of(content).encoded())
}

fn count(store: &FsBlobStore) -> usize {
    let mut count = 0;
    store
        .for_each(&mut |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
    count
}

fn ingests(store: &FsBlobStore) -> usize {
    fs::read_dir(store.root().join("ingest")).map_or(0, Iterator::count)
}

#[test]
fn a_store_is_the_blobs_of_a_layout() {
    let (_dir, store) = store();
    store.put_bytes(b"{}").unwrap();
    let place = place(&store, b"{}");
    assert_eq!(fs::File::open(&place).and_then(std::io::read_to_string).unwrap(), "{}");
    #[cfg(unix)]
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o222, 0, "nobody may write to a blob");
    let again = FsBlobStore::open(store.root()).unwrap();
    assert_eq!(again.stat(&Digest::sha256_of(b"{}")).unwrap(), Some(2));
    assert_eq!(again.require(&Digest::sha256_of(b"{}")).unwrap().path(), Some(&*place));
}

#[test]
fn opening_needs_a_root_and_writes_nothing() {
    let dir = temp_dir();
    let missing = dir.path().join("missing");
    let error = FsBlobStore::open(&missing).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
    let store = FsBlobStore::open(dir.path()).unwrap();
    assert_eq!(store.stat(&Digest::sha256_of(b"")).unwrap(), None);
    assert_eq!((count(&store), store.clean_stale_ingests().unwrap()), (0, 0));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn foreign_names_are_passed_over() {
    let (_dir, store) = store();
    store.put_bytes(b"ours").unwrap();
    let sha256 = place(&store, b"").parent().unwrap().to_owned();
    for name in ["README", "ABC", &"g".repeat(64), &"A".repeat(64), &"0".repeat(63), "x.tmp"] {
        fs::write(sha256.join(name), b"not a blob").unwrap();
    }
    fs::create_dir_all(store.root().join("blobs/blake3")).unwrap();
    fs::write(store.root().join("blobs/blake3").join("0".repeat(64)), b"").unwrap();
    fs::write(store.root().join("blobs/sha512"), b"a file where a directory could be").unwrap();
    let error = store.for_each(&mut |_, _| Ok(())).unwrap_err();
    let Error::Io { path, .. } = &error else { panic!("{error}") };
    assert_eq!(path, &store.root().join("blobs/sha512"));
    fs::remove_file(store.root().join("blobs/sha512")).unwrap();
    assert_eq!(count(&store), 1);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_without_blocking() {
    let check = |kind: &str, plant: &dyn Fn(&Path)| {
        let (_dir, store) = store();
        let blob = descriptor(b"planted");
        plant(&place(&store, b"planted"));
        let errors = [
            store.stat(&blob.digest).unwrap_err(),
            store.open(&blob.digest).unwrap_err(),
            store.read_bytes(&blob, 1000).unwrap_err(),
            store.put_bytes(b"planted").unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_corrupt(), "{kind}: {error}");
            assert!(error.to_string().contains(blob.digest.encoded()), "{kind}: {error}");
        }
        assert_eq!((count(&store), ingests(&store)), (0, 0), "{kind}");
    };
    check("directory", &|place| fs::create_dir(place).unwrap());
    check("fifo", &|place| mknodat(CWD, place, FileType::Fifo, Mode::RWXU, 0).unwrap());
    check("link", &|place| symlink("/etc/passwd", place).unwrap());
    check("dangling link", &|place| symlink("nowhere", place).unwrap());
    check("link to itself", &|place| symlink(place.file_name().unwrap(), place).unwrap());
    check("socket", &|place| {
        // A socket's path is short, so it is made elsewhere and moved.
        let short = place.with_file_name("s");
        drop(UnixListener::bind(&short).unwrap());
        fs::rename(short, place).unwrap();
    });
    if require_root() {
        check("device", &|place| {
            mknodat(CWD, place, FileType::CharacterDevice, Mode::RWXU, makedev(1, 5)).unwrap();
        });
    }
}

#[cfg(unix)]
#[test]
fn linked_blobs_are_an_option() {
    let (dir, refusing) = store();
    let options = FsBlobStoreOptions::default().with_symlinked_blobs();
    let following = options.open(dir.path()).unwrap();
    fs::write(dir.path().join("elsewhere"), b"linked").unwrap();
    symlink("../../elsewhere", place(&refusing, b"linked")).unwrap();
    let blob = descriptor(b"linked");
    assert!(refusing.open(&blob.digest).unwrap_err().is_corrupt());
    assert_eq!(following.read_bytes(&blob, 10).unwrap(), &b"linked"[..]);
    assert_eq!((count(&refusing), count(&following)), (0, 1));
    symlink("/dev/zero", place(&refusing, b"device")).unwrap();
    assert!(following.open(&Digest::sha256_of(b"device")).unwrap_err().is_corrupt());
    symlink("loop", place(&refusing, b"").with_file_name("loop")).unwrap();
    symlink("loop", place(&refusing, b"loop")).unwrap();
    assert!(following.stat(&Digest::sha256_of(b"loop")).unwrap_err().is_corrupt());
}

#[cfg(unix)]
#[test]
fn linked_directories_are_not_followed() {
    let (dir, store) = store();
    let outside = temp_dir();
    symlink(outside.path(), dir.path().join("blobs/sha256")).unwrap();
    symlink(outside.path(), dir.path().join("ingest")).unwrap();
    fs::write(outside.path().join("new-0000000000000000"), b"not ours").unwrap();
    assert!(store.put_bytes(b"x").is_err());
    assert!(store.create(&Expected::any()).is_err());
    assert!(store.clean_stale_ingests().is_err());
    fs::remove_file(dir.path().join("ingest")).unwrap();
    let mut writer = store.create(&Expected::any()).unwrap();
    writer.write_all(b"x").unwrap();
    assert!(writer.commit().is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn damage_is_found_by_verified_reads_and_truncation_is_healed() {
    let (_dir, store) = store();
    let (content, blob) = (b"content to be damaged", descriptor(b"content to be damaged"));
    fs::write(place(&store, content), b"content").unwrap();
    let error = store.read_bytes(&blob, 1000).unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { expected: 21, actual: 7, .. }), "{error}");
    assert!(store.open_verified(&blob).unwrap_err().is_corrupt());
    assert!(!store.put_bytes(content).unwrap().already_present, "a short blob is written anew");
    assert_eq!(store.read_bytes(&blob, 1000).unwrap(), &content[..]);

    fs::remove_file(place(&store, content)).unwrap();
    fs::write(place(&store, content), b"content to be DAMAGED").unwrap();
    let error = store.read_bytes(&blob, 1000).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

#[test]
fn a_file_that_changes_under_a_handle_is_noticed() {
    let (_dir, store) = store();
    let (content, blob) = (b"0123456789", descriptor(b"0123456789"));
    fs::write(place(&store, content), content).unwrap();
    let mut verified = store.open_verified(&blob).unwrap();
    let handle = store.require(&blob.digest).unwrap();
    fs::write(place(&store, content), b"0123").unwrap();
    assert!(verified.drain().unwrap_err().is_corrupt());
    assert!(handle.map().is_err(), "a truncated file is not mapped");
    fs::write(place(&store, content), b"0123456789 and more").unwrap();
    assert_eq!(std::io::read_to_string(handle).unwrap(), "0123456789", "a blob is as long as when opened");
}

#[test]
fn a_blob_that_vanishes_under_a_writer_is_not_found() {
    let (_dir, store) = store();
    let blob = store.put_bytes(b"fleeting").unwrap();
    let mut writer = store.create(&Expected::sized(blob.digest.clone(), 8)).unwrap();
    assert_eq!(ingests(&store), 0, "a blob that is there is not written again");
    writer.write_all(b"fleeting").unwrap();
    store.remove(&blob.digest).unwrap();
    assert!(writer.commit().unwrap_err().is_not_found());
}

#[test]
fn living_writers_are_not_cleaned_away() {
    let (dir, store) = store();
    let mut writer = store.create(&Expected::any()).unwrap();
    writer.write_all(b"alive").unwrap();
    fs::write(dir.path().join("ingest/new-00000000deadbeef"), b"left by the dead").unwrap();
    fs::write(dir.path().join("ingest/other"), b"not ours").unwrap();
    assert_eq!(ingests(&store), 3);
    assert_eq!(FsBlobStore::open(dir.path()).unwrap().clean_stale_ingests().unwrap(), 1);
    writer.commit().unwrap();
    assert_eq!((count(&store), ingests(&store)), (1, 1));

    fs::write(dir.path().join("ingest/new-00000000deadbeef"), b"left by the dead").unwrap();
    store.put_bytes(b"by an old handle").unwrap();
    assert_eq!(ingests(&store), 2, "a handle cleans once");
    FsBlobStore::open(dir.path()).unwrap().put_bytes(b"by a new handle").unwrap();
    assert_eq!(ingests(&store), 1, "the first writer of a new handle cleans");
}

#[cfg(unix)]
#[test]
fn a_read_only_store_is_read_and_denies_writing() {
    let (dir, store) = store();
    let blob = store.put_bytes(b"readable").unwrap();
    for path in ["", "blobs", "blobs/sha256", "ingest"] {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(0o555)).unwrap();
    }
    unprivileged(|| {
        let store = FsBlobStore::open(dir.path()).unwrap();
        assert_eq!(store.stat(&blob.digest).unwrap(), Some(8));
        assert!(store.put_bytes(b"readable").unwrap().already_present);
        let error = store.put_bytes(b"new").unwrap_err();
        assert!(error.is_denied(), "{error}");
        assert!(error.to_string().contains("ingest"), "{error}");
        assert!(store.remove(&blob.digest).unwrap_err().is_denied());
    });
    for path in ["", "blobs", "blobs/sha256", "ingest"] {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_leaves_the_store_clean() {
    let Some(disk) = SmallDisk::mount(1 << 20) else { return };
    let store = FsBlobStore::create(disk.path().join("store")).unwrap();
    let kept = store.put_bytes(&[1; 1000]).unwrap();
    for _ in 0..3 {
        let error = store.put_bytes(&vec![2; 2 << 20]).unwrap_err();
        let Error::Io { path, source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
        assert!(path.starts_with(store.root()), "{error}");
        assert_eq!((count(&store), ingests(&store)), (1, 0));
    }
    assert_eq!(store.stat(&kept.digest).unwrap(), Some(1000));
    // A process that another test is just starting has a copy of our open files until its exec,
    // and so keeps the space of a removed one for a moment.
    let frees_space = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        store.put_bytes(&vec![3; 500 << 10]).is_ok()
    });
    assert!(frees_space, "what was discarded does not take up the disk");
}

const INGEST_ROOT: &str = "TEST_INGEST_ROOT";

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "run and killed by another test"]
fn ingest_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "how the parent tells its child where to write")]
    let Some(root) = std::env::var_os(INGEST_ROOT) else { return };
    let store = FsBlobStore::open(PathBuf::from(root)).unwrap();
    for seed in std::process::id().. {
        let mut writer = store.create(&Expected::any()).unwrap();
        for block in 0..64_u32 {
            writer.write_all(&seed.wrapping_add(block).to_le_bytes().repeat(4096)).unwrap();
        }
        writer.commit().unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_no_half_blob_and_no_garbage() {
    let (dir, store) = store();
    let mut stale = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "blob_fs::ingest_until_killed", "--ignored"])
            .env(INGEST_ROOT, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let before = count(&store);
        while count(&store) == before {
            assert!(child.try_wait().unwrap().is_none(), "the child writes until it is killed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();

        let found = ingests(&store);
        assert!(found <= 1, "garbage does not pile up: the child before cleaned");
        stale += found;
        store
            .for_each(&mut |digest, size| {
                let blob = Descriptor::new(MediaType::OciLayer, digest.clone(), size);
                assert_eq!(size, 64 * 16384, "half a blob is visible");
                store.read_bytes(&blob, size).map(drop)
            })
            .unwrap();
    }
    assert!(stale > 0, "no child was killed while it was writing");
    FsBlobStore::open(dir.path()).unwrap().put_bytes(b"next").unwrap();
    assert_eq!(ingests(&store), 0, "the next writer cleaned");
}
