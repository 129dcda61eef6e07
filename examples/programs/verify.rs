//! Verifies an OCI image layout.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use examples::{Program, Result, text};
use image_core::Ctx;
use image_layout::{OciLayout, fsck::VerifyOptions};

/// Hashes every blob that can be reached in a layout, checks every document, and names all that is wrong.
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Verify {
    /// The layout's directory.
    layout: PathBuf,
    /// The name of one image; without it, everything in the layout's index is verified.
    #[arg(value_name = "REF")]
    reference: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Verify {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let layout = OciLayout::open(&self.layout)?;
        let report = layout.verify(self.reference.as_deref(), &VerifyOptions::default(), ctx)?;
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        } else {
            for finding in &report.findings {
                writeln!(out, "{}", text::printable(&finding.to_string()))?;
            }
            writeln!(out, "blobs: {}, read: {}", report.blobs, text::size(report.bytes))?;
        }
        match report.findings.len() {
            0 => Ok(()),
            1 => Err(format!("{}: 1 finding", self.layout.display()).into()),
            findings => Err(format!("{}: {findings} findings", self.layout.display()).into()),
        }
    }
}

fn main() -> ExitCode {
    examples::run::<Verify>()
}
