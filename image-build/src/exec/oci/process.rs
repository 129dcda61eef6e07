//! A run under way, from its start to its end.

use std::{
    io::{self, ErrorKind, PipeReader, Read, Write},
    os::fd::AsFd,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use image_core::Ctx;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use super::RunDir;
use crate::{
    error::{Error, Result, excerpt},
    exec::{
        Exit,
        output::{Lines, Tail},
    },
};

/// How long it is waited for output before it is looked whether the run was cancelled.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// How long it is waited between two looks at a process that writes nothing any more.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the processes of a run that was killed are waited for.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// How much of a complaint of the shell's or the runtime's is told, in characters.
const MAX_COMPLAINT: usize = 1024;

/// Standard output or standard error.
struct Stream {
    pipe: PipeReader,
    lines: Lines,
}

/// The processes of a run. They are killed when this is dropped before their end.
pub(super) struct Process<'a> {
    child: Child,
    /// What is left of the two streams, which are read apart: lines of one are not torn by the other.
    streams: Vec<Stream>,
    tail: Tail,
    dir: &'a RunDir,
    is_over: bool,
}

impl<'a> Process<'a> {
    /// Starts the shell, and gives it what it reads.
    pub(super) fn start(mut command: Command, input: &[u8], dir: &'a RunDir) -> Result<Self> {
        let failed = |e| Error::stream("start the command's runtime", e);
        let mut streams = Vec::new();
        let mut stream = || -> io::Result<Stdio> {
            let (pipe, writer) = io::pipe()?;
            streams.push(Stream { pipe, lines: Lines::default() });
            Ok(writer.into())
        };
        command.current_dir(dir.path()).stdin(Stdio::piped());
        command.stdout(stream().map_err(failed)?).stderr(stream().map_err(failed)?);
        let child = command.spawn().map_err(failed)?;
        // It holds the other ends of the pipes, which would never end.
        drop(command);
        let mut process = Self { child, streams, tail: Tail::default(), dir, is_over: false };
        if let Some(mut stdin) = process.child.stdin.take() {
            match stdin.write_all(input) {
                // It ended before it read all: why, it tells itself.
                Err(e) if e.kind() == ErrorKind::BrokenPipe => {}
                result => result.map_err(failed)?,
            }
        }
        Ok(process)
    }

    /// Passes on all output, and waits for the end.
    pub(super) fn wait(mut self, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> Result<Exit> {
        self.pass_on(output, ctx)?;
        let status = loop {
            ctx.check()?;
            match self.child.try_wait().map_err(|e| Error::stream("wait for the command", e))? {
                Some(status) => break status,
                None => thread::sleep(PAUSE),
            }
        };
        self.is_over = true;
        let tail = self.tail.text();
        let status = number(status);
        match self.complaint(status, &tail) {
            Some(reason) => Err(Error::Runtime { reason }),
            None => Ok(Exit::new(status).with_tail(tail)),
        }
    }

    fn pass_on(&mut self, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> Result<()> {
        let failed = |e| Error::stream("read the command's output", e);
        let mut buffer = [0; 32 << 10];
        while !self.streams.is_empty() {
            ctx.check()?;
            let mut ready: Vec<_> = self
                .streams
                .iter()
                .map(|stream| PollFd::from_borrowed_fd(stream.pipe.as_fd(), PollFlags::IN))
                .collect();
            match poll(&mut ready, Some(&PATIENCE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                result => result.map_err(|e| failed(e.into()))?,
            };
            let ready: Vec<_> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut ended = Vec::new();
            for (number, stream) in
                self.streams.iter_mut().enumerate().filter(|(number, _)| ready.get(*number) == Some(&true))
            {
                match stream.pipe.read(&mut buffer) {
                    Ok(0) => {
                        stream.lines.flush(&mut self.tail, output);
                        ended.push(number);
                    }
                    Ok(count) => stream.lines.push(buffer.get(..count).unwrap_or_default(), &mut self.tail, output),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(failed(e)),
                }
            }
            ended.into_iter().rev().for_each(|number| drop(self.streams.remove(number)));
        }
        Ok(())
    }

    /// Why the command did not come to run, where it did not.
    fn complaint(&self, status: i32, tail: &str) -> Option<String> {
        if !self.dir.has("ready") {
            let said = self.dir.read("setup");
            let said = if said.is_empty() { tail.to_owned() } else { said };
            return Some(format!("preparing it failed: {}", excerpt(said.trim_end(), MAX_COMPLAINT)));
        }
        if status == 0 {
            return None;
        }
        let log = self.dir.read("log");
        let said =
            log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()).rfind(|line| line.level == "error");
        said.map(|line| excerpt(&line.msg, MAX_COMPLAINT))
    }
}

/// A line of a runtime's log.
#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // Its parent ends when it has ended, and it when all others in its namespace have.
        if !self.dir.kill() {
            drop(self.child.kill());
        }
        let deadline = Instant::now() + LAST_WAIT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(PAUSE),
                _ => return,
            }
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The status as shells tell it.
fn number(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}
