//! Garbage collection: what goes, what stays, and what is said of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    cell::RefCell,
    fs::{File, FileTimes},
    time::{Duration, SystemTime},
};

use image_core::{
    CancelToken, Ctx, Descriptor, Digest, Document, FixedClock, ImageIndex, ImageManifest, MediaType, Result,
    Timestamp,
    blob::{BlobSource, BlobStore, BlobStoreExt, FsBlobStore},
    gc::{self, Collected, GcOptions, Root, Roots},
};
use tempfile::TempDir;

const NOW: i64 = 2_000_000_000;

/// A store, and the roots in it.
struct Fixture {
    _dir: TempDir,
    store: FsBlobStore,
    roots: RefCell<Vec<Root>>,
}

impl Roots for Fixture {
    fn roots(&self) -> Result<Vec<Root>> {
        Ok(self.roots.borrow().clone())
    }

    fn forget(&self, roots: &[Root]) -> Result<Vec<Root>> {
        self.roots.borrow_mut().retain(|root| !roots.contains(root));
        Ok(roots.to_vec())
    }
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = FsBlobStore::create(dir.path()).unwrap();
        Self { _dir: dir, store, roots: RefCell::default() }
    }

    fn blob(&self, content: &[u8], media_type: MediaType) -> Descriptor {
        let blob = self.store.put_bytes(content).unwrap();
        Descriptor::new(media_type, blob.digest, blob.size)
    }

    /// A layer of so many bytes.
    fn layer(&self, name: &str, size: usize) -> Descriptor {
        let mut content = name.as_bytes().to_vec();
        content.resize(size, b'.');
        self.blob(&content, MediaType::OciLayerGzip)
    }

    fn image(&self, name: &str, layers: Vec<Descriptor>) -> Descriptor {
        self.manifest(ImageManifest::new(self.blob(name.as_bytes(), MediaType::OciConfig), layers))
    }

    fn manifest(&self, manifest: ImageManifest) -> Descriptor {
        let manifest = Document::new(manifest).unwrap();
        self.store.put_document(&manifest).unwrap();
        manifest.descriptor(MediaType::OciManifest)
    }

    fn index(&self, images: Vec<Descriptor>) -> Descriptor {
        let index = Document::new(ImageIndex::new(images)).unwrap();
        self.store.put_document(&index).unwrap();
        index.descriptor(MediaType::OciIndex)
    }

    /// Names something that was last used so many days ago.
    fn name(&self, name: &str, target: &Descriptor, days: i64) {
        self.add(Root::new(name, target.clone(), Timestamp::from_seconds(NOW - days * 86_400)));
    }

    fn add(&self, root: Root) {
        self.roots.borrow_mut().push(root);
    }

    fn collect(&self, options: &GcOptions) -> Collected {
        let ctx = Ctx::default().with_clock(std::sync::Arc::new(FixedClock::new(Timestamp::from_seconds(NOW))));
        gc::collect(&self.store, &[self], options, &ctx).unwrap()
    }

    fn count(&self) -> usize {
        let mut count = 0;
        self.store
            .for_each(&mut |_, _| {
                count += 1;
                Ok(())
            })
            .unwrap();
        count
    }

    fn has(&self, blob: &Descriptor) -> bool {
        self.store.stat(&blob.digest).unwrap().is_some()
    }

    /// Sets the time when a blob was last used.
    fn use_at(&self, digest: &Digest, seconds: i64) {
        let path = self.store.root().join("blobs/sha256").join(digest.encoded());
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
        File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    }
}

fn now() -> GcOptions {
    GcOptions::default().with_grace(Duration::ZERO)
}

fn names(collected: &Collected) -> Vec<&str> {
    collected.dropped.iter().map(|dropped| dropped.name.as_str()).collect()
}

