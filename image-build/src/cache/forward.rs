//! References, boxes and counted references of stores are stores.

use std::sync::Arc;

use image_core::Timestamp;

use super::{CacheKey, Journal, Record, RecordStore, Trail};
use crate::error::Result;

macro_rules! forward {
    ($($wrapper:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<T: RecordStore + ?Sized> RecordStore for $wrapper {
            fn get(&self, key: &CacheKey) -> Result<Option<Record>> {
                (**self).get(key)
            }

            fn put(&self, record: &Record) -> Result<()> {
                (**self).put(record)
            }

            fn touch(&self, key: &CacheKey, used: Timestamp) -> Result<()> {
                (**self).touch(key, used)
            }

            fn remove(&self, key: &CacheKey) -> Result<bool> {
                (**self).remove(key)
            }

            fn for_each(&self, visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
                (**self).for_each(visit)
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<T: Journal + ?Sized> Journal for $wrapper {
            fn trail(&self, name: &str) -> Result<Option<Trail>> {
                (**self).trail(name)
            }

            fn put_trail(&self, name: &str, trail: &Trail) -> Result<()> {
                (**self).put_trail(name, trail)
            }

            fn for_each_trail(&self, visit: &mut dyn FnMut(&str, Trail) -> Result<()>) -> Result<()> {
                (**self).for_each_trail(visit)
            }

            fn expired(&self, key: &CacheKey) -> Result<Option<Timestamp>> {
                (**self).expired(key)
            }

            fn put_expired(&self, key: &CacheKey, when: Timestamp) -> Result<()> {
                (**self).put_expired(key, when)
            }

            fn forget_expired(&self, before: Timestamp) -> Result<()> {
                (**self).forget_expired(before)
            }
        }
    )*};
}

forward!(&T, Box<T>, Arc<T>);
