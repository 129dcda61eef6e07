//! One build: what its stages share, and what becomes of them.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use image_core::{BlobStore, Ctx, Platform, Timestamp, observer::NoticeKind};

use super::{
    Builder, StageState,
    made::Made,
    plan::{Plan, Planned, Target},
    schedule,
    stage::{StageBuild, StageResult},
};
use crate::{
    args::{GlobalArgs, warn_of_defaults, warn_of_unused},
    assemble::{self, BuiltImage, StepRecord},
    cache::RecordedLayer,
    dockerfile::Dockerfile,
    error::{Error, Result},
    graph::{BuildGraph, Stage},
    miss::{BuildName, StageTrace, Trace},
    options::BuildOptions,
    state::{LayerCheck, Trust},
    step::warn,
    suggest::nearest,
};

/// What a stage is built with.
pub(crate) struct Build<'b> {
    pub(crate) builder: &'b Builder<'b>,
    pub(crate) dockerfile: &'b Dockerfile,
    pub(crate) options: &'b BuildOptions,
    pub(crate) global: &'b GlobalArgs,
    pub(crate) graph: &'b BuildGraph<'b>,
    /// Cancelled with the build, and where a stage before this one failed.
    pub(crate) ctx: &'b Ctx,
    pub(super) shared: &'b Shared,
    /// What the stage is called in progress.
    pub(super) label: &'b str,
    /// Where the stage is in the plan.
    pub(super) place: usize,
    /// Where those are that are always built before it.
    pub(super) before: &'b BTreeSet<usize>,
}

/// What all stages of one build share.
pub(super) struct Shared {
    /// When it began, as the file system of the state tells the time.
    pub(super) begun: Timestamp,
    /// The steps of the last build.
    pub(super) last: Trace,
    /// What this one made.
    pub(super) made: Made,
    /// The layers of records that steps were told to have.
    used: Mutex<Vec<RecordedLayer>>,
}

impl Shared {
    /// Notes that a step was told to have this layer.
    pub(super) fn rely_on(&self, layer: &RecordedLayer) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).push(layer.clone());
    }
}

/// Builds the images for some platforms, in their order.
pub(super) fn run(
    builder: &Builder<'_>,
    dockerfile: &Dockerfile,
    options: &BuildOptions,
    platforms: &[Platform],
    output: &dyn BlobStore,
    ctx: &Ctx,
) -> Result<Vec<BuiltImage>> {
    let targets = platforms.iter().map(|platform| Target::new(builder, dockerfile, options, platform));
    let targets = targets.collect::<Result<Vec<_>>>()?;
    targets.iter().try_for_each(|target| builder.require_executor(&target.graph))?;
    let plan = Plan::new(&targets);
    let solve = Solve { builder, dockerfile, options, targets: &targets, plan: &plan, ctx };
    let _in_use = builder.state.in_use()?;
    let begun = builder.state.stats().clock()?;
    solve.check_filters()?;
    for warning in dockerfile.warnings().iter().chain(&warn_of_defaults(dockerfile, options)) {
        warn(dockerfile, dockerfile, warning, ctx)?;
    }
    warn_of_unused(options, targets.iter().flat_map(|target| target.declarations(dockerfile)), ctx);
    let shared = solve.share(begun)?;
    let mut result = solve.attempt(&shared, output);
    if result.as_ref().is_err_and(Error::is_about_a_layer) && solve.drop_damaged(&shared)? {
        result = solve.attempt(&solve.share(begun)?, output);
    }
    let kept = builder.keep_stats();
    let images = result?;
    kept?;
    Ok(images)
}

/// The whole of a build.
struct Solve<'b> {
    builder: &'b Builder<'b>,
    dockerfile: &'b Dockerfile,
    options: &'b BuildOptions,
    targets: &'b [Target<'b>],
    plan: &'b Plan,
    ctx: &'b Ctx,
}

/// What came of a stage, but for its state.
struct Log {
    trace: StageTrace,
    cached: usize,
    done: usize,
    records: Vec<StepRecord>,
}

