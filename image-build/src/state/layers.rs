//! Layers of earlier builds, and whether they are still what they were.

use std::{
    fs,
    io::{self, Read, Write},
    sync::Arc,
};

use image_core::{
    BlobSourceExt, BlobStore, BlobStoreExt, Ctx, Descriptor, DiffId, Digest, MediaType,
    hasher::Hasher,
    observer::{Outcome, TaskKind},
};
use image_overlay::LayerBlob;
use rustix::{fs::AtFlags, io::Errno};
use serde::{Deserialize, Serialize};

use super::BuildState;
use crate::{
    cache::RecordedLayer,
    context::status::Status,
    error::{Error, Result},
};

/// The largest mark that is read, in bytes.
const MAX_MARK: u64 = 4096;

/// What became of a recorded layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerCheck {
    /// It is there, and what its record says.
    Whole,
    /// Its blob is not there.
    Gone,
    /// Its blob is not what its digest says, and was removed; or it holds another layer than its record says.
    Damaged,
}

/// Whether a blob that did not change since it was found whole needs to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// No.
    Unchanged,
    /// Yes.
    Nothing,
}

/// That a blob in this state was found to be this layer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    #[serde(flatten)]
    status: Status,
    diff_id: DiffId,
}

impl BuildState {
    /// Whether a recorded layer is there and whole. A blob that changed since it was last found whole is read through,
    /// and removed where it is not what its digest says.
    pub(crate) fn check_layer(&self, layer: &RecordedLayer, trust: Trust, ctx: &Ctx) -> Result<LayerCheck> {
        let digest = &layer.descriptor.digest;
        let Some(status) = self.blob_status(digest)? else { return Ok(LayerCheck::Gone) };
        let mark = Mark { status, diff_id: layer.diff_id.clone() };
        if trust == Trust::Unchanged
            && status.size == layer.descriptor.size
            && self.mark(digest)?.as_ref() == Some(&mark)
        {
            return Ok(LayerCheck::Whole);
        }
        match self.read_layer(layer, ctx) {
            Ok(diff_id) if diff_id == *layer.diff_id.as_digest() => {
                self.put_mark(digest, &mark)?;
                Ok(LayerCheck::Whole)
            }
            Ok(_) => Ok(LayerCheck::Damaged),
            Err(e) if e.is_not_found() => Ok(LayerCheck::Gone),
            Err(e) if e.is_corrupt() => {
                self.blobs.remove(digest)?;
                Ok(LayerCheck::Damaged)
            }
            Err(e) => Err(e),
        }
    }

    /// Notes that a layer that was just made is whole. One that was there before is read, since nobody wrote it anew.
    pub(crate) fn adopt_layer(&self, layer: &RecordedLayer, since: image_core::Timestamp, ctx: &Ctx) -> Result<()> {
        let digest = &layer.descriptor.digest;
        match self.blob_status(digest)? {
            Some(status) if status.changed >= since => {
                self.put_mark(digest, &Mark { status, diff_id: layer.diff_id.clone() })
            }
            _ => match self.check_layer(layer, Trust::Unchanged, ctx)? {
                LayerCheck::Whole => Ok(()),
                // Gone now, so that the next attempt makes it.
                LayerCheck::Gone | LayerCheck::Damaged => Err(Error::LayerLost { digest: digest.clone() }),
            },
        }
    }

    /// Copies a layer to where an image is built. On one file system the two may be one file, and then what tells that it is as it
    /// was changes with its use there, and is noted anew; it was found whole or made by this very build.
    pub(crate) fn copy_layer(&self, layer: &LayerBlob, output: &dyn BlobStore, ctx: &Ctx) -> Result<()> {
        let digest = &layer.descriptor.digest;
        let before = self.blob_status(digest)?;
        let mark = self.mark(digest)?.filter(|mark| before == Some(mark.status));
        output.copy_from(&*layer.source, &layer.descriptor, ctx)?;
        let (Some(mark), Some(status)) = (mark, self.blob_status(digest)?) else { return Ok(()) };
        let is_one =
            (status.device, status.inode, status.size) == (mark.status.device, mark.status.inode, mark.status.size);
        if is_one && status != mark.status {
            self.put_mark(digest, &Mark { status, ..mark })?;
        }
        Ok(())
    }

    /// Reads all blobs that changed since they were found whole, and removes those that are not what their digests say;
    /// whether there were any.
    pub(crate) fn drop_damaged_blobs(&self, ctx: &Ctx) -> Result<bool> {
        let mut blobs = Vec::new();
        self.blobs.for_each(&mut |digest, size| {
            blobs.push(Descriptor::new(MediaType::OciLayer, digest.clone(), size));
            Ok(())
        })?;
        let mut dropped = false;
        for blob in blobs {
            let known = self.mark(&blob.digest)?.map(|mark| mark.status);
            if known.is_some() && known == self.blob_status(&blob.digest)? {
                continue;
            }
            match self.blobs.verify(&blob, ctx) {
                Err(e) if e.is_corrupt() => dropped |= self.blobs.remove(&blob.digest)?,
                Err(e) if !e.is_not_found() => return Err(e.into()),
                _ => {}
            }
        }
        Ok(dropped)
    }

    /// Reads a layer through, verified, and gives the digest of its plain tar.
    fn read_layer(&self, layer: &RecordedLayer, ctx: &Ctx) -> Result<Digest> {
        let digest = &layer.descriptor.digest;
        let task = ctx.begin(TaskKind::Verify, &digest.to_string(), Some(layer.descriptor.size));
        let source = Arc::clone(&self.blobs) as _;
        let tar = LayerBlob::new(source, layer.descriptor.clone(), layer.diff_id.clone()).open()?;
        let mut hasher = Hasher::for_digest(layer.diff_id.as_digest())?;
        read_through(tar, ctx, |bytes| hasher.update(bytes))?;
        task.end(Outcome::Done);
        Ok(hasher.finish())
    }

    fn blob_status(&self, digest: &Digest) -> Result<Option<Status>> {
        let path = self.blobs.root().join("blobs").join(digest.algorithm().as_str()).join(digest.encoded());
        match rustix::fs::statat(rustix::fs::CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Status::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io("read", path, e.into())),
        }
    }

    /// What is noted of a blob; one that cannot be read counts as none.
    fn mark(&self, digest: &Digest) -> Result<Option<Mark>> {
        let path = self.verified.join(digest.encoded());
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", path, e)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_MARK).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        Ok(serde_json::from_slice(&bytes).ok())
    }

    fn put_mark(&self, digest: &Digest, mark: &Mark) -> Result<()> {
        let path = self.verified.join(digest.encoded());
        let failed = |e| Error::io("write", &path, e);
        let bytes = serde_json::to_vec(mark).map_err(|source| Error::Encode { source })?;
        let mut file = self.temporary.file().map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }
}

/// Reads a stream to its end.
fn read_through(mut stream: impl Read, ctx: &Ctx, mut visit: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        ctx.check()?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => visit(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::stream("read the layer", e)),
        }
    }
}
