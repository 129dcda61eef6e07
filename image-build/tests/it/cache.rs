//! The cache engine by itself: keys, records and their stores.

use std::sync::atomic::{AtomicUsize, Ordering};

use image_build::cache::{
    ArtifactRecordStore, DirRecordStore, IngredientKind, Journal, Mark, MemoryRecordStore, Recipe, Record, RecordStore,
    RecordedLayer, Trail, conformance, explain::compare,
};
use image_core::{Descriptor, DiffId, Digest, MediaType, Timestamp};
use proptest::prelude::*;

fn recipe() -> Recipe {
    Recipe::new()
        .with_text(IngredientKind::Instruction, "instruction", "COPY a /")
        .with_digest(IngredientKind::Content, "a", Digest::sha256_of(b"content"))
        .with_text(IngredientKind::Argument, "VERSION", "1")
}

#[test]
fn keys_are_the_same_on_every_machine() {
    // A golden vector: when this changes, every cache of every user is lost, and the domain tag must count up.
    assert_eq!(recipe().key().to_string(), GOLDEN);
    assert_eq!(Recipe::new().key().to_string(), GOLDEN_EMPTY);
    // Written out, as another program would: the domain, the count, and each part behind its length.
    let part = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let digest = |bytes: &[u8]| Digest::sha256_of(bytes).to_string();
    let mut bytes = b"image-build cache key v1\0".to_vec();
    bytes.extend(3_u64.to_le_bytes());
    for (kind, name, value) in
        [("instruction", "instruction", &b"COPY a /"[..]), ("content", "a", b"content"), ("argument", "VERSION", b"1")]
    {
        bytes.extend([part(kind), part(name), part(&digest(value))].concat());
    }
    assert_eq!(recipe().key().as_digest(), &Digest::sha256_of(&bytes));
    assert_eq!(recipe().without_texts().key(), recipe().key(), "texts are for people");
    assert_eq!(recipe().without_texts(), recipe());
}

const GOLDEN: &str = "sha256:9ccfae4c02fc074820d531eb1ac556d1c0e28067dcfd60e3bbd4f8b9a6893a36";
const GOLDEN_EMPTY: &str = "sha256:331af0ea11fff0a4a7cace9cdcd07d4df1dc94be0c4559d1345d2b95995132c6";

