//! A step whose recipe is not that of the last build: what is different.

use image_core::Reference;

use super::{
    LAYERS, Listing, Roots, StageSteps, Taken,
    notes::{Lists, Notes, Origin},
};
use crate::{
    cache::{
        FileChanges, FileDifference, IngredientKind, Journal, Mark, Recipe, Record, RecordStore,
        align::{Counterpart, plain},
        explain::{BaseImage, Cause, Difference, IngredientChange, Value, compare},
    },
    copy_words::INLINE,
    error::Result,
    state::BuildState,
};

/// Settings that are words of the instruction.
const WORDS: [&str; 2] = ["destination", "owner"];

/// A step whose recipe is not that of the last build.
pub(super) struct ChangedStep<'a> {
    pub(super) steps: &'a StageSteps<'a>,
    pub(super) counterpart: Counterpart,
    /// What defines it, with its layer stored in one way or another.
    pub(super) recipes: &'a [&'a Recipe],
    pub(super) taken: &'a [Taken<'a>],
    /// Its result, where that was found: it has a list of what the step takes.
    pub(super) found: Option<&'a Record>,
    pub(super) roots: &'a Roots,
    pub(super) state: &'a BuildState,
}

impl ChangedStep<'_> {
    pub(super) fn causes(&self) -> Result<Vec<Cause>> {
        let Some(record) = self.state.records().get(&self.mark().key)? else { return Ok(vec![self.without_record()?]) };
        let (old, new) = (Notes::of(&record), &self.steps.notes);
        let differences = self.recipes.iter().map(|recipe| compare(&record.recipe, recipe));
        let differences = differences.min_by_key(Vec::len).unwrap_or_default();
        let mut causes = Vec::new();
        causes.extend(self.moved());
        let line = differences.iter().find(|difference| difference.kind == IngredientKind::Instruction);
        // A stage that is only called otherwise is the same one.
        let from = new.from.as_ref().map(|from| self.steps.old_from(from));
        let is_rewritten = self.is_rewritten() && (line.is_some() || old.from != from);
        if is_rewritten {
            causes.push(self.rewritten());
        }
        variables(&old, new, is_rewritten, &mut causes);
        if let (Some(line), true) = (line, causes.is_empty()) {
            causes.push(self.reads(line));
        }
        base_image(&differences, &mut causes);
        let is_mount =
            |name: &str| differences.iter().any(|other| other.kind == IngredientKind::Mount && other.name == name);
        let mounts = |difference: &Difference| {
            !matches!(difference.change, IngredientChange::Changed { .. }) && is_mount(&difference.name)
        };
        let is_same_choice = (old.sources, old.from) == (new.sources.clone(), from);
        for difference in &differences {
            match difference.kind {
                IngredientKind::Instruction | IngredientKind::BaseImage | IngredientKind::Parent => {}
                // No file of any tree.
                IngredientKind::Content if difference.name.starts_with(INLINE) => {
                    causes.push(Cause::Ingredient(difference.clone()));
                }
                IngredientKind::Content if !is_same_choice && !causes.is_empty() => {}
                // A mount that is there no more, or is new.
                IngredientKind::Content if mounts(difference) => {}
                IngredientKind::Content => self.files(difference, &old.lists, &mut causes)?,
                IngredientKind::Argument | IngredientKind::Environment => {
                    let cause = variable(difference);
                    if !causes.contains(&cause) {
                        causes.push(cause);
                    }
                }
                // Words of the instruction, told already.
                IngredientKind::Setting if line.is_some() && WORDS.contains(&&*difference.name) => {}
                _ => causes.push(Cause::Ingredient(difference.clone())),
            }
        }
        for difference in differences.iter().filter(|difference| difference.kind == IngredientKind::Parent) {
            self.parent(difference, &mut causes);
        }
        if causes.is_empty() {
            causes.push(Cause::Moved { from: self.counterpart.position + 1, to: self.steps.number() });
        }
        Ok(causes)
    }

    fn mark(&self) -> &Mark {
        &self.steps.old[self.counterpart.position]
    }

    fn is_rewritten(&self) -> bool {
        plain(&self.mark().text) != plain(&self.steps.texts[self.steps.at])
    }

    fn rewritten(&self) -> Cause {
        Cause::Instruction { old: self.mark().text.clone(), new: self.steps.texts[self.steps.at].clone() }
    }

    /// The instruction's line is as it was; what it says with its words resolved, or in its here-documents, is not.
    fn reads(&self, line: &Difference) -> Cause {
        let IngredientChange::Changed { old: Value::Text(old), new: Value::Text(new) } = &line.change else {
            return Cause::Ingredient(line.clone());
        };
        let (old, new) = (old.clone(), new.clone());
        let has_documents = self.steps.texts[self.steps.at].contains("<<");
        if has_documents { Cause::Instruction { old, new } } else { Cause::Resolved { old, new } }
    }

    /// The step stands elsewhere: by its number, since another one may be told to have moved past it.
    fn moved(&self) -> Option<Cause> {
        let (from, to) = (self.counterpart.position + 1, self.steps.number());
        (self.counterpart.moved && from != to).then_some(Cause::Moved { from, to })
    }

    /// What can be said where the last record is gone.
    fn without_record(&self) -> Result<Cause> {
        if self.is_rewritten() {
            return Ok(self.rewritten());
        }
        if let Some(moved) = self.moved() {
            return Ok(moved);
        }
        let root = self.roots.layers.as_ref().or(self.roots.state.as_ref());
        // What it takes may be other files, for the reason of another stage.
        let root = root.or_else(|| self.taken.iter().find_map(|taken| taken.root.as_ref()));
        match (root, self.state.records().expired(&self.mark().key)?) {
            (Some(root), _) => Ok(root.cause()),
            (None, Some(when)) => Ok(Cause::Expired { when }),
            (None, None) => Ok(Cause::Unknown),
        }
    }

    fn files(&self, difference: &Difference, lists: &Lists, causes: &mut Vec<Cause>) -> Result<()> {
        let (old, new) = match &difference.change {
            IngredientChange::Changed { old: Value::Digest(old), new: Value::Digest(new) } => (Some(old), Some(new)),
            _ => (None, None),
        };
        let taken = self.taken.iter().find(|taken| Some(&taken.digest) == new);
        let old = old.and_then(|old| lists.get(old));
        let mut changes = match (old, taken, self.found) {
            (Some(old), Some(taken), Some(found)) => {
                let lists = Notes::of(found).lists;
                lists.get(&taken.digest).and_then(|new| self.state.compare_lists(old, new))
            }
            (Some(old), Some(taken), None) => self.state.compare_files(old, taken.files)?,
            _ => None,
        };
        if let (Some(changes), Some(taken)) = (&mut changes, taken) {
            tell_ignored(changes, taken.files);
        }
        let from = taken.map(|taken| taken.from.clone()).or_else(|| self.steps.notes.from.clone());
        let from = from.unwrap_or_else(|| difference.name.clone());
        causes.push(Cause::Files { from, changes: changes.filter(|changes: &FileChanges| changes.count > 0) });
        if let Some(root) = taken.and_then(|taken| taken.root.as_ref()) {
            causes.push(root.cause());
        }
        Ok(())
    }

    /// The step begins with something else. Where its own causes are those of the step that explains
    /// this, they are enough.
    fn parent(&self, difference: &Difference, causes: &mut Vec<Cause>) {
        let root = match &*difference.name {
            LAYERS => self.roots.layers.as_ref(),
            _ => self.roots.state.as_ref().or(self.roots.layers.as_ref()),
        };
        match root {
            // Something that was only found is no reason beside one of the step's own.
            Some(root) if root.is_cached && !causes.is_empty() => {}
            // It moved itself, which it says.
            Some(root) if root.step == self.steps.name() => {}
            Some(root) if !root.causes.is_empty() && root.causes.iter().all(|cause| causes.contains(cause)) => {}
            Some(root) if causes.contains(&root.cause()) => {}
            Some(root) => causes.push(root.cause()),
            None if causes.is_empty() && !self.counterpart.moved => causes.push(Cause::Ingredient(difference.clone())),
            None => {}
        }
    }
}