impl Solve<'_> {
    fn share(&self, begun: Timestamp) -> Result<Shared> {
        let mut labels = Vec::new();
        for (at, target) in self.targets.iter().enumerate() {
            for stage in target.graph.all_stages() {
                let is_it = |planned: &&Planned| (planned.target, planned.number) == (at, stage.number);
                match self.plan.stages.iter().find(is_it) {
                    Some(planned) => labels.push(self.label(target, stage, planned.is_shared)),
                    None if target.graph.stage(stage.number).is_none() => labels.push(self.label(target, stage, false)),
                    // Told of with another platform.
                    None => {}
                }
            }
        }
        let last = Trace::open(self.builder.state.records(), self.name(), labels)?;
        Ok(Shared { begun, last, made: Made::default(), used: Mutex::default() })
    }

    /// Builds the images, as far as nothing in the state turns out to be damaged that was thought to be whole.
    fn attempt(&self, shared: &Shared, output: &dyn BlobStore) -> Result<Vec<BuiltImage>> {
        let logs: Vec<Mutex<Option<Log>>> = self.plan.stages.iter().map(|_| Mutex::default()).collect();
        let threads = self.options.parallelism.get();
        let built = schedule::run(&self.plan.needs(), &self.plan.results, threads, self.ctx, |place, needs, ctx| {
            self.stage(shared, place, needs, ctx, &logs[place])
        });
        let logs = logs.into_iter().map(|log| log.into_inner().unwrap_or_else(PoisonError::into_inner));
        let mut logs: Vec<Option<Log>> = logs.collect();
        // What a build with one thread would have come to: stages behind one that failed are not begun.
        let failed = logs.iter().position(|log| log.as_ref().is_none_or(|log| !log.trace.is_whole()));
        logs.iter_mut().skip(failed.map_or(usize::MAX, |first| first + 1)).for_each(|log| *log = None);
        let traces = logs.iter().flatten().map(|log| &log.trace);
        let kept = shared.last.keep(self.builder.state.records(), traces, failed.is_none());
        let mut built = built?;
        let mut images = Vec::new();
        for (target, place) in self.plan.results.iter().enumerate() {
            let result = built.get(place).map(Arc::clone);
            if !self.plan.results[target + 1..].contains(place) {
                built.remove(place);
            }
            let nothing = || self.dockerfile.fault(Default::default(), "there is no stage to build");
            let state = Arc::unwrap_or_clone(result.ok_or_else(nothing)?);
            let mut image = assemble::assemble(state, self.builder.state, self.options, output, self.ctx)?;
            for (planned, log) in self.plan.stages.iter().zip(&mut logs) {
                let Some(log) = log.take_if(|_| planned.target == target) else { continue };
                image.cached += log.cached;
                image.done += log.done;
                image.records.extend(log.records);
                image.misses.extend(log.trace.into_misses());
            }
            images.push(image);
        }
        kept?;
        Ok(images)
    }

    /// Builds a stage of the plan.
    fn stage(
        &self,
        shared: &Shared,
        place: usize,
        mut needs: schedule::Results<StageState>,
        ctx: &Ctx,
        log: &Mutex<Option<Log>>,
    ) -> Result<StageState> {
        let Planned { target, number, needs: places, before, is_shared } = &self.plan.stages[place];
        let target = &self.targets[*target];
        let Some(stage) = target.graph.stage(*number) else {
            return Err(unbuilt(self.dockerfile, &target.graph, *number));
        };
        let built = places.iter().filter_map(|(number, place)| Some((*number, needs.remove(place)?))).collect();
        let label = self.label(target, stage, *is_shared);
        let shown = self.name().shown(&label).to_owned();
        let build = Build {
            builder: self.builder,
            dockerfile: self.dockerfile,
            options: &target.options,
            global: &target.global,
            graph: &target.graph,
            ctx,
            shared,
            label: &shown,
            place,
            before,
        };
        let mut trace = StageTrace::new(label, shown.clone());
        let result = StageBuild::run(&build, stage, &built, &mut trace);
        let (state, cached, done, records) = match result {
            Ok(StageResult { state, cached, done, records }) => (Ok(state), cached, done, records),
            Err(error) => (Err(error), 0, 0, Vec::new()),
        };
        *log.lock().unwrap_or_else(PoisonError::into_inner) = Some(Log { trace, cached, done, records });
        state
    }

    /// What a stage is called, among those of several platforms with its own, and the one that it is built for
    /// where that is another.
    fn label(&self, target: &Target<'_>, stage: &Stage<'_>, is_shared: bool) -> String {
        let (label, own, whole) = (stage.label(), &stage.platform, &target.options.platform);
        if own == whole || is_shared {
            return format!("{own} {label}");
        }
        format!("{own}->{} {label}", whole.to_string().trim_start_matches(&format!("{}/", own.os)))
    }

    /// Reads the layers that were taken from earlier builds, and all others that are not known to be whole, and drops
    /// those that are damaged; whether there were any.
    fn drop_damaged(&self, shared: &Shared) -> Result<bool> {
        let mut dropped = self.builder.state.drop_damaged_blobs(self.ctx)?;
        let used = std::mem::take(&mut *shared.used.lock().unwrap_or_else(PoisonError::into_inner));
        for layer in used {
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
        let labels: Vec<String> =
            self.targets.iter().flat_map(|target| target.graph.all_stages()).map(Stage::label).collect();
        let is_known = |stage: &str| labels.iter().any(|label| label.eq_ignore_ascii_case(stage));
        match self.options.no_cache.iter().find(|filter| !is_known(&filter.stage)) {
            None => Ok(()),
            Some(filter) => {
                let meant = nearest(&filter.stage, labels.iter().map(String::as_str)).map(String::from);
                let known: Vec<&str> = labels.iter().take(10).map(String::as_str).collect();
                let known = known.join(", ");
                let reason =
                    format!("there is no stage {} to build without the cache: there are {known}", filter.stage);
                Err(self.dockerfile.fault_like(Default::default(), reason, meant))
            }
        }
    }

    /// What the build is of: the name under which its steps are kept, to be compared with the next time.
    fn name(&self) -> BuildName {
        let context = self.builder.context;
        let place = self.dockerfile.source().location(Default::default());
        let file = Path::new(place.file());
        let file = file.strip_prefix(context.path()).unwrap_or(file);
        let platforms: Vec<String> = self.targets.iter().map(|target| target.options.platform.to_string()).collect();
        BuildName {
            dockerfile: file.display().to_string(),
            context: context.real_path().display().to_string(),
            target: self.options.target.as_deref().unwrap_or_default().to_ascii_lowercase(),
            platforms: platforms.join(" "),
        }
    }
}

/// The error that a stage is needed before it is there, which the order of stages rules out.
fn unbuilt(dockerfile: &Dockerfile, graph: &BuildGraph<'_>, number: usize) -> Error {
    dockerfile.fault(Default::default(), format!("stage {} is not built yet", graph.label_of(number)))
}

impl Build<'_> {
    /// The error that a stage is needed before it is there, which the order of stages rules out.
    pub(crate) fn unbuilt(&self, number: usize) -> Error {
        unbuilt(self.dockerfile, self.graph, number)
    }

    /// The time of what is made now.
    pub(super) fn created(&self) -> Timestamp {
        self.options.source_date_epoch.unwrap_or_else(|| self.ctx.now())
    }
}
