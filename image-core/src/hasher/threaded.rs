//! Hashing on a thread beside the one that has the content.

use std::{
    fmt, mem, panic,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use super::Hasher;
use crate::{digest::Digest, error::Result, parallel};

/// How much is hashed before a thread is worth its while, in bytes.
const ALONE: u64 = 1 << 20;
/// Bytes of one piece of the content.
const PIECE: usize = 256 << 10;
/// How many pieces may wait to be hashed.
const AHEAD: usize = 4;

/// Computes a [`Digest`] from bytes as they come, for who makes or writes them meanwhile: once there was a MiB of them, those
/// that follow are hashed on a thread of its own. Where there is but one processor, or no thread to be had, all are hashed
/// where they come.
pub struct ThreadedHasher {
    count: u64,
    state: State,
}

impl Default for ThreadedHasher {
    fn default() -> Self {
        Self::sha256()
    }
}

enum State {
    /// Where it is little so far, and whether a thread may have more of it; or where none can be had.
    Here {
        hasher: Hasher,
        may_move: bool,
    },
    Beside(Beside),
}

/// The side of the thread's user.
struct Beside {
    pieces: SyncSender<Vec<u8>>,
    hashed: Receiver<Vec<u8>>,
    thread: JoinHandle<Hasher>,
    /// What is too little to be handed over.
    piece: Vec<u8>,
}

impl fmt::Debug for ThreadedHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadedHasher").field("count", &self.count).finish_non_exhaustive()
    }
}

impl ThreadedHasher {
    /// A hasher for SHA-256.
    #[must_use]
    pub fn sha256() -> Self {
        Self::new(Hasher::sha256())
    }

    /// A hasher for content that `digest` names.
    ///
    /// # Errors
    /// [`Error::is_unsupported`](crate::Error::is_unsupported) for an algorithm other than sha256 and sha512.
    pub fn for_digest(digest: &Digest) -> Result<Self> {
        Hasher::for_digest(digest).map(Self::new)
    }

    fn new(hasher: Hasher) -> Self {
        Self { count: 0, state: State::Here { hasher, may_move: parallel::threads().get() > 1 } }
    }

    /// How many bytes were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds bytes to the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        match &mut self.state {
            State::Here { hasher, may_move } => {
                hasher.update(bytes);
                if *may_move && self.count >= ALONE {
                    *may_move = false;
                    if let Some(beside) = Beside::begin(hasher) {
                        self.state = State::Beside(beside);
                    }
                }
            }
            State::Beside(beside) => beside.update(bytes),
        }
    }

    /// Waits until all that was added is hashed, and gives back the thread and its memory.
    pub(crate) fn settle(&mut self) {
        let idle = State::Here { hasher: Hasher::default(), may_move: true };
        self.state = match mem::replace(&mut self.state, idle) {
            State::Beside(beside) => State::Here { hasher: beside.finish(), may_move: true },
            here => here,
        };
    }

    /// The digest of all bytes added.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.state {
            State::Here { hasher, .. } => hasher,
            State::Beside(beside) => beside.finish(),
        }
        .finish()
    }
}

impl Beside {
    /// Has a thread go on with what the hasher has; `None` where there is no thread to be had.
    fn begin(hasher: &Hasher) -> Option<Self> {
        let (pieces, coming) = sync_channel(AHEAD);
        let (done, hashed) = channel();
        let hasher = hasher.clone();
        let spawned = thread::Builder::new().name("hash".to_owned()).spawn(move || hash(hasher, &coming, &done));
        Some(Self { pieces, hashed, thread: spawned.ok()?, piece: Vec::with_capacity(PIECE) })
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == PIECE {
                let next = self.hashed.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
                self.send(next);
            }
        }
    }

    fn send(&mut self, next: Vec<u8>) {
        // Fails only where the thread panicked, which `finish` tells.
        drop(self.pieces.send(mem::replace(&mut self.piece, next)));
    }

    fn finish(mut self) -> Hasher {
        self.send(Vec::new());
        drop(self.pieces);
        self.thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}

/// Hashes pieces until no more can come, and gives their memory back.
fn hash(mut hasher: Hasher, coming: &Receiver<Vec<u8>>, done: &Sender<Vec<u8>>) -> Hasher {
    for mut piece in coming {
        hasher.update(&piece);
        piece.clear();
        // Fails only where nobody has more to add.
        drop(done.send(piece));
    }
    hasher
}
