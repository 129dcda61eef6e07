//! The steps of this build and of the last one.

use std::{collections::BTreeSet, fmt};

use crate::{
    cache::{Journal, Mark, Trail, explain::Miss},
    error::Result,
};

/// What a build is of: the name under which its steps are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildName {
    pub(crate) dockerfile: String,
    pub(crate) context: String,
    /// The stage that is asked for; empty for the last one.
    pub(crate) target: String,
    /// The platforms, with blanks between them.
    pub(crate) platforms: String,
}

impl fmt::Display for BuildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\0{}\0{}\0{}", self.dockerfile, self.context, self.target, self.platforms)
    }
}

impl BuildName {
    /// Reads one back; `None` for another name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('\0').map(String::from);
        let mut next = || parts.next();
        Some(Self { dockerfile: next()?, context: next()?, target: next()?, platforms: next()? })
    }

    /// The name under which the last build of all targets and platforms is kept.
    fn of_file(&self) -> String {
        format!("{}\0{}", self.dockerfile, self.context)
    }

    /// What a stage with this label is called by the build.
    pub(crate) fn shown<'l>(&self, label: &'l str) -> &'l str {
        if self.platforms.contains(' ') { label } else { parts(label).1 }
    }
}

/// The steps of the last build, and what the stages of this one are called.
pub(crate) struct Trace {
    name: BuildName,
    /// All stages of the file, built or not.
    labels: Vec<String>,
    /// What is kept under the name.
    own: Trail,
    /// What this build is compared with where nothing whole is kept under its name.
    other: Option<Trail>,
}

/// The steps of a stage of this build.
#[derive(Debug)]
pub(crate) struct StageTrace {
    /// What the stage is called, among those of other platforms.
    pub(super) label: String,
    /// What it is called among those of this build.
    pub(super) shown: String,
    pub(super) marks: Vec<Mark>,
    pub(super) misses: Vec<Miss>,
    /// Whether all of them were built.
    pub(super) is_whole: bool,
}

impl StageTrace {
    /// The stage of these names, of which nothing is built yet.
    pub(crate) fn new(label: String, shown: String) -> Self {
        Self { label, shown, marks: Vec::new(), misses: Vec::new(), is_whole: false }
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
    /// Reads the steps of the last build of this name; where none came to its end, those of the last one of the same file
    /// that did, with another target or for other platforms.
    pub(crate) fn open(records: &dyn Journal, name: BuildName, labels: Vec<String>) -> Result<Self> {
        let own = records.trail(&name.to_string())?.unwrap_or_default();
        let other = if own.has_whole() { None } else { records.trail(&name.of_file())? };
        Ok(Self { name, labels, own, other })
    }

    fn old(&self) -> &Trail {
        self.other.as_ref().unwrap_or(&self.own)
    }

    /// Keeps the steps of this build for the next one; beside those of one that did not come to its end, those of the last
    /// one that did.
    pub(crate) fn keep<'s>(
        &self,
        records: &dyn Journal,
        stages: impl IntoIterator<Item = &'s StageTrace>,
        is_whole: bool,
    ) -> Result<()> {
        let (mut trail, mut begun) = (Trail::default(), BTreeSet::new());
        for stage in stages {
            if !is_whole {
                trail.marks.extend(self.own.group(&stage.label).filter(|mark| !mark.is_unfinished).cloned());
                begun.insert(&*stage.label);
            }
            trail.marks.extend(stage.marks.iter().map(|mark| Mark { is_unfinished: !is_whole, ..mark.clone() }));
        }
        if !is_whole {
            let is_left = |mark: &&Mark| !mark.is_unfinished && !begun.contains(&*mark.group);
            trail.marks.extend(self.own.marks.iter().filter(is_left).cloned());
        }
        if trail == self.own {
            return Ok(());
        }
        if is_whole {
            records.put_trail(&self.name.of_file(), &trail)?;
        }
        records.put_trail(&self.name.to_string(), &trail)
    }

    /// What the last build had of a stage: the one that it called so, or else what stood in its place.
    pub(super) fn last(&self, stage: &StageTrace) -> Vec<Mark> {
        let old = self.old_label(&stage.label);
        old.map(|old| self.old().last(old).into_iter().cloned().collect()).unwrap_or_default()
    }

    /// What the last build called a stage that this one calls by this name, without platforms.
    pub(super) fn old_name<'s>(&'s self, stage: &StageTrace, name: &'s str) -> &'s str {
        let platforms = parts(&stage.label).0;
        let label = self.labels.iter().find(|label| parts(label) == (platforms, name));
        label.and_then(|label| self.old_label(label)).map_or(name, |label| parts(label).1)
    }

    fn old_label(&self, label: &str) -> Option<&str> {
        same(self.old(), label, &self.labels).or_else(|| self.renamed(label))
    }

    /// What stood where a stage stands that is new: a name takes the place of a name, a number that of a number, or what is left
    /// that of the other, for the same platform.
    fn renamed(&self, label: &str) -> Option<&str> {
        let is_alike = |other: &str| kind(other) == kind(label);
        let (platforms, is_number) = kind(label);
        let is_other = |other: &str| kind(other) == (platforms, !is_number);
        let gone = || self.old().groups().filter(|group| self.labels.iter().all(|label| label != group));
        let new = || self.labels.iter().filter(|label| self.old().group(label).next().is_none());
        let place = new().filter(|other| is_alike(other)).position(|other| other == label)?;
        let alike = gone().filter(|group| is_alike(group)).count();
        match place.checked_sub(alike) {
            None => gone().filter(|group| is_alike(group)).nth(place),
            Some(place) => {
                let taken = new().filter(|other| is_other(other)).count();
                gone().filter(|group| is_other(group)).nth(taken + place)
            }
        }
    }
}

/// What a build called a stage that is called so now: the same, on the way to another platform, or for the one other platform
/// that there was.
fn same<'t>(old: &'t Trail, label: &str, labels: &[String]) -> Option<&'t str> {
    let (own, name) = (own_platform(label), parts(label).1);
    let exact = old.groups().find(|group| *group == label);
    let of_platform = || old.groups().find(|group| (own_platform(group), parts(group).1) == (own, name));
    exact.or_else(of_platform).or_else(|| {
        let mut of_name = old.groups().filter(|group| parts(group).1 == name);
        of_name.next().filter(|group| of_name.next().is_none() && labels.iter().all(|label| label != group))
    })
}

/// The platforms of a stage, and its name or number.
fn parts(label: &str) -> (&str, &str) {
    label.rsplit_once(' ').unwrap_or(("", label))
}

/// What a stage is built for, whatever image it is for.
fn own_platform(label: &str) -> &str {
    let (platforms, _) = parts(label);
    platforms.split_once("->").map_or(platforms, |(own, _)| own)
}

/// The platforms of a stage, and whether it has no name.
fn kind(label: &str) -> (&str, bool) {
    let (platforms, name) = parts(label);
    (platforms, name.bytes().all(|byte| byte.is_ascii_digit()))
}
