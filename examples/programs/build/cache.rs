//! Options about the results of earlier builds.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use examples::{About, ImageName, Result};
use image_build::{
    BuildContext, BuildOptions, BuildState, CacheExport, CachePolicy, Ignore, ModePolicy, NoCacheFilter, StepRecord,
    cache::ArtifactRecordStore,
};
use image_core::{Ctx, observer::NoticeKind};
use image_layout::OciLayout;

#[derive(Debug, Args)]
pub(crate) struct CacheOptions {
    /// Where results are kept for later builds [default: LAYOUT.cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Carry every step out, whatever earlier builds left.
    #[arg(long)]
    no_cache: bool,
    /// Carry the steps of a stage out, or one of them; several are parted by commas.
    #[arg(long, value_name = "STAGE[:STEP]", value_delimiter = ',')]
    no_cache_filter: Vec<NoCacheFilter>,
    /// Results of other builds, as --cache-to writes them; may be given several times.
    #[arg(long, value_name = "LAYOUT:REF")]
    cache_from: Vec<ImageName>,
    /// Write the results of this build into a layout.
    #[arg(long, value_name = "LAYOUT:REF")]
    cache_to: Option<ImageName>,
    /// Whether --cache-to writes the results of the image's own steps, or of all.
    #[arg(long, value_name = "MODE", default_value = "min")]
    cache_mode: CacheMode,
    /// Whether files have their own modes, or those that git keeps.
    #[arg(long, value_name = "MODES", default_value = "exact")]
    modes: Modes,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CacheMode {
    Min,
    Max,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Modes {
    Exact,
    Git,
}

/// Results of another build.
pub(crate) struct Imported {
    pub(crate) records: ArtifactRecordStore,
    pub(crate) layout: OciLayout,
}

impl CacheOptions {
    pub(crate) fn apply(&self, options: BuildOptions) -> BuildOptions {
        let options = options.with_cache(if self.no_cache { CachePolicy::Refresh } else { CachePolicy::Use });
        self.no_cache_filter.iter().cloned().fold(options, BuildOptions::with_no_cache)
    }

    /// Opens a directory as it is to be seen.
    pub(crate) fn context(&self, directory: &Path, ignore: Ignore) -> image_build::Result<BuildContext> {
        Ok(self.with_modes(BuildContext::open(directory, ignore)?))
    }

    pub(crate) fn with_modes(&self, context: BuildContext) -> BuildContext {
        context.with_modes(match self.modes {
            Modes::Exact => ModePolicy::Exact,
            Modes::Git => ModePolicy::Git,
        })
    }

    /// The state of builds into a layout, which is beside it unless the user says otherwise.
    pub(crate) fn state(&self, layout: &Path) -> image_build::Result<BuildState> {
        BuildState::open(self.cache.clone().unwrap_or_else(|| {
            let mut path = layout.components().as_path().as_os_str().to_owned();
            path.push(".cache");
            path.into()
        }))
    }

    /// Opens what other builds wrote. What is not there yet is no reason to fail: the first build has nothing to take up.
    pub(crate) fn imports(&self, ctx: &Ctx) -> Result<Vec<Imported>> {
        let mut imports = Vec::new();
        for name in &self.cache_from {
            let found = match OciLayout::open(&name.layout) {
                Ok(layout) => layout.find(&name.reference)?.map(|manifest| (layout, manifest)),
                Err(e) if e.is_not_found() => None,
                Err(e) => return Err(e.into()),
            };
            match found {
                Some((layout, manifest)) => {
                    let records = ArtifactRecordStore::open(layout.blobs(), &manifest);
                    let records = records.map_err(|e| About::new(format!("cannot use --cache-from {name}"), e))?;
                    imports.push(Imported { records, layout });
                }
                None => ctx.notice(NoticeKind::Warning, &name.to_string(), "there are no results of other builds"),
            }
        }
        Ok(imports)
    }

    /// Writes the results of a build for others.
    pub(crate) fn export<'r>(
        &self,
        state: &BuildState,
        records: impl IntoIterator<Item = &'r StepRecord>,
        ctx: &Ctx,
    ) -> Result<()> {
        let Some(name) = &self.cache_to else { return Ok(()) };
        let layout = OciLayout::open_or_create(&name.layout)?;
        let which = match self.cache_mode {
            CacheMode::Min => CacheExport::Minimal,
            CacheMode::Max => CacheExport::Maximal,
        };
        let artifact = state.export(records, which, layout.blobs(), ctx)?;
        Ok(layout.tag(&name.reference, &artifact)?)
    }
}
