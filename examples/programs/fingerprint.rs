//! Says what the files of a directory are, by one digest.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use examples::{Program, Result};
use image_build::{BuildContext, Ignore, StatCache};
use image_core::Ctx;

/// Prints the digest of the files of a directory that `.dockerignore` leaves: names, modes and content, but no times.
///
/// With --state, files that did not change since the last time are not read again.
#[derive(Debug, Parser)]
#[command(name = "fingerprint")]
struct Fingerprint {
    /// The directory.
    context: PathBuf,
    /// A file, a directory or a pattern of files in it; may be given several times [default: all]
    source: Vec<String>,
    /// A directory where it is kept what is known of the files.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print the digest of each file too.
    #[arg(long)]
    files: bool,
}

impl Program for Fingerprint {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let context = BuildContext::open(&self.context, Ignore::for_context(&self.context)?)?;
        let sources = if self.source.is_empty() { vec![String::from(".")] } else { self.source.clone() };
        let known = self.state.as_ref().map(StatCache::open).transpose()?;
        let found = context.fingerprint(&sources, known.as_ref(), ctx)?;
        if self.files {
            for file in context.file_fingerprints(&sources, known.as_ref(), ctx)? {
                writeln!(out, "{} {}", file.digest(), file.path.escape_ascii())?;
            }
        }
        Ok(writeln!(out, "{} of {} files", found.digest, found.file_count)?)
    }
}

fn main() -> ExitCode {
    examples::run::<Fingerprint>()
}
