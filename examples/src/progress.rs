//! Progress on standard error.

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

use crate::text::{printable, short_size};

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
    /// The last line of the terminal; hidden where there is none.
    line: ProgressBar,
    tasks: Mutex<BTreeMap<TaskId, Running>>,
    /// The task whose output was printed last.
    speaking: Mutex<Option<TaskId>>,
}

/// A task that has begun.
#[derive(Debug)]
struct Running {
    kind: TaskKind,
    label: String,
    since: Instant,
    bytes: u64,
    items: u64,
    /// Why it is carried out.
    because: Vec<String>,
}

impl Progress {
    pub(crate) fn new(mode: ProgressMode) -> Self {
        let target = match mode {
            ProgressMode::Auto => ProgressDrawTarget::stderr(),
            ProgressMode::Plain | ProgressMode::Json => ProgressDrawTarget::hidden(),
        };
        let line = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_msg}") {
            line.set_style(style);
        }
        if !line.is_hidden() {
            line.enable_steady_tick(Duration::from_millis(200));
        }
        Self { mode, line, tasks: Mutex::default(), speaking: Mutex::default() }
    }

    /// Takes the last line off the terminal.
    pub(crate) fn finish(&self) {
        self.line.finish_and_clear();
    }

    fn tell(&self, event: &Event<'_>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Begin { task, kind, label, .. } => {
                let running = Running {
                    kind,
                    label: printable(label),
                    since: Instant::now(),
                    bytes: 0,
                    items: 0,
                    because: vec![],
                };
                tasks.insert(task, running);
            }
            Event::Advance { task, bytes, items, .. } => {
                if let Some(running) = tasks.get_mut(&task) {
                    running.bytes += bytes;
                    running.items += items;
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
                if let Some(step) = tasks.remove(&task).filter(|task| task.kind == TaskKind::Step) {
                    self.step(&step, outcome);
                }
            }
            Event::Notice { kind, subject, message, .. } => {
                let kind = match kind {
                    NoticeKind::Skipped => "skipped",
                    NoticeKind::Altered => "altered",
                    _ => "warning",
                };
                self.print(&format!("{kind}: {}: {}", printable(subject), printable(message)));
            }
            _ => {}
        }
        if let Some((_, task)) = tasks.last_key_value() {
            self.line.set_message(task.line());
        }
    }

    fn step(&self, step: &Running, outcome: Outcome) {
        match outcome {
            Outcome::Cached => self.print(&format!("CACHED {}", step.label)),
            Outcome::Done => {
                let mut text = format!("DONE {:.3}s {}", step.since.elapsed().as_secs_f64(), step.label);
                step.because.iter().for_each(|reason| text.push_str(&format!("\n  because {reason}")));
                self.print(&text);
            }
            // The error tells.
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

impl Running {
    fn line(&self) -> String {
        let what = match self.kind {
            TaskKind::Copy => "copy ",
            TaskKind::Verify => "verify ",
            TaskKind::Index => "index ",
            TaskKind::Extract => "extract ",
            TaskKind::Pack => "pack ",
            _ => "",
        };
        match (self.items, self.bytes) {
            (0, 0) => format!("{what}{}", self.label),
            (0, bytes) => format!("{what}{}: {}", self.label, short_size(bytes)),
            (items, bytes) => format!("{what}{}: {items} items, {}", self.label, short_size(bytes)),
        }
    }
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
