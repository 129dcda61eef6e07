//! Why a step was not cached: what differs from its last record.
//!
//! [`compare`] says in which ingredients two recipes differ, and serves any program that keeps a
//! [`Trail`](super::Trail) of its steps. A build goes further: its [`Miss`]es speak of instructions, base images,
//! arguments and files, and name the one step that others only follow.
//!
//! ```
//! use image_build::cache::{IngredientKind, Recipe, explain};
//! let recipe = |flags| Recipe::new().with_text(IngredientKind::Environment, "CFLAGS", flags);
//! let differences = explain::compare(&recipe("-O1"), &recipe("-O2"));
//! assert_eq!(differences[0].to_string(), r#"environment CFLAGS changed from "-O1" to "-O2""#);
//! ```

use std::fmt;

use image_core::Digest;
use serde::{Deserialize, Serialize};

use super::{
    files::{FileChange, FileChanges, FileDifference},
    recipe::{Ingredient, IngredientKind, Recipe},
};
use crate::error::excerpt;

/// The longest text that is shown of a value, in bytes.
const SHOWN: usize = 256;

/// A difference between two recipes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// What kind of ingredient.
    pub kind: IngredientKind,
    /// Which one of its kind.
    pub name: String,
    /// What became of it.
    pub change: IngredientChange,
}

/// What became of an ingredient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IngredientChange {
    /// It has another value.
    #[non_exhaustive]
    Changed {
        /// The one before.
        old: Value,
        /// The one now.
        new: Value,
    },
    /// It is new.
    Added(Value),
    /// It is not there any more.
    Removed(Value),
    /// Its value is the same, but not its place among those that stayed.
    Moved,
}

/// The value of an ingredient, as far as a record tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Value {
    /// A short text.
    Text(String),
    /// Its digest.
    Digest(Digest),
}

impl Value {
    pub(crate) fn of(ingredient: &Ingredient) -> Self {
        match &ingredient.text {
            Some(text) => Self::Text(text.clone()),
            None => Self::Digest(ingredient.digest.clone()),
        }
    }
}

/// In which ingredients two recipes differ; empty if and only if they are equal.
///
/// Ingredients of one kind and name correspond, the first of several to the first.
#[must_use]
pub fn compare(old: &Recipe, new: &Recipe) -> Vec<Difference> {
    let mut left: Vec<Option<&Ingredient>> = old.ingredients().iter().map(Some).collect();
    let mut differences = Vec::new();
    let mut furthest = 0;
    let add = |differences: &mut Vec<Difference>, ingredient: &Ingredient, change| {
        differences.push(Difference { kind: ingredient.kind, name: ingredient.name.clone(), change });
    };
    for ingredient in new.ingredients() {
        let is_it = |other: &Option<&Ingredient>| {
            other.is_some_and(|other| other.kind == ingredient.kind && other.name == ingredient.name)
        };
        let Some(place) = left.iter().position(is_it) else {
            add(&mut differences, ingredient, IngredientChange::Added(Value::of(ingredient)));
            continue;
        };
        let Some(before) = left[place].take() else { continue };
        if before.digest != ingredient.digest {
            let (old, new) = (Value::of(before), Value::of(ingredient));
            add(&mut differences, ingredient, IngredientChange::Changed { old, new });
        } else if place < furthest {
            add(&mut differences, ingredient, IngredientChange::Moved);
        }
        furthest = furthest.max(place);
    }
    for ingredient in left.into_iter().flatten() {
        add(&mut differences, ingredient, IngredientChange::Removed(Value::of(ingredient)));
    }
    differences
}

/// A step of a build: its stage, its number there, and its instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepName {
    /// The stage's name, or its number.
    pub stage: String,
    /// Its number in the stage, from 1.
    pub number: usize,
    /// The instruction as it is written.
    pub instruction: String,
}

impl StepName {
    pub(crate) fn new(stage: impl Into<String>, number: usize, instruction: impl Into<String>) -> Self {
        Self { stage: stage.into(), number, instruction: instruction.into() }
    }
}

/// A step that was not cached, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Miss {
    /// Which one.
    pub step: StepName,
    /// Why; never empty. What is about the step itself stands first.
    pub causes: Vec<Cause>,
}

/// A base image: how it is called, and the manifest that this meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BaseImage {
    /// The name.
    pub name: String,
    /// The digest of the manifest.
    pub digest: String,
}

/// What happened to an earlier step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Earlier {
    /// It has another result.
    Changed,
    /// It is new.
    Added,
    /// It is not there any more; the name is the one it had.
    Removed,
    /// It stands elsewhere in its stage; the name is the one it has now.
    Moved,
}

