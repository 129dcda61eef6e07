//! Running a program: interrupts, output, errors and exit codes.

use std::{
    error::Error,
    io::{self, BufWriter, Write},
    process::{self, ExitCode},
    sync::Arc,
};

use clap::Parser;
use image_core::{CancelToken, Ctx};

use crate::{
    progress::{Progress, ProgressMode},
    text::printable,
};

/// What a program's work comes to.
pub type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The exit code after an interrupt, as shells have it.
const INTERRUPTED: u8 = 130;

/// A program: its command line, and what it does.
pub trait Program: Parser {
    /// How progress is shown.
    fn progress(&self) -> ProgressMode {
        ProgressMode::Auto
    }

    /// What may be done about an error or one of its causes, which only the program knows: its options.
    fn advice(&self, _: &(dyn Error + 'static)) -> Option<String> {
        None
    }

    /// Does the work; results go to `out`.
    ///
    /// # Errors
    /// Whatever keeps the program from its work.
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()>;
}

/// Runs a program: exits with 0 after success, 1 after an error, 2 after wrong usage, 130 when interrupted.
#[must_use]
pub fn run<P: Program>() -> ExitCode {
    let program = P::parse();
    let cancel = CancelToken::default();
    let result = work(&program, &cancel);
    let Err(error) = result else { return ExitCode::SUCCESS };
    if is_broken_pipe(&*error) {
        // Whoever read the output has seen enough.
        return ExitCode::SUCCESS;
    }
    // Where not even the error can be written, the exit code tells.
    drop(report(&program, &*error, &mut io::stderr().lock()));
    if cancel.is_cancelled() { INTERRUPTED.into() } else { ExitCode::FAILURE }
}

fn work<P: Program>(program: &P, cancel: &CancelToken) -> Result<()> {
    stop_on_interrupt(cancel.clone())?;
    let progress = Arc::new(Progress::new(program.progress()));
    let ctx = Ctx::default().with_cancel(cancel.clone()).with_observer(Arc::clone(&progress) as _);
    let mut out = BufWriter::new(io::stdout().lock());
    let result = program.run(&ctx, &mut out);
    progress.finish();
    out.flush()?;
    result
}

/// The first interrupt stops the work in good order, the second at once.
fn stop_on_interrupt(cancel: CancelToken) -> Result<()> {
    ctrlc::set_handler(move || {
        if cancel.is_cancelled() {
            process::exit(INTERRUPTED.into());
        }
        cancel.cancel();
    })?;
    Ok(())
}

/// Writes an error and its causes, and what may be done; of a Dockerfile, with the line.
fn report<P: Program>(program: &P, error: &(dyn Error + 'static), out: &mut dyn Write) -> io::Result<()> {
    match error.downcast_ref::<image_build::Error>() {
        Some(error) => writeln!(out, "error: {}", shown(error.render().trim_end()))?,
        None => writeln!(out, "error: {}", shown(&error.to_string()))?,
    }
    let mut advice = program.advice(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        // What a command wrote last has lines of its own.
        writeln!(out, "  caused by: {}", shown(&error.to_string()).replace('\n', "\n    "))?;
        advice = advice.or_else(|| program.advice(error));
        cause = error.source();
    }
    advice.map_or(Ok(()), |advice| writeln!(out, "hint: {}", shown(&advice)))
}

/// Text whose lines and tabs are meant, without what else a terminal would obey.
fn shown(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(printable).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
