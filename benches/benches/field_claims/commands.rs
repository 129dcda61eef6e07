//! Claims about commands, which need a machine that may run them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use benches::{Context, Result, files, is_root, switch};
use image_build::{
    BuildOptions, BuildState, Builder, Dockerfile,
    exec::{OciOptions, OciRuntime},
};
use image_core::{Ctx, History, Image, ImageConfig, ImageEdit, MemoryBlobStore, Platform, Timestamp};
use image_overlay::{Changes, PackOptions};
use tempfile::tempdir;

use crate::{Found, Only, median, saved};

/// As a compiler does with a cache of objects: one file after the other is made unless it is known, then all are put together.
const MAKE: &str = "for f in /src/*/*/file*; do \
                        k=/cache/$(sha256sum <$f | cut -c1-64); \
                        test -e $k || gzip -9 <$f >$k; \
                    done; cat /cache/* | gzip -9 >/app";

pub(crate) fn cache_mounts() -> Result<Found> {
    let claim = "cache mounts save 35 % of the time";
    match measure() {
        Ok((saved, how)) => Ok(Found { claim, saved: vec![("after a change of one file of many".into(), saved)], how }),
        Err(why) => Ok(Found { claim, saved: Vec::new(), how: format!("left out: {why}") }),
    }
}

fn measure() -> Result<(f64, String)> {
    if !is_root() {
        return Err("commands are run as root here".into());
    }
    let directory = tempdir()?;
    let base = Only(base(directory.path())?);
    let runtime = OciRuntime::open(directory.path().join("exec"), &OciOptions::default())?;
    let sources = Context::of(&files(12, 128)?)?;
    let state = BuildState::open(directory.path().join("state"))?;
    let build = |dockerfile: &Dockerfile| -> Result<()> {
        let context = sources.open()?;
        let builder = Builder::new(&state, &context, &base).with_executor(&runtime);
        builder.build(dockerfile, &BuildOptions::default(), &MemoryBlobStore::default(), &Ctx::default())?;
        Ok(())
    };
    let mut number = 0;
    let mut time = |flag: &str, before: &str| -> Result<f64> {
        let text = format!("FROM base\nRUN --mount=type=bind,target=/src {flag} {before}{MAKE}\n");
        let dockerfile = Dockerfile::parse(text)?;
        build(&dockerfile)?;
        let change = || {
            number += 1;
            sources.change(number)
        };
        Ok(median(change, |()| build(&dockerfile))?.as_secs_f64())
    };
    let without = time("", "mkdir /cache; ")?;
    let with = time("--mount=type=cache,target=/cache", "")?;
    let how = format!(
        "a command makes an object of each of {} files and puts all together: {without:.3} s without a cache mount, {with:.3} s with one",
        sources.count
    );
    Ok((saved(with, without), how))
}

/// An image of busybox.
fn base(directory: &Path) -> Result<Image> {
    let busybox = busybox().ok_or("there is no busybox")?;
    let root = directory.join("base");
    let bin = root.join("bin");
    fs::create_dir_all(&bin)?;
    fs::create_dir(root.join("tmp"))?;
    fs::copy(&busybox, bin.join("busybox"))?;
    let listed = Command::new(&busybox).arg("--list").output()?;
    for name in String::from_utf8(listed.stdout)?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", bin.join(name))?;
    }
    let store = Arc::new(MemoryBlobStore::default());
    let layer = Changes::whole(&benches::tree(&root)?).pack(&*store, PackOptions::default(), &Ctx::default())?;
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::of_target()));
    edit.config.config.env = vec!["PATH=/bin".into()];
    edit.push_layer(&layer.descriptor, layer.diff_id, History::new(Timestamp::UNIX_EPOCH, "busybox"));
    let manifest = edit.write(&*store)?;
    Ok(Image::open(store, &manifest)?)
}

fn busybox() -> Option<PathBuf> {
    let path = switch("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("busybox")).find(|program| program.is_file())
}
