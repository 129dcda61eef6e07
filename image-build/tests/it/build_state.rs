//! The state of earlier builds: what is damaged is made again, what is old goes, what others built is taken over.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use image_build::{
    BuildContext, BuildState, Builder, CacheExport, Dockerfile, Ignore, NoCacheFilter,
    cache::{ArtifactRecordStore, ExpiryPolicy, RecordStore, RunMode, blobs},
};
use image_core::{
    BlobSource, BlobSourceExt, BlobStoreExt, Ctx, Descriptor, Document, Event, FixedClock, FsBlobStore, ImageManifest,
    MediaType, MemoryBlobStore, Timestamp, observer::TaskKind,
};

use crate::build_fixture::{Fixture, dir, file};

const TEXT: &str = "FROM base AS one
COPY a.txt /a
COPY lib /lib
FROM scratch AS two
COPY b.txt /b
FROM one
COPY --from=two /b /b
CMD [\"/a\"]
";

/// How many steps of it make layers.
const LAYERS: usize = 4;

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&["a.txt", "b.txt", "lib/x", "lib/y"]);
    fixture.bases.add("base", vec![dir("etc"), file("etc/os")], |_| {});
    // Times are all the same, so that what is made again is what it was.
    fixture.options = fixture.options.clone().with_source_date_epoch(Some(Timestamp::from_seconds(1_000)));
    fixture
}

/// All files below a directory of the state.
fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut todo, mut found) = (vec![directory.to_owned()], Vec::new());
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { todo.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    edit(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    // In place: the file goes on being the same one.
    let mut file = File::options().write(true).truncate(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
}

#[test]
fn whatever_is_damaged_is_made_again() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 8] = [
        ("a layer changed in place", |state| {
            for path in files(&state.join("blobs")) {
                change(&path, |bytes| bytes[20] ^= 1);
            }
        }),
        ("a layer cut short", |state| {
            for path in files(&state.join("blobs")) {
                change(&path, |bytes| bytes.truncate(bytes.len() / 2));
            }
        }),
        ("layers gone", |state| files(&state.join("blobs")).iter().for_each(|path| fs::remove_file(path).unwrap())),
        ("another diffID in the records", |state| edit_records(state, "\"diff_id\":\"sha256:", 18)),
        ("another layer in the records", |state| edit_records(state, "\"digest\":\"sha256:", 17)),
        ("marks and tables damaged", |state| {
            for path in ["verified", "toc"].iter().flat_map(|name| files(&state.join(name))) {
                change(&path, |bytes| bytes.truncate(bytes.len() / 2));
            }
        }),
        ("digests of selections of others", |state| {
            // COPY --from=two is told that it takes what another definition selects.
            let selected = state.join("selected");
            let [path] = &files(&selected)[..] else { panic!("one COPY takes from a stage") };
            fs::copy(path, selected.join("0".repeat(64))).unwrap();
            change(path, |bytes| bytes[..64].fill(b'7'));
        }),
        ("everything damaged", |state| {
            for path in ["blobs", "verified", "toc", "selected", "files", "stat", "records"]
                .iter()
                .flat_map(|name| files(&state.join(name)))
            {
                change(&path, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x55));
            }
        }),
    ];
    for (name, damage) in damages {
        let mut fixture = fixture();
        let first = fixture.build(TEXT);
        let (digest, listing) = (first.image.manifest.digest.clone(), first.listing());
        damage(&fixture.state());
        fixture.output = MemoryBlobStore::default();
        let again = fixture.build(TEXT);
        assert_eq!(again.image.manifest.digest, digest, "{name}");
        assert_eq!(again.listing(), listing, "{name}");
        assert_eq!(fixture.build(TEXT).done(), [""; 0], "{name}: and all is cached then");
    }
}

/// Changes a character of what follows a text in the layers of all records.
fn edit_records(state: &Path, after: &str, offset: usize) {
    let mut edited = 0;
    for path in files(&state.join("records")) {
        change(&path, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let Some(layer) = text.find("\"layer\":") else { return };
            let at = layer + text[layer..].find(after).unwrap() + offset;
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            edited += 1;
        });
    }
    assert_eq!(edited, LAYERS);
}

