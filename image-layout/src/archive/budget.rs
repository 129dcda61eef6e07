//! How much may be read of an archive, and for how long.

use std::{
    cell::Cell,
    io::{self, Read},
};

use image_core::{Ctx, Error as CoreError};

use super::{LoadOptions, names::display};

/// How many bytes of documents are read: one may be named many times, and is read each time.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// Counts what is read, wherever it is in the archive.
pub(super) struct Budget<'a> {
    layer_bytes: u64,
    total_bytes: u64,
    read: Cell<u64>,
    documents: Cell<u64>,
    ctx: &'a Ctx,
}

impl<'a> Budget<'a> {
    pub(super) fn new(options: &LoadOptions, ctx: &'a Ctx) -> Self {
        Self {
            layer_bytes: options.layer_bytes.unwrap_or(u64::MAX),
            total_bytes: options.total_bytes.unwrap_or(u64::MAX),
            read: Cell::default(),
            documents: Cell::default(),
            ctx,
        }
    }

    pub(super) fn ctx(&self) -> &'a Ctx {
        self.ctx
    }

    /// Takes bytes that are not compressed any more.
    pub(super) fn admit(&self, count: u64) -> Result<(), CoreError> {
        self.ctx.check()?;
        spend(&self.read, count, || "archive and its layers, uncompressed, in bytes".into(), self.total_bytes)
    }

    /// Says whether a plain layer may have so many bytes.
    pub(super) fn check_layer(&self, size: u64) -> Result<(), CoreError> {
        if size > self.layer_bytes {
            return Err(CoreError::limit("plain layer, in bytes", self.layer_bytes));
        }
        Ok(())
    }

    /// Takes a document that is about to be read.
    pub(super) fn admit_document(&self, name: &[u8], size: u64) -> Result<(), CoreError> {
        self.ctx.check()?;
        let what = || format!("documents read of the archive up to {}, in bytes", display(name));
        spend(&self.documents, size, what, MAX_DOCUMENT_BYTES)
    }
}

fn spend(spent: &Cell<u64>, count: u64, what: impl Fn() -> String, limit: u64) -> Result<(), CoreError> {
    spent.set(spent.get().saturating_add(count));
    if spent.get() > limit { Err(CoreError::limit(what(), limit)) } else { Ok(()) }
}

/// The plain bytes of an archive, which are counted as they are read.
pub(super) struct Counted<'a, R> {
    reader: R,
    budget: &'a Budget<'a>,
}

impl<'a, R: Read> Counted<'a, R> {
    pub(super) fn new(reader: R, budget: &'a Budget<'a>) -> Self {
        Self { reader, budget }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buf)?;
        self.budget.admit(count as u64)?;
        Ok(count)
    }
}
