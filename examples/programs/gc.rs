//! Removes what nothing needs, of an OCI image layout or of what builds left for later ones.

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use examples::{Program, Result, text};
use image_build::{
    BuildState, StateExpiry,
    cache::{ExpiryPolicy, RunMode},
};
use image_core::{
    Ctx,
    gc::{Collected, GcOptions},
};
use image_layout::OciLayout;
use serde::Serialize;

/// Removes the blobs that no image in a layout needs, and on request the images that were not used for the longest time.
/// Of the results of builds it removes what no later build can use, and on request those that did not serve for the
/// longest time.
///
/// What a running build, load or copy needs is left alone.
#[derive(Debug, Parser)]
#[command(name = "gc")]
struct Gc {
    /// The layout, or the directory of builds' results, as `build --cache`.
    #[arg(value_name = "LAYOUT|CACHE")]
    directory: PathBuf,
    /// Drop images or results, the least recently used first, until all blobs together have no more bytes than this.
    #[arg(long, value_name = "N")]
    keep_bytes: Option<u64>,
    /// Drop images or results that were not used for so many days.
    #[arg(long, value_name = "N")]
    keep_days: Option<u64>,
    /// Spare blobs that were written in the last so many seconds, for other tools that may be writing to a layout now.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    grace: u64,
    /// Change nothing; say what would be dropped and removed.
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Gc {
    fn keep_for(&self) -> Option<Duration> {
        const DAY: u64 = 86_400;
        self.keep_days.map(|days| Duration::from_secs(days.saturating_mul(DAY)))
    }

    fn options(&self) -> GcOptions {
        let options = GcOptions::default()
            .with_keep_bytes(self.keep_bytes)
            .with_keep_for(self.keep_for())
            .with_grace(Duration::from_secs(self.grace));
        if self.dry_run { options.with_dry_run() } else { options }
    }

    fn policy(&self) -> ExpiryPolicy {
        let policy = self.keep_bytes.into_iter().fold(ExpiryPolicy::default(), ExpiryPolicy::with_max_bytes);
        self.keep_for().into_iter().fold(policy, ExpiryPolicy::with_max_age)
    }
}

impl Program for Gc {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        if let Some(state) = BuildState::find(&self.directory)? {
            let mode = if self.dry_run { RunMode::Dry } else { RunMode::Real };
            let expiry = state.expire(&self.policy(), mode, ctx)?;
            self.tell(&expiry, print_state, out)
        } else {
            let collected = OciLayout::open(&self.directory)?.collect(&self.options(), ctx)?;
            self.tell(&collected, print_layout, out)
        }
    }
}

impl Gc {
    /// Prints a result as JSON, or as text for people.
    fn tell<T: Serialize>(
        &self,
        result: &T,
        print: fn(&T, would: &str, &mut dyn Write) -> Result<()>,
        out: &mut dyn Write,
    ) -> Result<()> {
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(result)?)?;
            return Ok(());
        }
        print(result, if self.dry_run { "would be " } else { "" }, out)
    }
}

fn print_state(expiry: &StateExpiry, would: &str, out: &mut dyn Write) -> Result<()> {
    for record in &expiry.records.expired {
        let instruction = record.instruction.as_deref().unwrap_or("a result");
        writeln!(out, "{would}dropped: {}: {}", text::printable(instruction), record.reason)?;
    }
    writeln!(out, "{would}removed: {} layers, {}", expiry.blobs.count, text::size(expiry.blobs.bytes))?;
    writeln!(out, "{would}removed: {} notes of them, {}", expiry.notes.count, text::size(expiry.notes.bytes))?;
    for (what, removed) in [("snapshots", expiry.snapshots), ("caches of commands", expiry.caches)] {
        if removed.count > 0 {
            writeln!(out, "{would}removed: {} {what}, {}", removed.count, text::size(removed.bytes))?;
        }
    }
    writeln!(out, "kept: {} results, {}", expiry.records.kept, text::size(expiry.records.kept_bytes))?;
    Ok(())
}

fn print_layout(collected: &Collected, would: &str, out: &mut dyn Write) -> Result<()> {
    let Collected { removed, freed, kept, kept_bytes, spared, spared_bytes, .. } = *collected;
    for dropped in &collected.dropped {
        writeln!(out, "{would}dropped: {}", text::printable(&dropped.to_string()))?;
    }
    writeln!(out, "{would}removed: {removed} blobs, {}", text::size(freed))?;
    writeln!(out, "kept: {kept} blobs, {}", text::size(kept_bytes))?;
    if spared > 0 {
        let size = text::size(spared_bytes);
        writeln!(out, "of these in use by others, or too new: {spared} blobs, {size}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    examples::run::<Gc>()
}
