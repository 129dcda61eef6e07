//! Claims about builds that only copy.

use std::env;

use benches::{Context, Result, files, input_image};
use image_build::{BuildContext, BuildOptions, BuildState, Builder, BuiltImage, Dockerfile, Ignore, MemoryContext};
use image_core::{Ctx, MemoryBlobStore};
use image_layout::OciLayout;
use tempfile::tempdir;

use crate::{Found, Only, median, saved};

/// Dependencies, which seldom change, below what is worked on.
const LAYERED: &str =
    "FROM scratch\nCOPY --from=dependencies . /usr/lib/app/\nCOPY . /srv/app/\nENV APP=/srv/app\nCMD [\"run\"]\n";

pub(crate) fn layered() -> Result<Found> {
    let (dependencies, app) = (Context::input()?, Context::of(&files(11, 16)?)?);
    let dockerfile = Dockerfile::parse(LAYERED)?;
    let bases = Vec::<OciLayout>::new();
    let build = |state: &BuildState, layout: &OciLayout| -> Result<()> {
        let (below, above) = (dependencies.open()?, app.open()?);
        let builder = Builder::new(state, &above, &bases).with_named_context("dependencies", &below);
        builder.build(&dockerfile, &BuildOptions::default(), layout.blobs(), &Ctx::default())?;
        Ok(())
    };
    let fresh = || -> Result<_> {
        let directory = tempdir()?;
        let state = BuildState::open(directory.path().join("state"))?;
        let layout = OciLayout::create(directory.path().join("layout"))?;
        Ok((state, layout, directory))
    };
    let first = median(fresh, |(state, layout, _)| build(state, layout))?;
    let (state, layout, _directory) = fresh()?;
    build(&state, &layout)?;
    let mut number = 0;
    let change = || {
        number += 1;
        app.change(number)
    };
    let again = median(change, |()| build(&state, &layout))?;
    let unchanged = median(|| Ok(()), |()| build(&state, &layout))?;
    let (first, again, unchanged) = (first.as_secs_f64(), again.as_secs_f64(), unchanged.as_secs_f64());
    Ok(Found {
        claim: "layered rebuilds save 90 % of the time",
        saved: vec![
            ("after a change of one file above the dependencies".into(), saved(again, first)),
            ("where nothing changed".into(), saved(unchanged, first)),
        ],
        how: format!(
            "{} files of dependencies in one layer, {} in another: {first:.3} s with nothing cached, {again:.3} s after the \
             change, {unchanged:.3} s without one",
            dependencies.count, app.count
        ),
    })
}

/// What is needed to make the program, on the base.
const ONE_STAGE: &str =
    "FROM base AS build\nCOPY --from=toolchain . /usr/local/\nCOPY . /src/\nCOPY --from=made run /srv/run\n";

pub(crate) fn stages() -> Result<Found> {
    let (base, toolchain) = (input_image()?, Context::input()?);
    let app = Context::of(&files(11, 16)?)?;
    let resolver = Only(base.image);
    // This program stands for the one that is made.
    let made = made()?;
    let directory = tempdir()?;
    let state = BuildState::open(directory.path())?;
    let build = |last: &str| -> Result<BuiltImage> {
        let (tools, sources) = (toolchain.open()?, app.open()?);
        let builder = Builder::new(&state, &sources, &resolver)
            .with_named_context("toolchain", &tools)
            .with_named_context("made", &made);
        let dockerfile = Dockerfile::parse(format!("{ONE_STAGE}{last}"))?;
        Ok(builder.build(&dockerfile, &BuildOptions::default(), &MemoryBlobStore::default(), &Ctx::default())?)
    };
    let last = |base| format!("FROM {base}\nCOPY --from=build /srv/run /srv/run\n");
    let sizes = ["", &last("base"), &last("scratch")].map(|last| build(last).map(|built| built.size as f64 / 1e6));
    let [one, on_base, on_scratch] = sizes;
    let (one, on_base, on_scratch) = (one?, on_base?, on_scratch?);
    Ok(Found {
        claim: "multi-stage builds save 70 to 90 % of the size",
        saved: vec![
            ("with the last stage on the same base".into(), saved(on_base, one)),
            ("with the last stage on nothing".into(), saved(on_scratch, one)),
        ],
        how: format!(
            "base, toolchain, sources and program in one stage {one:.1} MB; base and program {on_base:.1} MB; program {on_scratch:.1} MB"
        ),
    })
}

/// A context of this program alone, as `run`.
pub(crate) fn made() -> Result<BuildContext> {
    let mut program = Vec::new();
    std::io::copy(&mut std::fs::File::open(env::current_exe()?)?, &mut program)?;
    Ok(BuildContext::from_source(MemoryContext::new().with_file("run", program)?, Ignore::default()))
}
