//! What is said of ways to build images, beside what comes of it in builds of ours.
//!
//! This is no criterion bench: it prints a table. `BENCH_CONTEXT` is taken for the dependencies of what is built, `BENCH_LAYOUT`
//! for the base image and for what is transferred. Commands need root, an OCI runtime and a busybox that is linked
//! statically; without them the claim about cache mounts is left out, and the table says so.

mod commands;
mod copies;
mod transfer;

use std::{
    io::{Write, stdout},
    process::ExitCode,
    time::{Duration, Instant},
};

use benches::{Result, is_quick, note};
use image_core::{Image, ImageResolver, Platform, Reference};

/// A claim, and what was found.
pub(crate) struct Found {
    pub(crate) claim: &'static str,
    /// Of the whole, each with what it was found for; none where it could not be measured.
    pub(crate) saved: Vec<(String, f64)>,
    /// What it was measured on, or why it was not.
    pub(crate) how: String,
}

type Measure = fn() -> Result<Found>;

impl Found {
    fn print(&self) -> Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "claimed: {}", self.claim)?;
        for (what, saved) in &self.saved {
            writeln!(out, "  found: {:>5.1} % {what}", saved * 100.0)?;
        }
        if self.saved.is_empty() {
            writeln!(out, "  found: not measured")?;
        }
        writeln!(out, "  {}\n", self.how)?;
        Ok(())
    }
}

/// What is saved by `less` in place of `more`.
pub(crate) fn saved(less: f64, more: f64) -> f64 {
    1.0 - less / more
}

/// An image that any name stands for.
pub(crate) struct Only(pub(crate) Image);

impl ImageResolver for Only {
    fn resolve(&self, _: &Reference, _: &Platform) -> image_core::Result<Option<Image>> {
        Ok(Some(self.0.clone()))
    }
}

/// The median time of several runs of what is prepared anew for each.
pub(crate) fn median<I>(
    mut prepare: impl FnMut() -> Result<I>,
    mut run: impl FnMut(&I) -> Result<()>,
) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..if is_quick() { 1 } else { 5 } {
        let input = prepare()?;
        let started = Instant::now();
        run(&input)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn claims() -> Result<()> {
    let filters: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let all: [(&str, Measure); 4] = [
        ("layered rebuild", copies::layered),
        ("multi-stage size", copies::stages),
        ("zstd transfer", transfer::zstd),
        ("cache mounts", commands::cache_mounts),
    ];
    for (name, measure) in all {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
            measure()?.print()?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match claims() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(error);
            ExitCode::FAILURE
        }
    }
}
