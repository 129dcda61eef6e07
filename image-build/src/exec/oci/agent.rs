//! A socket for the run that leads to an agent's socket.

use std::{
    fs::File,
    io,
    net::Shutdown,
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::error::{Error, Result};

/// How many connections there may be at once.
const MAX_CONNECTIONS: usize = 64;

/// A listening socket in the directory of a run. The run's user owns it, whoever owns the agent's, and the agent's
/// is never seen in the run.
#[derive(Debug)]
pub(super) struct AgentSocket {
    /// How to reach the socket, however long the path of its directory is.
    address: PathBuf,
    /// Open for as long as the address is used.
    _directory: File,
    is_over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl AgentSocket {
    /// Listens at `name` in an open directory, and passes on to `agent`.
    pub(super) fn listen(directory: &File, name: &str, agent: &Path) -> Result<Self> {
        let failed = |e| Error::io("open a socket to", agent, e);
        // Better said now than as a puzzle of the command's.
        drop(UnixStream::connect(agent).map_err(failed)?);
        let directory = directory.try_clone().map_err(failed)?;
        let address = PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()));
        let listener = UnixListener::bind(&address).map_err(failed)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, agent) = (Arc::clone(&is_over), agent.to_owned());
        let listener = thread::Builder::new().spawn(move || accept(&listener, &agent, &over)).map_err(failed)?;
        Ok(Self { address, _directory: directory, is_over, listener: Some(listener) })
    }
}

impl Drop for AgentSocket {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener up. Where it cannot be reached, it has nothing to wait for either.
        if UnixStream::connect(&self.address).is_ok()
            && let Some(listener) = self.listener.take()
        {
            drop(listener.join());
        }
    }
}

fn accept(listener: &UnixListener, agent: &Path, is_over: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    for client in listener.incoming() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(client) = client else { continue };
        if open.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
            continue;
        }
        if let Ok(agent) = UnixStream::connect(agent) {
            open.fetch_add(1, Ordering::Relaxed);
            let open = Arc::clone(&open);
            // A client that gets no thread sees its connection end.
            drop(thread::Builder::new().spawn(move || {
                relay(&client, &agent);
                open.fetch_sub(1, Ordering::Relaxed);
            }));
        }
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
