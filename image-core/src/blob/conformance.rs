//! The suite that every blob store must pass.
//!
//! Each check takes a store, empty unless it says otherwise, and panics where the store breaks the
//! contract of [`BlobStore`], in words that say how. [`check_all`] runs all of them:
//!
//! ```
//! use image_core::blob::{MemoryBlobStore, conformance};
//! conformance::check_all(&|| Box::new(MemoryBlobStore::default()));
//! ```
#![expect(clippy::missing_panics_doc, reason = "panicking is how a check fails, as said above")]

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom, Write},
    thread,
};

use super::{BlobSourceExt, BlobStore, BlobStoreExt, Committed, Expected, MemoryBlobStore};
use crate::{
    ctx::Ctx,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, Result},
    hasher::Hasher,
    media_type::MediaType,
};

/// Runs every check, each on a new and empty store.
pub fn check_all(make: &dyn Fn() -> Box<dyn BlobStore>) {
    let checks: [fn(&dyn BlobStore); 23] = [
        absent_blobs_are_none,
        commits_make_visible,
        dropped_writers_leave_nothing,
        mismatches_leave_nothing,
        overlong_writes_fail,
        commits_are_idempotent,
        present_blobs_are_still_verified,
        writers_may_race,
        handles_survive_removal,
        handles_read_and_seek,
        handles_map,
        visits_are_complete,
        visitors_may_remove,
        sha512_blobs_are_kept,
        unsupported_algorithms_are_refused,
        empty_blobs_are_blobs,
        large_blobs_are_copied,
        renewing_tells_what_is_there,
        batches_become_visible,
        batches_that_are_dropped_leave_whole_blobs,
        batches_verify,
        writers_outlive_their_batch,
        adopted_blobs_are_verified,
    ];
    for check in checks {
        check(&*make());
    }
}

/// A blob that is not there is no error.
pub fn absent_blobs_are_none(store: &dyn BlobStore) {
    let digest = Digest::sha256_of(b"absent");
    assert_eq!(ok(store.stat(&digest), "stat of an absent blob"), None, "an absent blob has no size");
    assert!(ok(store.open(&digest), "open of an absent blob").is_none(), "an absent blob does not open");
    assert!(!ok(store.remove(&digest), "remove of an absent blob"), "an absent blob was not there to be removed");
    assert!(list(store).is_empty(), "a new store has no blobs");
    assert!(err(store.require(&digest), "require of an absent blob").is_not_found(), "the error says: not found");
}

/// A blob is there after its commit, and not before, whatever its writer knew beforehand.
pub fn commits_make_visible(store: &dyn BlobStore) {
    for (content, expected) in [
        (&b"any"[..], Expected::any()),
        (b"digest", Expected::of(Digest::sha256_of(b"digest"))),
        (b"sized", Expected::sized(Digest::sha256_of(b"sized"), 5)),
    ] {
        let digest = Digest::sha256_of(content);
        let mut writer = ok(store.create(&expected), "create");
        ok(writer.write_all(content), "write");
        ok(writer.flush(), "flush");
        assert_eq!(ok(store.stat(&digest), "stat"), None, "nothing is visible before the commit");
        assert!(!list(store).contains_key(&digest), "nothing is listed before the commit");
        let committed = ok(writer.commit(), "commit");
        assert_eq!(committed, Committed::new(digest.clone(), content.len() as u64, false), "what commit tells");
        assert_eq!(ok(store.stat(&digest), "stat"), Some(content.len() as u64), "the size after the commit");
        assert_eq!(read(store, &digest), content, "the content after the commit");
    }
}

/// A writer that is dropped leaves nothing.
pub fn dropped_writers_leave_nothing(store: &dyn BlobStore) {
    let mut writer = ok(store.create(&Expected::any()), "create");
    ok(writer.write_all(b"dropped"), "write");
    drop(writer);
    assert!(list(store).is_empty(), "a dropped writer leaves nothing");
}

