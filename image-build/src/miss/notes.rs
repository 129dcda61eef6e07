//! What a record keeps of its step, for explanations only.

use std::collections::BTreeMap;

use image_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    cache::{Record, explain::Cause},
    error::excerpt,
};

/// The name under which a record keeps what is told of its step.
const ATTACHED: &str = "step";

/// The longest value of a variable that is kept, in characters.
const MAX_VALUE: usize = 1024;

/// The lists of the files that a step took, by the digests of what it took.
pub(crate) type Lists = BTreeMap<Digest, Digest>;

/// What a record keeps of its step, for explanations only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Notes {
    /// The variables that the instruction uses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) variables: BTreeMap<String, Variable>,
    /// What files are taken, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sources: Option<String>,
    /// Where they are taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// The digests of the lists of what was taken, by its own, which do not say where it was.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) lists: Lists,
    /// When the step was carried out, whatever date its result was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<Timestamp>,
    /// Why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) because: Vec<Cause>,
}

impl Notes {
    pub(super) fn of(record: &Record) -> Self {
        let text = record.attached.get(ATTACHED);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    pub(super) fn attach(&self, record: &mut Record) {
        record.attached.remove(ATTACHED);
        if *self != Self::default()
            && let Ok(text) = serde_json::to_string(self)
        {
            record.attached.insert(ATTACHED.into(), text);
        }
    }

    /// Notes a variable that the instruction uses.
    pub(super) fn add(&mut self, name: &str, value: Option<&str>, origin: Origin) {
        let value = value.map(|value| excerpt(value, MAX_VALUE));
        self.variables.insert(name.to_owned(), Variable { value, origin });
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variable {
    pub(super) value: Option<String>,
    pub(super) origin: Origin,
}

/// Where a variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// An ARG.
    Argument,
    /// The ARG that this instruction is.
    Declared,
    /// An ENV, or the base image.
    Environment,
}

/// Has a record keep the lists of the files that its step took.
pub(crate) fn attach_lists(record: &mut Record, lists: Lists) {
    Notes { lists, ..Notes::of(record) }.attach(record);
}

/// The lists that a record keeps.
pub(crate) fn lists(record: &Record) -> Lists {
    Notes::of(record).lists
}

/// When and why the step of a record was carried out.
pub(crate) fn made(record: &Record) -> (Timestamp, Vec<Cause>) {
    let Notes { made, because, .. } = Notes::of(record);
    (made.unwrap_or(record.created), because)
}
