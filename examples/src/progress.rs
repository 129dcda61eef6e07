//! Progress on standard error.

mod look;
mod status;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::ValueEnum;
use image_core::{
    Event, Observer,
    observer::{NoticeKind, Outcome, TaskId, TaskKind},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::{
    look::{Look, Tone},
    status::{Running, SHORT},
};
use crate::text::printable;

/// How often a line tells of work that takes long, where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[non_exhaustive]
pub enum ProgressMode {
    /// Finished steps, and on a terminal what is being done.
    #[default]
    Auto,
    /// One line for each finished step.
    Plain,
    /// One JSON object for each event, on a line of its own.
    Json,
}

/// Shows progress.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: ProgressMode,
    look: Look,
    /// The last line of the terminal; hidden where there is none.
    line: ProgressBar,
    tasks: Mutex<BTreeMap<TaskId, Running>>,
    /// The task whose output was printed last.
    speaking: Mutex<Option<TaskId>>,
}

impl Progress {
    pub(crate) fn new(mode: ProgressMode) -> Self {
        let (target, look) = match mode {
            ProgressMode::Auto => (ProgressDrawTarget::stderr(), Look::of_stderr()),
            ProgressMode::Plain | ProgressMode::Json => (ProgressDrawTarget::hidden(), Look::PLAIN),
        };
        let line = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_msg}") {
            line.set_style(style);
        }
        if !line.is_hidden() {
            line.enable_steady_tick(Duration::from_millis(200));
        }
        Self { mode, look, line, tasks: Mutex::default(), speaking: Mutex::default() }
    }

    /// Takes the last line off the terminal.
    pub(crate) fn finish(&self) {
        self.line.finish_and_clear();
    }

    fn tell(&self, event: &Event<'_>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Begin { task, kind, label, bytes, .. } => {
                tasks.insert(task, Running::new(kind, label, bytes));
            }
            Event::Advance { task, bytes, items, .. } => {
                if let Some(running) = tasks.get_mut(&task) {
                    running.advance(bytes, items);
                    self.tell_now_and_then(running);
                }
            }
            Event::Because { task, reason, .. } => {
                if let Some(running) = tasks.get_mut(&task) {
                    running.because.push(printable(reason));
                }
            }
            Event::Output { task, line, .. } => {
                if let Some(running) = tasks.get(&task) {
                    self.output(task, &running.label, line);
                }
            }
            Event::End { task, outcome, .. } => {
                if let Some(ended) = tasks.remove(&task) {
                    // What belongs to a step is told with the step.
                    let in_step = tasks.values().any(|task| task.kind == TaskKind::Step);
                    self.end(&ended, outcome, in_step);
                }
            }
            Event::Notice { kind, subject, message, .. } => {
                let kind = match kind {
                    NoticeKind::Skipped => "skipped",
                    NoticeKind::Altered => "altered",
                    _ => "warning",
                };
                let text = format!("{kind}: {}: {}", printable(subject), printable(message));
                self.print(&self.look.line(Tone::Warning, &text, 2));
            }
            _ => {}
        }
        if !self.line.is_hidden() {
            self.line.set_message(status(&tasks));
        }
    }

    /// Prints how far work is that takes long, where no line of a terminal shows it.
    fn tell_now_and_then(&self, running: &mut Running) {
        if self.line.is_hidden() && running.told.elapsed() >= EVERY {
            running.told = Instant::now();
            self.print(&running.status());
        }
    }

    fn end(&self, task: &Running, outcome: Outcome, in_step: bool) {
        match (task.kind, outcome) {
            (TaskKind::Step, Outcome::Cached) => {
                self.print(&self.look.line(Tone::Cached, &format!("CACHED {}", task.label), 2));
            }
            (TaskKind::Step, Outcome::Done) => {
                let text = format!("DONE {:.3}s {}", task.since.elapsed().as_secs_f64(), task.label);
                let mut text = self.look.line(Tone::Done, &text, 2);
                for reason in &task.because {
                    text.push('\n');
                    text.push_str(&self.look.line(Tone::Because, &format!("  because {reason}"), 4));
                }
                self.print(&text);
            }
            (TaskKind::Step, _) => {}
            (_, Outcome::Done) if self.line.is_hidden() && !in_step && task.since.elapsed() >= SHORT => {
                self.print(&self.look.line(Tone::Plain, &task.summary(), 2));
            }
            // The error tells of what failed, and a terminal has shown the rest.
            _ => {}
        }
    }

    /// Prints what a command wrote, below the step that it is of.
    fn output(&self, task: TaskId, label: &str, line: &[u8]) {
        let mut speaking = self.speaking.lock().unwrap_or_else(PoisonError::into_inner);
        if speaking.replace(task) != Some(task) {
            self.print(label);
        }
        let line = String::from_utf8_lossy(line).replace('\t', "    ");
        self.print(&format!("  {}", printable(line.trim_end_matches(['\n', '\r']))));
    }

    /// Prints a line above the last one. Progress that nobody can read is no reason to stop.
    fn print(&self, text: &str) {
        self.line.suspend(|| drop(writeln!(io::stderr(), "{text}")));
    }
}

/// What is being done: of work that takes a while, the two pieces that began last, the one whose end is known first.
fn status(tasks: &BTreeMap<TaskId, Running>) -> String {
    let mut long: Vec<_> = tasks.values().rev().filter(|task| task.since.elapsed() >= SHORT).take(2).collect();
    long.sort_by_key(|task| !task.has_total());
    long.into_iter().map(Running::status).collect::<Vec<_>>().join("; ")
}

impl Observer for Progress {
    fn event(&self, event: &Event<'_>) {
        match self.mode {
            ProgressMode::Json => {
                // An event holds text and numbers: nothing in it fails to be written as JSON.
                let text = serde_json::to_string(event).unwrap_or_default();
                self.print(&text);
            }
            ProgressMode::Auto | ProgressMode::Plain => self.tell(event),
        }
    }
}