/// Content of another digest or size than expected is corrupt, and is not kept.
pub fn mismatches_leave_nothing(store: &dyn BlobStore) {
    let digest = Digest::sha256_of(b"expected");
    for (content, expected) in [
        (&b"written!"[..], Expected::of(digest.clone())),
        (b"written!", Expected::sized(digest.clone(), 8)),
        (b"short", Expected::sized(digest.clone(), 8)),
        (b"", Expected::sized(digest.clone(), 8)),
    ] {
        let mut writer = ok(store.create(&expected), "create");
        ok(writer.write_all(content), "write");
        let error = err(writer.commit(), "commit of unexpected content");
        assert!(error.is_corrupt(), "unexpected content is corrupt, not: {error}");
        assert!(list(store).is_empty(), "unexpected content leaves nothing");
    }
}

/// The first byte past the expected size is refused, and so is the commit after it.
pub fn overlong_writes_fail(store: &dyn BlobStore) {
    let mut writer = ok(store.create(&Expected::sized(Digest::sha256_of(b"1234"), 4)), "create");
    ok(writer.write_all(b"1234"), "write of the expected size");
    let error = err(writer.write_all(b"5"), "write past the expected size");
    let error = Error::stream("write", error);
    assert!(matches!(error, Error::SizeMismatch { expected: 4, actual: 5, .. }), "the size is wrong, not: {error}");
    assert!(err(writer.commit(), "commit of too much").is_corrupt(), "the commit fails as the write did");
    assert!(list(store).is_empty(), "too much leaves nothing");
}

/// Writing what is there succeeds and changes nothing.
pub fn commits_are_idempotent(store: &dyn BlobStore) {
    let first = ok(store.put_bytes(b"twice"), "first put");
    for expected in [Expected::any(), Expected::of(first.digest.clone()), Expected::sized(first.digest.clone(), 5)] {
        let mut writer = ok(store.create(&expected), "create");
        ok(writer.write_all(b"twice"), "write");
        let again = ok(writer.commit(), "second commit");
        assert_eq!(again, Committed { already_present: true, ..first.clone() }, "the blob was there");
        assert_eq!(list(store), BTreeMap::from([(first.digest.clone(), 5)]), "one blob stays one blob");
    }
    assert_eq!(read(store, &first.digest), b"twice", "the content stays");
}

/// That a blob is there does not make other content pass for it.
pub fn present_blobs_are_still_verified(store: &dyn BlobStore) {
    let present = ok(store.put_bytes(b"present"), "put");
    let mut writer = ok(store.create(&Expected::sized(present.digest.clone(), 7)), "create");
    ok(writer.write_all(b"another"), "write");
    assert!(err(writer.commit(), "commit of other content").is_corrupt(), "other content is corrupt");
    assert_eq!(read(store, &present.digest), b"present", "the blob that was there stays");
}

/// Writers of one blob that race all succeed, and one blob is the result.
pub fn writers_may_race(store: &dyn BlobStore) {
    let content = pattern(100_000);
    let digest = Digest::sha256_of(&content);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut writer = ok(store.create(&Expected::any()), "create in a race");
                content.chunks(1000).for_each(|chunk| ok(writer.write_all(chunk), "write in a race"));
                assert_eq!(ok(writer.commit(), "commit in a race").digest, digest, "the digest in a race");
                assert_eq!(read(store, &digest), content, "the content in a race");
            });
        }
    });
    assert_eq!(list(store), BTreeMap::from([(digest, 100_000)]), "one blob is the result of a race");
}

/// A handle keeps its content when the blob is removed.
pub fn handles_survive_removal(store: &dyn BlobStore) {
    let digest = ok(store.put_bytes(b"kept"), "put").digest;
    let mut blob = ok(store.require(&digest), "open");
    assert!(ok(store.remove(&digest), "remove"), "the blob was there");
    assert_eq!(ok(store.stat(&digest), "stat"), None, "a removed blob is gone");
    assert!(!ok(store.remove(&digest), "remove"), "a removed blob is not removed again");
    let mut content = Vec::new();
    ok(blob.read_to_end(&mut content), "read of a removed blob");
    assert_eq!(content, b"kept", "the handle keeps its content");
    assert!(!ok(store.put_bytes(b"kept"), "put again").already_present, "what was removed can be put again");
}

