//! Building: stages on several threads, each behind those that it needs; each step out of the cache or carried out.

mod build;
mod config;
mod facts;
mod made;
mod plan;
mod record;
mod schedule;
mod stage;
mod state;
mod variables;

use image_core::{BlobSource, BlobStore, Ctx, Image, ImageResolver, Platform, Reference};

use crate::{
    assemble::{self, BuiltImage, BuiltIndex},
    cache::RecordStore,
    context::BuildContext,
    dockerfile::{Command, Dockerfile},
    error::{Error, Result},
    exec::Executor,
    fetch::Fetcher,
    graph::{Base, BuildGraph, Stage, Step},
    named::{NamedContext, NamedContexts},
    options::BuildOptions,
    state::BuildState,
    suggest::nearest,
};
pub(crate) use build::Build;
pub(crate) use config::StageConfig;
pub(crate) use record::STEP_VERSION;
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
    pub(crate) named: NamedContexts<'a>,
    pub(crate) fetcher: Option<&'a dyn Fetcher>,
    pub(crate) executor: Option<&'a dyn Executor>,
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
        let (named, imports) = Default::default();
        Self { state, context, resolver, named, fetcher: None, executor: None, imports }
    }

    /// With another context that `COPY --from=NAME` copies from, also where a stage has that name.
    #[must_use]
    pub fn with_named_context(mut self, name: impl Into<String>, context: &'a BuildContext) -> Self {
        self.named.insert(&name.into(), NamedContext::Files(context));
        self
    }

    /// With an image that a name stands for: the one that `resolver` has under `reference`. It takes the place of the
    /// image that FROM and `COPY --from` find by that name, and of the stage of that name, whose instructions then do not
    /// count.
    #[must_use]
    pub fn with_named_image(
        mut self,
        name: impl Into<String>,
        reference: Reference,
        resolver: &'a dyn ImageResolver,
    ) -> Self {
        self.named.insert(&name.into(), NamedContext::Image(resolver, reference));
        self
    }

    /// With something that gets what ADD names by an address; without it, that is an error.
    #[must_use]
    pub fn with_fetcher(self, fetcher: &'a dyn Fetcher) -> Self {
        Self { fetcher: Some(fetcher), ..self }
    }

    /// With something that runs the commands of RUN, such as [`exec::OciRuntime`](crate::exec); without it, RUN is an
    /// error, before any work is done. What commands may have is said by
    /// [`BuildOptions::run`].
    #[must_use]
    pub fn with_executor(self, executor: &'a dyn Executor) -> Self {
        Self { executor: Some(executor), ..self }
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
        let platform = options.platform.clone();
        let mut images = build::run(self, dockerfile, options, &[platform], output, ctx)?;
        images.pop().ok_or_else(|| no_platform(dockerfile))
    }

    /// Builds an image for each of several platforms into `output`, and an index of them in the order of the platforms; one
    /// that is named twice counts once. Naming the index there is the caller's next call. The platform of `options`
    /// does not count.
    ///
    /// A stage that is the same for several platforms (one with `FROM --platform=$BUILDPLATFORM` that declares no
    /// argument of the target's) is built once; the steps that others have in common are carried out once.
    ///
    /// # Errors
    /// As [`Builder::build`], and where no platform is named.
    ///
    /// # Spec
    /// OCI image-spec 1.1, image-index.md.
    pub fn build_platforms(
        &self,
        dockerfile: &Dockerfile,
        platforms: &[Platform],
        options: &BuildOptions,
        output: &dyn BlobStore,
        ctx: &Ctx,
    ) -> Result<BuiltIndex> {
        let mut wanted: Vec<Platform> = Vec::new();
        for platform in platforms.iter().map(Platform::normalised) {
            if !wanted.contains(&platform) {
                wanted.push(platform);
            }
        }
        if wanted.is_empty() {
            return Err(no_platform(dockerfile));
        }
        let images = build::run(self, dockerfile, options, &wanted, output, ctx)?;
        assemble::index(images, wanted, output)
    }

    /// Where nothing runs commands, a RUN is refused before any work is done.
    fn require_executor(&self, graph: &BuildGraph<'_>) -> Result<()> {
        let is_run = |step: &Step<'_>| matches!(step.instruction.command, Command::Run(_));
        match graph.stages().flat_map(Stage::steps).find(is_run).filter(|_| self.executor.is_none()) {
            Some(step) => Err(step.file.no_executor(step.instruction.keyword.span)),
            None => Ok(()),
        }
    }

    /// Keeps what was found out about the files of the contexts.
    fn keep_stats(&self) -> Result<()> {
        let mut contexts = std::iter::once(self.context).chain(self.named.files());
        contexts.try_for_each(|context| context.keep_stats(self.state.stats()))
    }

    /// The image that a stage starts from.
    pub(crate) fn base_image(&self, base: &Base, platform: &Platform) -> Result<Image> {
        match base {
            Base::Image(reference) => find(self.resolver, reference, platform),
            base => self.image(&base.name(), platform),
        }
    }

    /// The image that a name stands for, or else that of the name.
    pub(crate) fn image(&self, name: &str, platform: &Platform) -> Result<Image> {
        match self.named.get(name) {
            Some(NamedContext::Image(resolver, reference)) => find(*resolver, reference, platform),
            _ => find(self.resolver, &name.parse()?, platform),
        }
    }
}

/// The image of a name, or an error that says which names there are.
fn find(resolver: &dyn ImageResolver, reference: &Reference, platform: &Platform) -> Result<Image> {
    if let Some(image) = resolver.resolve(reference, platform)? {
        return Ok(image);
    }
    let names = resolver.names();
    let hint = match names.as_slice() {
        [] => "no base image is known here".into(),
        names => format!("known are {}", names.join(", ")),
    };
    let meant = nearest(&reference.familiar(), names.iter().map(String::as_str)).map(String::from);
    Err(image_core::Error::image_not_found(reference.familiar(), hint).with_meant(meant).into())
}

fn no_platform(dockerfile: &Dockerfile) -> Error {
    dockerfile.fault(Default::default(), "there is no platform to build for: name one at least")
}