/// Tells what an ignore file leaves out from what is not there any more.
fn tell_ignored(changes: &mut FileChanges, files: &dyn Listing) {
    for change in &mut changes.first {
        if change.differences == [FileDifference::Removed] && files.is_ignored(change.path.as_bytes()) {
            change.differences = vec![FileDifference::Ignored];
        }
    }
}

/// Variables that have other values. Those that a rewritten ARG itself declares are told by its text.
fn variables(old: &Notes, new: &Notes, is_rewritten: bool, causes: &mut Vec<Cause>) {
    for (name, now) in &new.variables {
        let Some(before) = old.variables.get(name).filter(|before| before.value != now.value) else { continue };
        let (name, old, new) = (name.clone(), before.value.clone(), now.value.clone());
        match now.origin {
            Origin::Declared if is_rewritten => {}
            Origin::Argument | Origin::Declared => causes.push(Cause::Argument { name, old, new }),
            Origin::Environment => causes.push(Cause::Environment { name, old, new }),
        }
    }
}

/// A variable that a command sees.
fn variable(difference: &Difference) -> Cause {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Digest(_) => None,
    };
    let (old, new) = match &difference.change {
        IngredientChange::Changed { old, new } => (text(old), text(new)),
        IngredientChange::Added(new) => (None, text(new)),
        IngredientChange::Removed(old) => (text(old), None),
        IngredientChange::Moved => (None, None),
    };
    let name = difference.name.clone();
    match difference.kind {
        _ if old == new => Cause::Ingredient(difference.clone()),
        IngredientKind::Argument => Cause::Argument { name, old, new },
        _ => Cause::Environment { name, old, new },
    }
}

/// A base image has its name as the ingredient's and its digest as the text.
fn base_image(differences: &[Difference], causes: &mut Vec<Cause>) {
    let (mut before, mut now) = (None, None);
    let image = |difference: &Difference, value: &Value| {
        let digest = match value {
            Value::Text(digest) => digest.clone(),
            Value::Digest(digest) => digest.to_string(),
        };
        let name = difference.name.parse().map_or_else(|_| difference.name.clone(), |name: Reference| name.familiar());
        Some(BaseImage { name, digest })
    };
    for difference in differences.iter().filter(|difference| difference.kind == IngredientKind::BaseImage) {
        match &difference.change {
            IngredientChange::Changed { old, new } => {
                before = image(difference, old);
                now = image(difference, new);
            }
            IngredientChange::Added(new) => now = image(difference, new),
            IngredientChange::Removed(old) => before = image(difference, old),
            IngredientChange::Moved => {}
        }
    }
    match (before, now) {
        (Some(old), Some(new)) => causes.push(Cause::BaseImage { old, new }),
        (None, None) => {}
        // From or to a stage or nothing: the instruction tells.
        _ => {
            let rest = differences.iter().filter(|difference| difference.kind == IngredientKind::BaseImage);
            if causes.is_empty() {
                causes.extend(rest.cloned().map(Cause::Ingredient));
            }
        }
    }
}
