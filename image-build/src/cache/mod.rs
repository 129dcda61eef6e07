//! The build cache: what went into a step, the key that follows from it, and the record of the result.
//!
//! It knows nothing of Dockerfiles. Compose a [`Recipe`] of everything that can change a result,
//! look its [`CacheKey`] up in a [`RecordStore`], and where there is none, do the work and store
//! a [`Record`]. The recipe is kept beside the result, so that two of them can be compared: keep a
//! [`Trail`] of the steps of each run, and [`explain`] says why a step was not found the next time.
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
mod directory;
pub mod explain;
pub(crate) mod files;
mod key;
mod memory;
mod recipe;
mod record;
mod trail;

pub use directory::DirRecordStore;
pub use files::{FileChange, FileChanges, FileDifference};
pub use key::CacheKey;
pub use memory::MemoryRecordStore;
pub use recipe::{Ingredient, IngredientKind, Recipe};
pub use record::{Record, RecordedLayer};
pub use trail::{Mark, Trail};

use crate::error::Result;

/// Keeps records by key.
///
/// A record is visible whole or not at all. Putting a record whose key is there replaces it:
/// equal keys have equal recipes, so either result serves. What cannot be read back (cut short,
/// of another version, under another record's key) is absent, never an error and never trusted.
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

    /// Forgets a record; whether it was there.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn remove(&self, key: &CacheKey) -> Result<bool>;

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
}
