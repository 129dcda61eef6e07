//! The suite that every store of records must pass.
//!
//! Each check takes an empty store, and panics where the store breaks the contract of [`RecordStore`] or [`Journal`],
//! in words that say how. [`check_all`] and [`check_journal`] run all of them:
//!
//! ```
//! use image_build::cache::{MemoryRecordStore, conformance};
//! conformance::check_all(&|| Box::new(MemoryRecordStore::default()));
//! conformance::check_journal(&|| Box::new(MemoryRecordStore::default()));
//! ```
#![expect(clippy::missing_panics_doc, reason = "panicking is how a check fails, as said above")]
#![expect(clippy::panic, reason = "panicking is how a check fails")]

use std::{collections::BTreeSet, thread};

use image_core::{Descriptor, DiffId, Digest, MediaType, Timestamp};

use super::{CacheKey, IngredientKind, Journal, Mark, Recipe, Record, RecordStore, RecordedLayer, Trail, blobs, find};
use crate::error::Result;

/// Runs every check of records, each on a new and empty store.
pub fn check_all(make: &dyn Fn() -> Box<dyn RecordStore>) {
    let checks: [fn(&dyn RecordStore); 8] = [
        absent_records_are_none,
        records_come_back_as_they_were_put,
        puts_replace,
        removed_records_are_gone,
        touches_note_the_use,
        visits_are_complete,
        visitors_may_remove,
        writers_may_race,
    ];
    for check in checks {
        check(&*make());
    }
    alternatives_are_tried_in_order(&*make());
}

/// Runs every check of journals, each on a new and empty one.
pub fn check_journal(make: &dyn Fn() -> Box<dyn Journal>) {
    let checks: [fn(&dyn Journal); 3] = [trails_are_kept_by_name, trails_are_visited, expiries_are_remembered];
    for check in checks {
        check(&*make());
    }
}

/// A record that is not there is no error.
pub fn absent_records_are_none(store: &dyn RecordStore) {
    let key = recipe("absent").key();
    assert_eq!(ok(store.get(&key), "get"), None, "an absent record is none");
    assert!(!ok(store.remove(&key), "remove"), "an absent record was not there to be removed");
    ok(store.touch(&key, at(1)), "touch of an absent record");
    assert_eq!(ok(store.get(&key), "get"), None, "a touch makes no record");
    assert!(keys(store).is_empty(), "a new store has no records");
}

/// What is put comes back under its key, and under no other.
pub fn records_come_back_as_they_were_put(store: &dyn RecordStore) {
    let full = record("full");
    let bare = Record::new(Recipe::new(), at(7));
    for record in [&full, &bare] {
        ok(store.put(record), "put");
        let found = ok(store.get(&record.recipe.key()), "get");
        assert_eq!(found.as_ref(), Some(record), "the record that was put");
        let ingredients = found.map(|found| found.recipe.ingredients().len());
        assert_eq!(ingredients, Some(record.recipe.ingredients().len()), "the recipe is kept with it");
    }
    assert_eq!(ok(store.get(&recipe("other").key()), "get"), None, "another key has no record");
}

/// The last record of a key counts.
pub fn puts_replace(store: &dyn RecordStore) {
    ok(store.put(&record("one")), "put");
    let later = Record::new(recipe("one"), at(9));
    ok(store.put(&later), "put");
    assert_eq!(ok(store.get(&later.recipe.key()), "get"), Some(later), "the later record");
    assert_eq!(keys(store).len(), 1, "there is one record of a key");
}

/// A removed record is not there any more, and others are.
pub fn removed_records_are_gone(store: &dyn RecordStore) {
    let (one, two) = (record("one"), record("two"));
    ok(store.put(&one), "put");
    ok(store.put(&two), "put");
    assert!(ok(store.remove(&one.recipe.key()), "remove"), "it was there");
    assert!(!ok(store.remove(&one.recipe.key()), "remove"), "it is not there any more");
    assert_eq!(ok(store.get(&one.recipe.key()), "get"), None, "it is gone");
    assert_eq!(ok(store.get(&two.recipe.key()), "get"), Some(two), "the other is there");
}

/// A touch changes the time of use and nothing else.
pub fn touches_note_the_use(store: &dyn RecordStore) {
    let record = record("one");
    let key = record.recipe.key();
    ok(store.put(&record), "put");
    ok(store.touch(&key, at(100)), "touch");
    let expected = Record { used: at(100), ..record };
    assert_eq!(ok(store.get(&key), "get"), Some(expected), "the record, used later");
}

/// A visit tells of each record once, and [`blobs`](super::blobs()) of each blob once.
pub fn visits_are_complete(store: &dyn RecordStore) {
    let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    for name in &names {
        ok(store.put(&record(name)), "put");
    }
    ok(store.put(&Record { layer: record("0").layer, ..Record::new(recipe("same blob"), at(1)) }), "put");
    let expected: BTreeSet<CacheKey> =
        names.iter().map(|name| recipe(name).key()).chain([recipe("same blob").key()]).collect();
    assert_eq!(keys(store), expected, "the keys of all records");
    assert_eq!(ok(blobs(store), "blobs").len(), names.len() + 1, "each blob once");
}

