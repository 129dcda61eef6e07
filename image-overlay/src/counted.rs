//! Telling how much of a blob was read.

use std::io::{self, Read};

use image_core::observer::Task;

/// How many bytes are read before they are told of.
const STEP: u64 = 1 << 20;

/// Tells a task of what is read through it.
pub(crate) struct Counted<'a, R> {
    inner: R,
    task: &'a Task<'a>,
    untold: u64,
}

impl<'a, R> Counted<'a, R> {
    pub(crate) fn new(inner: R, task: &'a Task<'a>) -> Self {
        Self { inner, task, untold: 0 }
    }

    /// The reader below, after all that was read is told of.
    #[cfg(target_os = "linux")]
    pub(crate) fn into_inner(mut self) -> R {
        self.tell();
        self.inner
    }

    fn tell(&mut self) {
        if self.untold > 0 {
            self.task.advance(std::mem::take(&mut self.untold), 0);
        }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.untold += n as u64;
        if n == 0 || self.untold >= STEP {
            self.tell();
        }
        Ok(n)
    }
}
