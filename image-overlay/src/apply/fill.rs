//! Filling files that were made with their content and giving them their attributes, on a thread of its own: meanwhile the
//! next ones are made.

use std::{
    mem,
    os::fd::AsFd,
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use image_core::{Timestamp, parallel};
use rustix::fs::ftruncate;

use super::fault::{Doing, Fault};
use crate::{
    error::Result,
    path::LayerPath,
    root::{Node, chmod, chown, set_mtime_and_atime, write_at},
};

/// How many bytes are handed over at once.
const BYTES: usize = 256 << 10;
/// How many steps are handed over at once, of which a file takes two or three: with [`AHEAD`] they bound how many files are
/// open, to less than two hundred.
const STEPS: usize = 48;
/// How often that may be waiting.
const AHEAD: usize = 6;

/// What a file gets when its content is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mode: Option<u32>,
    pub(super) mtime: Timestamp,
}

impl Attributes {
    pub(super) fn set(&self, node: &Node) -> Result<(), Fault> {
        if let Some((uid, gid)) = self.owner {
            chown(node, uid, gid).doing("set the owner")?;
        }
        if let Some(mode) = self.mode {
            chmod(node, mode).doing("set the mode")?;
        }
        set_mtime_and_atime(node, self.mtime).doing("set the time")
    }
}

/// A file that was made for an entry of a stream.
pub(super) struct NewFile {
    pub(super) node: Node,
    pub(super) number: u64,
    pub(super) path: LayerPath,
}

enum Step {
    Begin(NewFile),
    /// The next bytes are written here.
    Write {
        offset: u64,
        length: usize,
    },
    /// It gets this length, where that is not where its data ends, and its attributes.
    End {
        length: Option<u64>,
        attributes: Attributes,
    },
}

/// Steps, and the bytes that they write, one behind the other.
#[derive(Default)]
struct Batch {
    steps: Vec<Step>,
    bytes: Vec<u8>,
}

/// Takes files to be filled, one after the other. Those that it has when it is dropped may not be whole.
///
/// What goes wrong with one of them is the error of a later call.
#[derive(Default)]
pub(super) struct Filler {
    batch: Batch,
    by: By,
}

/// Who fills them.
#[derive(Default)]
enum By {
    /// To be decided when there is more than a little.
    #[default]
    Nobody,
    Caller(Filling),
    Thread(Worker),
}

impl Filler {
    pub(super) fn begin(&mut self, file: NewFile) -> Result<()> {
        self.add(Step::Begin(file))
    }

    /// Writes these bytes of the file that was begun.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.batch.bytes.len() + bytes.len() > BYTES {
            self.hand_over()?;
        }
        self.batch.bytes.extend_from_slice(bytes);
        self.add(Step::Write { offset, length: bytes.len() })
    }

    /// Ends the file that was begun.
    pub(super) fn end(&mut self, length: Option<u64>, attributes: Attributes) -> Result<()> {
        self.add(Step::End { length, attributes })
    }

    fn add(&mut self, step: Step) -> Result<()> {
        self.batch.steps.push(step);
        if self.batch.steps.len() < STEPS { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<()> {
        if matches!(self.by, By::Nobody) {
            let worker = if parallel::threads().get() > 1 { Worker::start() } else { None };
            self.by = worker.map_or_else(|| By::Caller(Filling::default()), By::Thread);
        }
        match &mut self.by {
            By::Thread(worker) => worker.submit(&mut self.batch),
            By::Caller(filling) => filling.run(&mut self.batch),
            By::Nobody => Ok(()),
        }
    }

    /// Waits until all files are filled.
    pub(super) fn finish(&mut self) -> Result<()> {
        match mem::take(&mut self.by) {
            By::Thread(mut worker) => worker.submit(&mut self.batch).and_then(|()| worker.join()),
            By::Caller(mut filling) => filling.run(&mut self.batch),
            By::Nobody => Filling::default().run(&mut self.batch),
        }
    }
}

/// The thread that fills files.
struct Worker {
    /// `None` when it is to end.
    batches: Option<SyncSender<Batch>>,
    spare: Receiver<Batch>,
    /// `None` when it has ended.
    thread: Option<JoinHandle<Result<()>>>,
}

impl Worker {
    fn start() -> Option<Self> {
        let (batches, submitted) = sync_channel::<Batch>(AHEAD);
        let (done, spare) = channel();
        let work = move || {
            let mut filling = Filling::default();
            while let Ok(mut batch) = submitted.recv() {
                filling.run(&mut batch)?;
                // Fails only where there is nothing more to come.
                drop(done.send(batch));
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("fill".to_owned()).spawn(work).ok()?;
        Some(Self { batches: Some(batches), spare, thread: Some(thread) })
    }

    fn submit(&mut self, batch: &mut Batch) -> Result<()> {
        let full = mem::replace(batch, self.spare.try_recv().unwrap_or_default());
        match &self.batches {
            Some(batches) if batches.send(full).is_ok() => Ok(()),
            _ => self.join(),
        }
    }

    /// Waits for the thread to end, and gives the error for which it did.
    fn join(&mut self) -> Result<()> {
        self.batches = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Worker {
    /// Nothing is written when this is over.
    fn drop(&mut self) {
        self.batches = None;
        // What it says is of no use to whoever failed for another reason.
        self.thread.take().map(JoinHandle::join);
    }
}

/// The file that is being filled.
#[derive(Default)]
struct Filling {
    file: Option<NewFile>,
}

impl Filling {
    fn run(&mut self, batch: &mut Batch) -> Result<()> {
        let mut bytes = batch.bytes.as_slice();
        for step in batch.steps.drain(..) {
            match step {
                Step::Begin(file) => self.file = Some(file),
                Step::Write { offset, length } => {
                    let (now, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
                    bytes = rest;
                    self.to_file(|node| write_at(node.as_fd(), now, offset).doing("write the file"))?;
                }
                Step::End { length, attributes } => {
                    self.to_file(|node| {
                        let set = length.map_or(Ok(()), |length| ftruncate(node, length));
                        set.doing("set the length of the file")?;
                        attributes.set(node)
                    })?;
                    self.file = None;
                }
            }
        }
        batch.bytes.clear();
        Ok(())
    }

    fn to_file(&self, do_it: impl FnOnce(&Node) -> Result<(), Fault>) -> Result<()> {
        let Some(NewFile { node, number, path }) = &self.file else { return Ok(()) };
        do_it(node).map_err(|fault| fault.of_entry(*number, path))
    }
}
