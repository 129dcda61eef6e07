//! The steps of this build and of the last one.

use std::collections::BTreeSet;

use crate::{
    cache::{Journal, Trail, explain::Miss},
    error::Result,
};

/// The steps of this build and of the last one.
pub(crate) struct Trace {
    name: String,
    /// All stages of the file, built or not.
    labels: Vec<String>,
    pub(super) old: Trail,
    pub(super) new: Trail,
    /// The stage of which not all steps were built.
    pub(super) unfinished: Option<String>,
    pub(super) misses: Vec<Miss>,
}

impl Trace {
    /// Reads the steps of the last build of this name.
    pub(crate) fn open(records: &dyn Journal, name: String, labels: Vec<String>) -> Result<Self> {
        let old = records.trail(&name)?.unwrap_or_default();
        Ok(Self { name, labels, old, new: Trail::default(), unfinished: None, misses: Vec::new() })
    }

    /// Keeps the steps of this build for the next one. Of what was not built, those of the last one stay.
    pub(crate) fn keep(self, records: &dyn Journal) -> Result<Vec<Miss>> {
        let mut trail = self.new.clone();
        if let Some(group) = self.unfinished {
            let done = trail.group(&group).count();
            trail.marks.extend(self.old.group(&group).skip(done).cloned());
        }
        let built: BTreeSet<&str> = self.new.groups().collect();
        let rest: BTreeSet<&str> =
            self.labels.iter().map(|label| &**label).filter(|label| !built.contains(label)).collect();
        trail.marks.extend(self.old.marks.iter().filter(|mark| rest.contains(&*mark.group)).cloned());
        if trail != self.old {
            records.put_trail(&self.name, &trail)?;
        }
        Ok(self.misses)
    }

    /// What the last build called a stage: as now, or else what stood in its place.
    pub(super) fn old_name(&self, label: &str) -> Option<String> {
        let groups: Vec<&str> = self.old.groups().collect();
        if groups.contains(&label) {
            return Some(label.into());
        }
        // A name takes the place of a name, a number that of a number.
        let is_alike = |other: &str| is_number(other) == is_number(label);
        let is_gone = |group: &&&str| is_alike(group) && self.labels.iter().all(|label| label != **group);
        let is_new = |other: &&String| is_alike(other) && !groups.contains(&&***other);
        let place = self.labels.iter().filter(is_new).position(|other| other == label)?;
        groups.iter().filter(is_gone).nth(place).map(|group| (*group).to_owned())
    }
}

/// Whether a stage has no name.
fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
}
