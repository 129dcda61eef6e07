//! A cache of results of work: what was done before on equal inputs is not done again, and what is done again says why.
//!
//! It knows nothing of images and Dockerfiles: a task runner, a package builder or a test runner uses it as a build does.
//! Four words are enough to know:
//!
//! - A [`Recipe`] is everything that can change a result, as a list of [ingredients](Ingredient): the command, the files
//!   it reads, the variables it sees, the version of a tool. Each has a kind, a name, and the digest of its value.
//! - A [`CacheKey`] is the recipe's name: equal if and only if the recipes are, on every machine.
//! - A [`Record`] is what came of a recipe, with the recipe itself: a layer, and whatever the caller attaches, such as the
//!   digests of files that lie in a store of blobs. A [`RecordStore`] keeps records by key.
//! - A [`Trail`] is which steps the last run of something had, and under which keys. Kept in a [`Journal`], it is what the next
//!   run is compared with: [`explain::compare`] says in which ingredients two recipes differ.
//!
//! A key covers what its recipe names and nothing else. So name all that counts: whatever is left out of a recipe (a
//! variable that a command reads, say) can change without anybody noticing. What must not count, such as times and
//! places of files, stays out.
//!
//! ```
//! use image_build::cache::{IngredientKind, Journal, Mark, MemoryRecordStore, Recipe, Record, RecordStore, Trail, explain};
//! use image_core::{Digest, Timestamp};
//!
//! /// Compiles `source`, unless that was done before; says what was done and why.
//! fn compile(source: &[u8], flags: &str, store: &MemoryRecordStore) -> image_build::Result<String> {
//!     let recipe = Recipe::new()
//!         .with_text(IngredientKind::Instruction, "command", "cc -c main.c")
//!         .with_text(IngredientKind::Environment, "CFLAGS", flags)
//!         .with_digest(IngredientKind::Content, "main.c", Digest::sha256_of(source));
//!     let key = recipe.key();
//!     if store.get(&key)?.is_some() {
//!         return Ok("cached".into());
//!     }
//!     let last = store.trail("compile")?.and_then(|trail| trail.marks.into_iter().next());
//!     let last = last.map(|mark| store.get(&mark.key)).transpose()?.flatten();
//!     let why = match last {
//!         Some(last) => explain::compare(&last.recipe, &recipe)[0].to_string(),
//!         None => "it was never done".into(),
//!     };
//!     // Here the work is done, and what it makes goes into the record.
//!     store.put(&Record::new(recipe, Timestamp::UNIX_EPOCH))?;
//!     let mut trail = Trail::default();
//!     trail.marks.push(Mark::new("main", "cc -c main.c", key));
//!     store.put_trail("compile", &trail)?;
//!     Ok(format!("done, since {why}"))
//! }
//!
//! let store = MemoryRecordStore::default();
//! assert_eq!(compile(b"int main;", "-O1", &store)?, "done, since it was never done");
//! assert_eq!(compile(b"int main;", "-O1", &store)?, "cached");
//! assert_eq!(
//!     compile(b"int main;", "-O2", &store)?,
//!     r#"done, since environment CFLAGS changed from "-O1" to "-O2""#
//! );
//! assert_eq!(compile(b"int main;", "-O1", &store)?, "cached");
//! # Ok::<(), image_build::Error>(())
//! ```
//!
//! Digests of many files, of which only those are read that changed, come from
//! [`BuildContext::fingerprint`](crate::BuildContext::fingerprint). Where a result can be found in several ways, by what is
//! asked for and by what that comes to, [`find`] tries one recipe after the other. The example program `task_cache` is a task
//! runner in 80 lines.
//!
//! Records are kept in memory ([`MemoryRecordStore`]), in a directory ([`DirRecordStore`], for many processes at once), or
//! in an artifact that lies in a store of blobs as images do ([`ArtifactRecordStore`], to be handed on); a store of one's own
//! should pass the suite of `conformance`. [`expire`](expire()) drops what a [policy](ExpiryPolicy) says, least recently
//! used first. What blobs records name, [`blobs`](blobs()) says: a record does not promise that they are still there, and
//! whoever takes one verifies it.

pub(crate) mod align;
mod artifact;
#[cfg(feature = "conformance")]
pub mod conformance;
mod directory;
mod expire;
pub mod explain;
pub(crate) mod files;
mod forward;
mod key;
mod memory;
mod recipe;
mod record;
mod trail;

