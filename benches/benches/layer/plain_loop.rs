//! What one would write first: a loop over the `tar`, `flate2` and `sha2` crates.
//!
//! It verifies what our `unpack` verifies, blobs and diffIDs, and obeys whiteouts, but one thing comes after the other, files
//! are named by their whole paths, a hostile layer leads it out, and directories end up with the wrong times.

use std::{
    fs,
    io::{self, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use benches::{Result, is_root};
use flate2::read::MultiGzDecoder;
use image_core::{Compression, Digest, Image, MediaType};
use sha2::{Digest as _, Sha256};

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new() }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.hash.update(&buf[..count]);
        Ok(count)
    }
}

/// Whether the loop can read a layer of this type.
pub(crate) fn reads(media_type: &MediaType) -> bool {
    media_type.layer_compression() == Some(Compression::Gzip)
}

/// Unpacks all layers of an image to a directory, which is made.
pub(crate) fn unpack(image: &Image, root: &Path) -> Result<()> {
    fs::create_dir(root)?;
    for layer in image.layers() {
        let blob = image.source().open(&layer.descriptor.digest)?.ok_or("the blob is missing")?;
        let stored = BufReader::with_capacity(256 << 10, Hashing::new(blob));
        let mut archive = tar::Archive::new(Hashing::new(MultiGzDecoder::new(stored)));
        archive.set_preserve_permissions(true);
        archive.set_preserve_mtime(true);
        archive.set_preserve_ownerships(is_root());
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = root.join(entry.path()?);
            match path.file_name().and_then(|name| name.as_bytes().strip_prefix(b".wh.")) {
                None => drop(entry.unpack_in(root)?),
                Some(b".wh..opq") => clear(path.parent().unwrap_or(root))?,
                Some(name) => remove(&path.with_file_name(std::ffi::OsStr::from_bytes(name)))?,
            }
        }
        let mut plain = archive.into_inner();
        io::copy(&mut plain, &mut io::sink())?;
        let stored = plain.inner.into_inner().into_inner();
        expect(&layer.descriptor.digest, stored.hash)?;
        expect(layer.diff_id.as_digest(), plain.hash)?;
    }
    Ok(())
}

fn expect(expected: &Digest, hash: Sha256) -> Result<()> {
    let actual = Digest::from_sha256(hash.finalize().into());
    if *expected == actual { Ok(()) } else { Err(format!("{actual} in place of {expected}").into()) }
}

fn clear(directory: &Path) -> io::Result<()> {
    fs::read_dir(directory)?.try_for_each(|entry| remove(&entry?.path()))
}

#[expect(clippy::disallowed_methods, reason = "the loop does as one would")]
fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