#[test]
fn what_can_be_reached_stays_and_the_rest_goes() {
    let f = Fixture::new();
    let shared = f.layer("shared", 100);
    let image = f.image("amd64", vec![shared.clone(), f.layer("a", 100)]);
    let other = f.image("arm64", vec![shared, f.layer("b", 100)]);
    let index = f.index(vec![f.index(vec![image]), other]);
    f.name("app", &index, 1);
    let garbage = f.image("old", vec![f.layer("c", 1000)]);
    assert_eq!(f.count(), 12);
    let collected = f.collect(&now());
    assert_eq!((collected.removed, collected.kept, collected.spared), (3, 9, 0));
    assert!(collected.freed > 1000, "{collected:?}");
    assert!(!f.has(&garbage) && f.has(&index));
    assert_eq!(f.count(), 9);
    assert_eq!(f.collect(&now()).removed, 0, "nothing is left to do");
}

#[test]
fn nothing_changes_in_a_dry_run() {
    let f = Fixture::new();
    f.name("app", &f.image("app", vec![f.layer("a", 100)]), 1);
    f.name("old", &f.image("old", vec![f.layer("o", 100)]), 100);
    f.layer("garbage", 1000);
    let options = now().with_keep_for(Some(Duration::from_secs(30 * 86_400)));
    let mut would = f.collect(&options.clone().with_dry_run());
    assert_eq!((f.count(), f.roots.borrow().len()), (7, 2));
    assert!(would.is_dry_run);
    would.is_dry_run = false;
    let did = f.collect(&options);
    assert_eq!(would, did, "a dry run tells what would be");
    assert_eq!((did.removed, did.kept, names(&did)), (4, 3, vec!["old"]));
    assert_eq!((f.count(), f.roots.borrow().len()), (3, 1));
}

#[test]
fn what_is_too_old_is_dropped_and_what_it_shares_stays() {
    let f = Fixture::new();
    let shared = f.layer("shared", 100);
    f.name("new", &f.image("new", vec![shared.clone()]), 1);
    f.name("old", &f.image("old", vec![shared.clone(), f.layer("o", 100)]), 8);
    f.name("older", &f.image("older", vec![f.layer("p", 100)]), 9);
    let collected = f.collect(&now().with_keep_for(Some(Duration::from_secs(7 * 86_400))));
    assert_eq!(names(&collected), ["older", "old"], "the least recently used first");
    assert_eq!((collected.removed, collected.kept), (6, 3));
    assert!(f.has(&shared));
    let text = collected.dropped[0].to_string();
    assert!(text.starts_with("older (sha256:") && text.contains("not used since 2033-05-11"), "{text}");
    let json = serde_json::to_value(&collected.dropped[0]).unwrap();
    assert_eq!((&json["name"], &json["reason"]), (&"older".into(), &"unused".into()), "{json}");
}

#[test]
fn bytes_are_a_hard_limit_and_the_least_recently_used_go_first() {
    let f = Fixture::new();
    for (name, days) in [("c", 3), ("a", 1), ("d", 4), ("b", 2)] {
        f.name(name, &f.image(name, vec![f.layer(name, 10_000)]), days);
    }
    for (limit, expected) in [(1 << 30, vec![]), (35_000, vec!["d"]), (25_000, vec!["c"]), (5_000, vec!["b", "a"])] {
        let collected = f.collect(&now().with_keep_bytes(Some(limit)));
        assert_eq!(names(&collected), expected, "{limit}");
        assert!(collected.kept_bytes <= limit, "{limit}: {collected:?}");
        let mut bytes = 0;
        f.store
            .for_each(&mut |_, size| {
                bytes += size;
                Ok(())
            })
            .unwrap();
        assert_eq!(bytes, collected.kept_bytes);
        for dropped in &collected.dropped {
            assert!(dropped.to_string().contains(&format!("{limit} may be kept")), "{dropped}");
        }
    }
}

#[test]
fn an_image_that_is_too_large_does_not_push_out_the_others() {
    let f = Fixture::new();
    f.name("small", &f.image("small", vec![f.layer("s", 1000)]), 2);
    f.name("huge", &f.image("huge", vec![f.layer("h", 100_000)]), 1);
    let collected = f.collect(&now().with_keep_bytes(Some(50_000)));
    assert_eq!(names(&collected), ["huge"]);
    assert!(collected.dropped[0].to_string().contains("it alone needs"), "{}", collected.dropped[0]);
    assert_eq!(collected.kept, 3);
}

