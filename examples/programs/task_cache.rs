//! Runs a command, unless it ran before on the same inputs: then its outputs come out of the cache.

use std::{fs, io, io::Write, os::unix::fs::PermissionsExt, path::PathBuf, process, process::ExitCode};

use clap::Parser;
use examples::{About, Program, Result, file};
use image_build::cache::{DirRecordStore, IngredientKind, Journal, Mark, Recipe, Record, RecordStore, Trail, explain};
use image_build::{BuildContext, Ignore, StatCache};
use image_core::{BlobSourceExt, BlobStore, Ctx, Descriptor, FsBlobStore, MediaType, blob::Expected};

/// Runs a command here, unless it ran before on the same inputs: then its outputs come out of the cache.
#[derive(Debug, Parser)]
#[command(name = "task_cache")]
struct TaskCache {
    /// Where results are kept.
    state: PathBuf,
    /// A file, a directory or a pattern of files that the command reads; may be given several times.
    #[arg(short, long, value_name = "PATTERN")]
    input: Vec<String>,
    /// A file that the command makes; may be given several times.
    #[arg(short, long, value_name = "FILE")]
    output: Vec<String>,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Program for TaskCache {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let (records, blobs) = (DirRecordStore::open(self.state.join("records"))?, FsBlobStore::create(&self.state)?);
        let known = StatCache::open(self.state.join("stat"))?;
        let inputs = BuildContext::open(".", Ignore::default())?.file_fingerprints(&self.input, Some(&known), ctx)?;
        let recipe = Recipe::new().with_text(IngredientKind::Instruction, "command", &format!("{:?}", self.command));
        let recipe = inputs.into_iter().fold(recipe, |recipe, file| {
            recipe.with_digest(IngredientKind::Content, &file.path.escape_ascii().to_string(), file.digest())
        });
        let (key, name) = (recipe.key(), self.output.join(" "));
        if records.get(&key)?.is_some_and(|was| self.output.iter().all(|file| restore(file, &was, &blobs).is_ok())) {
            records.touch(&key, ctx.now())?;
            return Ok(writeln!(out, "cached: {name}")?);
        }
        let last = records.trail(&name)?.and_then(|trail| trail.marks.into_iter().next());
        match last.map(|last| records.get(&last.key)).transpose()?.flatten() {
            Some(last) => {
                explain::compare(&last.recipe, &recipe).iter().try_for_each(|d| writeln!(out, "because {d}"))?
            }
            None => writeln!(out, "because no earlier run is known")?,
        }
        let status = process::Command::new(&self.command[0]).args(&self.command[1..]).status();
        let status = status.map_err(|e| About::new(format!("cannot run {}", self.command[0]), e))?;
        if !status.success() {
            return Err(format!("{} failed: {status}", self.command.join(" ")).into());
        }
        let mut record = Record::new(recipe, ctx.now());
        for file in &self.output {
            let mut input = file::open(file.as_ref()).map_err(|e| About::new(format!("no output {file}"), e))?;
            let mut blob = blobs.create(&Expected::any())?;
            io::copy(&mut input, &mut blob)?;
            let (mode, blob) = (input.metadata()?.permissions().mode(), blob.commit()?);
            let blob = Descriptor::new(MediaType::from("application/octet-stream"), blob.digest, blob.size);
            record = record.with_blob(file, blob.with_annotation("mode", mode.to_string()));
        }
        records.put(&record)?;
        Ok(records.put_trail(&name, &Trail::new([Mark::new("tasks", &*name, key)]))?)
    }
}

/// Brings an output back, verified, whole or not at all.
fn restore(file: &str, record: &Record, blobs: &FsBlobStore) -> Result<()> {
    let blob = record.blobs.get(file).ok_or("another output")?;
    let mut whole = tempfile::NamedTempFile::new_in(".")?;
    io::copy(&mut blobs.open_verified(blob)?, &mut whole)?;
    whole.as_file().set_permissions(fs::Permissions::from_mode(blob.annotations["mode"].parse()?))?;
    Ok(whole.persist(file).map(drop)?)
}

fn main() -> ExitCode {
    examples::run::<TaskCache>()
}
