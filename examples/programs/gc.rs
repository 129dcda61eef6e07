//! Removes what nothing in an OCI image layout needs.

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use examples::{Program, Result, text};
use image_core::{
    Ctx,
    gc::{Collected, GcOptions},
};
use image_layout::OciLayout;

/// Removes the blobs that no image in a layout needs, and on request the images that were not used for the longest time.
///
/// What a running build, load or copy needs is left alone.
#[derive(Debug, Parser)]
#[command(name = "gc")]
struct Gc {
    /// The layout's directory.
    layout: PathBuf,
    /// Drop images, the least recently used first, until all blobs together have no more bytes than this.
    #[arg(long, value_name = "N")]
    keep_bytes: Option<u64>,
    /// Drop images that were not used for so many days.
    #[arg(long, value_name = "N")]
    keep_days: Option<u64>,
    /// Spare blobs that were written in the last so many seconds, for other tools that may be writing to the layout now.
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
    fn options(&self) -> GcOptions {
        const DAY: u64 = 86_400;
        let options = GcOptions::default()
            .with_keep_bytes(self.keep_bytes)
            .with_keep_for(self.keep_days.map(|days| Duration::from_secs(days.saturating_mul(DAY))))
            .with_grace(Duration::from_secs(self.grace));
        if self.dry_run { options.with_dry_run() } else { options }
    }
}

impl Program for Gc {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let collected = OciLayout::open(&self.layout)?.collect(&self.options(), ctx)?;
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&collected)?)?;
        } else {
            print(&collected, out)?;
        }
        Ok(())
    }
}

fn print(collected: &Collected, out: &mut dyn Write) -> Result<()> {
    let Collected { removed, freed, kept, kept_bytes, spared, spared_bytes, .. } = *collected;
    let would = if collected.is_dry_run { "would be " } else { "" };
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
