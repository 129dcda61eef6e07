//! Builds an image from a Dockerfile.

mod cache;
mod contexts;
mod report;
mod run;

use std::{
    env::{self, VarError},
    error::Error,
    io::Write,
    num::NonZero,
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use examples::{
    Program, ProgressMode, Result,
    about::{as_error, core_error},
    name::DEFAULT_REF,
};
use image_build::{BuildContext, BuildOptions, Builder, Dockerfile, Explanations, Ignore, TarContext};
use image_core::{Ctx, Platform, Timestamp, codec::EncodeOptions};
use image_layout::OciLayout;
use image_overlay::Limits;
use report::{Built, Report};

/// Builds an image from a Dockerfile into an OCI layout.
///
/// Progress goes to standard error, the result to standard output.
#[derive(Debug, Parser)]
#[command(name = "build")]
struct Build {
    /// The Dockerfile; of an archive, its path there [default: CONTEXT/Dockerfile]
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The name that the image is given in the layout.
    #[arg(short = 't', long = "tag", value_name = "REF", default_value = DEFAULT_REF)]
    reference: String,
    /// The layout that the image goes to; it is made where it is missing.
    #[arg(short = 'o', long, value_name = "LAYOUT")]
    output: PathBuf,
    /// A layout in which FROM and COPY --from find images by name; may be given several times.
    #[arg(long, value_name = "LAYOUT")]
    base: Vec<PathBuf>,
    /// What a name stands for: a directory for COPY --from, or an image (oci-layout://LAYOUT[:REF], or docker-image://IMAGE
    /// of a --base), also in place of a stage or of what FROM names; may be given several times.
    #[arg(long, value_name = "NAME=DIR|IMAGE")]
    build_context: Vec<contexts::NamedContext>,
    /// A value for an ARG, that of the variable K of the environment where none is given; may be given several times.
    #[arg(long, value_name = "K[=V]", value_parser = build_arg)]
    build_arg: Vec<(String, Option<String>)>,
    /// The stage to build, by name or number [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// The platform of the image [default: linux on this machine's architecture]; given several times, or parted by commas,
    /// an index of images is built.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// How many stages are built at once, at most [default: as many as this machine runs threads]
    #[arg(short = 'j', long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    #[command(flatten)]
    earlier: cache::CacheOptions,
    /// Date everything new no later than this, in seconds since 1970.
    #[arg(long, value_name = "N", env = "SOURCE_DATE_EPOCH", value_parser = epoch)]
    source_date_epoch: Option<Timestamp>,
    /// How layers are compressed: none, gzip[:LEVEL] or zstd[:LEVEL].
    #[arg(long, value_name = "FORMAT", default_value = "gzip")]
    compression: EncodeOptions,
    /// Say in full of each step that is carried out why an earlier result did not serve.
    #[arg(long)]
    explain: bool,
    /// How progress is shown.
    #[arg(long, default_value = "auto")]
    progress: ProgressMode,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    commands: run::CommandOptions,
    /// The directory that COPY copies from, or - for a tar archive on standard input, which may be compressed.
    context: PathBuf,
}

impl Program for Build {
    fn progress(&self) -> ProgressMode {
        self.progress
    }

    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        use image_build::Error::{NoFetcher, NotAllowed, NotGiven};
        use image_core::Error::ImageNotFound;
        let advice = match (as_error(error), core_error(error)) {
            (_, Some(ImageNotFound { meant: None, .. })) if self.base.is_empty() => {
                "base images come from layouts given by --base; load, or skopeo copy docker://IMAGE oci:LAYOUT:IMAGE, fills one"
            }
            (Some(NotGiven { .. }), _) => "give it by --secret id=ID,src=FILE, or an agent by --ssh ID=SOCKET",
            (Some(NotAllowed { what, .. }), _) => {
                return Some(format!("build with {what} to allow it"));
            }
            (Some(NoFetcher { .. }), _) => "this program has a fetcher when it is built with --features http",
            _ => return None,
        };
        Some(advice.into())
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let options = self.options()?;
        let (dockerfile, context) = self.sources(ctx)?;
        let named = self.build_context.iter().map(|context| context.open(&self.earlier)).collect::<Result<Vec<_>>>()?;
        let bases = self.base.iter().map(OciLayout::open).collect::<Result<Vec<_>, _>>()?;
        let layout = OciLayout::open_or_create(&self.output)?.leased()?;
        let state = self.earlier.state(&self.output)?;
        let imports = self.earlier.imports(ctx)?;
        let executor = self.commands.executor(&state.exec_directory());

        let mut builder = Builder::new(&state, &context, &bases).with_executor(&executor);
        for (context, opened) in self.build_context.iter().zip(&named) {
            builder = context.give(opened, &bases, builder);
        }
        for import in &imports {
            builder = builder.with_cache_from(&import.records, import.layout.blobs());
        }
        #[cfg(feature = "http")]
        let fetcher = image_build::fetch::HttpFetcher::new(&image_build::fetch::HttpOptions::default())?;
        #[cfg(feature = "http")]
        let builder = builder.with_fetcher(&fetcher);
        let built = match self.platforms().as_slice() {
            [] => Built::Image(builder.build(&dockerfile, &options, layout.blobs(), ctx)?),
            [platform] => {
                let options = options.with_platform(platform.clone());
                Built::Image(builder.build(&dockerfile, &options, layout.blobs(), ctx)?)
            }
            platforms => {
                Built::Index(builder.build_platforms(&dockerfile, platforms, &options, layout.blobs(), ctx)?)
            }
        };
        layout.tag(&self.reference, built.descriptor())?;
        self.earlier.export(&state, built.records(), ctx)?;
        let report = Report { layout: &self.output, reference: &self.reference, explain: self.explain };
        if self.json {
            writeln!(out, "{:#}", report.json(&built)?)?;
            return Ok(());
        }
        report.print(&built, out)
    }
}