/// A handle reads and seeks as a file does, and its clones have positions of their own.
pub fn handles_read_and_seek(store: &dyn BlobStore) {
    let digest = ok(store.put_bytes(b"0123456789"), "put").digest;
    let mut blob = ok(store.require(&digest), "open");
    assert_eq!(blob.size(), 10, "the size of the handle");
    let mut next = |to: SeekFrom, expected: &[u8]| {
        ok(blob.seek(to), "seek");
        let mut content = Vec::new();
        ok(blob.clone().read_to_end(&mut content), "read");
        assert_eq!(content, expected, "the content from {to:?}");
    };
    next(SeekFrom::Start(0), b"0123456789");
    next(SeekFrom::Start(8), b"89");
    next(SeekFrom::End(-3), b"789");
    next(SeekFrom::Current(-2), b"56789");
    next(SeekFrom::Start(10), b"");
    next(SeekFrom::Start(1 << 40), b"");
    assert!(blob.seek(SeekFrom::End(-11)).is_err(), "nothing is before the first byte");
    let mut some = [0; 4];
    assert_eq!(ok(blob.read_at(&mut some, 8), "read_at"), 2, "read_at stops at the end");
    assert_eq!(&some[..2], b"89", "the content at an offset");
}

/// A handle gives all of its content at once, which outlives the handle and the blob.
pub fn handles_map(store: &dyn BlobStore) {
    let content = pattern(10_000);
    let digest = ok(store.put_bytes(&content), "put").digest;
    let mut blob = ok(store.require(&digest), "open");
    ok(blob.seek(SeekFrom::Start(5)), "seek");
    let mapped = ok(blob.map(), "map");
    drop(blob);
    ok(store.remove(&digest), "remove");
    assert_eq!(mapped, content, "the mapped content");
}

/// Every blob is visited once, with its size.
pub fn visits_are_complete(store: &dyn BlobStore) {
    let mut expected = BTreeMap::new();
    for size in [0, 1, 1000, 70_000] {
        expected.insert(ok(store.put_bytes(&pattern(size)), "put").digest, size as u64);
    }
    assert_eq!(list(store), expected, "every blob is visited");
    let mut visits = 0;
    let stopped = store.for_each(&mut |_, _| {
        visits += 1;
        Err(Error::Cancelled)
    });
    assert!(err(stopped, "for_each with a visitor that fails").is_cancelled(), "the visitor's error comes out");
    assert_eq!(visits, 1, "the first error ends the visits");
}

/// A visitor may change the store.
pub fn visitors_may_remove(store: &dyn BlobStore) {
    for size in 0..20 {
        ok(store.put_bytes(&pattern(size)), "put");
    }
    let visit = &mut |digest: &Digest, _| store.remove(digest).map(drop);
    ok(store.for_each(visit), "for_each that removes");
    assert!(list(store).is_empty(), "all blobs were visited and removed");
}

/// SHA-512 names blobs too, beside SHA-256.
pub fn sha512_blobs_are_kept(store: &dyn BlobStore) {
    let digest = sha512_of(b"both");
    for expected in [Expected::of(digest.clone()), Expected::sized(digest.clone(), 4)] {
        let mut writer = ok(store.create(&expected), "create for sha512");
        ok(writer.write_all(b"both"), "write");
        assert_eq!(ok(writer.commit(), "commit").digest, digest, "the digest is of the expected algorithm");
    }
    ok(store.put_bytes(b"both"), "put under sha256");
    assert_eq!(read(store, &digest), b"both", "the content under sha512");
    assert_eq!(list(store).len(), 2, "one blob for each digest");
    assert!(ok(store.remove(&digest), "remove"), "the blob was there");
    assert_eq!(list(store).len(), 1, "the other digest's blob stays");
}

/// A digest that cannot be verified is refused everywhere.
pub fn unsupported_algorithms_are_refused(store: &dyn BlobStore) {
    let digest = unsupported();
    assert!(err(store.stat(&digest), "stat").is_unsupported(), "stat says: unsupported");
    assert!(err(store.open(&digest), "open").is_unsupported(), "open says: unsupported");
    assert!(err(store.remove(&digest), "remove").is_unsupported(), "remove says: unsupported");
    assert!(err(store.create(&Expected::of(digest)), "create").is_unsupported(), "create says: unsupported");
}