#[test]
fn a_damaged_layer_is_named_as_the_reason() {
    let fixture = fixture();
    fixture.build(TEXT);
    let record = only_layer(&fixture, "COPY a.txt");
    change(&fixture.state().join("blobs/sha256").join(record.encoded()), |bytes| bytes[20] ^= 1);
    let again = fixture.build(TEXT);
    let said: Vec<String> = again.image.misses.iter().map(|miss| miss.causes[0].to_string()).collect();
    assert_eq!(said, [format!("nothing changed, but its layer {record} is damaged")]);
}

/// The blob of the step with this instruction.
fn only_layer(fixture: &Fixture, instruction: &str) -> image_core::Digest {
    let mut found = None;
    let state = BuildState::open(fixture.state()).unwrap();
    let visit = &mut |record: image_build::cache::Record| {
        let text = record.recipe.ingredients()[1].text.clone().unwrap();
        if text.starts_with(instruction) {
            found = record.layer.map(|layer| layer.descriptor.digest);
        }
        Ok(())
    };
    state.records().for_each(visit).unwrap();
    found.unwrap()
}

#[test]
fn a_base_under_another_name_and_manifest_is_the_same_base() {
    let mut fixture = fixture();
    let first = fixture.build(TEXT).image.manifest.digest;
    fixture.bases.add("other/name:2", vec![dir("etc"), file("etc/os")], |config| {
        // Another manifest, but nothing that a step could see.
        config.author = None;
        config.history.push(image_core::History::new(Timestamp::UNIX_EPOCH, "comment").without_layer());
    });
    let second = fixture.build(&TEXT.replace("FROM base", "FROM other/name:2"));
    assert_eq!(second.done(), [""; 0], "{:?}", second.steps());
    assert_ne!(second.image.manifest.digest, first, "the history is the new base's");
    assert_eq!(fixture.build(TEXT).image.manifest.digest, first, "and the old one's again");
}

#[test]
fn a_step_whose_parent_ran_again_is_cached_if_nothing_changed_for_it() {
    let fixture = fixture();
    fixture.build(TEXT);
    let state = BuildState::open(fixture.state()).unwrap();
    let mut keys = Vec::new();
    state
        .records()
        .for_each(&mut |record| {
            let text = record.recipe.ingredients()[1].text.clone().unwrap();
            if text.starts_with("COPY a.txt") {
                keys.push(record.recipe.key());
            }
            Ok(())
        })
        .unwrap();
    for key in &keys {
        assert!(state.records().remove(key).unwrap());
    }
    assert_eq!(fixture.build(TEXT).done(), ["[one 2/3] COPY a.txt /a"]);
}