impl Build {
    /// What is built, and what COPY copies from.
    fn sources(&self, ctx: &Ctx) -> Result<(Dockerfile, BuildContext)> {
        if self.context.as_os_str() != "-" {
            let file = self.file.clone().unwrap_or_else(|| self.context.join("Dockerfile"));
            let dockerfile = Dockerfile::open(&file)?;
            let ignore = Ignore::for_dockerfile(&file, &self.context)?;
            return Ok((dockerfile, self.earlier.context(&self.context, ignore)?));
        }
        let state = self.earlier.state(&self.output)?;
        let archive = TarContext::read(std::io::stdin().lock(), &state, &Limits::default(), ctx)?;
        let file = self.file.as_deref().map_or(Ok("Dockerfile"), |file| file.to_str().ok_or("-f is not UTF-8"))?;
        let dockerfile = Dockerfile::open_in(&archive, file)?;
        let ignore = Ignore::of_source(&archive, file)?;
        Ok((dockerfile, self.earlier.with_modes(BuildContext::from_source(archive, ignore))))
    }

    fn options(&self) -> Result<BuildOptions> {
        let mut options = BuildOptions::default()
            .with_source_date_epoch(self.source_date_epoch)
            .with_encode(self.compression.clone())
            .with_run(self.commands.options()?)
            .with_explanations(if self.explain { Explanations::Observed } else { Explanations::OneLine });
        options = self.earlier.apply(options);
        if let Some(jobs) = self.jobs {
            options = options.with_parallelism(jobs);
        }
        if let Some(target) = &self.target {
            options = options.with_target(target);
        }
        for (name, value) in &self.build_arg {
            if let Some(value) = value.clone().map_or_else(|| of_environment(name), |value| Ok(Some(value)))? {
                options = options.with_build_arg(name, value);
            }
        }
        Ok(options)
    }

    /// The platforms, each once.
    fn platforms(&self) -> Vec<Platform> {
        let mut platforms = Vec::new();
        for platform in self.platform.iter().map(Platform::normalised) {
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        platforms
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

/// `NAME=VALUE`, or `NAME` alone.
fn build_arg(text: &str) -> Result<(String, Option<String>), String> {
    if text.is_empty() || text.contains('=') {
        return pair(text).map(|(name, value)| (name, Some(value)));
    }
    Ok((text.into(), None))
}

/// The value of a variable of the environment: as with Docker none where it is not set, as if the argument were not given.
#[expect(clippy::disallowed_methods, reason = "whose environment it is asks for it")]
fn of_environment(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(format!("--build-arg {name}: its value in the environment is not UTF-8").into())
        }
    }
}

/// A time between 1970 and 9999, which is as far as a date can be written.
fn epoch(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(seconds @ 0..=253_402_207_200) => Ok(Timestamp::from_seconds(seconds)),
        _ => Err("write a number of seconds since 1970".into()),
    }
}

fn main() -> ExitCode {
    examples::run::<Build>()
}
