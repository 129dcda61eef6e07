//! Threads that compress the pieces of one stream.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::piece::{Compress, Piece, Place};

type Answer = io::Result<Piece>;

struct Job {
    piece: Piece,
    place: Place,
    reply: SyncSender<Answer>,
}

/// Compresses pieces in parallel and gives them back in order.
pub(super) struct Pool {
    /// Dropped first to end the workers.
    jobs: Option<Sender<Job>>,
    pending: VecDeque<Receiver<Answer>>,
    workers: Vec<JoinHandle<()>>,
    /// Nobody waits for what was not begun yet.
    is_abandoned: Arc<AtomicBool>,
}

impl Pool {
    /// Starts up to `threads` threads: fewer, or none, where the system has no more to give.
    pub(super) fn start<C: Compress>(threads: usize, level: u8) -> Self {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let workers = (0..threads)
            .map_while(|_| {
                let (queue, is_abandoned) = (Arc::clone(&queue), Arc::clone(&is_abandoned));
                let compressor = C::new(level).ok()?;
                let name = C::NAME.to_owned();
                thread::Builder::new().name(name).spawn(move || work(&queue, &is_abandoned, compressor)).ok()
            })
            .collect();
        Self { jobs: Some(jobs), pending: VecDeque::new(), workers, is_abandoned }
    }

    /// Whether it cannot compress at all.
    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Whether as many pieces are under way as memory is meant for: one for each thread, and
    /// half as many again to keep all of them busy while the oldest one is waited for.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() > self.workers.len() + self.workers.len() / 2
    }

    /// Hands a piece to the next idle thread.
    pub(super) fn submit(&mut self, piece: Piece, place: Place) -> io::Result<()> {
        let (reply, answer) = sync_channel(1);
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { piece, place, reply }).is_ok());
        if !sent {
            return Err(worker_lost());
        }
        self.pending.push_back(answer);
        Ok(())
    }

    /// Waits for the oldest piece under way; `None` where there is none.
    pub(super) fn next(&mut self) -> Option<Answer> {
        let answer = self.pending.pop_front()?;
        Some(answer.recv().unwrap_or_else(|_| Err(worker_lost())))
    }
}

impl Drop for Pool {
    /// Waits for the threads, which have at most a piece each to go.
    fn drop(&mut self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A panic of a worker has shown as a lost answer where anyone waited for it.
            drop(worker.join());
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, is_abandoned: &AtomicBool, mut compressor: impl Compress) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(Job { mut piece, place, reply }) = job else { return };
        if is_abandoned.load(Ordering::Relaxed) {
            return;
        }
        let answer = piece.compress(&mut compressor, place).map(|()| piece);
        // Nobody waits for the answer where the encoder was dropped.
        drop(reply.send(answer));
    }
}

fn worker_lost() -> io::Error {
    io::Error::other("a compressing thread ended early")
}
