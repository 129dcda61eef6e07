//! Building: each stage in turn, each step out of the cache or carried out.

use std::collections::BTreeMap;

use image_core::{
    BlobStore, Compression, Ctx, Digest, History, Image, ImageConfig, ImageResolver, Platform, Timestamp,
    codec::EncodeOptions,
    observer::{Outcome, TaskKind},
};
use image_overlay::{PackOptions, PackedLayer};

use crate::{
    args::{GlobalArgs, warn_of_defaults},
    assemble::{self, BuiltImage},
    cache::{IngredientKind, Recipe, Record, RecordStore, RecordedLayer},
    context::BuildContext,
    dockerfile::{Command, Dockerfile, Instruction},
    effect::meta::Change,
    env::Env,
    error::{Error, Result},
    expand::Expander,
    fetch::Fetcher,
    graph::{Base, BuildGraph, Stage},
    miss::{Lookup, Origin, Roots, StageSteps, Taken, Trace},
    options::{BuildOptions, CachePolicy, Explanations},
    rootfs::RootFs,
    state::BuildState,
};

/// The search path of an image made from nothing, as BuildKit sets it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most bytes that the configuration may have, and the lines of the history: no registry and no tool
/// takes a larger image configuration.
const MAX_CONFIG: usize = 4 << 20;

/// What stands in the history beside each instruction, as BuildKit writes it.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// Builds images: from where files and base images come, and where results of earlier builds are kept.
///
/// See the [crate's documentation](crate) for an example.
#[derive(Clone)]
pub struct Builder<'a> {
    pub(crate) state: &'a BuildState,
    pub(crate) context: &'a BuildContext,
    pub(crate) resolver: &'a dyn ImageResolver,
    pub(crate) contexts: BTreeMap<String, &'a BuildContext>,
    pub(crate) fetcher: Option<&'a dyn Fetcher>,
}

impl std::fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("state", self.state).field("context", self.context).finish_non_exhaustive()
    }
}

impl<'a> Builder<'a> {
    /// A builder that keeps results in `state`, copies files from `context`, and finds base images
    /// by `resolver`.
    #[must_use]
    pub fn new(state: &'a BuildState, context: &'a BuildContext, resolver: &'a dyn ImageResolver) -> Self {
        Self { state, context, resolver, contexts: BTreeMap::new(), fetcher: None }
    }

    /// With another context that `COPY --from=NAME` copies from.
    #[must_use]
    pub fn with_named_context(mut self, name: impl Into<String>, context: &'a BuildContext) -> Self {
        self.contexts.insert(name.into(), context);
        self
    }

    /// With something that gets what ADD names by an address; without it, that is an error.
    #[must_use]
    pub fn with_fetcher(self, fetcher: &'a dyn Fetcher) -> Self {
        Self { fetcher: Some(fetcher), ..self }
    }

    /// Builds the image into `output`: its layers, config and manifest. Naming it there is the caller's next call.
    ///
    /// Nothing of the image is visible under a name before this returns, and a build that fails or is
    /// killed leaves only whole blobs behind, which the next one uses.
    ///
    /// # Errors
    /// What is wrong with the Dockerfile, with its place; what an instruction could not do, with
    /// the cause; [`Error::is_cancelled`].
    pub fn build(
        &self,
        dockerfile: &Dockerfile,
        options: &BuildOptions,
        output: &dyn BlobStore,
        ctx: &Ctx,
    ) -> Result<BuiltImage> {
        let global = GlobalArgs::new(dockerfile, options)?;
        let graph = BuildGraph::new(dockerfile, &global, options, &|reference, platform| {
            Ok(self.resolve(reference, platform)?.config().value().config.on_build.clone())
        })?;
        refuse_unsupported(&graph)?;
        let build = Build { builder: self, dockerfile, options, global: &global, graph: &graph, ctx };
        for warning in dockerfile.warnings().iter().chain(&warn_of_defaults(dockerfile, options)) {
            build.warn(dockerfile, warning)?;
        }
        let records = self.state.records();
        let mut trace = Trace::open(records, build.name(), graph.labels())?;
        let result = build.stages(&mut trace);
        let misses = trace.keep(records);
        let StageResult { state, cached, done } = result?;
        let image = assemble::assemble(state, options, output, ctx)?;
        Ok(image.with_steps(cached, done, misses?))
    }
}