pub use artifact::{ARTIFACT_TYPE, ArtifactRecordStore};
pub use directory::DirRecordStore;
pub use expire::{ExpiredRecord, Expiry, ExpiryPolicy, ExpiryReason, RunMode, expire};
pub use files::{FileChange, FileChanges, FileDifference};
pub use key::CacheKey;
pub use memory::MemoryRecordStore;
pub use recipe::{Ingredient, IngredientKind, Recipe};
pub use record::{Record, RecordedLayer};
pub use trail::{Mark, Trail};

use std::collections::BTreeMap;

use image_core::{Descriptor, Timestamp};

use crate::error::Result;

/// Keeps records by key.
///
/// - **Whole**: a record is there whole or not at all, to this and every other handle of the store.
/// - **Replaced**: putting a record whose key is there replaces it. Equal keys have equal recipes, so either result serves.
/// - **Mistrusted**: what cannot be read back (cut short, of another version, standing under another record's key) is
///   absent, never an error and never believed.
///
/// All methods may be called from many threads at once. An implementation of its own should pass the suite of
/// `conformance` (the feature of that name).
pub trait RecordStore: Send + Sync {
    /// The record of this key.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn get(&self, key: &CacheKey) -> Result<Option<Record>>;

    /// Keeps a record under its recipe's key.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn put(&self, record: &Record) -> Result<()>;

    /// Notes when a record last served. One that is gone stays gone.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn touch(&self, key: &CacheKey, used: Timestamp) -> Result<()>;

    /// Forgets a record; whether it was there.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn remove(&self, key: &CacheKey) -> Result<bool>;

    /// Calls `visit` with every record, in no particular order. Records that come or go meanwhile may be visited or not.
    ///
    /// # Errors
    /// The first error of `visit`, or where the store cannot be read.
    fn for_each(&self, visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()>;
}

/// Keeps what explanations need besides records: the steps of the last runs, and which records were expired.
///
/// It is told to people only: no result depends on it, and what is gone or damaged costs words.
pub trait Journal: Send + Sync {
    /// The steps of the last run of this name; `None` where there was none or they cannot be read back.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn trail(&self, name: &str) -> Result<Option<Trail>>;

    /// Keeps the steps of a run in place of those of the last one of this name.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn put_trail(&self, name: &str, trail: &Trail) -> Result<()>;

    /// Calls `visit` with the name and the steps of the last run of each name, by name.
    ///
    /// # Errors
    /// The first error of `visit`, or where the store cannot be read.
    fn for_each_trail(&self, visit: &mut dyn FnMut(&str, Trail) -> Result<()>) -> Result<()>;

    /// When the record of this key was expired by a policy, if it was.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn expired(&self, key: &CacheKey) -> Result<Option<Timestamp>>;

    /// Notes that a record was expired by a policy.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn put_expired(&self, key: &CacheKey, when: Timestamp) -> Result<()>;

    /// Forgets what was noted of records that were expired before a time.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn forget_expired(&self, before: Timestamp) -> Result<()>;
}

/// The first record that one of several recipes has, each a way to find the same result: by what a step is defined
/// as, say, and by the content that this comes to. Gives the recipe's position with the record.
///
/// # Errors
/// Where the store cannot be read.
pub fn find<'r>(
    store: &(impl RecordStore + ?Sized),
    recipes: impl IntoIterator<Item = &'r Recipe>,
) -> Result<Option<(usize, Record)>> {
    for (position, recipe) in recipes.into_iter().enumerate() {
        let key = recipe.key();
        // No store is believed blindly: the record has to be of this recipe.
        if let Some(record) = store.get(&key)?.filter(|record| record.recipe.key() == key) {
            return Ok(Some((position, record)));
        }
    }
    Ok(None)
}

/// The blobs that records name, each once, in the order of their digests: what a collector of garbage has to keep.
///
/// # Errors
/// Where the store cannot be read.
pub fn blobs(store: &(impl RecordStore + ?Sized)) -> Result<Vec<Descriptor>> {
    let mut found = BTreeMap::new();
    store.for_each(&mut |record| {
        found.extend(record.descriptors().map(|blob| (blob.digest.clone(), blob.clone())));
        Ok(())
    })?;
    Ok(found.into_values().collect())
}
