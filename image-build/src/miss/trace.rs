//! The steps of this build and of the last one.

use std::collections::{BTreeMap, BTreeSet};

use image_core::Platform;

use crate::{
    cache::{Ingredient, IngredientKind, Journal, Mark, RecordStore, Trail, explain::Miss},
    error::Result,
};

/// The steps of the last build, and what the stages of this one are called.
pub(crate) struct Trace {
    name: String,
    /// All stages of the file, built or not.
    labels: Vec<String>,
    pub(super) old: Trail,
    /// The platforms of stages whose labels do not say them, where those of this build do.
    unsaid: BTreeMap<String, String>,
}

/// The steps of a stage of this build.
#[derive(Debug)]
pub(crate) struct StageTrace {
    pub(super) label: String,
    /// What the stage is built for.
    pub(super) platform: String,
    pub(super) marks: Vec<Mark>,
    pub(super) misses: Vec<Miss>,
    /// Whether all of them were built.
    pub(super) is_whole: bool,
}

impl StageTrace {
    /// The stage of this name, of which nothing is built yet.
    pub(crate) fn new(label: String, platform: &Platform) -> Self {
        Self { label, platform: platform.to_string(), marks: Vec::new(), misses: Vec::new(), is_whole: false }
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
    pub(crate) fn open<R: Journal + RecordStore>(records: &R, name: String, labels: Vec<String>) -> Result<Self> {
        let old = records.trail(&name)?.unwrap_or_default();
        let mut unsaid = BTreeMap::new();
        let says = |label: &str| !parts(label).0.is_empty();
        if labels.iter().any(|label| says(label)) {
            for group in old.groups().filter(|group| !says(group)) {
                let Some(mark) = old.group(group).next() else { continue };
                let Some(record) = records.get(&mark.key)? else { continue };
                let of_platform = |ingredient: &&Ingredient| ingredient.kind == IngredientKind::Platform;
                let platform = record.recipe.ingredients().iter().find(of_platform);
                unsaid.extend(platform.and_then(|platform| Some((group.to_owned(), platform.text.clone()?))));
            }
        }
        Ok(Self { name, labels, old, unsaid })
    }

    /// Keeps the steps of this build for the next one. Of what was not built, those of the last one stay; beside those
    /// of a build that did not come to its end, those of the last one that did.
    pub(crate) fn keep<'s>(
        &self,
        records: &dyn Journal,
        stages: impl IntoIterator<Item = &'s StageTrace>,
        is_whole: bool,
    ) -> Result<()> {
        let (mut trail, mut built, mut renamed) = (Trail::default(), BTreeSet::new(), BTreeSet::new());
        for stage in stages {
            if is_whole {
                trail.marks.extend(stage.marks.iter().cloned());
                renamed.insert((&*stage.platform, parts(&stage.label).1));
            } else {
                trail.marks.extend(self.old.group(&stage.label).filter(|mark| !mark.is_unfinished).cloned());
                let unfinished = |mark: &Mark| Mark { is_unfinished: true, ..mark.clone() };
                trail.marks.extend(stage.marks.iter().map(unfinished));
            }
            built.insert(&*stage.label);
        }
        let labels: BTreeSet<&str> = self.labels.iter().map(|label| &**label).collect();
        let (platforms, names): (BTreeSet<_>, BTreeSet<_>) = labels.iter().copied().map(parts).unzip();
        let is_kept = |group: &str| {
            let (platform, name) = parts(group);
            // Of this build, or the same stage for platforms that this build is not for.
            let is_another = || !self.platform_of(group).is_some_and(|platform| renamed.contains(&(platform, name)));
            labels.contains(group) || !platforms.contains(platform) && names.contains(name) && is_another()
        };
        let rest = self.old.marks.iter().filter(|mark| !built.contains(&*mark.group) && is_kept(&mark.group));
        trail.marks.extend(rest.cloned());
        if trail != self.old {
            records.put_trail(&self.name, &trail)?;
        }
        Ok(())
    }

    /// What the last build called a stage: as now, or by another number of platforms, or else what stood in its place.
    pub(super) fn old_name(&self, label: &str, platform: &str) -> Option<String> {
        let groups: Vec<&str> = self.old.groups().collect();
        if groups.contains(&label) {
            return Some(label.into());
        }
        let is_it = |group: &&&str| self.platform_of(group) == Some(platform) && parts(group).1 == parts(label).1;
        if let Some(group) = groups.iter().find(is_it) {
            return Some((*group).to_owned());
        }
        // A name takes the place of a name, a number that of a number, for the same platform.
        let is_alike = |other: &str| kind(other) == kind(label);
        let is_gone = |group: &&&str| is_alike(group) && self.labels.iter().all(|label| label != **group);
        let is_new = |other: &&String| is_alike(other) && !groups.contains(&&***other);
        let place = self.labels.iter().filter(is_new).position(|other| other == label)?;
        groups.iter().filter(is_gone).nth(place).map(|group| (*group).to_owned())
    }

    /// What the last build built a stage for, where that is known and told apart.
    fn platform_of<'a>(&'a self, group: &'a str) -> Option<&'a str> {
        match parts(group).0 {
            "" => self.unsaid.get(group).map(String::as_str),
            platforms => Some(platforms.split_once("->").map_or(platforms, |(own, _)| own)),
        }
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
