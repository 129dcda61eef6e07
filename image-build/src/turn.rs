//! Work that several threads may come to at once: one does it, and the others wait for what comes of it.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use image_core::Ctx;

use crate::error::Result;

/// How often who waits looks whether the work is cancelled.
const CHECKED: Duration = Duration::from_millis(100);

/// Who works on what.
#[derive(Debug)]
pub(crate) struct Turns<K> {
    taken: Mutex<BTreeSet<K>>,
    given_back: Condvar,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { taken: Mutex::default(), given_back: Condvar::new() }
    }
}

impl<K: Ord + Clone> Turns<K> {
    /// Waits until no other thread works on this. Whoever takes several takes them in an order that all keep to.
    pub(crate) fn take(&self, key: &K, ctx: &Ctx) -> Result<Turn<'_, K>> {
        let mut taken = self.lock();
        while !taken.insert(key.clone()) {
            ctx.check()?;
            (taken, _) = self.given_back.wait_timeout(taken, CHECKED).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Turn { turns: self, key: key.clone() })
    }
}

impl<K> Turns<K> {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For as long as this is there, no other thread works on the same.
#[derive(Debug)]
pub(crate) struct Turn<'t, K: Ord> {
    turns: &'t Turns<K>,
    key: K,
}

impl<K: Ord> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.key);
        self.turns.given_back.notify_all();
    }
}
