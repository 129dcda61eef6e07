//! A socket for the run that leads to an agent's socket.

use std::{
    fs::File,
    io,
    net::Shutdown,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, Result};

/// How many connections there may be at once.
const MAX_CONNECTIONS: usize = 64;

/// How long it is waited for a connection before it is looked whether the run is over.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A listening socket in the directory of a run. The run's user owns it, whoever owns the agent's, and the agent's
/// is never seen in the run.
#[derive(Debug)]
pub(super) struct AgentSocket {
    is_over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl AgentSocket {
    /// Listens at `name` in an open directory, and passes on to `agent`.
    pub(super) fn listen(directory: &File, name: &str, agent: &Path) -> Result<Self> {
        let failed = |e| Error::io("open a socket to", agent, e);
        // Better said now than as a puzzle of the command's.
        drop(UnixStream::connect(agent).map_err(failed)?);
        // The address of a socket is short, the path of a directory may be long.
        let address = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
        let listener = UnixListener::bind(address).map_err(failed)?;
        // A client that goes away before it is accepted must not hold the thread.
        listener.set_nonblocking(true).map_err(failed)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, agent) = (Arc::clone(&is_over), agent.to_owned());
        let listener = thread::Builder::new().spawn(move || serve(&listener, &agent, &over)).map_err(failed)?;
        Ok(Self { is_over, listener: Some(listener) })
    }
}

impl Drop for AgentSocket {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

/// Takes connections until the run is over.
fn serve(listener: &UnixListener, agent: &Path, is_over: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    while !is_over.load(Ordering::Relaxed) {
        let mut ready = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE)) == Ok(0) {
            continue;
        }
        let Ok((client, _)) = listener.accept() else { continue };
        // One too many, or one that finds no agent, sees its connection end.
        if open.load(Ordering::Relaxed) < MAX_CONNECTIONS
            && let Ok(agent) = UnixStream::connect(agent)
        {
            begin(client, agent, &open);
        }
    }
}

fn begin(client: UnixStream, agent: UnixStream, open: &Arc<AtomicUsize>) {
    let left = Arc::clone(open);
    open.fetch_add(1, Ordering::Relaxed);
    let begun = thread::Builder::new().spawn(move || {
        relay(&client, &agent);
        left.fetch_sub(1, Ordering::Relaxed);
    });
    if begun.is_err() {
        open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Passes bytes both ways until both are done.
fn relay(client: &UnixStream, agent: &UnixStream) {
    thread::scope(|scope| {
        scope.spawn(|| pass(client, agent));
        pass(agent, client);
    });
}

fn pass(mut from: &UnixStream, mut to: &UnixStream) {
    // A connection that breaks ends as one that is closed.
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Write));
}
