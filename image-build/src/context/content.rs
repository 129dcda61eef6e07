//! What a file of a directory holds, in one state.

use std::{fs::File, os::fd::OwnedFd, path::PathBuf};

use image_core::{Ctx, hasher::Sha256};
use rustix::{
    fs::{FileType, Stat},
    io::Errno,
};

use super::{
    open::{open_in, read_in, xattrs},
    status::Status,
};
use crate::{
    error::{Error, Result},
    files::{FileFacts, Xattrs},
    stat_cache::Fact,
};

/// The content of a file and its extended attributes.
pub(super) struct Content {
    pub(super) fact: Fact,
    pub(super) xattrs: Xattrs,
}

impl Content {
    /// All that a copy needs to know of a file of this size.
    pub(super) fn facts(self, size: u64) -> Box<FileFacts> {
        let xattrs = (!self.xattrs.is_empty()).then(|| Box::new(self.xattrs));
        Box::new(FileFacts { xattrs, ..FileFacts::plain(size, self.fact.sha256) })
    }
}

/// Reads files one after the other.
pub(super) struct ContentReader<'a> {
    ctx: &'a Ctx,
    buffer: Vec<u8>,
}

impl<'a> ContentReader<'a> {
    pub(super) fn new(ctx: &'a Ctx) -> Self {
        Self { ctx, buffer: vec![0; 256 << 10] }
    }

    /// Reads an open file that was last seen in this state, or only its extended attributes where the content is known;
    /// `None` where it changed meanwhile. The path is for errors.
    pub(super) fn read(
        &mut self,
        file: &mut File,
        before: &Status,
        known: Option<&Fact>,
        path: impl Fn() -> PathBuf,
    ) -> Result<Option<Content>> {
        let failed = |e: Errno| Error::io("read", path(), e.into());
        let (size, sha256) = match known {
            Some(fact) => (before.size, fact.sha256),
            // What came in the place of a file may refuse to be read.
            None => match self.hash(file, before.size, &path) {
                Err(_) if regular(file).is_ok_and(|stat| stat.is_none()) => return Err(Error::changed(path())),
                hashed => hashed?,
            },
        };
        let xattrs = xattrs(&*file).map_err(failed)?;
        let after = regular(file).map_err(failed)?.ok_or_else(|| Error::changed(path()))?;
        let is_same = *before == Status::of(&after) && size == before.size;
        Ok(is_same.then_some(Content { fact: Fact { sha256, has_xattrs: !xattrs.is_empty() }, xattrs }))
    }

    /// Reads what has this name in a directory, with its state; `None` for what cannot be opened or is no regular file.
    /// One that is not wanted, cannot be read or changed meanwhile has no content.
    pub(super) fn read_name(
        &mut self,
        directory: &OwnedFd,
        name: &[u8],
        is_wanted: impl Fn(&Stat) -> bool,
        path: impl Fn() -> PathBuf,
    ) -> Result<Option<(Stat, Option<Content>)>> {
        let Ok(mut file) = open_in(directory, name) else { return Ok(None) };
        let Ok(Some(stat)) = regular(&file) else { return Ok(None) };
        if !is_wanted(&stat) {
            return Ok(Some((stat, None)));
        }
        match self.read(&mut file, &Status::of(&stat), None, path) {
            Err(error) if error.is_cancelled() => Err(error),
            read => Ok(Some((stat, read.ok().flatten()))),
        }
    }

    /// Reads a file to its end, or to the size that it has.
    fn hash(&mut self, file: &mut File, expected: u64, path: impl Fn() -> PathBuf) -> Result<(u64, [u8; 32])> {
        let (mut hasher, mut size) = (Sha256::default(), 0);
        loop {
            self.ctx.check()?;
            let n = read_in(file, &mut self.buffer).map_err(|e| Error::io("read", path(), e))?;
            hasher.update(&self.buffer[..n]);
            size += n as u64;
            // That nothing comes after it, its status tells.
            if n == 0 || size >= expected {
                return Ok((size, hasher.finish()));
            }
        }
    }
}

/// The state of a regular file; `None` for what is none.
pub(super) fn regular(file: &File) -> Result<Option<Stat>, Errno> {
    let stat = rustix::fs::fstat(file)?;
    Ok((FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(stat))
}
