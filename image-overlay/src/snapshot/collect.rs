//! Removing what nobody needs.

use std::collections::{BTreeMap, BTreeSet};

use image_core::{ChainId, Ctx};

use super::{
    SnapshotKey, Snapshots,
    disk::{Exclusive, Held, hold},
    store::Store,
};
use crate::error::Result;

/// What is needed, besides what live processes use.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Keep {
    /// Committed snapshots; those that they are based on are kept with them.
    pub chains: BTreeSet<ChainId>,
    /// Active snapshots that nobody holds.
    pub keys: BTreeSet<SnapshotKey>,
}

impl Keep {
    /// Also these chains.
    #[must_use]
    pub fn with_chains(mut self, chains: impl IntoIterator<Item = ChainId>) -> Self {
        self.chains.extend(chains);
        self
    }

    /// Also these active snapshots.
    #[must_use]
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = SnapshotKey>) -> Self {
        self.keys.extend(keys);
        self
    }
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Committed snapshots.
    pub chains: Vec<ChainId>,
    /// Active snapshots whose process had gone.
    pub keys: Vec<SnapshotKey>,
}

impl Snapshots {
    /// Removes all snapshots but those that are to be kept, those that are held or looked at, and what they are based on.
    ///
    /// What is removed is out of sight before any of it is deleted, so a snapshot that is there is always whole.
    ///
    /// # Errors
    /// Those of the file system; [`Error::is_cancelled`](crate::Error::is_cancelled). What was not deleted is deleted next time.
    pub fn collect(&self, keep: &Keep, ctx: &Ctx) -> Result<Collected> {
        let mut collected = Collected::default();
        let mut held = Vec::new();
        {
            let exclusive = self.store.disk.lock()?;
            let mut needed = keep.chains.clone();
            // Before this process holds what others have left.
            needed.extend(self.store.disk.used(&exclusive)?);
            held.extend(self.store.disk.abandoned(&exclusive)?);
            for (key, parent) in self.store.disk.list_active()? {
                match self.store.take_unheld(&exclusive, &key, keep)? {
                    Some(active) => {
                        held.push(active);
                        collected.keys.push(key);
                    }
                    None => needed.extend(parent),
                }
            }
            for chain in self.store.unneeded(needed)? {
                held.extend(self.store.discard_committed(&exclusive, &chain)?);
                collected.chains.push(chain);
            }
        }
        collected.chains.sort();
        held.into_iter().try_for_each(|held| self.store.disk.delete(held, ctx))?;
        Ok(collected)
    }
}

impl Snapshots {
    /// Removes the active snapshots whose processes have gone, and what else killed processes left. Everything that is
    /// committed stays. Gives what was removed.
    ///
    /// # Errors
    /// Those of the file system; [`Error::is_cancelled`](crate::Error::is_cancelled).
    pub fn remove_abandoned(&self, ctx: &Ctx) -> Result<Vec<SnapshotKey>> {
        let (mut keys, mut held) = (Vec::new(), Vec::new());
        {
            let exclusive = self.store.disk.lock()?;
            held.extend(self.store.disk.abandoned(&exclusive)?);
            for (key, _) in self.store.disk.list_active()? {
                if let Some(active) = self.store.take_unheld(&exclusive, &key, &Keep::default())? {
                    held.push(active);
                    keys.push(key);
                }
            }
        }
        held.into_iter().try_for_each(|held| self.store.disk.delete(held, ctx))?;
        Ok(keys)
    }
}

impl Store {
    fn take_unheld(&self, exclusive: &Exclusive, key: &SnapshotKey, keep: &Keep) -> Result<Option<Held>> {
        if keep.keys.contains(key) {
            return Ok(None);
        }
        let Some(mut held) = hold(&self.disk.active(key))? else { return Ok(None) };
        self.disk.discard(exclusive, &mut held)?;
        Ok(Some(held))
    }

    /// The committed snapshots that are not needed, each before what it is based on: whoever dies in the middle
    /// leaves none without its parent.
    fn unneeded(&self, mut needed: BTreeSet<ChainId>) -> Result<Vec<ChainId>> {
        let parents: BTreeMap<_, _> = self.disk.list_committed()?.into_iter().collect();
        let mut pending: Vec<_> = needed.iter().cloned().collect();
        while let Some(chain) = pending.pop() {
            if let Some(Some(parent)) = parents.get(&chain)
                && needed.insert(parent.clone())
            {
                pending.push(parent.clone());
            }
        }
        let unneeded = parents.keys().filter(|chain| !needed.contains(*chain));
        let mut unneeded: Vec<_> = unneeded.map(|chain| (depth(chain, &parents), chain.clone())).collect();
        unneeded.sort_by(|(one, _), (other, _)| other.cmp(one));
        Ok(unneeded.into_iter().map(|(_, chain)| chain).collect())
    }
}

/// How many snapshots a snapshot is based on.
fn depth(chain: &ChainId, parents: &BTreeMap<ChainId, Option<ChainId>>) -> usize {
    let mut next = parents.get(chain).and_then(Option::as_ref);
    let mut depth = 0;
    // No longer than all of them, whatever somebody wrote into the store.
    while let Some(parent) = next.filter(|_| depth < parents.len()) {
        depth += 1;
        next = parents.get(parent).and_then(Option::as_ref);
    }
    depth
}
