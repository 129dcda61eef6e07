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

use super::gzip_chunk::{Place, compress};

type Compressed = io::Result<Vec<u8>>;

struct Job {
    piece: Vec<u8>,
    reply: SyncSender<Compressed>,
}

/// Compresses pieces, none of them the last, in parallel and gives them back in order.
pub(super) struct Pool {
    /// Dropped first to end the workers.
    jobs: Option<Sender<Job>>,
    pending: VecDeque<Receiver<Compressed>>,
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

    /// Whether as many pieces are under way as memory is meant for: two for each thread.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= 2 * self.workers.len()
    }

    /// Hands a piece to the next idle thread.
    pub(super) fn submit(&mut self, piece: Vec<u8>) -> io::Result<()> {
        let (reply, answer) = sync_channel(1);
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { piece, reply }).is_ok());
        if !sent {
            return Err(worker_lost());
        }
        self.pending.push_back(answer);
        Ok(())
    }

    /// Waits for the oldest piece under way; `None` where there is none.
    pub(super) fn next(&mut self) -> Option<Compressed> {
        let answer = self.pending.pop_front()?;
        Some(answer.recv().unwrap_or_else(|_| Err(worker_lost())))
    }
}

impl Drop for Pool {
    /// Waits for the threads, which have at most two pieces each to go.
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
        let Ok(Job { piece, reply }) = job else { return };
        // Nobody waits for the answer where the encoder was dropped.
        drop(reply.send(compress(&piece, level, Place::Inner)));
    }
}

fn worker_lost() -> io::Error {
    io::Error::other("a compressing thread ended early")
}
