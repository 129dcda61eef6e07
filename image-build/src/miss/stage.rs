//! The steps of a stage beside those of the last build.

use std::{collections::BTreeMap, sync::Arc};

use image_core::{Digest, Timestamp};

use super::{
    LAYERS, Lookup, Root, Roots, STATE, StageTrace, Taken, Trace,
    changed::ChangedStep,
    notes::{Notes, Origin},
};
use crate::{
    cache::{
        CacheKey, Mark, Recipe, Record,
        align::{Counterpart, align},
        explain::{Cause, Earlier, Miss, StepName},
    },
    error::Result,
    state::BuildState,
};

/// The steps of a stage while it is built.
pub(crate) struct StageSteps<'b> {
    last: &'b Trace,
    trace: &'b mut StageTrace,
    pub(super) texts: Vec<String>,
    /// The stage's steps in the last build.
    pub(super) old: Vec<Mark>,
    counterparts: Vec<Option<Counterpart>>,
    /// Where the steps of the last build stand now.
    places: Vec<Option<usize>>,
    /// The step that is built, from 0.
    pub(super) at: usize,
    /// What the step before left behind.
    before: BTreeMap<String, String>,
    pub(super) notes: Notes,
    key: Option<CacheKey>,
    causes: Vec<Cause>,
    /// Whether what the step takes are other files for the reason of another stage.
    takes_others: bool,
}

impl<'b> StageSteps<'b> {
    /// The steps of a stage with these texts; what comes of them is put into `trace`.
    pub(crate) fn new(last: &'b Trace, trace: &'b mut StageTrace, texts: Vec<String>) -> Self {
        let old = last.last(trace);
        let was: Vec<String> = old.iter().map(|mark| mark.text.clone()).collect();
        let counterparts = align(&was, &texts);
        let mut places = vec![None; old.len()];
        for (at, counterpart) in counterparts.iter().enumerate() {
            if let Some(counterpart) = counterpart {
                places[counterpart.position] = Some(at);
            }
        }
        let (before, notes) = (BTreeMap::new(), Notes::default());
        let (at, key, causes, takes_others) = (0, None, Vec::new(), false);
        Self { last, trace, texts, old, counterparts, places, at, before, notes, key, causes, takes_others }
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
        let moved = |later| (later, Earlier::Moved { from: old + 1 });
        let (number, change) = self.places[old].map_or((old, Earlier::Removed), moved);
        let step = StepName::new(&*self.trace.shown, number + 1, &*self.old[old].text);
        Some(Root { step, change, causes: Arc::default(), is_cached: false })
    }