#[test]
fn each_reason_is_told_in_text_and_in_json() {
    let f = Fixture::new();
    f.name("unused", &f.image("unused", vec![f.layer("u", 1000)]), 9);
    f.name("kept", &f.image("kept", vec![f.layer("k", 1000)]), 1);
    f.name("over", &f.image("over", vec![f.layer("o", 30_000)]), 2);
    f.name("large", &f.image("large", vec![f.layer("l", 50_000)]), 0);
    let over = f.roots.borrow()[2].target.clone();
    let mut note = ImageManifest::new(f.blob(b"{}", MediaType::OciEmpty), vec![]);
    note.subject = Some(over.clone());
    let note = f.manifest(note);
    f.add(Root::new("note", note, Timestamp::from_seconds(NOW)).with_subject(Some(over.digest.clone())));
    let week = Duration::from_secs(7 * 86_400);
    let collected = f.collect(&now().with_keep_for(Some(week)).with_keep_bytes(Some(31_000)));
    let told: Vec<(&str, String, serde_json::Value)> = collected
        .dropped
        .iter()
        .map(|dropped| (dropped.name.as_str(), dropped.reason.to_string(), serde_json::to_value(dropped).unwrap()))
        .collect();
    let expected = [
        ("unused", "not used since 2033-05-11T03:33:20Z".to_owned(), "unused"),
        ("over", "with what was used later it needs ".to_owned(), "over-limit"),
        ("note", format!("it is about {}, which nothing needs", over.digest), "orphaned"),
        ("large", "it alone needs ".to_owned(), "too-large"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((name, text, json), expected) in told.iter().zip(&expected) {
        assert_eq!((*name, json["reason"].as_str().unwrap()), (expected.0, expected.2), "{told:#?}");
        assert!(text.starts_with(&expected.1), "{text}");
        match expected.2 {
            "unused" => assert_eq!(json["since"], "2033-05-11T03:33:20Z"),
            "orphaned" => assert_eq!(json["subject"], over.digest.to_string()),
            _ => {
                assert!(json["needed"].as_u64().unwrap() > 31_000 && json["limit"] == 31_000, "{json}");
                assert!(text.ends_with("bytes, 31000 may be kept"), "{text}");
            }
        }
        assert!(json["lastUsed"].is_string() && json["digest"].is_string(), "{json}");
    }
    assert_eq!(collected.kept, 3);
}

#[test]
fn what_is_shared_counts_once() {
    let f = Fixture::new();
    let base = f.layer("base", 100_000);
    for number in 0..20 {
        f.name(&number.to_string(), &f.image(&number.to_string(), vec![base.clone()]), number);
    }
    let collected = f.collect(&now().with_keep_bytes(Some(120_000)));
    assert!(collected.dropped.is_empty(), "{collected:?}");
}

#[test]
fn what_a_lease_protects_counts_and_stays() {
    let f = Fixture::new();
    f.name("app", &f.image("app", vec![f.layer("a", 1000)]), 1);
    let lease = f.store.lease().unwrap();
    lease.blobs().put_bytes(&[7; 50_000]).unwrap();
    let collected = f.collect(&now().with_keep_bytes(Some(50_500)));
    assert_eq!((names(&collected), collected.kept_bytes), (vec!["app"], 50_000));
    assert_eq!((collected.spared, collected.spared_bytes), (1, 50_000));
    drop(lease);
    assert_eq!(f.collect(&now()).freed, 50_000);
}

#[test]
fn what_is_about_an_image_stays_and_goes_with_it() {
    let f = Fixture::new();
    let image = f.image("image", vec![f.layer("a", 10)]);
    let mut signature = ImageManifest::new(f.blob(b"{}", MediaType::OciEmpty), vec![f.layer("signature", 10)]);
    signature.subject = Some(image.clone());
    let signature = f.manifest(signature);
    let mut of_signature = ImageManifest::new(f.blob(b"{}", MediaType::OciEmpty), vec![f.layer("countersigned", 10)]);
    of_signature.subject = Some(signature.clone());
    let of_signature = f.manifest(of_signature);
    let root = |name: &str, target: &Descriptor, subject: &Descriptor| {
        Root::new(name, target.clone(), Timestamp::UNIX_EPOCH).with_subject(Some(subject.digest.clone()))
    };
    f.name("image", &image, 1);
    f.add(root("countersigned", &of_signature, &signature));
    f.add(root("signature", &signature, &image));
    let absent = Descriptor::new(MediaType::OciManifest, Digest::sha256_of(b"elsewhere"), 9);
    let alone = f.image("about what is elsewhere", vec![]);
    f.add(root("alone", &alone, &absent));

    let collected = f.collect(&now().with_keep_bytes(Some(1 << 20)));
    assert_eq!((collected.removed, collected.dropped.len()), (0, 0), "{collected:?}");
    f.roots.borrow_mut().remove(0);
    let collected = f.collect(&now());
    assert_eq!(names(&collected), ["signature", "countersigned"]);
    assert!(collected.dropped[0].to_string().contains("which nothing needs"), "{}", collected.dropped[0]);
    assert!(!f.has(&signature) && !f.has(&of_signature) && f.has(&alone));
}

#[test]
fn a_subject_is_kept_by_what_has_a_name_and_is_about_it() {
    let f = Fixture::new();
    let image = f.image("image", vec![]);
    let mut named = ImageManifest::new(f.blob(b"{}", MediaType::OciEmpty), vec![]);
    named.subject = Some(image.clone());
    f.name("report", &f.manifest(named), 1);
    f.collect(&now());
    assert!(f.has(&image));
}

#[test]
fn artifacts_of_other_kinds_are_understood() {
    let f = Fixture::new();
    let content = f.layer("content", 10);
    let artifact = format!(
        r#"{{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[{{"mediaType":"text/plain","digest":"{}","size":10}}]}}"#,
        content.digest
    );
    let artifact = f.blob(artifact.as_bytes(), MediaType::from("application/vnd.oci.artifact.manifest.v1+json"));
    f.name("artifact", &artifact, 1);
    f.name("without a media type", &Descriptor::new(MediaType::default(), artifact.digest.clone(), artifact.size), 1);
    f.name("no document", &f.blob(b"[not json", MediaType::OciManifest), 1);
    f.collect(&now());
    assert!(f.has(&content));
}

#[test]
fn content_that_is_named_like_a_document_is_content() {
    let fixture = Fixture::new();
    let large = vec![b'['; 5 << 20];
    let search = fixture.blob(&large, "application/vnd.example.search-index.v1+json".into());
    // Without a media type, as a field of another specification may have it.
    let unnamed = fixture.blob(&large[1..], MediaType::default());
    let garbage = fixture.blob(b"garbage", MediaType::OciLayer);
    let image = fixture.image("config", vec![search.clone(), unnamed.clone()]);
    fixture.name("image", &image, 0);
    assert_eq!(fixture.collect(&now()).removed, 1);
    assert!(fixture.has(&search) && fixture.has(&unnamed) && !fixture.has(&garbage));
}

#[test]
fn what_is_young_is_spared() {
    let f = Fixture::new();
    let (young, old) = (f.layer("young", 10), f.layer("old", 10));
    f.use_at(&young.digest, NOW - 599);
    f.use_at(&old.digest, NOW - 601);
    let options = GcOptions::default().with_grace(Duration::from_secs(600));
    let collected = f.collect(&options);
    assert_eq!((collected.removed, collected.spared, collected.spared_bytes), (1, 1, 10));
    assert!(f.has(&young) && !f.has(&old));
    let renewed = f.layer("renewed", 10);
    f.use_at(&renewed.digest, 1000);
    assert_eq!(f.store.last_used(&renewed.digest).unwrap(), Some(Timestamp::from_seconds(1000)));
    f.layer("renewed", 10);
    let used = f.store.last_used(&renewed.digest).unwrap().unwrap();
    assert!(used.seconds() > 1_700_000_000, "what is found instead of being written is as new: {used}");
}

#[test]
fn nothing_is_removed_where_it_is_not_known_what_is_needed() {
    let f = Fixture::new();
    let image = f.image("image", vec![f.layer("a", 10)]);
    f.name("image", &image, 1);
    f.layer("garbage", 10);
    let place = f.store.root().join("blobs/sha256").join(image.digest.encoded());
    std::fs::remove_file(&place).unwrap();
    std::fs::write(&place, b"{}").unwrap();
    let error = gc::collect(&f.store, &[&f], &now(), &Ctx::default()).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    assert!(error.to_string().contains(image.digest.encoded()), "{error}");
    assert_eq!(f.count(), 4);
    // A document that is missing, as in a layout with some of the platforms of an index, is nothing to stop at.
    std::fs::remove_file(&place).unwrap();
    f.collect(&now());
    assert_eq!(f.count(), 0);
}

#[test]
fn roots_that_come_late_are_seen() {
    /// Roots to which one is added after they were first asked for.
    struct Late<'a>(&'a Fixture, RefCell<Option<Descriptor>>);
    impl Roots for Late<'_> {
        fn roots(&self) -> Result<Vec<Root>> {
            let roots = self.0.roots();
            if let Some(late) = self.1.take() {
                self.0.name("late", &late, 0);
            }
            roots
        }

        fn forget(&self, roots: &[Root]) -> Result<Vec<Root>> {
            self.0.forget(roots)
        }
    }
    let f = Fixture::new();
    let late = f.image("late", vec![f.layer("a", 10)]);
    f.layer("garbage", 10);
    let roots = Late(&f, RefCell::new(Some(late.clone())));
    let collected = gc::collect(&f.store, &[&roots], &now(), &Ctx::default()).unwrap();
    assert_eq!((collected.removed, collected.kept), (1, 3));
    assert!(f.has(&late));
}

