//! Watching long work: begin, progress, end, and what was skipped or altered on the way.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Serialize, Serializer};

/// Names one piece of work among all of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TaskId(u64);

impl TaskId {
    /// A number that no other task of this process has.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a piece of work does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskKind {
    /// Copies a blob or an image between stores.
    Copy,
    /// Verifies blobs against their digests.
    Verify,
    /// Reads a layer's entries without writing any to a file system.
    Index,
    /// Writes a layer's or an image's files to a file system.
    Extract,
    /// Reads files of two trees, to see whether they are the same.
    Compare,
    /// Computes content digests of a build context's files.
    Fingerprint,
    /// Makes a layer.
    Pack,
    /// Removes blobs that nothing needs.
    Collect,
    /// Gets files from an address.
    Fetch,
    /// Carries out one instruction of a Dockerfile.
    Step,
    /// Runs the command of a RUN; its label is that of the step.
    Run,
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// An earlier result served.
    Cached,
    /// It failed or was cancelled; the error goes to the caller.
    Failed,
}

/// What kind of thing a [`Event::Notice`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NoticeKind {
    /// Something of the input was left out.
    Skipped,
    /// Something of the input was changed, or read other than it says.
    Altered,
    /// The input is probably not what its author meant.
    Warning,
}

/// What an [`Observer`] is told.
///
/// Serialised, it is an object whose `event` is `begin`, `advance`, `because`, `output`, `end` or `notice`, with the fields beside it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Event<'a> {
    /// A piece of work begins.
    #[non_exhaustive]
    Begin {
        /// Its name in the events that follow.
        task: TaskId,
        /// What it does.
        kind: TaskKind,
        /// What it does it to, for a person.
        label: &'a str,
        /// How many bytes are ahead, where known.
        bytes: Option<u64>,
    },
    /// A piece of work came further.
    #[non_exhaustive]
    Advance {
        /// Which one.
        task: TaskId,
        /// Bytes since the last event of this task. Tasks that run at once may count different ones: of a blob as it is
        /// stored, and of the files that come out of it.
        bytes: u64,
        /// Items (files, entries, blobs) since the last event of this task.
        items: u64,
    },
    /// A reason why a piece of work is carried out, though an earlier result might have served.
    #[non_exhaustive]
    Because {
        /// Which one.
        task: TaskId,
        /// Why, for a person; one line.
        reason: &'a str,
    },
    /// A program that a piece of work runs wrote something.
    #[non_exhaustive]
    Output {
        /// Which one.
        task: TaskId,
        /// A line with its end, as it was written; of a very long line a part, and of the last one what there is.
        /// All of them together are all that was written. Serialised, it is text, with what is no UTF-8 replaced.
        #[serde(serialize_with = "as_text")]
        line: &'a [u8],
    },
    /// A piece of work ended.
    #[non_exhaustive]
    End {
        /// Which one.
        task: TaskId,
        /// How.
        outcome: Outcome,
    },
    /// Something was skipped or altered, or looks wrong, and the work goes on.
    #[non_exhaustive]
    Notice {
        /// Which kind of thing.
        kind: NoticeKind,
        /// What it is about: a path, a digest, a place in a file.
        subject: &'a str,
        /// What happened.
        message: &'a str,
    },
}

fn as_text<S: Serializer>(line: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(line))
}

/// Is told of progress. One for all crates; it must not block and cannot fail.
///
/// It is called by the threads that work, several at once, which wait for it: let it count, and another thread show. Nothing is
/// told while nothing comes further.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Observer for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// A piece of work under observation: says that it failed unless told otherwise.
pub struct Task<'a> {
    observer: &'a dyn Observer,
    id: TaskId,
    outcome: Outcome,
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl<'a> Task<'a> {
    pub(crate) fn begin(observer: &'a dyn Observer, kind: TaskKind, label: &str, bytes: Option<u64>) -> Self {
        let id = TaskId::next();
        observer.event(&Event::Begin { task: id, kind, label, bytes });
        Self { observer, id, outcome: Outcome::Failed }
    }

    /// Tells of progress since the last call.
    pub fn advance(&self, bytes: u64, items: u64) {
        self.observer.event(&Event::Advance { task: self.id, bytes, items });
    }

    /// Tells a reason why the work is carried out.
    pub fn because(&self, reason: &str) {
        self.observer.event(&Event::Because { task: self.id, reason });
    }

    /// Tells what a program of the work wrote: a line with its end, as it was written.
    pub fn output(&self, line: &[u8]) {
        self.observer.event(&Event::Output { task: self.id, line });
    }

    /// Ends the work well.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.observer.event(&Event::End { task: self.id, outcome: self.outcome });
    }
}
