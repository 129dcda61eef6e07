//! Threads that compress pieces of a gzip stream.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::gzip_piece::{Piece, Place};

type Answer = io::Result<Piece>;

struct Job {
    piece: Piece,
    reply: SyncSender<Answer>,
}

/// Compresses pieces, none of them the last, in parallel and gives them back in order.
pub(super) struct Pool {
    /// Dropped first to end the workers.
    jobs: Option<Sender<Job>>,
    pending: VecDeque<Receiver<Answer>>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts up to `threads` threads: fewer, or none, where the system has no more to give.
    pub(super) fn start(threads: usize, level: u8) -> Self {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..threads)
            .map_while(|_| {
                let queue = Arc::clone(&queue);
                thread::Builder::new().name("gzip".to_owned()).spawn(move || work(&queue, level)).ok()
            })
            .collect();
        Self { jobs: Some(jobs), pending: VecDeque::new(), workers }
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
    pub(super) fn submit(&mut self, piece: Piece) -> io::Result<()> {
        let (reply, answer) = sync_channel(1);
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { piece, reply }).is_ok());
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
    /// Waits for the threads, which have about two pieces each to go.
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A panic of a worker has shown as a lost answer where anyone waited for it.
            drop(worker.join());
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, level: u8) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(Job { mut piece, reply }) = job else { return };
        let answer = piece.compress(level, Place::Inner).map(|()| piece);
        // Nobody waits for the answer where the encoder was dropped.
        drop(reply.send(answer));
    }
}

fn worker_lost() -> io::Error {
    io::Error::other("a compressing thread ended early")
}
