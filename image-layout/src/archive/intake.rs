//! A member of an archive on its way in: copied, and read as a layer at the same time.

use std::io::{self, Read};

use image_core::{
    Compression, DiffId, Error as CoreError,
    codec::{DecodeOptions, Decoder},
    hasher::Hasher,
    observer::Task,
};

use super::{budget::Budget, members::Members};
use crate::error::{Error, Result};

/// How much is read at once, in bytes.
const BUFFER: usize = 128 << 10;

/// What a file is when taken for a layer.
#[derive(Debug, Clone)]
pub(super) enum Plain {
    /// Not compressed: its digest is its diffID.
    Same,
    /// Compressed.
    Compressed(Compression, DiffId),
    /// Not readable as a layer, and why.
    Broken(String),
}

/// One member on its way in.
pub(super) struct Intake<'a, R> {
    pub(super) members: &'a mut Members<R>,
    task: &'a Task<'a>,
    budget: &'a Budget<'a>,
    /// What kept the archive from being read or the blob from being written.
    failure: Option<Error>,
}

impl<'a, R: Read> Intake<'a, R> {
    /// The member that was read last.
    pub(super) fn new(members: &'a mut Members<R>, task: &'a Task<'a>, budget: &'a Budget<'a>) -> Self {
        Self { members, task, budget, failure: None }
    }

    /// Copies the rest of the member.
    pub(super) fn copy(&mut self, to: &mut dyn io::Write) -> Result<()> {
        let copied = io::copy(&mut Tee { intake: self, to }, &mut io::sink());
        self.settle(copied.map(drop))
    }

    /// Copies the member, and reads it as a layer at the same time.
    pub(super) fn layer(&mut self, to: &mut dyn io::Write) -> Result<Plain> {
        let budget = self.budget;
        let plain = settled(read_layer(Tee { intake: self, to }, budget));
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let plain = plain?;
        // What is no layer is still a file.
        self.copy(to)?;
        Ok(plain)
    }

    fn settle(&mut self, result: io::Result<()>) -> Result<()> {
        match (self.failure.take(), result) {
            (Some(failure), _) => Err(failure),
            (None, result) => Ok(result.map_err(|error| CoreError::stream("read the archive", error))?),
        }
    }

    fn transfer(&mut self, to: &mut dyn io::Write, buf: &mut [u8]) -> Result<usize> {
        let count = self.members.read(buf)?;
        let written = to.write_all(buf.get(..count).unwrap_or_default());
        written.map_err(|error| CoreError::stream("write the blob", error))?;
        self.task.advance(count as u64, 0);
        Ok(count)
    }
}

/// Reads a member, and writes what is read.
struct Tee<'a, 'b, R> {
    intake: &'a mut Intake<'b, R>,
    to: &'a mut dyn io::Write,
}

impl<R: Read> Read for Tee<'_, '_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.intake.failure.is_some() {
            return Err(io::Error::other("an earlier read of this archive failed"));
        }
        self.intake.transfer(self.to, buf).map_err(|error| {
            let summary = io::Error::other(error.to_string());
            self.intake.failure = Some(error);
            summary
        })
    }
}

/// Reads a layer to its end.
pub(super) fn read_layer(reader: impl Read, budget: &Budget<'_>) -> Result<Plain, CoreError> {
    let mut decoder = Decoder::detect(reader, Compression::None, &DecodeOptions::default())?;
    let compression = decoder.compression();
    let mut hasher = (compression != Compression::None).then(Hasher::sha256);
    let mut buffer = vec![0; BUFFER];
    let mut size = 0_u64;
    loop {
        let count = match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CoreError::stream("decompress the layer", error)),
        };
        size = size.saturating_add(count as u64);
        budget.check_layer(size)?;
        // What is not compressed was counted as the archive was read.
        if let Some(hasher) = &mut hasher {
            budget.admit(count as u64)?;
            hasher.update(buffer.get(..count).unwrap_or_default());
        }
    }
    Ok(match hasher {
        None => Plain::Same,
        Some(hasher) => Plain::Compressed(compression, DiffId::from_digest(hasher.finish())),
    })
}

/// What was read of a layer; past a limit nothing more is, nor when somebody cancels.
pub(super) fn settled(plain: Result<Plain, CoreError>) -> Result<Plain> {
    match plain {
        Ok(plain) => Ok(plain),
        Err(error @ (CoreError::LimitExceeded { .. } | CoreError::Cancelled)) => Err(error.into()),
        Err(error) => Ok(Plain::Broken(reason(&error))),
    }
}

/// An error and its causes in one line.
fn reason(error: &CoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