/// Instructions that nothing carries out yet are refused before any work is done.
fn refuse_unsupported(graph: &BuildGraph<'_>) -> Result<()> {
    for step in graph.stages().flat_map(Stage::steps) {
        let Command::Run(_) = &step.instruction.command else { continue };
        return Err(step.file.unsupported(step.instruction.span, "RUN"));
    }
    Ok(())
}

/// What all stages of one build share.
pub(crate) struct Build<'b> {
    pub(crate) builder: &'b Builder<'b>,
    pub(crate) dockerfile: &'b Dockerfile,
    pub(crate) options: &'b BuildOptions,
    pub(crate) global: &'b GlobalArgs,
    pub(crate) graph: &'b BuildGraph<'b>,
    pub(crate) ctx: &'b Ctx,
}

impl Build<'_> {
    /// What the build is of: the name under which its steps are kept, to be compared with the next time.
    fn name(&self) -> String {
        format!(
            "{}\0{}",
            self.dockerfile.source().location(Default::default()).file(),
            self.builder.context.path().display()
        )
    }

    /// Builds all stages, and gives the last one, with the steps of all.
    fn stages(&self, trace: &mut Trace) -> Result<StageResult> {
        let mut built = BTreeMap::new();
        let (mut cached, mut done) = (0, 0);
        for stage in self.graph.stages() {
            let result = StageBuild::run(self, stage, &built, trace)?;
            cached += result.cached;
            done += result.done;
            built.insert(stage.number, result.state);
            built.retain(|number, _| self.graph.is_needed_after(*number, stage.number));
        }
        let last = self.graph.stages().last().and_then(|stage| built.remove(&stage.number));
        let state = last.ok_or_else(|| self.dockerfile.fault(Default::default(), "there is no stage to build"))?;
        Ok(StageResult { state, cached, done })
    }
}

/// What a stage has come to.
#[derive(Debug, Clone)]
pub(crate) struct StageState {
    /// The image's configuration, but for its layers and history.
    pub(crate) config: ImageConfig,
    /// The layers.
    pub(crate) rootfs: RootFs,
    /// The history.
    pub(crate) history: Vec<History>,
    /// The size of what its lines say that were added here.
    told: usize,
    /// The variables that instructions see: those of the configuration and of ARG. A stage built on
    /// this one sees them too.
    pub(crate) env: Env,
    /// Why it is not what the last build came to.
    pub(crate) roots: Roots,
}

impl StageState {
    fn scratch(platform: &Platform) -> Self {
        let mut config = ImageConfig::new(platform);
        config.config.working_dir = "/".into();
        let (rootfs, history) = (RootFs::default(), Vec::new());
        Self { config, rootfs, history, told: 0, env: Env::default(), roots: Roots::default() }
    }

    /// The state that a build from an image begins with. Facts about that one image that are of no use
    /// to another (who made it, fields nobody reads any more) are not taken over.
    fn of_image(image: &Image) -> Self {
        let base = image.config().value();
        let mut config = ImageConfig::new(&image.platform());
        config.author.clone_from(&base.author);
        config.config = base.config.clone();
        config.config.extra.clear();
        let (rootfs, history) = (RootFs::of_image(image), image.config().value().paired_history());
        Self { config, rootfs, history, told: 0, env: Env::default(), roots: Roots::default() }
    }

