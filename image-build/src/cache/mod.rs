//! The build cache: what went into a step, the key that follows from it, and the record of the result.
//!
//! It knows nothing of Dockerfiles. Compose a [`Recipe`] of everything that can change a result,
//! look its [`CacheKey`] up in a [`RecordStore`], and where there is none, do the work and store
//! a [`Record`]. The recipe is kept beside the result, so that two of them can be compared: keep a
//! [`Trail`] of the steps of each run, and [`explain`] says why a step was not found the next time.
//!
//! Records are kept in memory, in a directory ([`DirRecordStore`], for many processes at once), or in an artifact that
//! lies in a store of blobs as images do ([`ArtifactRecordStore`], to be handed on). [`expire`](expire()) drops what a
//! [policy](ExpiryPolicy) says, least recently used first.
//!
//! ```
//! use image_build::cache::{IngredientKind, MemoryRecordStore, Recipe, Record, RecordStore};
//! use image_core::Timestamp;
//!
//! let recipe = Recipe::new()
//!     .with_text(IngredientKind::Instruction, "command", "cc -c main.c")
//!     .with_text(IngredientKind::Environment, "CFLAGS", "-O2");
//! let store = MemoryRecordStore::default();
//! assert!(store.get(&recipe.key())?.is_none());
//! store.put(&Record::new(recipe.clone(), Timestamp::UNIX_EPOCH))?;
//! assert!(store.get(&recipe.key())?.is_some());
//! # Ok::<(), image_build::Error>(())
//! ```

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
        found.extend(record.layer.map(|layer| (layer.descriptor.digest.clone(), layer.descriptor)));
        Ok(())
    })?;
    Ok(found.into_values().collect())
}
