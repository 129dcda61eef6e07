//! Building: each stage in turn, each step out of the cache or carried out.

mod config;
mod facts;
mod record;
mod stage;
mod state;
mod variables;

use std::{cell::RefCell, collections::BTreeMap, path::Path};

use image_core::{BlobSource, BlobStore, Ctx, Image, ImageResolver, Platform, Timestamp, observer::NoticeKind};

use crate::{
    args::{GlobalArgs, warn_of_defaults},
    assemble::{self, BuiltImage, StepRecord},
    cache::{RecordStore, RecordedLayer},
    context::BuildContext,
    dockerfile::{Command, Dockerfile},
    error::{Error, Result},
    fetch::Fetcher,
    graph::{BuildGraph, Stage},
    miss::Trace,
    options::BuildOptions,
    state::{BuildState, LayerCheck, Trust},
};
pub(crate) use config::StageConfig;
pub(crate) use record::STEP_VERSION;
use stage::StageResult;
pub(crate) use stage::{Made, StageBuild, values};
pub(crate) use state::StageState;

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
    imports: Vec<Import<'a>>,
}

/// Records of other builds, and where the layers lie that they name.
#[derive(Clone)]
struct Import<'a> {
    records: &'a dyn RecordStore,
    blobs: &'a dyn BlobSource,
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
        Self { state, context, resolver, contexts: BTreeMap::new(), fetcher: None, imports: Vec::new() }
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

    /// With records of other builds, which are asked after those of the state, and the layers that they name in `blobs`.
    ///
    /// A record is taken over only for a step whose recipe is that of the record, and its layer only after it was
    /// read and found to be what the record says. What it does not prove is that the layer is what the step would
    /// have made: take caches from those alone whose images you would run.
    #[must_use]
    pub fn with_cache_from(mut self, records: &'a dyn RecordStore, blobs: &'a dyn BlobSource) -> Self {
        self.imports.push(Import { records, blobs });
        self
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
        let _in_use = self.state.in_use()?;
        let begun = self.state.stats().clock()?;
        let build = Build {
            builder: self,
            dockerfile,
            options,
            global: &global,
            graph: &graph,
            ctx,
            begun,
            used: RefCell::default(),
            records: RefCell::default(),
        };
        build.check_filters()?;
        for warning in dockerfile.warnings().iter().chain(&warn_of_defaults(dockerfile, options)) {
            build.warn(dockerfile, warning)?;
        }
        let mut result = build.attempt(output);
        if result.as_ref().is_err_and(Error::is_about_a_layer) && build.drop_damaged()? {
            result = build.attempt(output);
        }
        let kept = self.keep_stats();
        let image = result?;
        kept?;
        Ok(image)
    }

    /// Keeps what was found out about the files of the contexts.
    fn keep_stats(&self) -> Result<()> {
        let mut contexts = std::iter::once(&self.context).chain(self.contexts.values());
        contexts.try_for_each(|context| context.keep_stats(self.state.stats()))
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
    /// When it began, as the file system of the state tells the time.
    begun: Timestamp,
    /// The layers of records that steps were told to have.
    used: RefCell<Vec<RecordedLayer>>,
    /// The records of the steps so far.
    records: RefCell<Vec<StepRecord>>,
}

impl Build<'_> {
    /// Builds the image, as far as nothing in the state turns out to be damaged that was thought to be whole.
    fn attempt(&self, output: &dyn BlobStore) -> Result<BuiltImage> {
        self.records.take();
        let journal = self.builder.state.records();
        let mut trace = Trace::open(journal, self.name(), self.graph.labels())?;
        let result = self.stages(&mut trace);
        let misses = trace.keep(journal);
        let StageResult { state, cached, done } = result?;
        let image = assemble::assemble(state, self.options, output, self.ctx)?;
        Ok(BuiltImage { cached, done, misses: misses?, records: self.records.take(), ..image })
    }

    /// Reads the layers that were taken from earlier builds, and all others that are not known to be whole, and drops
    /// those that are damaged; whether there were any.
    fn drop_damaged(&self) -> Result<bool> {
        let mut dropped = self.builder.state.drop_damaged_blobs(self.ctx)?;
        for layer in self.used.take() {
            if self.builder.state.check_layer(&layer, Trust::Nothing, self.ctx)? != LayerCheck::Whole {
                let message = "a layer of an earlier build is gone or damaged: the build begins anew";
                self.ctx.notice(NoticeKind::Warning, &layer.descriptor.digest.to_string(), message);
                dropped = true;
            }
        }
        Ok(dropped)
    }

    /// Every stage of which a filter speaks has to be there.
    fn check_filters(&self) -> Result<()> {
        let labels = self.graph.labels();
        match self
            .options
            .no_cache
            .iter()
            .find(|filter| !labels.iter().any(|label| label.eq_ignore_ascii_case(&filter.stage)))
        {
            None => Ok(()),
            Some(filter) => {
                let reason = format!("there is no stage {} to build without the cache", filter.stage);
                Err(self.dockerfile.fault(Default::default(), reason))
            }
        }
    }

    /// What the build is of: the name under which its steps are kept, to be compared with the next time. It does not
    /// depend on where the caller stands.
    fn name(&self) -> String {
        let context = self.builder.context;
        let place = self.dockerfile.source().location(Default::default());
        let file = Path::new(place.file());
        let file = file.strip_prefix(context.path()).unwrap_or(file);
        format!("{}\0{}", file.display(), context.real_path().display())
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
