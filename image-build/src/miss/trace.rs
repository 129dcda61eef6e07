//! The steps of this build and of the last one.

use std::collections::BTreeSet;

use crate::{
    cache::{Journal, Mark, Trail, explain::Miss},
    error::Result,
};

/// The steps of the last build, and what the stages of this one are called.
pub(crate) struct Trace {
    name: String,
    /// All stages of the file, built or not.
    labels: Vec<String>,
    pub(super) old: Trail,
}

/// The steps of a stage of this build.
#[derive(Debug)]
pub(crate) struct StageTrace {
    pub(super) label: String,
    pub(super) marks: Vec<Mark>,
    pub(super) misses: Vec<Miss>,
    /// Whether all of them were built.
    pub(super) is_whole: bool,
}

impl StageTrace {
    /// The stage of this name, of which nothing is built yet.
    pub(crate) fn new(label: String) -> Self {
        Self { label, marks: Vec::new(), misses: Vec::new(), is_whole: false }
    }

    /// Whether all steps were built.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Why steps were carried out.
    pub(crate) fn into_misses(self) -> Vec<Miss> {
        self.misses
    }
}

impl Trace {
    /// Reads the steps of the last build of this name.
    pub(crate) fn open(records: &dyn Journal, name: String, labels: Vec<String>) -> Result<Self> {
        let old = records.trail(&name)?.unwrap_or_default();
        Ok(Self { name, labels, old })
    }

    /// Keeps the steps of this build for the next one. Of what was not built, those of the last one stay.
    pub(crate) fn keep<'s>(
        &self,
        records: &dyn Journal,
        stages: impl IntoIterator<Item = &'s StageTrace>,
    ) -> Result<()> {
        let (mut trail, mut built) = (Trail::default(), BTreeSet::new());
        for stage in stages {
            trail.marks.extend(stage.marks.iter().cloned());
            if !stage.is_whole {
                trail.marks.extend(self.old.group(&stage.label).skip(stage.marks.len()).cloned());
            }
            built.insert(&*stage.label);
        }
        let labels: BTreeSet<&str> = self.labels.iter().map(|label| &**label).collect();
        let (platforms, names): (BTreeSet<_>, BTreeSet<_>) = labels.iter().copied().map(parts).unzip();
        let is_kept = |group: &str| {
            let (platform, name) = parts(group);
            // Of this build, or the same stage for platforms that this build is not for.
            labels.contains(group) || !platforms.contains(platform) && names.contains(name)
        };
        let rest = self.old.marks.iter().filter(|mark| !built.contains(&*mark.group) && is_kept(&mark.group));
        trail.marks.extend(rest.cloned());
        if trail != self.old {
            records.put_trail(&self.name, &trail)?;
        }
        Ok(())
    }

    /// What the last build called a stage: as now, or else what stood in its place.
    pub(super) fn old_name(&self, label: &str) -> Option<String> {
        let groups: Vec<&str> = self.old.groups().collect();
        if groups.contains(&label) {
            return Some(label.into());
        }
        // A name takes the place of a name, a number that of a number, for the same platform.
        let is_alike = |other: &str| kind(other) == kind(label);
        let is_gone = |group: &&&str| is_alike(group) && self.labels.iter().all(|label| label != **group);
        let is_new = |other: &&String| is_alike(other) && !groups.contains(&&***other);
        let place = self.labels.iter().filter(is_new).position(|other| other == label)?;
        groups.iter().filter(is_gone).nth(place).map(|group| (*group).to_owned())
    }
}

/// The platforms of a stage, where its label has them, and its name or number.
fn parts(label: &str) -> (&str, &str) {
    label.rsplit_once(' ').unwrap_or(("", label))
}

/// The platforms of a stage, and whether it has no name.
fn kind(label: &str) -> (&str, bool) {
    let (platforms, name) = parts(label);
    (platforms, name.bytes().all(|byte| byte.is_ascii_digit()))
}