    /// Makes sure of a search path, and that instructions see the variables of the configuration, over
    /// those of ARG in the stage below.
    fn begin_env(&mut self) {
        let config = &mut self.config;
        let has_path = config.config.env.iter().any(|line| line == "PATH" || line.starts_with("PATH="));
        if !has_path && config.os != "windows" {
            config.config.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        self.env.extend(Env::from_config(&config.config.env).iter());
    }

    /// Adds to the history.
    fn tell(&mut self, step: History) -> Result<()> {
        self.told += step.created_by.as_ref().map_or(0, String::len);
        if self.told > MAX_CONFIG {
            return Err(image_core::Error::limit("the history of the image", MAX_CONFIG as u64).into());
        }
        self.history.push(step);
        Ok(())
    }

    /// What names everything that a later step can see.
    fn identity(&self) -> Result<Digest> {
        let config = serde_json::to_vec(&self.config.config).map_err(|source| Error::Encode { source })?;
        if config.len() > MAX_CONFIG {
            return Err(image_core::Error::limit("the configuration of the image", MAX_CONFIG as u64).into());
        }
        let env: Vec<String> = self.env.to_config();
        let text = serde_json::to_vec(&(self.rootfs.identity(), Digest::sha256_of(&config), env))
            .map_err(|source| Error::Encode { source })?;
        Ok(Digest::sha256_of(&text))
    }
}

/// A stage that was built.
struct StageResult {
    state: StageState,
    cached: usize,
    done: usize,
}

/// A stage while it is built.
pub(crate) struct StageBuild<'b> {
    pub(crate) build: &'b Build<'b>,
    pub(crate) stage: &'b Stage<'b>,
    /// Where the instruction at hand stands.
    pub(crate) file: &'b Dockerfile,
    /// Whether it is a trigger.
    triggered: bool,
    pub(crate) built: &'b BTreeMap<usize, StageState>,
    pub(crate) state: StageState,
    pub(crate) own_cmd: bool,
    pub(crate) steps: StageSteps<'b>,
    cached: usize,
    done: usize,
}

/// What a step made.
pub(crate) struct Made {
    pub(crate) layer: Option<PackedLayer>,
}

impl<'b> StageBuild<'b> {
    fn run(
        build: &'b Build<'b>,
        stage: &'b Stage<'b>,
        built: &'b BTreeMap<usize, StageState>,
        trace: &'b mut Trace,
    ) -> Result<StageResult> {
        let own = stage.steps().map(|step| step.instruction);
        let texts = std::iter::once(stage.from).chain(own).map(|step| step.text.clone()).collect();
        let mut this = Self {
            build,
            stage,
            file: build.dockerfile,
            triggered: false,
            built,
            state: StageState::scratch(&stage.platform),
            own_cmd: false,
            steps: StageSteps::new(trace, stage.label(), texts),
            cached: 0,
            done: 0,
        };
        this.in_step(stage.from, 1, Self::begin)?;
        let mut copies = 0;
        for (at, step) in stage.steps().enumerate() {
            (this.file, this.triggered) = (step.file, step.triggered);
            this.in_step(step.instruction, at + 2, |this| this.step(step.instruction, &mut copies))?;
        }
        this.steps.complete();
        Ok(StageResult { state: this.state, cached: this.cached, done: this.done })
    }

