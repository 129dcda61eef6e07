//! Why steps were not cached: this build's steps beside those of the last one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use image_core::{Digest, Reference};
use serde::{Deserialize, Serialize};

use crate::{
    cache::{
        CacheKey, FileChanges, IngredientKind, Mark, Recipe, Record, RecordStore, Trail,
        align::{Counterpart, align, plain},
        explain::{BaseImage, Cause, Difference, Earlier, IngredientChange, Miss, StepName, Value, compare},
        files::ListedFile,
    },
    error::{Result, excerpt},
    state::BuildState,
};

/// The name under which a record keeps what is told of its step.
const ATTACHED: &str = "step";

/// The names of what a step leaves behind.
const LAYERS: &str = "layers";
const STATE: &str = "state";

/// Settings that are words of the instruction.
const WORDS: [&str; 2] = ["destination", "owner"];

/// The longest value of a variable that is kept, in characters.
const MAX_VALUE: usize = 1024;

/// What a record keeps of its step, for explanations only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Notes {
    /// The variables that the instruction uses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, Variable>,
    /// What files are taken, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<String>,
    /// Where they are taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

impl Notes {
    fn of(record: &Record) -> Self {
        let text = record.attached.get(ATTACHED);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Variable {
    value: Option<String>,
    origin: Origin,
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

/// Files that a step takes.
pub(crate) trait Listing {
    /// Tells of each file once, in canonical order of paths.
    fn for_each(&self, visit: &mut dyn FnMut(&ListedFile) -> Result<()>) -> Result<()>;
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
#[derive(Debug)]
pub(crate) enum Lookup {
    Found,
    NotLooked,
    NoRecord,
    NoLayer(Digest),
}

/// A step that explains why later ones begin with something else.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    step: StepName,
    change: Earlier,
    causes: Arc<[Cause]>,
}

impl Root {
    fn cause(&self) -> Cause {
        Cause::Earlier { step: self.step.clone(), change: self.change }
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

/// The steps of this build and of the last one.
pub(crate) struct Trace {
    name: String,
    /// All stages of the file, built or not.
    labels: Vec<String>,
    old: Trail,
    new: Trail,
    /// The stage of which not all steps were built.
    unfinished: Option<String>,
    misses: Vec<Miss>,
}

impl Trace {
    /// Reads the steps of the last build of this name.
    pub(crate) fn open(records: &dyn RecordStore, name: String, labels: Vec<String>) -> Result<Self> {
        let old = records.trail(&name)?.unwrap_or_default();
        Ok(Self { name, labels, old, new: Trail::default(), unfinished: None, misses: Vec::new() })
    }

    /// Keeps the steps of this build for the next one. Of what was not built, those of the last one stay.
    pub(crate) fn keep(self, records: &dyn RecordStore) -> Result<Vec<Miss>> {
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
    fn old_name(&self, label: &str) -> Option<String> {
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

/// The steps of a stage while it is built.
pub(crate) struct StageSteps<'b> {
    trace: &'b mut Trace,
    label: String,
    texts: Vec<String>,
    /// The stage's steps in the last build.
    old: Vec<Mark>,
    counterparts: Vec<Option<Counterpart>>,
    /// Where the steps of the last build stand now.
    places: Vec<Option<usize>>,
    /// The step that is built, from 0.
    at: usize,
    /// What the step before left behind.
    before: BTreeMap<String, String>,
    notes: Notes,
    key: Option<CacheKey>,
    causes: Vec<Cause>,
}

impl<'b> StageSteps<'b> {
    pub(crate) fn new(trace: &'b mut Trace, label: String, texts: Vec<String>) -> Self {
        let name = trace.old_name(&label);
        trace.unfinished = Some(label.clone());
        let old: Vec<Mark> = name.map(|name| trace.old.group(&name).cloned().collect()).unwrap_or_default();
        let was: Vec<String> = old.iter().map(|mark| mark.text.clone()).collect();
        let counterparts = align(&was, &texts);
        let mut places = vec![None; old.len()];
        for (at, counterpart) in counterparts.iter().enumerate() {
            if let Some(counterpart) = counterpart {
                places[counterpart.position] = Some(at);
            }
        }
        let (before, notes) = (BTreeMap::new(), Notes::default());
        Self { trace, label, texts, old, counterparts, places, at: 0, before, notes, key: None, causes: Vec::new() }
    }

    /// Begins a step, from 0.
    pub(crate) fn begin(&mut self, at: usize, roots: &mut Roots) {
        self.at = at;
        self.notes = Notes::default();
        self.key = None;
        self.causes.clear();
        let Some(Counterpart { position, moved: false }) = self.counterpart() else { return };
        let Some(last) = position.checked_sub(1).filter(|_| at > 0) else { return };
        for name in [LAYERS, STATE] {
            let differs = self.old[last].after.get(name) != self.before.get(name);
            let root = roots.of(name);
            if differs && root.is_none() {
                *root = self.displaced(position, name);
            }
        }
    }

    /// A step that stood before a position, changed what it left behind, and does not stand there any more.
    fn displaced(&self, position: usize, name: &str) -> Option<Root> {
        let changes = |old: &usize| {
            let before = old.checked_sub(1).and_then(|before| self.old[before].after.get(name));
            self.old[*old].after.get(name) != before
        };
        let old = (0..position).filter(changes).find(|old| self.places[*old].is_none_or(|place| place > self.at))?;
        let (number, change) = self.places[old].map_or((old, Earlier::Removed), |later| (later, Earlier::Moved));
        let step = StepName::new(&*self.label, number + 1, &*self.old[old].text);
        Some(Root { step, change, causes: Arc::default() })
    }

    /// Notes the variables that the instruction uses.
    pub(crate) fn note<'v>(
        &mut self,
        variables: impl IntoIterator<Item = (&'v str, Option<&'v str>)>,
        origin: impl Fn(&str) -> Origin,
    ) {
        for (name, value) in variables {
            let value = value.map(|value| excerpt(value, MAX_VALUE));
            self.notes.variables.insert(name.to_owned(), Variable { value, origin: origin(name) });
        }
    }

    /// What the step's record is to keep besides its result.
    pub(crate) fn attach(&self, record: &mut Record) {
        if self.notes != Notes::default()
            && let Ok(text) = serde_json::to_string(&self.notes)
        {
            record.attached.insert(ATTACHED.into(), text);
        }
    }

    /// Finds out why a step is not what it was.
    pub(crate) fn explain(
        &mut self,
        recipe: &Recipe,
        taken: Option<&Taken<'_>>,
        lookup: &Lookup,
        roots: &Roots,
        state: &BuildState,
    ) -> Result<()> {
        let key = recipe.key();
        self.key = Some(key.clone());
        if let Some(taken) = taken {
            self.notes.sources = Some(taken.sources.clone());
            self.notes.from = Some(taken.from.clone());
        }
        self.causes = match (lookup, self.counterpart()) {
            (Lookup::NotLooked, _) => vec![Cause::Refresh],
            (Lookup::Found, None) => Vec::new(),
            (_, None) if self.old.is_empty() => vec![Cause::First],
            (_, None) => vec![Cause::New],
            (_, Some(counterpart)) => {
                let mark = &self.old[counterpart.position];
                match lookup {
                    _ if mark.key != key => {
                        let taken = taken.filter(|_| !matches!(lookup, Lookup::Found));
                        let step = ChangedStep { steps: self, counterpart, recipe, taken, roots, state };
                        step.causes()?
                    }
                    Lookup::NoRecord => vec![Cause::RecordGone],
                    Lookup::NoLayer(digest) => vec![Cause::LayerGone { digest: digest.clone() }],
                    _ => Vec::new(),
                }
            }
        };
        Ok(())
    }

    /// Why the step was carried out, in words.
    pub(crate) fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// Ends a step that left these layers and this state behind.
    pub(crate) fn end(&mut self, layers: String, state: &Digest, is_miss: bool, roots: &mut Roots) {
        let Some(key) = self.key.take() else { return };
        let mark = Mark::new(&*self.label, &*self.texts[self.at], key)
            .with_after(LAYERS, layers)
            .with_after(STATE, state.to_string());
        let old = self.counterpart().map(|counterpart| &self.old[counterpart.position].after);
        for name in [LAYERS, STATE] {
            let (now, root) = (mark.after.get(name), roots.of(name));
            if old.is_some_and(|old| old.get(name) == now) {
                *root = None;
            } else if root.is_none() && (old.is_some() || self.before.get(name) != now) {
                *root = self.root();
            }
        }
        self.before.clone_from(&mark.after);
        self.trace.new.marks.push(mark);
        if is_miss {
            let (step, causes) = (self.name(), self.causes.clone());
            self.trace.misses.push(Miss { step, causes });
        }
    }

    /// Says that no step is missing.
    pub(crate) fn complete(self) {
        self.trace.unfinished = None;
    }

    /// What later steps name where they follow from this one.
    fn root(&self) -> Option<Root> {
        let change = match self.causes.as_slice() {
            [] => return None,
            [Cause::Earlier { step, change }] | [Cause::Files { .. }, Cause::Earlier { step, change }] => {
                return Some(Root { step: step.clone(), change: *change, causes: Arc::default() });
            }
            [Cause::First | Cause::New] => Earlier::Added,
            causes if causes.iter().any(|cause| matches!(cause, Cause::Moved { .. })) => Earlier::Moved,
            _ => Earlier::Changed,
        };
        Some(Root { step: self.name(), change, causes: self.causes.as_slice().into() })
    }

    fn name(&self) -> StepName {
        StepName::new(&*self.label, self.at + 1, &*self.texts[self.at])
    }

    fn counterpart(&self) -> Option<Counterpart> {
        self.counterparts.get(self.at).copied().flatten()
    }
}

/// A step whose recipe is not that of the last build.
struct ChangedStep<'a> {
    steps: &'a StageSteps<'a>,
    counterpart: Counterpart,
    recipe: &'a Recipe,
    taken: Option<&'a Taken<'a>>,
    roots: &'a Roots,
    state: &'a BuildState,
}

impl ChangedStep<'_> {
    fn causes(&self) -> Result<Vec<Cause>> {
        let Some(record) = self.state.records().get(&self.mark().key)? else { return Ok(vec![self.without_record()]) };
        let (old, new) = (Notes::of(&record), &self.steps.notes);
        let differences = compare(&record.recipe, self.recipe);
        let mut causes = Vec::new();
        if self.counterpart.moved {
            causes.push(Cause::Moved { from: self.counterpart.position + 1, to: self.steps.at + 1 });
        }
        let line = differences.iter().find(|difference| difference.kind == IngredientKind::Instruction);
        let is_rewritten = self.is_rewritten() && (line.is_some() || old.from != new.from);
        if is_rewritten {
            causes.push(self.rewritten());
        }
        variables(&old, new, is_rewritten, &mut causes);
        if let (Some(line), true) = (line, causes.is_empty()) {
            causes.push(reads(line));
        }
        base_image(&differences, &mut causes);
        let is_same_choice = (old.sources, old.from) == (new.sources.clone(), new.from.clone());
        for difference in &differences {
            match difference.kind {
                IngredientKind::Instruction | IngredientKind::BaseImage | IngredientKind::Parent => {}
                IngredientKind::Content if !is_same_choice && !causes.is_empty() => {}
                IngredientKind::Content => self.files(difference, &mut causes)?,
                // Words of the instruction, told already.
                IngredientKind::Setting if line.is_some() && WORDS.contains(&&*difference.name) => {}
                _ => causes.push(Cause::Ingredient(difference.clone())),
            }
        }
        for difference in differences.iter().filter(|difference| difference.kind == IngredientKind::Parent) {
            self.parent(difference, &mut causes);
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

    /// What can be said where the last record is gone.
    fn without_record(&self) -> Cause {
        if self.is_rewritten() {
            return self.rewritten();
        }
        let root = self.roots.layers.as_ref().or(self.roots.state.as_ref());
        root.map_or(Cause::Unknown, Root::cause)
    }

    fn files(&self, difference: &Difference, causes: &mut Vec<Cause>) -> Result<()> {
        let from = self.steps.notes.from.clone().unwrap_or_else(|| difference.name.clone());
        let changes = match (&difference.change, self.taken) {
            (IngredientChange::Changed { old: Value::Digest(old), .. }, Some(taken)) => {
                self.state.compare_files(old, taken.files)?
            }
            _ => None,
        };
        causes.push(Cause::Files { from, changes: changes.filter(|changes: &FileChanges| changes.count > 0) });
        if let Some(root) = self.taken.and_then(|taken| taken.root.as_ref()) {
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
            Some(root) if !root.causes.is_empty() && root.causes.iter().all(|cause| causes.contains(cause)) => {}
            Some(root) if causes.contains(&root.cause()) => {}
            Some(root) => causes.push(root.cause()),
            None if causes.is_empty() => causes.push(Cause::Ingredient(difference.clone())),
            None => {}
        }
    }
}

/// The instruction is as it was, but reads otherwise once its words are resolved.
fn reads(line: &Difference) -> Cause {
    match &line.change {
        IngredientChange::Changed { old: Value::Text(old), new: Value::Text(new) } => {
            Cause::Instruction { old: old.clone(), new: new.clone() }
        }
        _ => Cause::Ingredient(line.clone()),
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
