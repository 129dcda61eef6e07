//! Records in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use image_core::Timestamp;

use super::{CacheKey, Journal, Record, RecordStore, Trail};
use crate::error::Result;

/// Keeps records for as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryRecordStore {
    records: Mutex<HashMap<CacheKey, Record>>,
    trails: Mutex<BTreeMap<String, Trail>>,
    expired: Mutex<HashMap<CacheKey, Timestamp>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RecordStore for MemoryRecordStore {
    fn get(&self, key: &CacheKey) -> Result<Option<Record>> {
        Ok(lock(&self.records).get(key).cloned())
    }

    fn put(&self, record: &Record) -> Result<()> {
        lock(&self.records).insert(record.recipe.key(), record.clone());
        Ok(())
    }

    fn touch(&self, key: &CacheKey, used: Timestamp) -> Result<()> {
        if let Some(record) = lock(&self.records).get_mut(key) {
            record.used = used;
        }
        Ok(())
    }

    fn remove(&self, key: &CacheKey) -> Result<bool> {
        Ok(lock(&self.records).remove(key).is_some())
    }

    fn for_each(&self, visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        // A copy, since `visit` may call the store.
        let records: Vec<Record> = lock(&self.records).values().cloned().collect();
        records.into_iter().try_for_each(visit)
    }
}

impl Journal for MemoryRecordStore {
    fn trail(&self, name: &str) -> Result<Option<Trail>> {
        Ok(lock(&self.trails).get(name).cloned())
    }

    fn put_trail(&self, name: &str, trail: &Trail) -> Result<()> {
        lock(&self.trails).insert(name.into(), trail.clone());
        Ok(())
    }

    fn for_each_trail(&self, visit: &mut dyn FnMut(&str, Trail) -> Result<()>) -> Result<()> {
        let trails = lock(&self.trails).clone();
        trails.into_iter().try_for_each(|(name, trail)| visit(&name, trail))
    }

    fn expired(&self, key: &CacheKey) -> Result<Option<Timestamp>> {
        Ok(lock(&self.expired).get(key).copied())
    }

    fn put_expired(&self, key: &CacheKey, when: Timestamp) -> Result<()> {
        lock(&self.expired).insert(key.clone(), when);
        Ok(())
    }

    fn forget_expired(&self, before: Timestamp) -> Result<()> {
        lock(&self.expired).retain(|_, when| *when >= before);
        Ok(())
    }
}