/// `visit` may call the store.
pub fn visitors_may_remove(store: &dyn RecordStore) {
    for name in ["one", "two", "three"] {
        ok(store.put(&record(name)), "put");
    }
    let removed = store.for_each(&mut |record| store.remove(&record.recipe.key()).map(drop));
    ok(removed, "removal while visiting");
    assert!(keys(store).is_empty(), "nothing is left");
}

/// Several writers, readers and removers at once get along, and what is left is whole.
pub fn writers_may_race(store: &dyn RecordStore) {
    let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for name in &names {
                    ok(store.put(&record(name)), "put");
                    ok(store.touch(&recipe(name).key(), record(name).used), "touch");
                    let found = ok(store.get(&recipe(name).key()), "get");
                    assert_eq!(found, Some(record(name)), "a record is there whole from its first put on");
                }
            });
        }
    });
    assert_eq!(keys(store).len(), names.len(), "one record of each key");
}

/// The first recipe that has a record counts.
pub fn alternatives_are_tried_in_order(store: &dyn RecordStore) {
    let recipes = [recipe("definition"), recipe("content")];
    assert!(ok(find(store, &recipes), "find").is_none(), "neither has a record");
    ok(store.put(&record("content")), "put");
    assert_eq!(ok(find(store, &recipes), "find"), Some((1, record("content"))), "the second has one");
    ok(store.put(&record("definition")), "put");
    assert_eq!(ok(find(store, &recipes), "find"), Some((0, record("definition"))), "the first comes first");
}

/// A trail is kept under its name, and the last one counts.
pub fn trails_are_kept_by_name(journal: &dyn Journal) {
    assert_eq!(ok(journal.trail("a"), "trail"), None, "there was no run");
    ok(journal.put_trail("a", &trail()), "put_trail");
    assert_eq!(ok(journal.trail("a"), "trail"), Some(trail()), "the trail that was put");
    assert_eq!(ok(journal.trail("b/../a"), "trail"), None, "names are no paths");
    ok(journal.put_trail("a", &Trail::default()), "put_trail");
    assert_eq!(ok(journal.trail("a"), "trail"), Some(Trail::default()), "the last one");
}

/// Trails are visited by name.
pub fn trails_are_visited(journal: &dyn Journal) {
    for name in ["b", "a", "\0 any name/"] {
        ok(journal.put_trail(name, &trail()), "put_trail");
    }
    let mut names = Vec::new();
    let visited = journal.for_each_trail(&mut |name, found| {
        assert_eq!(found, trail(), "the trail that was put");
        names.push(name.to_owned());
        Ok(())
    });
    ok(visited, "for_each_trail");
    assert_eq!(names, ["\0 any name/", "a", "b"], "all names, in order");
}

/// That a record was expired is known until it is forgotten.
pub fn expiries_are_remembered(journal: &dyn Journal) {
    let (one, two) = (recipe("one").key(), recipe("two").key());
    assert_eq!(ok(journal.expired(&one), "expired"), None, "nothing was expired");
    ok(journal.put_expired(&one, at(5)), "put_expired");
    ok(journal.put_expired(&two, at(6)), "put_expired");
    assert_eq!(ok(journal.expired(&one), "expired"), Some(at(5)), "when it was expired");
    ok(journal.forget_expired(at(6)), "forget_expired");
    assert_eq!(ok(journal.expired(&one), "expired"), None, "it is forgotten");
    assert_eq!(ok(journal.expired(&two), "expired"), Some(at(6)), "what is later is not");
}

fn recipe(name: &str) -> Recipe {
    Recipe::new().with_text(IngredientKind::Instruction, "instruction", name).with_digest(
        IngredientKind::Content,
        "files",
        Digest::sha256_of(name.as_bytes()),
    )
}

fn record(name: &str) -> Record {
    let descriptor = Descriptor::new(MediaType::OciLayerGzip, Digest::sha256_of(name.as_bytes()), 7);
    let layer = RecordedLayer::new(descriptor, DiffId::from_digest(Digest::sha256_of(b"tar")));
    let made = Descriptor::new(MediaType::from("text/plain"), Digest::sha256_of(b"made by all"), 5);
    let mut record = Record::new(recipe(name), at(7)).with_layer(layer).with_blob("output", made);
    record.attached.insert("note".into(), name.into());
    record
}

fn trail() -> Trail {
    let mut trail = Trail::default();
    trail.marks.push(Mark::new("tasks", "compile", recipe("one").key()).with_after("output", "1"));
    trail.marks.push(Mark::new("tests", "run", Recipe::new().key()));
    trail
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

fn keys(store: &dyn RecordStore) -> BTreeSet<CacheKey> {
    let mut keys = Vec::new();
    let visited = store.for_each(&mut |record| {
        keys.push(record.recipe.key());
        Ok(())
    });
    ok(visited, "for_each");
    let (count, keys) = (keys.len(), BTreeSet::from_iter(keys));
    assert_eq!(count, keys.len(), "no record is visited twice");
    keys
}

fn ok<T>(result: Result<T>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}