#[test]
fn several_owners_of_roots_are_asked() {
    let (f, g) = (Fixture::new(), Fixture::new());
    let (one, two) = (f.image("one", vec![]), f.image("two", vec![]));
    f.name("one", &one, 1);
    g.name("two", &two, 40);
    f.layer("garbage", 10);
    let owners: [&dyn Roots; 2] = [&f, &g];
    assert_eq!(gc::collect(&f.store, &owners, &now(), &Ctx::default()).unwrap().removed, 1);
    let ctx = Ctx::default().with_clock(std::sync::Arc::new(FixedClock::new(Timestamp::from_seconds(NOW))));
    let options = now().with_keep_for(Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(names(&gc::collect(&f.store, &owners, &options, &ctx).unwrap()), ["two"]);
    assert_eq!((f.roots.borrow().len(), g.roots.borrow().len()), (1, 0));
}

#[test]
fn unfinished_blobs_of_the_dead_are_removed_and_cancelling_works() {
    let f = Fixture::new();
    f.layer("garbage", 10);
    std::fs::write(f.store.root().join("ingest/new-00000000deadbeef"), b"left by the dead").unwrap();
    let cancel = CancelToken::default();
    cancel.cancel();
    let ctx = Ctx::default().with_cancel(cancel);
    assert!(gc::collect(&f.store, &[&f], &now(), &ctx).unwrap_err().is_cancelled());
    assert_eq!(f.count(), 1);
    std::fs::write(f.store.root().join("ingest/new-00000000deadbeef"), b"left by the dead").unwrap();
    assert_eq!(f.collect(&now().with_dry_run()).ingests, 0);
    assert_eq!(f.collect(&now()).ingests, 1);
}

#[test]
fn a_store_without_blobs_is_collected() {
    let dir = TempDir::new().unwrap();
    let store = FsBlobStore::open(dir.path()).unwrap();
    assert_eq!(gc::collect(&store, &[], &now(), &Ctx::default()).unwrap(), Collected::default());
}
