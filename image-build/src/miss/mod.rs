//! Why steps were not cached: this build's steps beside those of the last one.

mod changed;
mod notes;
mod stage;
mod trace;

use std::sync::Arc;

use image_core::{Digest, Timestamp};

pub(crate) use notes::{Lists, Origin, attach_lists, lists, made};
pub(crate) use stage::StageSteps;
pub(crate) use trace::{BuildName, StageTrace, Trace};

use crate::{
    cache::{
        explain::{Cause, Earlier, StepName},
        files::ListedFile,
    },
    error::Result,
};

/// The names of what a step leaves behind.
const LAYERS: &str = "layers";
const STATE: &str = "state";

/// Files that a step takes.
pub(crate) trait Listing {
    /// Tells of each file once, in canonical order of paths.
    fn for_each(&self, visit: &mut dyn FnMut(&ListedFile) -> Result<()>) -> Result<()>;

    /// Whether an ignore file leaves out what is at this path.
    fn is_ignored(&self, path: &[u8]) -> bool;
}

/// What a COPY takes.
pub(crate) struct Taken<'a> {
    /// The source arguments.
    pub(crate) sources: String,
    /// The name of the tree.
    pub(crate) from: String,
    /// The digest of all of it.
    pub(crate) digest: Digest,
    pub(crate) files: &'a dyn Listing,
    /// The step that changed the stage it is taken from.
    pub(crate) root: Option<Root>,
}

/// What came of looking for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookup {
    Found,
    NotLooked,
    NoRecord,
    Expired(Timestamp),
    NoLayer(Digest),
    DamagedLayer(Digest),
}

/// A step that explains why later ones begin with something else.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    step: StepName,
    change: Earlier,
    causes: Arc<[Cause]>,
    /// Whether it was found in the cache, so that it is for others to tell its causes.
    is_cached: bool,
}

impl Root {
    fn cause(&self) -> Cause {
        let causes = if self.is_cached { self.causes.to_vec() } else { Vec::new() };
        Cause::Earlier { step: self.step.clone(), change: self.change, causes }
    }
}

/// The steps that explain why a stage's layers or configuration are not those of the last build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roots {
    layers: Option<Root>,
    state: Option<Root>,
}

impl Roots {
    /// What explains other layers.
    pub(crate) fn layers(&self) -> Option<Root> {
        self.layers.clone()
    }

    fn of(&mut self, name: &str) -> &mut Option<Root> {
        if name == LAYERS { &mut self.layers } else { &mut self.state }
    }
}
