//! Verifies an OCI image layout.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use examples::{ImageName, Program, Result, text};
use image_core::{Ctx, Digest};
use image_layout::{
    OciLayout,
    fsck::{Problem, Report, VerifyOptions},
};

/// Hashes every blob that can be reached in a layout, checks every document, and names all that is wrong.
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Verify {
    /// The layout's directory; LAYOUT:REF is understood, too.
    layout: PathBuf,
    /// The name of one image; without it, everything in the layout's index is verified.
    #[arg(value_name = "REF")]
    reference: Option<String>,
    /// Move blobs that are not what their names say out of the way, to the layout's directory corrupt.
    #[arg(long)]
    set_aside: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Verify {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let (path, reference) = self.meant();
        let layout = OciLayout::open(&path)?;
        let report = layout.verify(reference.as_deref(), &VerifyOptions::default(), ctx)?;
        let aside = if self.set_aside { set_aside(&layout, &report)? } else { Vec::new() };
        if self.json {
            let mut result = serde_json::to_value(&report)?;
            if self.set_aside {
                let aside = aside.iter().map(|(digest, path)| serde_json::json!({"digest": digest, "path": path}));
                result["setAside"] = aside.collect();
            }
            writeln!(out, "{result:#}")?;
        } else {
            for finding in &report.findings {
                writeln!(out, "{}", text::printable(&finding.to_string()))?;
            }
            for (digest, path) in &aside {
                writeln!(out, "{digest} is now {}", path.display())?;
            }
            writeln!(out, "blobs: {}, read: {}", report.blobs, text::size(report.bytes))?;
            if report.findings.is_empty() {
                writeln!(out, "all of it is what it should be")?;
            }
        }
        let advice = self.advice(&report);
        match report.findings.len() {
            0 => Ok(()),
            1 => Err(format!("{}: 1 finding{advice}", path.display()).into()),
            findings => Err(format!("{}: {findings} findings{advice}", path.display()).into()),
        }
    }
}

impl Verify {
    /// The directory, and the name in it, also where both are written in one as for other programs.
    fn meant(&self) -> (PathBuf, Option<String>) {
        let name = self.layout.to_str().filter(|text| text.contains([':', '@']) && !self.layout.exists());
        match (&self.reference, name.and_then(|text| text.parse::<ImageName>().ok())) {
            (None, Some(name)) => (name.layout, Some(name.reference)),
            (reference, _) => (self.layout.clone(), reference.clone()),
        }
    }

    /// What can be done about what was found.
    fn advice(&self, report: &Report) -> &'static str {
        let is_missing = report.findings.iter().any(|finding| matches!(finding.problem, Problem::Missing));
        if corrupt(report).next().is_some() && !self.set_aside {
            "; to mend the corrupt blobs, run verify --set-aside, then load or copy the image again"
        } else if corrupt(report).next().is_some() || is_missing {
            "; to mend it, load or copy the image again"
        } else {
            ""
        }
    }
}

/// The blobs whose content is not what it should be.
fn corrupt(report: &Report) -> impl Iterator<Item = &Digest> {
    let is_corrupt = |problem: &Problem| matches!(problem, Problem::WrongContent { .. } | Problem::WrongSize { .. });
    report.findings.iter().filter(move |finding| is_corrupt(&finding.problem)).map(|finding| &finding.digest)
}

/// Moves corrupt blobs out of the way; says which, and where they are now. Those that are what their names say, and only not
/// what somebody says of them, stay.
fn set_aside(layout: &OciLayout, report: &Report) -> Result<Vec<(Digest, PathBuf)>> {
    let mut aside = Vec::new();
    for digest in corrupt(report) {
        aside.extend(layout.blobs().set_aside(digest)?.map(|path| (digest.clone(), path)));
    }
    Ok(aside)
}

fn main() -> ExitCode {
    examples::run::<Verify>()
}
