//! Looking a step up, and recording what it made.

use std::{collections::BTreeSet, io::Read};

use image_core::{
    BlobSourceExt, BlobStoreExt, Compression, Descriptor, History, ImageConfig, ImageEdit, MediaType, Timestamp,
    codec::EncodeOptions,
    observer::{NoticeKind, Outcome},
};
use image_overlay::{LayerBlob, PackOptions};

use super::{COMMENT, Import, Made, StageBuild};
use crate::{
    assemble::StepRecord,
    cache::{self, CacheKey, IngredientKind, Journal, Recipe, Record, RecordStore, RecordedLayer},
    error::{Error, Result},
    miss::{self, Lists, Lookup, Taken},
    options::CachePolicy,
    state::{LayerCheck, Trust},
};

/// Counts up when the same instruction on the same files would make another layer.
pub(crate) const STEP_VERSION: &str = "steps 2";

/// A record of an earlier build.
struct Found {
    record: Record,
    /// The key under which it is in the state; none for one of another build.
    key: Option<CacheKey>,
}

impl StageBuild<'_> {
    /// What every recipe begins with.
    pub(crate) fn recipe(&self, instruction: &str) -> Recipe {
        let options = self.build.options;
        let epoch = options.source_date_epoch.map_or_else(|| "none".into(), |epoch| epoch.to_string());
        Recipe::new()
            .with_text(IngredientKind::Tool, "image-build", STEP_VERSION)
            .with_text(IngredientKind::Instruction, "instruction", instruction)
            .with_text(IngredientKind::Platform, "platform", &self.stage.platform.to_string())
            .with_text(IngredientKind::Setting, "source-date-epoch", &epoch)
    }

    /// The record of a step that only changed the configuration.
    pub(super) fn changed(&mut self, line: &str) -> Result<(Record, Outcome)> {
        let identity = self.state.identity()?;
        self.identity = Some(identity.clone());
        let recipe = self.recipe(line).with_digest(IngredientKind::Parent, "state", identity);
        self.record(recipe, None, None, &[], |_, _| Ok(Made { layer: None }))
    }

    /// A step that only changed the configuration, with its line of the history.
    pub(super) fn metadata(&mut self, line: &str) -> Result<Outcome> {
        let (record, outcome) = self.changed(line)?;
        let history = History::new(record.created, line).with_comment(COMMENT).without_layer();
        self.state.tell(history)?;
        Ok(outcome)
    }

    /// A step that makes a layer on top of those before it, out of the cache or by `make`, with its line of the
    /// history.
    pub(crate) fn layer(
        &mut self,
        recipe: Recipe,
        taken: &[Taken<'_>],
        line: &str,
        make: impl FnOnce(&mut Self, Timestamp) -> Result<Made>,
    ) -> Result<Outcome> {
        let recipe = recipe.with_text(IngredientKind::Parent, "layers", &self.state.rootfs.identity());
        self.detached_layer(recipe, taken, line, make)
    }

    /// A step whose layer is the same whatever is below it.
    pub(crate) fn detached_layer(
        &mut self,
        recipe: Recipe,
        taken: &[Taken<'_>],
        line: &str,
        make: impl FnOnce(&mut Self, Timestamp) -> Result<Made>,
    ) -> Result<Outcome> {
        let (encode, other) = (self.encode().to_string(), self.encode_of(!self.is_in_result()).to_string());
        let stored = |recipe: Recipe, encode: &str| recipe.with_text(IngredientKind::Setting, "compression", encode);
        let otherwise = (encode != other).then(|| stored(recipe.clone(), &other));
        let (record, outcome) = self.record(stored(recipe, &encode), None, otherwise.as_ref(), taken, make)?;
        let mut history = History::new(record.created, line).with_comment(COMMENT);
        match &record.layer {
            Some(layer) => self.state.rootfs.push(layer, self.build.builder.state),
            None => history = history.without_layer(),
        }
        self.state.tell(history)?;
        Ok(outcome)
    }

    /// The record of a recipe, or of another by which the same result can be found, or of the same one with its layer stored
    /// otherwise: from an earlier build if what it names is still whole, else of what `make` makes now.
    pub(super) fn record(
        &mut self,
        recipe: Recipe,
        content: Option<Recipe>,
        otherwise: Option<&Recipe>,
        taken: &[Taken<'_>],
        make: impl FnOnce(&mut Self, Timestamp) -> Result<Made>,
    ) -> Result<(Record, Outcome)> {
        let (build, state, ctx) = (self.build, self.build.builder.state, self.build.ctx);
        let keys: Vec<CacheKey> = std::iter::once(&recipe).chain(&content).map(Recipe::key).collect();
        // In the order of the keys: no stage waits for another in a circle.
        let turns: BTreeSet<CacheKey> = otherwise.into_iter().map(Recipe::key).chain(keys.iter().cloned()).collect();
        let _turns = turns.iter().map(|key| build.shared.made.turn(key, ctx)).collect::<Result<Vec<_>>>()?;
        ctx.check()?;
        let (found, lookup) = self.look_up(&recipe, content.as_ref(), otherwise, taken)?;
        let defined: Vec<&Recipe> = std::iter::once(&recipe).chain(otherwise).collect();
        let result = (&lookup, found.as_ref().map(|found| &found.record));
        self.steps.explain(&defined, taken, result, &self.state.roots, state)?;
        let is_in_result = self.is_in_result();
        self.records.extend(keys.iter().map(|key| StepRecord { key: key.clone(), is_in_result }));
        if let Some(mut found) = found {
            if lookup != Lookup::Found && build.shared.made.is_to_tell(&keys[0], build.place) {
                self.steps.attach(&mut found.record, ctx.now());
                state.records().put(&found.record)?;
            }
            let record = self.keep(found, &recipe, content.as_ref())?;
            return Ok((record, if lookup == Lookup::Found { Outcome::Cached } else { Outcome::Done }));
        }
        let created = self.build.created();
        let made = make(self, created)?;
        let mut record = Record::new(recipe.clone(), created);
        if let Some(packed) = made.layer {
            let layer = RecordedLayer::new(packed.descriptor, packed.diff_id);
            build.shared.rely_on(&layer);
            state.adopt_layer(&layer, build.shared.begun, ctx)?;
            state.keep_toc(&layer.diff_id, &packed.toc)?;
            record = record.with_layer(layer);
        }
        record.used = ctx.now();
        miss::attach_lists(&mut record, self.keep_lists(taken)?);
        self.steps.attach(&mut record, ctx.now());
        for recipe in std::iter::once(recipe).chain(content) {
            state.records().put(&record.clone().with_recipe(recipe))?;
        }
        keys.into_iter().for_each(|key| build.shared.made.add(key, build.place, &lookup));
        Ok((record, Outcome::Done))
    }

    /// Keeps lists of the files that a step takes.
    fn keep_lists(&self, taken: &[Taken<'_>]) -> Result<Lists> {
        let state = self.build.builder.state;
        let keep = |taken: &Taken<'_>| Ok((taken.digest.clone(), state.keep_files(taken.files)?));
        taken.iter().map(keep).collect()
    }

    /// Keeps a record of an earlier build under the recipes of now, and notes that it served.
    fn keep(&mut self, found: Found, recipe: &Recipe, content: Option<&Recipe>) -> Result<Record> {
        let Found { record, key: found } = found;
        let records = self.build.builder.state.records();
        let now = self.build.ctx.now();
        for recipe in std::iter::once(recipe).chain(content) {
            let key = recipe.key();
            if found.as_ref() == Some(&key) || records.get(&key)?.is_some() {
                records.touch(&key, now)?;
            } else {
                let mut copy = Record { used: now, ..record.clone() }.with_recipe(recipe.clone());
                self.steps.attach_to_found(&mut copy);
                records.put(&copy)?;
            }
        }
        Ok(record)
    }

    /// Whether the caller wants the step to be carried out whatever there is.
    fn is_to_be_made(&self) -> bool {
        let options = self.build.options;
        let is_filtered =
            || options.no_cache.iter().any(|filter| filter.is_about(&self.stage.label(), self.steps.number()));
        options.cache != CachePolicy::Use || is_filtered()
    }

    /// What another stage of this build made.
    fn join(&self, recipe: &Recipe) -> Result<Option<(Record, Lookup)>> {
        let (build, key) = (self.build, recipe.key());
        let Some(lookup) = build.shared.made.join(&key, build.place, build.before) else { return Ok(None) };
        let Some((_, record)) = cache::find(build.builder.state.records(), [recipe])? else { return Ok(None) };
        record.layer.iter().for_each(|layer| build.shared.rely_on(layer));
        Ok(Some((record, if self.is_to_be_made() { Lookup::NotLooked } else { lookup })))
    }

    /// The record of an earlier build, or of another stage, if what it names is still whole.
    fn look_up(
        &self,
        recipe: &Recipe,
        content: Option<&Recipe>,
        otherwise: Option<&Recipe>,
        taken: &[Taken<'_>],
    ) -> Result<(Option<Found>, Lookup)> {
        if let Some((record, lookup)) = self.join(recipe)? {
            return Ok((Some(Found { record, key: Some(recipe.key()) }), lookup));
        }
        if self.is_to_be_made() {
            return Ok((None, Lookup::NotLooked));
        }
        let (state, ctx) = (self.build.builder.state, self.build.ctx);
        let mut lookup = match state.records().expired(&recipe.key())? {
            Some(when) => Lookup::Expired(when),
            None => Lookup::NoRecord,
        };
        // What this build itself made under another name is no result of an earlier one.
        let content = content.filter(|content| !self.build.shared.made.has(&content.key()));
        for recipe in std::iter::once(recipe).chain(content) {
            let Some((_, record)) = cache::find(state.records(), [recipe])? else { continue };
            let key = Some(recipe.key());
            let Some(layer) = &record.layer else { return Ok((Some(Found { record, key }), Lookup::Found)) };
            let digest = layer.descriptor.digest.clone();
            match state.check_layer(layer, Trust::Unchanged, ctx)? {
                LayerCheck::Whole => {
                    self.build.shared.rely_on(layer);
                    return Ok((Some(Found { record, key }), Lookup::Found));
                }
                LayerCheck::Gone => lookup = Lookup::NoLayer(digest),
                LayerCheck::Damaged => lookup = Lookup::DamagedLayer(digest),
            }
            state.records().remove(&recipe.key())?;
        }
        if let Some(otherwise) = otherwise
            && let Some(record) = self.recode(recipe, otherwise, &mut lookup)?
        {
            return Ok((Some(Found { record, key: Some(recipe.key()) }), Lookup::Found));
        }
        for import in &self.build.builder.imports {
            let found = cache::find(import.records, std::iter::once(recipe).chain(content))?;
            if let Some((_, record)) = found
                && let Some(mut record) = self.import(record, import)?
            {
                miss::attach_lists(&mut record, self.keep_lists(taken)?);
                return Ok((Some(Found { record, key: None }), Lookup::Found));
            }
        }
        Ok((None, lookup))
    }

    /// What an earlier build made of the step when the stage was part of the result and is not now, or the other way round: the
    /// same layer, once it is stored as it is to be now.
    fn recode(&self, recipe: &Recipe, otherwise: &Recipe, lookup: &mut Lookup) -> Result<Option<Record>> {
        let (shared, state, ctx) = (self.build.shared, self.build.builder.state, self.build.ctx);
        if shared.made.has(&otherwise.key()) {
            return Ok(None);
        }
        let Some((_, record)) = cache::find(state.records(), [otherwise])? else { return Ok(None) };
        let layer = match record.layer.as_ref().map(|layer| self.recode_layer(layer)).transpose()? {
            None => None,
            Some(Ok(layer)) => Some(layer),
            Some(Err(why)) => {
                *lookup = why;
                return Ok(None);
            }
        };
        let record = Record { used: ctx.now(), layer, ..record }.with_recipe(recipe.clone());
        state.records().put(&record)?;
        Ok(Some(record))
    }

    /// The layer stored as this stage's are, or why there is none to be had.
    fn recode_layer(&self, layer: &RecordedLayer) -> Result<Result<RecordedLayer, Lookup>> {
        let (shared, state, ctx) = (self.build.shared, self.build.builder.state, self.build.ctx);
        let damaged = || Ok(Err(Lookup::DamagedLayer(layer.descriptor.digest.clone())));
        match state.check_layer(layer, Trust::Unchanged, ctx)? {
            LayerCheck::Whole => shared.rely_on(layer),
            LayerCheck::Gone => return Ok(Err(Lookup::NoLayer(layer.descriptor.digest.clone()))),
            LayerCheck::Damaged => return damaged(),
        }
        let mut image = ImageEdit::new(ImageConfig::new(&self.stage.platform));
        image.push_layer(&layer.descriptor, layer.diff_id.clone(), History::new(self.build.created(), ""));
        match image.recompress(state.blobs(), &self.encode(), ctx) {
            // It may look whole until it is read.
            Err(e) if e.is_corrupt() => return damaged(),
            recompressed => recompressed?,
        }
        let Some(blob) = image.layers().first() else { return damaged() };
        let layer = RecordedLayer::new(blob.clone(), layer.diff_id.clone());
        shared.rely_on(&layer);
        state.adopt_layer(&layer, shared.begun, ctx)?;
        Ok(Ok(layer))
    }

    /// Takes over what another build's record says that a step came to, with its layer; `None` where that is not what the
    /// record says, or no layer such as the step makes.
    fn import(&self, record: Record, import: &Import<'_>) -> Result<Option<Record>> {
        let Some(layer) = &record.layer else { return Ok(Some(record)) };
        let digest = &layer.descriptor.digest;
        let whole = match self.import_layer(layer, import) {
            Err(e) if e.is_cancelled() => return Err(e),
            whole => whole.ok().flatten(),
        };
        let Some(layer) = whole else {
            let message = "the layer of an imported record is missing, or not what the record says: it is not used";
            self.build.ctx.notice(NoticeKind::Warning, &digest.to_string(), message);
            return Ok(None);
        };
        self.build.shared.rely_on(&layer);
        Ok(Some(record.with_layer(layer)))
    }

    /// The layer in the state, named by what was found out about it and not by what the record says besides.
    fn import_layer(&self, layer: &RecordedLayer, import: &Import<'_>) -> Result<Option<RecordedLayer>> {
        let (state, ctx, compression) = (self.build.builder.state, self.build.ctx, self.encode().compression);
        let named = &layer.descriptor;
        let descriptor = Descriptor::new(MediaType::layer(compression), named.digest.clone(), named.size);
        if named.media_type != descriptor.media_type {
            return Ok(None);
        }
        state.blobs().copy_from(import.blobs, &descriptor, ctx)?;
        let layer = RecordedLayer::new(descriptor, layer.diff_id.clone());
        if state.check_layer(&layer, Trust::Unchanged, ctx)? != LayerCheck::Whole {
            return Ok(None);
        }
        let mut beginning = Vec::new();
        let blob = state.blobs().open_verified(&layer.descriptor)?;
        blob.take(4).read_to_end(&mut beginning).map_err(|e| Error::stream("read the layer", e))?;
        if Compression::sniff(&beginning).unwrap_or(Compression::None) != compression {
            return Ok(None);
        }
        state.toc(&LayerBlob::new(state.blobs_arc(), layer.descriptor.clone(), layer.diff_id.clone()), ctx)?;
        Ok(Some(layer))
    }

    /// How this stage's layers are stored: as the caller wants those of the result, plain all others,
    /// which are only read again to copy from them.
    fn encode(&self) -> EncodeOptions {
        self.encode_of(self.is_in_result())
    }

    fn encode_of(&self, is_in_result: bool) -> EncodeOptions {
        if is_in_result { self.build.options.encode.clone() } else { EncodeOptions::new(Compression::None) }
    }

    fn is_in_result(&self) -> bool {
        self.build.graph.is_in_result(self.stage.number)
    }

    pub(crate) fn pack_options(&self) -> PackOptions {
        PackOptions::default().with_encode(self.encode()).with_latest(self.build.options.source_date_epoch)
    }
}
