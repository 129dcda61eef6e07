//! Says why a step of the last build was carried out.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use examples::{Program, Result, text::printable};
use image_build::{BuildState, LastStep};
use image_core::{Ctx, Timestamp};

/// Says when and why the results of the last build's steps were made, of each Dockerfile and context built with this state.
///
/// What that build found in the cache says when and why an earlier one made it.
#[derive(Debug, Parser)]
#[command(name = "why")]
struct Why {
    /// The directory of the build's results, as `build --cache`.
    state: PathBuf,
    /// A step: STAGE:NUMBER, a number, [STAGE NUMBER/COUNT] as a build names it, or a part of its instruction [default: all]
    step: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Why {
    fn run(&self, _: &Ctx, out: &mut dyn Write) -> Result<()> {
        let Some(state) = BuildState::find(&self.state)? else {
            return Err(format!("{}: no build left its results here: name the directory of build --cache, which is LAYOUT.cache unless it was given", self.state.display()).into());
        };
        let mut steps = state.last_steps()?;
        steps.retain(|step| self.is_meant(step));
        if let (true, Some(step)) = (steps.is_empty(), &self.step) {
            return Err(format!(
                "the last build had no step {step:?}: write STAGE:NUMBER, or a part of its instruction"
            )
            .into());
        }
        if self.json {
            writeln!(out, "{:#}", serde_json::to_value(&steps)?)?;
            return Ok(());
        }
        let mut last = None;
        for step in &steps {
            let build = (&step.dockerfile, &step.context, &step.target, &step.platforms);
            if last.replace(build) != Some(build) {
                let target = step.target.iter().map(|target| format!(", target {target}")).collect::<String>();
                let platforms = step.platforms.join(", ");
                let line = format!("{} in {}{target}, for {platforms}", step.dockerfile, step.context);
                writeln!(out, "{}", printable(&line))?;
            }
            tell(step, out)?;
        }
        Ok(())
    }
}

impl Why {
    fn is_meant(&self, step: &LastStep) -> bool {
        let (name, Some(meant)) = (&step.step, &self.step) else { return true };
        // As it stands in the output of a build, too.
        let label = meant.trim_start_matches('[').trim_end_matches(']');
        let counted = label.rsplit_once('/').filter(|(_, count)| count.bytes().all(|byte| byte.is_ascii_digit()));
        let label = counted.map_or(label, |(label, _)| label).replace(' ', ":");
        let number = name.number.to_string();
        let is_of = |stage: &str| label == format!("{stage}:{number}").replace(' ', ":");
        // Of a build for several platforms, a stage has that of its own before its name.
        let without_platform = name.stage.rsplit_once(' ').map(|(_, stage)| stage);
        label == number
            || is_of(&name.stage)
            || without_platform.is_some_and(is_of)
            || name.instruction.contains(meant.as_str())
    }
}

fn tell(step: &LastStep, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{}", printable(&step.step.to_string()))?;
    match (step.created.map(Timestamp::truncated), step.used.map(Timestamp::truncated)) {
        (Some(created), Some(used)) if step.is_cached => {
            writeln!(out, "  found in the cache: made {created} by an earlier build, last used {used}")?
        }
        (Some(created), Some(used)) => writeln!(out, "  made {created}, last used {used}")?,
        _ => writeln!(out, "  its record is gone: the next build carries it out")?,
    }
    let because = if step.is_cached { "made then because" } else { "because" };
    for cause in &step.causes {
        writeln!(out, "  {because} {}", printable(&cause.to_string()))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    examples::run::<Why>()
}
