//! What the last builds did, and why.

use image_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::BuildState;
use crate::{
    cache::{
        CacheKey, Journal, RecordStore,
        explain::{Cause, StepName},
    },
    error::Result,
    miss::{self, BuildName},
};

/// A step of the last build of a Dockerfile, with its context, target and platforms, and when and why it was last carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastStep {
    /// The Dockerfile.
    pub dockerfile: String,
    /// The build context.
    pub context: String,
    /// The stage that was asked for, where one was.
    pub target: Option<String>,
    /// The platforms.
    pub platforms: Vec<String>,
    /// The step.
    pub step: StepName,
    /// The key of its record.
    pub key: CacheKey,
    /// Whether the last build found the result of an earlier one: what follows is of that build.
    pub is_cached: bool,
    /// When it was carried out; `None` where the record is gone.
    pub created: Option<Timestamp>,
    /// When the result last served.
    pub used: Option<Timestamp>,
    /// Why an earlier result did not serve when it was carried out.
    pub causes: Vec<Cause>,
}

impl BuildState {
    /// The steps of the last build of each Dockerfile, context, target and list of platforms, in order, with why they were last carried out.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn last_steps(&self) -> Result<Vec<LastStep>> {
        let mut steps = Vec::new();
        self.records.for_each_trail(&mut |name, trail| {
            let Some(build) = BuildName::parse(name) else { return Ok(()) };
            let marks = trail.groups().flat_map(|group| trail.latest(group).into_iter().enumerate());
            for (at, mark) in marks {
                let record = self.records.get(&mark.key)?;
                let (created, causes) = record.as_ref().map(miss::made).unzip();
                steps.push(LastStep {
                    dockerfile: build.dockerfile.clone(),
                    context: build.context.clone(),
                    target: Some(build.target.clone()).filter(|target| !target.is_empty()),
                    platforms: build.platforms.split_whitespace().map(String::from).collect(),
                    step: StepName::new(build.shown(&mark.group), at + 1, &*mark.text),
                    key: mark.key.clone(),
                    is_cached: mark.is_cached,
                    created,
                    used: record.map(|record| record.used),
                    causes: causes.unwrap_or_default(),
                });
            }
            Ok(())
        })?;
        Ok(steps)
    }
}
