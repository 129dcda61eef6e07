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

mod compare;
mod display;

use image_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

pub use compare::compare;

use super::{
    files::FileChanges,
    recipe::{Ingredient, IngredientKind},
};

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
    #[non_exhaustive]
    Moved {
        /// Its number before.
        from: usize,
    },
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
    /// The record of the last build was expired by a policy.
    #[non_exhaustive]
    Expired {
        /// When.
        when: Timestamp,
    },
    /// Nothing changed, but the layer that the record names is not what it was any more.
    #[non_exhaustive]
    LayerDamaged {
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
    /// The instruction is as it is written, but comes to something else: what it names is relative to another directory, say.
    #[non_exhaustive]
    Resolved {
        /// What it came to before.
        old: String,
        /// What it comes to now.
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
    /// An earlier step, so that this one begins with something else.
    #[non_exhaustive]
    Earlier {
        /// The first step that explains it.
        step: StepName,
        /// What happened to it.
        change: Earlier,
        /// Why, where its result is that of an older build: it was cached then, and does not say it itself.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        causes: Vec<Self>,
    },
}
