//! An archive's plain tar in a temporary file, which serves as the blob of a layer.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use image_core::{Blob, BlobSource, Ctx, Descriptor, DiffId, Digest, MediaType, hasher::Hasher};
use image_overlay::{LayerBlob, LayerToc, Limits};

use crate::error::{Error, Result};

/// A nameless file in a directory.
struct Spool {
    file: File,
    directory: PathBuf,
    digest: Digest,
}

impl BlobSource for Spool {
    fn stat(&self, digest: &Digest) -> image_core::Result<Option<u64>> {
        Ok(self.open(digest)?.map(|blob| blob.size()))
    }

    fn open(&self, digest: &Digest) -> image_core::Result<Option<Blob>> {
        if *digest != self.digest {
            return Ok(None);
        }
        let path = &self.directory;
        let file = self.file.try_clone().map_err(|e| image_core::Error::io("open a temporary file in", path, e))?;
        Blob::from_file(file, path).map(Some)
    }
}

/// Writes a plain tar to a nameless file in `directory`, and reads what it holds on the way.
pub(crate) fn spool(tar: impl Read, directory: &Path, limits: &Limits, ctx: &Ctx) -> Result<(LayerBlob, LayerToc)> {
    let failed = |e| Error::io("create a temporary file in", directory, e);
    let file = tempfile::tempfile_in(directory).map_err(failed)?;
    let mut tee = Tee { tar, file, hasher: Hasher::sha256() };
    let toc = LayerToc::read(&mut tee, limits, ctx)?;
    let digest = tee.hasher.finish();
    let descriptor = Descriptor::new(MediaType::OciLayer, digest.clone(), toc.tar_size());
    let diff_id = DiffId::from_digest(digest.clone());
    let source = Spool { file: tee.file, directory: directory.into(), digest };
    Ok((LayerBlob::new(Arc::new(source), descriptor, diff_id), toc))
}

/// Writes down and hashes what is read.
struct Tee<R> {
    tar: R,
    file: File,
    hasher: Hasher,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.tar.read(buffer)?;
        let read = buffer.get(..n).unwrap_or_default();
        self.hasher.update(read);
        self.file.write_all(read)?;
        Ok(n)
    }
}