    /// Carries a step out under observation, and gives its errors their place.
    fn in_step(
        &mut self,
        instruction: &Instruction,
        number: usize,
        work: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<()> {
        let ctx = self.build.ctx;
        ctx.check()?;
        let count = self.stage.len() + 1;
        let trigger = if self.triggered { "ONBUILD " } else { "" };
        let label = format!("[{} {number}/{count}] {trigger}{}", self.stage.label(), instruction.text);
        let task = ctx.begin(TaskKind::Step, &label, None);
        self.steps.begin(number - 1, &mut self.state.roots);
        let outcome = work(self).map_err(|e| e.in_step(self.file, instruction))?;
        match outcome {
            Outcome::Cached => self.cached += 1,
            _ => self.done += 1,
        }
        if outcome != Outcome::Cached && self.build.options.explanations == Explanations::Observed {
            self.steps.causes().iter().for_each(|cause| task.because(&cause.to_string()));
        }
        let (layers, state) = (self.state.rootfs.identity(), self.state.identity()?);
        self.steps.end(layers, &state, outcome != Outcome::Cached, &mut self.state.roots);
        task.end(outcome);
        Ok(())
    }

    /// FROM.
    fn begin(&mut self) -> Result<Outcome> {
        let mut recipe = self.recipe(&self.stage.from.text);
        if let Command::From(from) = &self.stage.from.command {
            let mut expander = Expander::new(self.build.dockerfile, self.build.global.env());
            expander.word(&from.image)?;
            self.steps.note(values(&expander), |_| Origin::Argument);
        }
        self.state = match &self.stage.base {
            Base::Scratch => StageState::scratch(&self.stage.platform),
            Base::Stage(number) => {
                let base = self.built.get(number).cloned();
                let base = base.ok_or_else(|| self.build.unbuilt(*number))?;
                recipe = recipe.with_digest(IngredientKind::Parent, "stage", base.identity()?);
                base
            }
            Base::Image(reference) => {
                let image = self.build.resolve(reference, &self.stage.platform)?;
                self.warn_of_platform(&image)?;
                let digest = image.descriptor().digest.clone();
                recipe = recipe.with_text(IngredientKind::BaseImage, &reference.to_string(), &digest.to_string());
                StageState::of_image(&image)
            }
        };
        self.state.config.config.on_build.clear();
        self.state.begin_env();
        Ok(self.record(recipe, None, |_, _| Ok(Made { layer: None }))?.1)
    }

    fn step(&mut self, instruction: &Instruction, copies: &mut usize) -> Result<Outcome> {
        match &instruction.command {
            Command::Copy(copy) => {
                let from = self.stage.copies.get(*copies).and_then(Option::as_ref);
                *copies += 1;
                self.copy(copy, from)
            }
            Command::Add(add) => self.add(add),
            Command::Workdir(path) => self.workdir(path),
            Command::Arg(declarations) => {
                let mut line = String::from("ARG");
                for declaration in declarations {
                    let (build, env) = (self.build, &mut self.state.env);
                    let declared = build.global.declare(self.file, declaration, env, build.options)?;
                    self.steps
                        .note(declared.split_once('=').map(|(name, value)| (name, Some(value))), |_| Origin::Declared);
                    line.push(' ');
                    line.push_str(&declared);
                }
                self.metadata(&line)
            }
            command => match self.change_config(command)? {
                Some(Change::Line(line)) => self.metadata(&line),
                Some(Change::Silent) => Ok(self.changed(&instruction.text)?.1),
                None => Err(self.file.unsupported(instruction.span, command.name())),
            },
        }
    }

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
    fn changed(&mut self, line: &str) -> Result<(Record, Outcome)> {
        let parent = self.state.identity()?;
        let recipe = self.recipe(line).with_digest(IngredientKind::Parent, "state", parent);
        self.record(recipe, None, |_, _| Ok(Made { layer: None }))
    }

    /// A step that only changed the configuration, with its line of the history.
    fn metadata(&mut self, line: &str) -> Result<Outcome> {
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
        taken: Option<&Taken<'_>>,
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
        taken: Option<&Taken<'_>>,
        line: &str,
        make: impl FnOnce(&mut Self, Timestamp) -> Result<Made>,
    ) -> Result<Outcome> {
        let encode = self.encode();
        let recipe = recipe.with_text(IngredientKind::Setting, "compression", &encode.to_string());
        let (record, outcome) = self.record(recipe, taken, make)?;
        let mut history = History::new(record.created, line).with_comment(COMMENT);
        match &record.layer {
            Some(layer) => self.state.rootfs.push(layer, self.build.builder.state),
            None => history = history.without_layer(),
        }
        self.state.tell(history)?;
        Ok(outcome)
    }

    /// The record of a recipe: from an earlier build if what it names is still there, else of what
    /// `make` makes now.
    fn record(
        &mut self,
        recipe: Recipe,
        taken: Option<&Taken<'_>>,
        make: impl FnOnce(&mut Self, Timestamp) -> Result<Made>,
    ) -> Result<(Record, Outcome)> {
        let state = self.build.builder.state;
        let (record, lookup) = self.look_up(&recipe)?;
        self.steps.explain(&recipe, taken, &lookup, &self.state.roots, state)?;
        if let Some(record) = record {
            return Ok((record, Outcome::Cached));
        }
        let created = self.build.created();
        let made = make(self, created)?;
        let mut record = Record::new(recipe, created);
        if let Some(packed) = made.layer {
            state.keep_toc(&packed.diff_id, &packed.toc)?;
            record = record.with_layer(RecordedLayer::new(packed.descriptor, packed.diff_id));
        }
        if let Some(taken) = taken {
            state.keep_files(&taken.digest, taken.files)?;
        }
        self.steps.attach(&mut record);
        state.records().put(&record)?;
        Ok((record, Outcome::Done))
    }

    /// The record of an earlier build, if what it names is still there.
    fn look_up(&self, recipe: &Recipe) -> Result<(Option<Record>, Lookup)> {
        if self.build.options.cache != CachePolicy::Use {
            return Ok((None, Lookup::NotLooked));
        }
        let state = self.build.builder.state;
        let Some(record) = state.records().get(&recipe.key())? else { return Ok((None, Lookup::NoRecord)) };
        match &record.layer {
            Some(layer) if !state.has(Some(layer))? => Ok((None, Lookup::NoLayer(layer.descriptor.digest.clone()))),
            _ => Ok((Some(record), Lookup::Found)),
        }
    }

    /// How this stage's layers are stored: as the caller wants those of the result, plain all others,
    /// which are only read again to copy from them.
    fn encode(&self) -> EncodeOptions {
        if self.build.graph.is_in_result(self.stage.number) {
            self.build.options.encode.clone()
        } else {
            EncodeOptions::new(Compression::None)
        }
    }

    pub(crate) fn pack_options(&self) -> PackOptions {
        PackOptions::default().with_encode(self.encode()).with_latest(self.build.options.source_date_epoch)
    }
}

/// The variables that an expander was asked for.
pub(crate) fn values<'v>(expander: &'v Expander<'_>) -> impl Iterator<Item = (&'v str, Option<&'v str>)> {
    expander.variables().iter().map(|(name, value)| (&**name, value.as_deref()))
}