#[test]
fn single_steps_and_stages_are_built_without_the_cache() {
    let cases: [(&[&str], &[&str]); 5] = [
        (&["two"], &["[two 1/2] FROM scratch AS two", "[two 2/2] COPY b.txt /b"]),
        (&["ONE:3"], &["[one 3/3] COPY lib /lib"]),
        (&["2:1", "two:2"], &["[two 2/2] COPY b.txt /b", "[2 1/3] FROM one"]),
        (&["one:9"], &[]),
        (&[], &[]),
    ];
    for (filters, expected) in cases {
        let mut fixture = fixture();
        fixture.build(TEXT);
        for filter in filters {
            fixture.options = fixture.options.clone().with_no_cache(filter.parse().unwrap());
        }
        let built = fixture.build(TEXT);
        assert_eq!(built.done(), expected, "{filters:?}");
        let said: Vec<String> = built.image.misses.iter().map(|miss| miss.causes[0].to_string()).collect();
        assert!(said.iter().all(|cause| cause == "the cache was not to be used"), "{said:?}");
    }
    let mut fixture = fixture();
    fixture.options = fixture.options.clone().with_no_cache(NoCacheFilter::stage("three"));
    assert!(fixture.error(TEXT).contains("there is no stage three"));
    for wrong in ["", ":1", "a:0", "a:b", "a:-1"] {
        assert!(wrong.parse::<NoCacheFilter>().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_layer_that_is_one_file_with_that_of_the_image_is_not_read_again() {
    let fixture = fixture();
    // Smaller files are never one.
    let long: String = (0..40_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_string()).collect();
    fixture.write("a.txt", &long);
    let output = FsBlobStore::create(fixture.context().with_file_name("output")).unwrap();
    let state = BuildState::open(fixture.state()).unwrap();
    let dockerfile = Dockerfile::parse(TEXT).unwrap();
    let read = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&read);
    let ctx = Ctx::default().with_observer(Arc::new(move |event: &Event<'_>| {
        if let Event::Begin { kind: TaskKind::Verify, label, .. } = event {
            seen.lock().unwrap().push((*label).to_owned());
        }
    }));
    let build = || {
        let context = BuildContext::open(fixture.context(), Ignore::default()).unwrap();
        let builder = Builder::new(&state, &context, &fixture.bases);
        builder.build(&dockerfile, &fixture.options, &output, &ctx).unwrap()
    };
    let first = build();
    for _ in 0..2 {
        assert_eq!(build().done, 0);
        assert_eq!(*read.lock().unwrap(), [""; 0], "every layer is as it was found");
    }
    // A change that is not ours is noticed.
    let layers =
        BlobSourceExt::read_document::<ImageManifest>(&output, &first.manifest).unwrap().value().layers.clone();
    for layer in &layers {
        let blob = state.blobs().root().join("blobs/sha256").join(layer.digest.encoded());
        if blob.exists() {
            fs::set_permissions(&blob, PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
    build();
    assert!(!read.lock().unwrap().is_empty());
}

#[test]
fn a_build_is_known_by_the_directory_and_not_by_how_it_is_called() {
    let fixture = fixture();
    fixture.build(TEXT);
    fixture.write("a.txt", "new");
    let link = fixture.context().with_file_name("link");
    std::os::unix::fs::symlink(fixture.context(), &link).unwrap();
    let state = BuildState::open(fixture.state()).unwrap();
    let context = BuildContext::open(&link, Ignore::default()).unwrap();
    let builder = Builder::new(&state, &context, &fixture.bases);
    let dockerfile = Dockerfile::parse(TEXT).unwrap();
    let image = builder.build(&dockerfile, &fixture.options, &fixture.output, &Ctx::default()).unwrap();
    assert_eq!(image.misses[0].causes[0].to_string(), "1 file of the build context changed: a.txt (content)");
}

fn at(seconds: i64) -> Ctx {
    Ctx::default().with_clock(Arc::new(FixedClock::new(Timestamp::from_seconds(seconds))))
}

const DAY: i64 = 86_400;

#[test]
fn what_is_old_goes_and_is_known_to_have_gone() {
    let mut fixture = fixture();
    let now = fixture.now.seconds();
    fixture.build(TEXT);
    fixture.now = Timestamp::from_seconds(now + 10 * DAY);
    fixture.build(&TEXT.replace("COPY lib /lib", "COPY a.txt lib /lib/"));
    let state = BuildState::open(fixture.state()).unwrap();
    let before = files(&fixture.state());
    let policy = ExpiryPolicy::default().with_max_age(Duration::from_secs(5 * 86_400));

    let dry = state.expire(&policy, RunMode::Dry, &at(now + 11 * DAY)).unwrap();
    assert_eq!(files(&fixture.state()), before, "a dry run changes nothing");
    let real = state.expire(&policy, RunMode::Real, &at(now + 11 * DAY)).unwrap();
    assert_eq!(dry, real, "it tells what a real one does");
    let gone: Vec<&str> = real.records.expired.iter().filter_map(|record| record.instruction.as_deref()).collect();
    assert!(gone.contains(&"COPY lib /lib") && !gone.contains(&"COPY a.txt /a"), "{gone:?}");
    assert!(real.blobs.count == 1 && real.blobs.bytes > 0, "{real:?}");
    assert_eq!(blobs(state.records()).unwrap().len(), files(&fixture.state().join("blobs")).len());
    let json = serde_json::to_string(&real).unwrap();
    assert_eq!(serde_json::from_str::<image_build::StateExpiry>(&json).unwrap(), real);

    // What was used is there, and what is gone is said to be.
    assert_eq!(fixture.build(&TEXT.replace("COPY lib /lib", "COPY a.txt lib /lib/")).done(), [""; 0]);
    state.expire(&policy, RunMode::Real, &at(now + 40 * DAY)).unwrap();
    assert!(files(&fixture.state().join("blobs")).is_empty());
    fixture.now = Timestamp::from_seconds(now + 41 * DAY);
    let again = fixture.build(&TEXT.replace("COPY lib /lib", "COPY a.txt lib /lib/"));
    assert_eq!(
        again.image.misses[0].causes[0].to_string(),
        "the record of its last result expired on 2027-02-24 by policy"
    );
}

#[test]
fn what_an_interrupted_build_left_goes_and_what_is_in_use_stays() {
    let fixture = fixture();
    fixture.build(TEXT);
    let state = BuildState::open(fixture.state()).unwrap();
    let orphan = state.blobs().put_bytes(b"nobody names this").unwrap();
    let lock = File::open(fixture.state().join("lock")).unwrap();
    lock.lock_shared().unwrap();
    let policy = ExpiryPolicy::default();
    let error = state.expire(&policy, RunMode::Real, &Ctx::default()).unwrap_err();
    assert!(error.is_busy() && error.to_string().contains("a build is using it"), "{error}");
    drop(lock);
    let swept = state.expire(&policy, RunMode::Real, &Ctx::default()).unwrap();
    assert_eq!((swept.blobs.count, swept.blobs.bytes), (1, 17));
    assert_eq!(state.blobs().stat(&orphan.digest).unwrap(), None);
    assert_eq!(fixture.build(TEXT).done(), [""; 0]);
    let few = state.expire(&policy.with_max_count(3), RunMode::Real, &Ctx::default()).unwrap();
    assert_eq!(few.records.kept, 3);
    let none = state.expire(&policy.with_max_bytes(0), RunMode::Real, &Ctx::default()).unwrap();
    assert_eq!(none.records.kept_bytes, 0);
    assert!(files(&fixture.state().join("blobs")).is_empty());
}

/// Builds with the records of another build.
fn build_from(
    fixture: &Fixture,
    text: &str,
    records: &dyn RecordStore,
    blobs: &dyn BlobSource,
) -> (usize, usize, image_core::Digest) {
    let directory = test_support::temp_dir();
    let state = BuildState::open(directory.path()).unwrap();
    let context = BuildContext::open(fixture.context(), Ignore::default()).unwrap();
    let builder = Builder::new(&state, &context, &fixture.bases).with_cache_from(records, blobs);
    let dockerfile = Dockerfile::parse(text).unwrap();
    let output = MemoryBlobStore::default();
    let image = builder.build(&dockerfile, &fixture.options, &output, &at(fixture.now.seconds())).unwrap();
    (image.cached, image.done, image.manifest.digest)
}

fn export(fixture: &Fixture, which: CacheExport, output: &MemoryBlobStore) -> Descriptor {
    let image = fixture.build(TEXT).image;
    BuildState::open(fixture.state()).unwrap().export(&image.records, which, output, &Ctx::default()).unwrap()
}

#[test]
fn what_others_built_is_taken_over() {
    let fixture = fixture();
    let digest = fixture.build(TEXT).image.manifest.digest;
    for (which, expected) in [(CacheExport::Maximal, (8, 0)), (CacheExport::Minimal, (6, 2))] {
        let store = MemoryBlobStore::default();
        let manifest = export(&fixture, which, &store);
        assert_eq!(manifest, export(&fixture, which, &store), "equal records make an equal artifact");
        let records = ArtifactRecordStore::open(&store, &manifest).unwrap();
        let (cached, done, built) = build_from(&fixture, TEXT, &records, &store);
        assert_eq!(((cached, done), &built), (expected, &digest), "{which:?}");
    }
}

#[test]
fn an_artifact_tells_no_values() {
    let mut fixture = fixture();
    fixture.options = fixture.options.clone().with_build_arg("TOKEN", "very-secret");
    let image = fixture.build("FROM scratch AS one\nARG TOKEN\nLABEL t=$TOKEN\nFROM scratch\nCOPY a.txt /\n").image;
    let store = MemoryBlobStore::default();
    let state = BuildState::open(fixture.state()).unwrap();
    state.export(&image.records, CacheExport::Maximal, &store, &Ctx::default()).unwrap();
    let mut found = 0;
    store.for_each_bytes(&mut |bytes| found += usize::from(bytes.windows(11).any(|window| window == b"very-secret")));
    assert_eq!(found, 0);
}

trait ForEachBytes {
    fn for_each_bytes(&self, visit: &mut dyn FnMut(&[u8]));
}

impl ForEachBytes for MemoryBlobStore {
    fn for_each_bytes(&self, visit: &mut dyn FnMut(&[u8])) {
        let seen = &mut |digest: &image_core::Digest, _| {
            let mut bytes = Vec::new();
            self.open(digest)?.unwrap().read_to_end(&mut bytes).unwrap();
            visit(&bytes);
            Ok(())
        };
        image_core::BlobStore::for_each(self, seen).unwrap();
    }
}

/// A source of blobs some of which are other bytes than their digest says.
struct Lying<'a>(&'a MemoryBlobStore);

impl BlobSource for Lying<'_> {
    fn stat(&self, digest: &image_core::Digest) -> image_core::Result<Option<u64>> {
        self.0.stat(digest)
    }

    fn open(&self, digest: &image_core::Digest) -> image_core::Result<Option<image_core::blob::Blob>> {
        let Some(size) = self.0.stat(digest)? else { return Ok(None) };
        let lies = MemoryBlobStore::default();
        let lie = lies.put_bytes(&vec![b'x'; usize::try_from(size).unwrap()])?;
        lies.open(&lie.digest)
    }
}

#[test]
fn imported_records_are_not_believed_blindly() {
    let fixture = fixture();
    let digest = fixture.build(TEXT).image.manifest.digest;
    let store = MemoryBlobStore::default();
    let manifest = export(&fixture, CacheExport::Maximal, &store);
    let records = ArtifactRecordStore::open(&store, &manifest).unwrap();
    let all = |change: &dyn Fn(&mut image_build::cache::Record)| {
        let changed = ArtifactRecordStore::default();
        records
            .for_each(&mut |mut record| {
                change(&mut record);
                changed.put(&record)
            })
            .unwrap();
        changed
    };
    let empty = MemoryBlobStore::default();
    let other = store.put_bytes(b"another layer").unwrap();
    let cases: [(&str, ArtifactRecordStore, &dyn BlobSource); 7] = [
        (
            "layers are no archives",
            all(&|record| {
                if let Some(layer) = &mut record.layer {
                    (layer.descriptor.digest, layer.descriptor.size) = (other.digest.clone(), other.size);
                    layer.diff_id = image_core::DiffId::from_digest(other.digest.clone());
                }
            }),
            &store,
        ),
        (
            "layers are of another kind than the step makes",
            all(&|record| {
                if let Some(layer) = &mut record.layer {
                    layer.descriptor.media_type = MediaType::OciLayerZstd;
                }
            }),
            &store,
        ),
        (
            "layers are not compressed as is said",
            all(&|record| {
                if let Some(layer) = &mut record.layer {
                    let plain = store.put_bytes(&vec![0; 1024]).unwrap();
                    (layer.descriptor.digest, layer.descriptor.size) = (plain.digest.clone(), plain.size);
                    layer.diff_id = image_core::DiffId::from_digest(plain.digest);
                    layer.descriptor.media_type = match layer.descriptor.media_type {
                        MediaType::OciLayer => MediaType::OciLayerGzip,
                        _ => layer.descriptor.media_type.clone(),
                    };
                }
            }),
            &store,
        ),
        ("blobs are missing", all(&|_| ()), &empty),
        ("blobs are others than they should be", all(&|_| ()), &Lying(&store)),
        (
            "records name other layers",
            all(&|record| {
                if let Some(layer) = &mut record.layer {
                    (layer.descriptor.digest, layer.descriptor.size) = (other.digest.clone(), other.size);
                }
            }),
            &store,
        ),
        (
            "records name other diffIDs",
            all(&|record| {
                if let Some(layer) = &mut record.layer {
                    layer.diff_id = image_core::DiffId::from_digest(other.digest.clone());
                }
            }),
            &store,
        ),
    ];
    for (name, records, blobs) in cases {
        let (cached, done, built) = build_from(&fixture, TEXT, &records, blobs);
        assert_eq!((cached, done, &built), (8 - LAYERS, LAYERS, &digest), "{name}");
    }
    // What a record says of a layer besides is not told again.
    let annotated = all(&|record| {
        if let Some(layer) = &mut record.layer {
            layer.descriptor.annotations.insert("note".into(), "from elsewhere".into());
            layer.descriptor.urls = vec!["http://elsewhere.example/layer".into()];
        }
    });
    let (cached, _, built) = build_from(&fixture, TEXT, &annotated, &store);
    assert_eq!((cached, &built), (8, &digest));
    // A record under the key of another step is none.
    let swapped = Swapped(all(&|_| ()));
    let (cached, _, built) = build_from(&fixture, TEXT, &swapped, &store);
    assert_eq!((cached, &built), (0, &digest));
}

/// Gives any record for any key.
struct Swapped(ArtifactRecordStore);

impl RecordStore for Swapped {
    fn get(&self, key: &image_build::cache::CacheKey) -> image_build::Result<Option<image_build::cache::Record>> {
        let mut found = None;
        self.0.for_each(&mut |record| {
            if record.layer.is_some() && record.recipe.key() != *key {
                found = Some(record);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn put(&self, record: &image_build::cache::Record) -> image_build::Result<()> {
        self.0.put(record)
    }

    fn touch(&self, key: &image_build::cache::CacheKey, used: Timestamp) -> image_build::Result<()> {
        self.0.touch(key, used)
    }

    fn remove(&self, key: &image_build::cache::CacheKey) -> image_build::Result<bool> {
        self.0.remove(key)
    }

    fn for_each(
        &self,
        visit: &mut dyn FnMut(image_build::cache::Record) -> image_build::Result<()>,
    ) -> image_build::Result<()> {
        self.0.for_each(visit)
    }
}

#[test]
fn what_is_no_cache_is_refused() {
    let store = MemoryBlobStore::default();
    let blob = |bytes: &[u8], media_type: &str| {
        let put = store.put_bytes(bytes).unwrap();
        Descriptor::new(MediaType::from(media_type), put.digest, put.size)
    };
    let records = "application/vnd.image-build.cache.records.v1+json";
    let config = blob(b"{}", "application/vnd.oci.empty.v1+json");
    let manifest = |layers: Vec<Descriptor>| {
        let document = Document::new(ImageManifest::new(config.clone(), layers)).unwrap();
        store.put_document(&document).unwrap();
        document.descriptor(MediaType::OciManifest)
    };
    let cases = [
        manifest(vec![]),
        manifest(vec![blob(b"tar", "application/vnd.oci.image.layer.v1.tar")]),
        manifest(vec![blob(b"no json", records)]),
        manifest(vec![blob(br#"{"records":7}"#, records)]),
    ];
    for case in cases {
        let error = ArtifactRecordStore::open(&store, &case).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(&case.digest.to_string()), "{error}");
    }
    // What a later version wrote beside what is known is left out.
    let mixed = manifest(vec![blob(
        br#"{"records":[{"later":1},{"recipe":[],"created":"1970-01-01T00:00:00Z","used":"1970-01-01T00:00:00Z"}]}"#,
        records,
    )]);
    let mut count = 0;
    let open = ArtifactRecordStore::open(&store, &mixed).unwrap();
    open.for_each(&mut |_| {
        count += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(count, 1);
}
