//! Explanations in words.

use std::fmt;

use super::{Cause, Difference, Earlier, IngredientChange, StepName, Value};
use crate::{
    cache::files::{FileChange, FileChanges, FileDifference},
    error::excerpt,
};

/// The longest text that is shown of a value, in characters.
const SHOWN: usize = 256;

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
            Self::Ignored => f.write_str("ignored now"),
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
            Self::LayerDamaged { digest } => write!(f, "nothing changed, but its layer {digest} is damaged"),
            Self::Expired { when } => {
                let when = when.to_string();
                let date = when.split_once('T').map_or(&*when, |(date, _)| date);
                write!(f, "the record of its last result expired on {date} by policy")
            }
            Self::Unknown => f.write_str("the record of the last build is gone: what changed is not known"),
            Self::Instruction { old, new } => {
                let (old, new) = (excerpt(old, SHOWN), excerpt(new, SHOWN));
                write!(f, "the instruction changed: {old} → {new}")
            }
            Self::Resolved { old, new } => {
                let (old, new) = (excerpt(old, SHOWN), excerpt(new, SHOWN));
                write!(f, "the instruction comes to something else: {old} → {new}")
            }
            Self::Moved { from, to } if from == to => f.write_str("the step stands elsewhere among the others"),
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
            Self::Earlier { step, causes, .. } if !causes.is_empty() => {
                let causes: Vec<String> = causes.iter().map(ToString::to_string).collect();
                write!(f, "{} in an earlier step that was cached: {step}", causes.join(", and "))
            }
            Self::Earlier { step, change, .. } => match change {
                Earlier::Changed => write!(f, "an earlier step changed: {step}"),
                Earlier::Added => write!(f, "an earlier step was added: {step}"),
                Earlier::Removed => write!(f, "an earlier step was removed: {step}"),
                // It may have moved behind this one.
                Earlier::Moved { from } if *from == step.number => {
                    write!(f, "the order of steps changed: {step} moved")
                }
                Earlier::Moved { from } => {
                    write!(f, "the order of steps changed: {step} moved from {from} to {}", step.number)
                }
            },
        }
    }
}