/// Counts up when the same instruction on the same files would make another layer.
const STEP_VERSION: &str = "steps 1";

impl Build<'_> {
    /// The error that a stage is needed before it is there, which the order of stages rules out.
    pub(crate) fn unbuilt(&self, number: usize) -> Error {
        self.dockerfile.fault(Default::default(), format!("stage {} is not built yet", self.graph.label_of(number)))
    }

    /// The time of what is made now.
    fn created(&self) -> Timestamp {
        self.options.source_date_epoch.unwrap_or_else(|| self.ctx.now())
    }

    /// The image of a name, or an error that says which names there are.
    pub(crate) fn resolve(&self, reference: &image_core::Reference, platform: &Platform) -> Result<Image> {
        self.builder.resolve(reference, platform)
    }
}

impl Builder<'_> {
    /// The image of a name, or an error that says which names there are.
    fn resolve(&self, reference: &image_core::Reference, platform: &Platform) -> Result<Image> {
        let resolver = self.resolver;
        if let Some(image) = resolver.resolve(reference, platform)? {
            return Ok(image);
        }
        let names = resolver.names();
        let hint = match names.as_slice() {
            [] => "no base image is known here".into(),
            names => format!("known are {}", names.join(", ")),
        };
        Err(image_core::Error::image_not_found(reference.familiar(), hint).into())
    }
}
