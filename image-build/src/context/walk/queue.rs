//! What is left to be done when a context is listed, for all threads.

use std::{
    ops::Range,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use image_overlay::LayerPath;

use super::names::Names;
use crate::ignore::Verdict;

/// Work for one thread.
pub(super) enum Job {
    /// A directory whose names are to be read.
    Open(Directory),
    /// Names of a directory whose files are to be looked at.
    Look(Opened),
}

/// A directory that was found.
#[derive(Clone)]
pub(super) struct Directory {
    pub(super) id: usize,
    pub(super) path: LayerPath,
    pub(super) verdict: Verdict,
}

/// Some of the names of a directory.
pub(super) struct Opened {
    pub(super) directory: Directory,
    pub(super) handle: Arc<OwnedFd>,
    pub(super) names: Arc<Names>,
    pub(super) range: Range<usize>,
}

/// The work that nobody took yet.
pub(super) struct Queue {
    state: Mutex<Jobs>,
    changed: Condvar,
}

struct Jobs {
    /// The last one is the next: of the directories that are open, few are.
    todo: Vec<Job>,
    /// How many are waiting or being done.
    open: usize,
    /// How many threads wait for one.
    idle: usize,
    /// How many directories there were so far.
    directories: usize,
    /// Whether nobody wants to hear of more.
    stopped: bool,
}

impl Queue {
    /// Begins with the root, which is directory 0.
    pub(super) fn new() -> Self {
        let root = Directory { id: 0, path: LayerPath::root(), verdict: Verdict::default() };
        let jobs = Jobs { todo: vec![Job::Open(root)], open: 1, idle: 0, directories: 1, stopped: false };
        Self { state: Mutex::new(jobs), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; `None` where there is none and none will come.
    pub(super) fn next(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            match jobs.todo.pop() {
                _ if jobs.stopped => return None,
                Some(job) => return Some(job),
                None if jobs.open == 0 => return None,
                None => {
                    jobs.idle += 1;
                    jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                    jobs.idle -= 1;
                }
            }
        }
    }

    /// Numbers for so many more directories, from the one given.
    pub(super) fn reserve(&self, count: usize) -> usize {
        let mut jobs = self.lock();
        jobs.directories += count;
        jobs.directories - count
    }

    /// More work.
    pub(super) fn add(&self, found: impl IntoIterator<Item = Job>) {
        let mut jobs = self.lock();
        let before = jobs.todo.len();
        jobs.todo.extend(found);
        jobs.open += jobs.todo.len() - before;
        // To wake nobody is a system call too.
        if jobs.idle > 0 {
            self.changed.notify_all();
        }
    }

    /// Ends a job.
    pub(super) fn done(&self) {
        let mut jobs = self.lock();
        jobs.open = jobs.open.saturating_sub(1);
        if jobs.open == 0 && jobs.idle > 0 {
            self.changed.notify_all();
        }
    }

    /// Nothing more is to be done.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}