/// Why a step was not cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// No earlier build that is known of had this stage or task.
    First,
    /// The step was not there in the last build.
    New,
    /// The caller wanted every step carried out.
    Refresh,
    /// Nothing changed, but the record is gone or damaged.
    RecordGone,
    /// Nothing changed, but the layer that the record names is gone.
    #[non_exhaustive]
    LayerGone {
        /// The layer's blob.
        digest: Digest,
    },
    /// Something changed; what, cannot be said, since the last build's record is gone or damaged.
    Unknown,
    /// The instruction is another one.
    #[non_exhaustive]
    Instruction {
        /// The one before.
        old: String,
        /// The one now.
        new: String,
    },
    /// The step stands elsewhere in its stage.
    #[non_exhaustive]
    Moved {
        /// Its number before.
        from: usize,
        /// Its number now.
        to: usize,
    },
    /// The base image is another one.
    #[non_exhaustive]
    BaseImage {
        /// The one before.
        old: BaseImage,
        /// The one now.
        new: BaseImage,
    },
    /// A build argument that the instruction uses has another value.
    #[non_exhaustive]
    Argument {
        /// Its name.
        name: String,
        /// The value before.
        old: Option<String>,
        /// The value now.
        new: Option<String>,
    },
    /// A variable of the environment that the instruction uses has another value.
    #[non_exhaustive]
    Environment {
        /// Its name.
        name: String,
        /// The value before.
        old: Option<String>,
        /// The value now.
        new: Option<String>,
    },
    /// Files that the instruction takes are different.
    #[non_exhaustive]
    Files {
        /// Where they are taken from: `the build context`, `stage NAME`.
        from: String,
        /// Which ones; `None` where the list of the last build is gone.
        changes: Option<FileChanges>,
    },
    /// Another ingredient is different: a setting, the platform, the version of this library.
    Ingredient(Difference),
    /// An earlier step, so that this one begins with something else. It says why itself.
    #[non_exhaustive]
    Earlier {
        /// The first step that explains it.
        step: StepName,
        /// What happened to it.
        change: Earlier,
    },
}

/// A text that may be long, in quotes.
fn quoted(text: &str) -> String {
    format!("{:?}", excerpt(text, SHOWN))
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "unset".into(), quoted)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.tag();
        if kind == self.name {
            f.write_str(kind)?
        } else {
            write!(f, "{kind} {}", self.name)?
        }
        match &self.change {
            IngredientChange::Changed { old, new } => write!(f, " changed from {old} to {new}"),
            IngredientChange::Added(value) => write!(f, " was added: {value}"),
            IngredientChange::Removed(value) => write!(f, " was removed: {value}"),
            IngredientChange::Moved => f.write_str(" moved"),
        }
    }
}

impl fmt::Display for FileDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("added"),
            Self::Removed => f.write_str("removed"),
            Self::Kind => f.write_str("another kind of file"),
            Self::Content => f.write_str("content"),
            Self::Mode { old, new } => write!(f, "mode {old:04o} to {new:04o}"),
            Self::Owner { old, new } => write!(f, "owner {}:{} to {}:{}", old.0, old.1, new.0, new.1),
            Self::Attributes => f.write_str("extended attributes"),
        }
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differences: Vec<String> = self.differences.iter().map(ToString::to_string).collect();
        write!(f, "{} ({})", excerpt(&self.path, SHOWN), differences.join(", "))
    }
}

impl fmt::Display for FileChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<String> = self.first.iter().map(ToString::to_string).collect();
        f.write_str(&first.join(", "))?;
        match self.count - self.first.len() as u64 {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} {}] {}", self.stage, self.number, excerpt(&self.instruction, SHOWN))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("no earlier build of it is known"),
            Self::New => f.write_str("the step is new"),
            Self::Refresh => f.write_str("the cache was not to be used"),
            Self::RecordGone => f.write_str("nothing changed, but the record of its result is gone"),
            Self::LayerGone { digest } => write!(f, "nothing changed, but its layer {digest} is gone"),
            Self::Unknown => f.write_str("the record of the last build is gone: what changed is not known"),
            Self::Instruction { old, new } => {
                let (old, new) = (excerpt(old, SHOWN), excerpt(new, SHOWN));
                write!(f, "the instruction changed: {old} → {new}")
            }
            Self::Moved { from, to } => write!(f, "the step moved from {from} to {to}"),
            Self::BaseImage { old, new } if old.name == new.name => {
                write!(f, "the base image {} changed from {} to {}", new.name, old.digest, new.digest)
            }
            Self::BaseImage { old, new } => {
                let (old_digest, new_digest) = (&old.digest, &new.digest);
                write!(f, "the base image changed from {} ({old_digest}) to {} ({new_digest})", old.name, new.name)
            }
            Self::Argument { name, old, new } => {
                let (old, new) = (optional(old.as_deref()), optional(new.as_deref()));
                write!(f, "build argument {name} changed from {old} to {new}")
            }
            Self::Environment { name, old, new } => {
                let (old, new) = (optional(old.as_deref()), optional(new.as_deref()));
                write!(f, "environment variable {name} changed from {old} to {new}")
            }
            Self::Files { from, changes: None } => write!(f, "files of {from} changed"),
            Self::Files { from, changes: Some(changes) } => {
                let files = if changes.count == 1 { "file" } else { "files" };
                write!(f, "{} {files} of {from} changed: {changes}", changes.count)
            }
            Self::Ingredient(difference) => difference.fmt(f),
            Self::Earlier { step, change } => {
                let change = match change {
                    Earlier::Changed => "changed",
                    Earlier::Added => "was added",
                    Earlier::Removed => "was removed",
                    Earlier::Moved => "moved",
                };
                write!(f, "an earlier step {change}: {step}")
            }
        }
    }
}
