//! Copying between stores on one file system.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs::{self, File, FileTimes, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use image_core::{
    CancelToken, Ctx, Descriptor, Digest, MediaType, Timestamp,
    blob::{BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, FsBlobStore, FsBlobStoreOptions, Sharing},
};
use test_support::{DiskImage, SmallDisk, TempDir, require_tool, temp_dir, tool};

fn store(options: FsBlobStoreOptions) -> (TempDir, FsBlobStore) {
    let dir = temp_dir();
    let store = options.create(dir.path()).unwrap();
    (dir, store)
}

fn content() -> Vec<u8> {
    (0..700_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect()
}

fn put(store: &FsBlobStore, content: &[u8]) -> Descriptor {
    let blob = store.put_bytes(content).unwrap();
    Descriptor::new(MediaType::OciLayer, blob.digest, blob.size)
}

fn place(store: &FsBlobStore, digest: &Digest) -> PathBuf {
    store.root().join("blobs/sha256").join(digest.encoded())
}

fn inode(store: &FsBlobStore, digest: &Digest) -> u64 {
    fs::metadata(place(store, digest)).unwrap().ino()
}

fn ingests(store: &FsBlobStore) -> usize {
    fs::read_dir(store.root().join("ingest")).map_or(0, Iterator::count)
}

#[test]
fn a_read_only_file_of_our_own_is_shared_or_copied_as_chosen() {
    let (_from, from) = store(FsBlobStoreOptions::default());
    let blob = put(&from, &content());
    for sharing in [Sharing::HardLink, Sharing::Reflink, Sharing::Never] {
        let (_to, to) = store(FsBlobStoreOptions::default().with_sharing(sharing));
        assert!(!to.copy_from(&from, &blob, &Ctx::default()).unwrap().already_present);
        assert_eq!(to.read_bytes(&blob, blob.size).unwrap(), content(), "{sharing:?}");
        assert_eq!(ingests(&to), 0, "{sharing:?}");
        // A file system with reflinks gives one to both, and no hard link to any.
        let is_one = inode(&from, &blob.digest) == inode(&to, &blob.digest);
        assert!(!is_one || sharing == Sharing::HardLink, "{sharing:?}");
        to.remove(&blob.digest).unwrap();
        assert_eq!(from.read_bytes(&blob, blob.size).unwrap(), content(), "each has a name of its own");
        assert!(!to.batch().unwrap().copy_from(&from, &blob, &Ctx::default()).unwrap().already_present);
    }
}

/// Whether two stores have one content between them: all of a file's extents are shared.
fn is_shared(store: &FsBlobStore, digest: &Digest) -> bool {
    let mut filefrag = Command::new("filefrag");
    let extents = tool::run(filefrag.arg("-v").arg(place(store, digest)));
    extents.lines().filter(|line| line.contains(':')).any(|line| line.contains("shared"))
}

#[test]
fn on_a_file_system_with_reflinks_content_is_shared_and_files_are_not() {
    if !require_tool("filefrag") {
        return;
    }
    for file_system in ["xfs", "btrfs"] {
        let Some(disk) = DiskImage::mount(file_system) else { continue };
        check_reflinks(&disk.path());
    }
}

fn check_reflinks(disk: &Path) {
    let from = FsBlobStore::create(disk.join("from")).unwrap();
    let blob = put(&from, &content());
    for (sharing, name) in [(Sharing::HardLink, "first"), (Sharing::Reflink, "second"), (Sharing::Never, "third")] {
        let is_wanted = sharing != Sharing::Never;
        let to = FsBlobStoreOptions::default().with_sharing(sharing).create(disk.join(name)).unwrap();
        let committed = to.copy_from(&from, &blob, &Ctx::default()).unwrap();
        assert!(!committed.already_present);
        assert_ne!(inode(&from, &blob.digest), inode(&to, &blob.digest), "{sharing:?}");
        assert_eq!(is_shared(&to, &blob.digest), is_wanted, "{sharing:?} on {}", disk.display());
        assert_eq!((to.read_bytes(&blob, blob.size).unwrap(), ingests(&to)), (content().into(), 0), "{sharing:?}");
        // Within a batch too; what came before goes, and takes nothing with it.
        to.remove(&blob.digest).unwrap();
        let batch = to.batch().unwrap();
        batch.copy_from(&from, &blob, &Ctx::default()).unwrap();
        batch.commit().unwrap();
        assert_eq!(is_shared(&to, &blob.digest), is_wanted, "{sharing:?} in a batch on {}", disk.display());
        assert_eq!(from.read_bytes(&blob, blob.size).unwrap(), content());
    }
    // A wrong content is not taken over.
    let (right, wrong) = (put(&from, b"right"), disk.join("wrong"));
    fs::write(&wrong, b"wrong").unwrap();
    fs::rename(&wrong, place(&from, &right.digest)).unwrap();
    let to = FsBlobStore::create(disk.join("fourth")).unwrap();
    assert!(to.copy_from(&from, &right, &Ctx::default()).unwrap_err().is_corrupt());
    assert_eq!((to.stat(&right.digest).unwrap(), ingests(&to)), (None, 0));
}

#[test]
fn on_a_file_system_without_reflinks_a_link_is_made() {
    // tmpfs has hard links only.
    let Some(disk) = SmallDisk::mount(1 << 20) else { return };
    let from = FsBlobStore::create(disk.path().join("from")).unwrap();
    let to = FsBlobStore::create(disk.path().join("to")).unwrap();
    let blob = put(&from, &content());
    to.copy_from(&from, &blob, &Ctx::default()).unwrap();
    assert_eq!(inode(&from, &blob.digest), inode(&to, &blob.digest), "a second copy would not have fitted");
    let batch = to.batch().unwrap();
    assert!(batch.copy_from(&from, &blob, &Ctx::default()).unwrap().already_present);
    batch.commit().unwrap();
}

#[test]
fn documents_have_a_time_of_use_in_each_store() {
    // tmpfs has hard links only.
    let Some(disk) = SmallDisk::mount(1 << 20) else { return };
    let from = FsBlobStore::create(disk.path().join("from")).unwrap();
    let to = FsBlobStore::create(disk.path().join("to")).unwrap();
    let document = put(&from, b"{}");
    to.copy_from(&from, &document, &Ctx::default()).unwrap();
    let long_ago = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
    File::open(place(&to, &document.digest)).unwrap().set_times(long_ago).unwrap();
    assert!(from.renew(&document.digest, document.size).unwrap());
    assert_eq!(to.last_used(&document.digest).unwrap(), Some(Timestamp::UNIX_EPOCH), "it was used in the other store");
}

#[test]
fn a_file_that_somebody_may_write_to_is_copied() {
    let (_from, from) = store(FsBlobStoreOptions::default());
    let blob = put(&from, &content());
    let (_to, to) = store(FsBlobStoreOptions::default());
    fs::set_permissions(place(&from, &blob.digest), Permissions::from_mode(0o644)).unwrap();
    to.copy_from(&from, &blob, &Ctx::default()).unwrap();
    assert_ne!(inode(&from, &blob.digest), inode(&to, &blob.digest));
    assert_eq!(to.read_bytes(&blob, blob.size).unwrap(), content());
}

#[test]
fn what_is_shared_is_verified() {
    let (_from, from) = store(FsBlobStoreOptions::default());
    let (right, mut wrong) = (content(), content());
    wrong[650_000] ^= 1;
    let blob = put(&from, &right);
    let place = place(&from, &blob.digest);
    fs::remove_file(&place).unwrap();
    fs::write(&place, &wrong).unwrap();
    fs::set_permissions(&place, Permissions::from_mode(0o444)).unwrap();
    let (_to, to) = store(FsBlobStoreOptions::default());
    let error = to.copy_from(&from, &blob, &Ctx::default()).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    assert_eq!((to.stat(&blob.digest).unwrap(), ingests(&to)), (None, 0));
}

#[test]
fn sharing_can_be_cancelled() {
    let (_from, from) = store(FsBlobStoreOptions::default());
    let blob = put(&from, &content());
    let (_to, to) = store(FsBlobStoreOptions::default());
    let cancel = CancelToken::default();
    let other = cancel.clone();
    let ctx =
        Ctx::default().with_cancel(cancel).with_observer(std::sync::Arc::new(move |event: &image_core::Event<'_>| {
            if matches!(event, image_core::Event::Advance { .. }) {
                other.cancel();
            }
        }));
    assert!(to.copy_from(&from, &blob, &ctx).unwrap_err().is_cancelled());
    assert_eq!((to.stat(&blob.digest).unwrap(), ingests(&to)), (None, 0));
}
