//! Trails: which record each step had the last time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CacheKey;

/// A step of the last run, and the key of its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// What the step was part of: a stage, a task.
    pub group: String,
    /// How it was written.
    pub text: String,
    /// The key of its record.
    pub key: CacheKey,
    /// Whether the result was that of an earlier run, and was not made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cached: bool,
    /// Whether the run that this is of did not come to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unfinished: bool,
    /// Names for what it left behind: where two runs differ here, later steps began with something else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<String, String>,
}

impl Mark {
    /// A step of a group.
    #[must_use]
    pub fn new(group: impl Into<String>, text: impl Into<String>, key: CacheKey) -> Self {
        Self {
            group: group.into(),
            text: text.into(),
            key,
            is_cached: false,
            is_unfinished: false,
            after: BTreeMap::new(),
        }
    }

    /// With a name for something that it left behind.
    #[must_use]
    pub fn with_after(mut self, name: impl Into<String>, identity: impl Into<String>) -> Self {
        self.after.insert(name.into(), identity.into());
        self
    }
}

/// The steps of the last run, in order; for explanations only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Trail {
    /// The steps. Those of one group stand in their order, in one piece: first what the last run that came to its end had,
    /// then what one that did not had since.
    pub marks: Vec<Mark>,
}

impl Trail {
    /// These steps, in order.
    #[must_use]
    pub fn new(marks: impl IntoIterator<Item = Mark>) -> Self {
        Self { marks: marks.into_iter().collect() }
    }

    /// The steps of a group, in order.
    pub fn group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Mark> {
        self.marks.iter().filter(move |mark| mark.group == group)
    }

    /// Whether there is anything of a run that came to its end.
    pub(crate) fn has_whole(&self) -> bool {
        self.marks.iter().any(|mark| !mark.is_unfinished)
    }

    /// What a new run of a group is compared with: the last one that came to its end, or else what there is.
    pub(crate) fn last<'a>(&'a self, group: &'a str) -> Vec<&'a Mark> {
        let (unfinished, whole): (Vec<_>, Vec<_>) = self.group(group).partition(|mark| mark.is_unfinished);
        if whole.is_empty() { unfinished } else { whole }
    }

    /// What each step of a group came to last.
    pub(crate) fn latest<'a>(&'a self, group: &'a str) -> Vec<&'a Mark> {
        let (mut latest, whole): (Vec<_>, Vec<_>) = self.group(group).partition(|mark| mark.is_unfinished);
        latest.extend(whole.into_iter().skip(latest.len()));
        latest
    }

    /// The groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        self.marks.iter().map(|mark| &*mark.group).filter(move |group| last.replace(*group) != Some(*group))
    }
}
