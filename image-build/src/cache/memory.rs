//! Records in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{CacheKey, Record, RecordStore, Trail};
use crate::error::Result;

/// Keeps records for as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryRecordStore {
    records: Mutex<HashMap<CacheKey, Record>>,
    trails: Mutex<HashMap<String, Trail>>,
}

impl MemoryRecordStore {
    fn records(&self) -> MutexGuard<'_, HashMap<CacheKey, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trails(&self) -> MutexGuard<'_, HashMap<String, Trail>> {
        self.trails.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn trail(&self, name: &str) -> Result<Option<Trail>> {
        Ok(self.trails().get(name).cloned())
    }

    fn put_trail(&self, name: &str, trail: &Trail) -> Result<()> {
        self.trails().insert(name.into(), trail.clone());
        Ok(())
    }
}