/// No bytes are a blob like any other.
pub fn empty_blobs_are_blobs(store: &dyn BlobStore) {
    let digest = Digest::sha256_of(b"");
    let committed = ok(ok(store.create(&Expected::any()), "create").commit(), "commit of nothing");
    assert_eq!(committed, Committed::new(digest.clone(), 0, false), "what commit tells");
    assert_eq!(ok(store.stat(&digest), "stat"), Some(0), "the size of nothing");
    assert_eq!(read(store, &digest), b"", "the content of nothing");
    assert!(ok(ok(store.require(&digest), "open").map(), "map of nothing").is_empty(), "nothing is mapped");
}

/// A blob of 5 MiB, written in odd pieces, is copied to another store and back.
pub fn large_blobs_are_copied(store: &dyn BlobStore) {
    let content = pattern(5 << 20);
    let mut writer = ok(store.create(&Expected::any()), "create");
    content.chunks(65_537).for_each(|chunk| ok(writer.write_all(chunk), "write"));
    let committed = ok(writer.commit(), "commit");
    let descriptor = Descriptor::new(MediaType::Other("".into()), committed.digest, committed.size);
    let (other, ctx) = (MemoryBlobStore::default(), Ctx::default());
    assert!(!ok(other.copy_from(store, &descriptor, &ctx), "copy out").already_present, "a first copy");
    assert!(ok(other.copy_from(store, &descriptor, &ctx), "copy again").already_present, "a second copy");
    ok(store.remove(&descriptor.digest), "remove");
    assert!(!ok(store.copy_from(&other, &descriptor, &ctx), "copy back").already_present, "a copy back");
    let read = ok(store.read_bytes(&descriptor, 5 << 20), "read_bytes");
    assert!(read == content, "the content came through");
}

/// Renewing a blob tells whether it is there, with that size, and changes nothing that can be seen.
pub fn renewing_tells_what_is_there(store: &dyn BlobStore) {
    let digest = Digest::sha256_of(b"renewed");
    assert!(!ok(store.renew(&digest, 7), "renew of an absent blob"), "an absent blob is not there");
    ok(store.put_bytes(b"renewed"), "put");
    assert!(!ok(store.renew(&digest, 8), "renew by another size"), "there is no such blob of another size");
    assert!(ok(store.renew(&digest, 7), "renew"), "the blob is there");
    assert_eq!(read(store, &digest), b"renewed", "the content stays");
    assert!(err(store.renew(&unsupported(), 7), "renew").is_unsupported(), "renew says: unsupported");
}

/// What is committed to a batch is there for the batch at once, and for all when the batch is committed.
pub fn batches_become_visible(store: &dyn BlobStore) {
    let before = ok(store.put_bytes(b"before"), "put before the batch").digest;
    let batch = ok(store.batch(), "batch");
    assert_eq!(read(&batch, &before), b"before", "a batch has what the store has");
    assert!(ok(batch.put_bytes(b"before"), "put to the batch").already_present, "it need not be stored again");
    let mut expected = list(store);
    for number in 0..300_u32 {
        let content = number.to_le_bytes();
        let put = ok(batch.put_bytes(&content), "put to the batch");
        assert!(!put.already_present, "it was not there");
        assert!(ok(batch.put_bytes(&content), "put it again").already_present, "it is in the batch");
        assert!(ok(batch.renew(&put.digest, 4), "renew"), "it is in the batch");
        assert_eq!(read(&batch, &put.digest), content, "the content in the batch");
        expected.insert(put.digest, 4);
    }
    assert_eq!(list(&batch), expected, "the batch lists what is in it, and what the store has");
    let gone = Digest::sha256_of(&299_u32.to_le_bytes());
    assert!(ok(batch.remove(&gone), "remove from the batch"), "it was in the batch");
    expected.remove(&gone);
    ok(batch.commit(), "commit of the batch");
    assert_eq!(list(store), expected, "all of it is visible");
}

/// A batch that is dropped leaves whole blobs or none.
pub fn batches_that_are_dropped_leave_whole_blobs(store: &dyn BlobStore) {
    let batch = ok(store.batch(), "batch");
    let digest = ok(batch.put_bytes(b"dropped"), "put to the batch").digest;
    drop(batch);
    if ok(store.stat(&digest), "stat").is_some() {
        assert_eq!(read(store, &digest), b"dropped", "what is visible is whole");
    }
    assert_eq!(ok(store.put_bytes(b"dropped"), "put again").digest, digest, "it can be stored again");
}