    /// Notes the variables that the instruction uses.
    pub(crate) fn note<'v>(
        &mut self,
        variables: impl IntoIterator<Item = (&'v str, Option<&'v str>)>,
        origin: impl Fn(&str) -> Origin,
    ) {
        for (name, value) in variables {
            self.notes.add(name, value, origin(name));
        }
    }

    /// What the record of a step that was just made is to keep besides its result.
    pub(crate) fn attach(&self, record: &mut Record, made: Timestamp) {
        let Notes { lists, .. } = Notes::of(record);
        Notes { made: Some(made), lists, ..self.notes.clone() }.attach(record);
    }

    /// What it is to keep where the result was there: when and why it was made stays as it is.
    pub(crate) fn attach_to_found(&self, record: &mut Record) {
        let Notes { made, because, lists, .. } = Notes::of(record);
        Notes { made, because, lists, ..self.notes.clone() }.attach(record);
    }

    /// The number of the step that is built, from 1.
    pub(crate) fn number(&self) -> usize {
        self.at + 1
    }

    /// Finds out why a step is not what it was. It is defined by the first recipe; the others differ in how its layer is
    /// stored. What was found for it is there where something was.
    pub(crate) fn explain(
        &mut self,
        recipes: &[&Recipe],
        taken: &[Taken<'_>],
        (lookup, found): (&Lookup, Option<&Record>),
        roots: &Roots,
        state: &BuildState,
    ) -> Result<()> {
        let keys: Vec<CacheKey> = recipes.iter().map(|recipe| recipe.key()).collect();
        self.key = keys.first().cloned();
        self.takes_others = taken.iter().any(|taken| taken.root.is_some());
        if !taken.is_empty() {
            let sources: Vec<_> = taken.iter().map(|taken| &*taken.sources).collect();
            let from: Vec<_> = taken.iter().map(|taken| &*taken.from).collect();
            (self.notes.sources, self.notes.from) = (Some(sources.join("\n")), Some(from.join("\n")));
        }
        self.causes = match (lookup, self.counterpart()) {
            (Lookup::NotLooked, _) => vec![Cause::Refresh],
            // A build that failed may not have come to it.
            (_, None) if self.old.iter().all(|mark| mark.is_unfinished) => vec![Cause::First],
            (_, None) => vec![Cause::New],
            (_, Some(counterpart)) => {
                let mark = &self.old[counterpart.position];
                match lookup {
                    _ if !keys.contains(&mark.key) => {
                        let found = found.filter(|_| *lookup == Lookup::Found);
                        ChangedStep { steps: self, counterpart, recipes, taken, found, roots, state }.causes()?
                    }
                    Lookup::NoRecord => vec![Cause::RecordGone],
                    Lookup::Expired(when) => vec![Cause::Expired { when: *when }],
                    Lookup::NoLayer(digest) => vec![Cause::LayerGone { digest: digest.clone() }],
                    Lookup::DamagedLayer(digest) => vec![Cause::LayerDamaged { digest: digest.clone() }],
                    _ => Vec::new(),
                }
            }
        };
        self.notes.because.clone_from(&self.causes);
        Ok(())
    }

    /// Why the step was carried out, in words.
    pub(crate) fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// Ends a step that left these layers and this state behind.
    pub(crate) fn end(&mut self, layers: String, state: &Digest, is_miss: bool, roots: &mut Roots) {
        let Some(key) = self.key.take() else { return };
        let mark = Mark { is_cached: !is_miss, ..Mark::new(&*self.trace.label, &*self.texts[self.at], key) }
            .with_after(LAYERS, layers)
            .with_after(STATE, state.to_string());
        let old = self.counterpart().map(|counterpart| &self.old[counterpart.position].after);
        for name in [LAYERS, STATE] {
            let (now, root) = (mark.after.get(name), roots.of(name));
            let is_changed = self.before.get(name) != now;
            // What was carried out explains more than what was only found.
            let is_better = is_miss && is_changed && root.as_ref().is_some_and(|root| root.is_cached);
            if old.is_some_and(|old| old.get(name) == now) {
                *root = None;
            } else if is_better || root.is_none() && (old.is_some() || is_changed) {
                *root = self.root(is_miss);
            }
        }
        self.before.clone_from(&mark.after);
        self.trace.marks.push(mark);
        if is_miss {
            let (step, causes) = (self.name(), self.causes.clone());
            self.trace.misses.push(Miss { step, causes });
        }
    }

    /// Says that no step is missing.
    pub(crate) fn complete(self) {
        self.trace.is_whole = true;
    }

    /// What later steps name where they follow from this one.
    fn root(&self, is_miss: bool) -> Option<Root> {
        let change = match self.causes.as_slice() {
            [] => return None,
            [Cause::Earlier { step, change, causes }]
            | [Cause::Files { .. }, Cause::Earlier { step, change, causes }]
                if self.takes_others || self.causes.len() == 1 =>
            {
                let (step, causes, is_cached) = (step.clone(), causes.as_slice().into(), !causes.is_empty());
                return Some(Root { step, change: *change, causes, is_cached });
            }
            [Cause::First | Cause::New] => Earlier::Added,
            causes => {
                let moved = causes.iter().find_map(|cause| match cause {
                    Cause::Moved { from, .. } => Some(Earlier::Moved { from: *from }),
                    _ => None,
                });
                moved.unwrap_or(Earlier::Changed)
            }
        };
        // What is told by others is about the step itself, and was not lost with what moved or is new.
        let is_cached = !is_miss && change == Earlier::Changed;
        let is_own = |cause: &&Cause| !is_cached || !matches!(cause, Cause::Earlier { .. });
        let causes = self.causes.iter().filter(is_own).cloned().collect();
        Some(Root { step: self.name(), change, causes, is_cached })
    }

    /// Where files are taken from, as the last build called it.
    pub(super) fn old_from(&self, from: &str) -> String {
        let old = |tree: &str| match tree.strip_prefix("stage ") {
            Some(name) => format!("stage {}", self.last.old_name(self.trace, name)),
            None => tree.to_owned(),
        };
        from.split('\n').map(old).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn name(&self) -> StepName {
        StepName::new(&*self.trace.shown, self.at + 1, &*self.texts[self.at])
    }

    fn counterpart(&self) -> Option<Counterpart> {
        self.counterparts.get(self.at).copied().flatten()
    }
}