#[test]
fn every_part_of_a_recipe_is_in_its_key() {
    let kinds = [
        IngredientKind::Instruction,
        IngredientKind::Parent,
        IngredientKind::BaseImage,
        IngredientKind::Argument,
        IngredientKind::Environment,
        IngredientKind::Content,
        IngredientKind::Platform,
        IngredientKind::Setting,
        IngredientKind::Tool,
        IngredientKind::Mount,
    ];
    let mut keys: Vec<_> = kinds.iter().map(|kind| Recipe::new().with_text(*kind, "n", "v").key()).collect();
    let named = |name, value| Recipe::new().with_text(IngredientKind::Argument, name, value).key();
    keys.extend([named("n", "w"), named("m", "v"), named("nv", ""), named("", "nv"), Recipe::new().key()]);
    let twice = |a, b| {
        Recipe::new().with_text(IngredientKind::Argument, a, "v").with_text(IngredientKind::Argument, b, "v").key()
    };
    keys.extend([twice("n", "m"), twice("m", "n"), twice("n", "n")]);
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

fn check(store: &dyn RecordStore) {
    let recipe = recipe();
    assert_eq!(store.get(&recipe.key()).unwrap(), None);
    assert!(!store.remove(&recipe.key()).unwrap());
    let descriptor = Descriptor::new(MediaType::OciLayerGzip, Digest::sha256_of(b"blob"), 7);
    let layer = RecordedLayer::new(descriptor, DiffId::from_digest(Digest::sha256_of(b"tar")));
    let mut record = Record::new(recipe.clone(), Timestamp::new(7, 8).unwrap()).with_layer(layer);
    record.attached.insert("k".into(), "v".into());
    store.put(&record).unwrap();
    assert_eq!(store.get(&recipe.key()).unwrap(), Some(record.clone()));
    assert_eq!(store.get(&Recipe::new().key()).unwrap(), None);
    let later = Record::new(recipe.clone(), Timestamp::from_seconds(9));
    store.put(&later).unwrap();
    assert_eq!(store.get(&recipe.key()).unwrap(), Some(later));
    assert!(store.remove(&recipe.key()).unwrap());
    assert_eq!(store.get(&recipe.key()).unwrap(), None);
}

fn check_trails(store: &dyn Journal) {
    assert_eq!(store.trail("a").unwrap(), None);
    let mut trail = Trail::default();
    trail.marks.push(Mark::new("tasks", "compile", recipe().key()).with_after("output", "1"));
    trail.marks.push(Mark::new("tests", "run", Recipe::new().key()));
    store.put_trail("a", &trail).unwrap();
    assert_eq!(store.trail("a").unwrap(), Some(trail.clone()));
    assert_eq!(store.trail("b/../a").unwrap(), None);
    assert_eq!(trail.groups().collect::<Vec<_>>(), ["tasks", "tests"]);
    assert_eq!(trail.group("tests").map(|mark| &*mark.text).collect::<Vec<_>>(), ["run"]);
    store.put_trail("a", &Trail::default()).unwrap();
    assert_eq!(store.trail("a").unwrap(), Some(Trail::default()));
}

#[test]
fn stores_keep_the_last_trail_of_a_name() {
    check_trails(&MemoryRecordStore::default());
    let directory = test_support::temp_dir();
    let store = DirRecordStore::open(directory.path()).unwrap();
    check_trails(&store);
    for entry in std::fs::read_dir(directory.path().join("latest")).unwrap() {
        std::fs::write(entry.unwrap().path(), "[{").unwrap();
    }
    assert_eq!(store.trail("a").unwrap(), None, "what is damaged is absent");
}

#[test]
fn stores_pass_the_suite() {
    let directory = test_support::temp_dir();
    let count = AtomicUsize::new(0);
    let open = || {
        let name = count.fetch_add(1, Ordering::Relaxed).to_string();
        DirRecordStore::open(directory.path().join(name)).unwrap()
    };
    conformance::check_all(&|| Box::new(open()));
    conformance::check_journal(&|| Box::new(open()));
    conformance::check_all(&|| Box::new(MemoryRecordStore::default()));
    conformance::check_journal(&|| Box::new(MemoryRecordStore::default()));
    conformance::check_all(&|| Box::new(ArtifactRecordStore::default()));
}

#[test]
fn recipes_differ_in_what_was_edited() {
    let recipe = |parts: &[(&str, &str)]| {
        parts
            .iter()
            .fold(Recipe::new(), |recipe, (name, value)| recipe.with_text(IngredientKind::Environment, name, value))
    };
    let old = [("a", "1"), ("b", "2"), ("c", "3")];
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 7] = [
        (&old, &[]),
        (&[("a", "1"), ("b", "x"), ("c", "3")], &[r#"environment b changed from "2" to "x""#]),
        (&[("a", "1"), ("c", "3")], &[r#"environment b was removed: "2""#]),
        (&[("a", "1"), ("b", "2"), ("d", "4"), ("c", "3")], &[r#"environment d was added: "4""#]),
        (&[("a", "1"), ("c", "3"), ("b", "2")], &["environment b moved"]),
        (&[("a", "1"), ("b", "2"), ("c", "3"), ("a", "1")], &[r#"environment a was added: "1""#]),
        (&[], &["a", "b", "c"]),
    ];
    for (new, expected) in cases {
        let said: Vec<String> = compare(&recipe(&old), &recipe(new)).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        assert!(said.iter().zip(expected).all(|(said, expected)| said.contains(expected)), "{said:?}");
    }
    let digest = |bytes: &[u8]| Recipe::new().with_digest(IngredientKind::Content, "files", Digest::sha256_of(bytes));
    assert!(compare(&digest(b"a"), &digest(b"b"))[0].to_string().starts_with("content files changed from sha256:"));
}

#[test]
fn a_recipe_of_very_many_ingredients_is_kept_and_compared() {
    let recipe = |changed: usize| {
        (0..50_000).fold(Recipe::new(), |recipe, n| {
            let content = if n == changed { "new".into() } else { n.to_string() };
            let name = format!("src/module-{}/file-{n}.c", n % 100);
            recipe.with_digest(IngredientKind::Content, &name, Digest::sha256_of(content.as_bytes()))
        })
    };
    let (old, new) = (recipe(50_000), recipe(33_333));
    let directory = test_support::temp_dir();
    let store = DirRecordStore::open(directory.path()).unwrap();
    store.put(&Record::new(old.clone(), Timestamp::UNIX_EPOCH)).unwrap();
    let record = store.get(&old.key()).unwrap().expect("what is put can be read back");
    let said: Vec<String> = compare(&record.recipe, &new).iter().map(ToString::to_string).collect();
    assert!(said.len() == 1 && said[0].starts_with("content src/module-33/file-33333.c changed"), "{said:?}");
    // In the other order, all but one moved.
    let reversed = old
        .ingredients()
        .iter()
        .rev()
        .fold(Recipe::new(), |recipe, part| recipe.with_digest(part.kind, &part.name, part.digest.clone()));
    assert_eq!(compare(&old, &reversed).len(), 49_999);
}

#[test]
fn stores_keep_what_they_are_given() {
    check(&MemoryRecordStore::default());
    let directory = test_support::temp_dir();
    check(&DirRecordStore::open(directory.path()).unwrap());
}

#[test]
fn a_record_under_the_key_of_another_is_not_believed() {
    let directory = test_support::temp_dir();
    let store = DirRecordStore::open(directory.path()).unwrap();
    let (mine, other) = (recipe(), Recipe::new());
    store.put(&Record::new(mine.clone(), Timestamp::UNIX_EPOCH)).unwrap();
    let path = |recipe: &Recipe| {
        let key = recipe.key();
        let name = key.as_digest().encoded();
        directory.path().join(&name[..2]).join(format!("{name}.json"))
    };
    std::fs::create_dir_all(path(&other).parent().unwrap()).unwrap();
    std::fs::copy(path(&mine), path(&other)).unwrap();
    assert_eq!(store.get(&other.key()).unwrap(), None);
    assert!(store.get(&mine.key()).unwrap().is_some());
}

proptest! {
    #[test]
    fn keys_are_equal_if_and_only_if_recipes_are(
        a in prop::collection::vec((0..9_usize, "[ab\\x00]{0,2}", "[ab\\x00]{0,2}"), 0..3),
        b in prop::collection::vec((0..9_usize, "[ab\\x00]{0,2}", "[ab\\x00]{0,2}"), 0..3),
    ) {
        let kinds = [
            IngredientKind::Instruction, IngredientKind::Parent, IngredientKind::BaseImage, IngredientKind::Argument,
            IngredientKind::Environment, IngredientKind::Content, IngredientKind::Platform, IngredientKind::Setting,
            IngredientKind::Tool,
        ];
        let recipe = |parts: &[(usize, String, String)]| parts.iter().fold(Recipe::new(), |recipe, (kind, name, value)| {
            recipe.with_text(kinds[*kind], name, value)
        });
        prop_assert_eq!(recipe(&a).key() == recipe(&b).key(), recipe(&a) == recipe(&b));
        prop_assert_eq!(compare(&recipe(&a), &recipe(&b)).is_empty(), recipe(&a) == recipe(&b));
    }
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
    let directory = test_support::temp_dir();
    DirRecordStore::open(directory.path()).unwrap();
    let (abandoned, in_use) = (directory.path().join("tmp/abandoned"), directory.path().join("tmp/in-use"));
    std::fs::File::create(&abandoned).unwrap();
    let held = std::fs::File::create(&in_use).unwrap();
    held.lock().unwrap();
    DirRecordStore::open(directory.path()).unwrap();
    assert!(!abandoned.exists() && in_use.exists());
}