/// What is committed to a batch is verified like everything else.
pub fn batches_verify(store: &dyn BlobStore) {
    let batch = ok(store.batch(), "batch");
    for expected in [Expected::of(Digest::sha256_of(b"expected")), Expected::sized(Digest::sha256_of(b"short"), 5)] {
        let mut writer = ok(batch.create(&expected), "create in the batch");
        let written = writer.write_all(b"written!");
        assert_eq!(written.is_err(), expected.size().is_some(), "a write past the expected size fails");
        assert!(err(writer.commit(), "commit of unexpected content").is_corrupt(), "unexpected content is corrupt");
    }
    ok(batch.commit(), "commit of the batch");
    assert!(list(store).is_empty(), "unexpected content leaves nothing");
}

/// A writer that is still open when its batch is committed commits on its own.
pub fn writers_outlive_their_batch(store: &dyn BlobStore) {
    let batch = ok(store.batch(), "batch");
    let mut writer = ok(batch.create(&Expected::any()), "create in the batch");
    ok(writer.write_all(b"late"), "write");
    ok(batch.commit(), "commit of the batch");
    ok(writer.write_all(b"r"), "write after the batch");
    let committed = ok(writer.commit(), "commit after the batch");
    assert_eq!(read(store, &committed.digest), b"later", "it is visible at its own commit");
}

/// A content that is taken over is verified, and told of, as if it had been written.
pub fn adopted_blobs_are_verified(store: &dyn BlobStore) {
    let content = pattern(600_000);
    let put = ok(store.put_bytes(&content), "put");
    let blob = ok(store.require(&put.digest), "open");
    let mut told = 0;
    let mut count = |bytes| {
        told += bytes;
        Ok(())
    };
    let mut writer = ok(store.create(&Expected::any()), "create");
    if ok(writer.adopt(&blob, &mut count), "adopt") {
        let committed = ok(writer.commit(), "commit of what was taken over");
        assert_eq!(committed, Committed { already_present: true, ..put.clone() }, "it is the same blob");
        assert_eq!(told, 600_000, "all of it is told of");
    }
    let mut writer = ok(store.create(&Expected::of(Digest::sha256_of(b"other"))), "create for other content");
    if ok(writer.adopt(&blob, &mut |_| Ok(())), "adopt") {
        assert!(err(writer.commit(), "commit of other content").is_corrupt(), "other content is corrupt");
    }
    assert_eq!(list(store), BTreeMap::from([(put.digest, 600_000)]), "one blob stays one blob");
}

fn unsupported() -> Digest {
    ok("sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709".parse(), "parse")
}

fn ok<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        #[expect(clippy::panic, reason = "this is how a check fails")]
        Err(e) => panic!("{what} must succeed, but: {e}"),
    }
}

fn err<T, E>(result: Result<T, E>, what: &str) -> E {
    match result {
        #[expect(clippy::panic, reason = "this is how a check fails")]
        Ok(_) => panic!("{what} must fail"),
        Err(e) => e,
    }
}

fn read(store: &dyn BlobStore, digest: &Digest) -> Vec<u8> {
    let mut content = Vec::new();
    ok(ok(store.require(digest), "open").read_to_end(&mut content), "read");
    content
}

fn list(store: &dyn BlobStore) -> BTreeMap<Digest, u64> {
    let mut blobs = BTreeMap::new();
    let visit = &mut |digest: &Digest, size| {
        assert!(blobs.insert(digest.clone(), size).is_none(), "{digest} is visited twice");
        Ok(())
    };
    ok(store.for_each(visit), "for_each");
    blobs
}

fn sha512_of(content: &[u8]) -> Digest {
    let any = "0".repeat(128);
    let digest = ok(format!("sha512:{any}").parse(), "parse");
    let mut hasher = ok(Hasher::for_digest(&digest), "hasher");
    hasher.update(content);
    hasher.finish()
}

/// Bytes that no two sizes share.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| i.wrapping_mul(31).wrapping_add(i >> 8).to_le_bytes()[0]).collect()
}
