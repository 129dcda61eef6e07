//! The results that a build makes, for those of its stages that come to the same step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use image_core::Ctx;

use crate::{
    cache::CacheKey,
    error::Result,
    miss::Lookup,
    turn::{Turn, Turns},
};

/// The results that a build makes.
///
/// Two stages that do the same do it once: the one that comes second waits for the first. Which that is
/// depends on the moment, and nothing that is told of a build may. So a step counts as cached if its result was there before
/// the build, or if the stage itself or one that it is built on or copies from made it; else it counts as carried
/// out, whoever did it, for the reason that the first was told.
#[derive(Debug, Default)]
pub(super) struct Made {
    turns: Turns<CacheKey>,
    steps: Mutex<BTreeMap<CacheKey, MadeStep>>,
}

/// A result.
#[derive(Debug)]
struct MadeStep {
    /// What came of looking for it before.
    lookup: Lookup,
    /// The stages that came to it, by their places in the plan.
    stages: BTreeSet<usize>,
    /// The one whose reasons its record tells.
    told_by: usize,
}

impl Made {
    /// Waits until no other stage works on this step.
    pub(super) fn turn(&self, key: &CacheKey, ctx: &Ctx) -> Result<Turn<'_, CacheKey>> {
        self.turns.take(key, ctx)
    }

    /// Notes that a stage made the result of a step.
    pub(super) fn add(&self, key: CacheKey, stage: usize, lookup: &Lookup) {
        self.lock().insert(key, MadeStep { lookup: lookup.clone(), stages: BTreeSet::from([stage]), told_by: stage });
    }

    /// Whether the record of a step is to tell the reasons of this stage: it is before all others that came to it.
    pub(super) fn is_to_tell(&self, key: &CacheKey, stage: usize) -> bool {
        let mut steps = self.lock();
        let Some(step) = steps.get_mut(key).filter(|step| stage < step.told_by) else { return false };
        step.told_by = stage;
        true
    }

    /// Whether the result of a step was made in this build.
    pub(super) fn has(&self, key: &CacheKey) -> bool {
        self.lock().contains_key(key)
    }

    /// What a stage is told of a step whose result was made in this build; `None` where it was not. `before` are the
    /// stages that are always built before it.
    pub(super) fn join(&self, key: &CacheKey, stage: usize, before: &BTreeSet<usize>) -> Option<Lookup> {
        let mut steps = self.lock();
        let step = steps.get_mut(key)?;
        let is_certain = step.stages.contains(&stage) || !step.stages.is_disjoint(before);
        step.stages.insert(stage);
        // Who was not to look says nothing of what was there.
        let is_earlier = is_certain || step.lookup == Lookup::NotLooked;
        Some(if is_earlier { Lookup::Found } else { step.lookup.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CacheKey, MadeStep>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
