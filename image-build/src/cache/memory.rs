//! Records in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{CacheKey, Record, RecordStore};
use crate::error::Result;

/// Keeps records for as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryRecordStore(Mutex<HashMap<CacheKey, Record>>);

impl MemoryRecordStore {
    fn records(&self) -> MutexGuard<'_, HashMap<CacheKey, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordStore for MemoryRecordStore {
    fn get(&self, key: &CacheKey) -> Result<Option<Record>> {
        Ok(self.records().get(key).cloned())
    }

    fn put(&self, record: &Record) -> Result<()> {
        self.records().insert(record.recipe.key(), record.clone());
        Ok(())
    }

    fn remove(&self, key: &CacheKey) -> Result<bool> {
        Ok(self.records().remove(key).is_some())
    }
}
