//! Blobs that are no documents: each read once, hashed, and decompressed if it is a layer.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    num::NonZeroUsize,
};

use image_core::{
    Compression, Ctx, DiffId, Digest, Error as CoreError,
    blob::{Blob, BlobSource},
    codec::{DecodeOptions, Decoder},
    hasher::Hasher,
    observer::{Outcome, Task, TaskKind},
    parallel,
    verify::VerifyingReader,
};

use super::{
    Finding, Problem,
    finding::reason,
    walk::{Want, problem},
};

/// How much is read at once, in bytes.
const BUFFER: usize = 128 << 10;

/// Checks all blobs; gives what is wrong, in the order of digests, and the number of bytes read.
pub(super) fn all(
    source: &dyn BlobSource,
    wants: &BTreeMap<Digest, Want>,
    threads: NonZeroUsize,
    ctx: &Ctx,
) -> Result<(Vec<Finding>, u64), CoreError> {
    let total =
        wants.values().filter_map(|want| want.sizes.keys().next()).fold(0, |sum: u64, n| sum.saturating_add(*n));
    let task = ctx.begin(TaskKind::Verify, "blobs", Some(total));
    let check = Check { source, ctx, task: &task };
    let wants: Vec<_> = wants.iter().collect();
    let checked = parallel::map(threads, &wants, |(digest, want)| check.blob(digest, want))?;
    let bytes = checked.iter().map(|(_, bytes)| bytes).sum();
    let findings = checked.into_iter().flat_map(|(findings, _)| findings).collect();
    task.end(Outcome::Done);
    Ok((findings, bytes))
}

/// How blobs are checked.
struct Check<'a> {
    source: &'a dyn BlobSource,
    ctx: &'a Ctx,
    task: &'a Task<'a>,
}

impl Check<'_> {
    /// What is wrong with a blob, and how many bytes were read to see.
    fn blob(&self, digest: &Digest, want: &Want) -> Result<(Vec<Finding>, u64), CoreError> {
        self.ctx.check()?;
        let place = || want.sizes.values().next().map_or("unreachable", String::as_str);
        let finding = |place: &str, problem| Finding { digest: digest.clone(), place: place.to_owned(), problem };
        let blob = match self.source.open(digest) {
            Ok(Some(blob)) => blob,
            Ok(None) if want.is_optional => return Ok((Vec::new(), 0)),
            Ok(None) => return Ok((vec![finding(place(), Problem::Missing)], 0)),
            Err(error) => return Ok((vec![finding(place(), problem(error))], 0)),
        };
        let size = blob.size();
        let wrong_size = |(&expected, place): (&u64, &String)| {
            (expected != size).then(|| finding(place, Problem::WrongSize { expected, actual: size }))
        };
        let mut findings: Vec<Finding> = want.sizes.iter().filter_map(wrong_size).collect();
        match self.read(blob, digest, want)? {
            Content::Verified => {}
            Content::Broken(problem) => findings.push(finding(place(), problem)),
            Content::Layer(actual) => {
                let wrong = want.diff_ids.iter().filter(|(expected, _)| !actual.contains(expected));
                findings.extend(wrong.map(|(expected, place)| {
                    let same = |id: &&DiffId| id.as_digest().algorithm() == expected.as_digest().algorithm();
                    let problem = match actual.iter().find(same) {
                        Some(actual) => Problem::WrongDiffId { expected: expected.clone(), actual: actual.clone() },
                        None => Problem::UnknownAlgorithm,
                    };
                    finding(place, problem)
                }));
            }
        }
        Ok((findings, size))
    }

    /// Reads a blob to its end, whatever is wrong with it on the way.
    fn read(&self, blob: Blob, digest: &Digest, want: &Want) -> Result<Content, CoreError> {
        let size = blob.size();
        let watched = Watched { inner: blob, ctx: self.ctx, task: self.task };
        let mut reader = match VerifyingReader::new(watched, digest.clone(), size) {
            Ok(reader) => reader,
            Err(error) => return Ok(Content::Broken(problem(error))),
        };
        let layer = want.layer.map(|compression| diff_ids(&mut reader, compression, want));
        let layer = match layer {
            Some(Err(error)) if error.is_cancelled() => return Err(error),
            other => other,
        };
        // That the content is not what its name says goes before whatever follows from it.
        match reader.drain() {
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => return Ok(Content::Broken(problem(error))),
            Ok(()) => {}
        }
        self.task.advance(0, 1);
        Ok(match layer {
            None => Content::Verified,
            Some(Ok(diff_ids)) => Content::Layer(diff_ids),
            Some(Err(error)) => Content::Broken(layer_problem(error)),
        })
    }
}

/// What reading a blob showed.
enum Content {
    Verified,
    Layer(Vec<DiffId>),
    Broken(Problem),
}

/// What an error of reading a layer's plain content says of the blob: the blob's own go before the decoder's.
fn layer_problem(error: CoreError) -> Problem {
    match error {
        CoreError::Corrupt { .. } | CoreError::Unsupported { .. } | CoreError::LimitExceeded { .. } => {
            Problem::CorruptLayer { reason: reason(&error) }
        }
        other => problem(other),
    }
}

/// The diffIDs of a layer, one for each algorithm that is asked for.
fn diff_ids(reader: impl Read, compression: Compression, want: &Want) -> Result<Vec<DiffId>, CoreError> {
    let mut hashers: BTreeMap<_, Hasher> = BTreeMap::new();
    for digest in want.diff_ids.keys().map(DiffId::as_digest).filter(|digest| digest.algorithm().is_supported()) {
        hashers.insert(digest.algorithm(), Hasher::for_digest(digest)?);
    }
    let mut plain = Decoder::detect(reader, compression, &DecodeOptions::default())?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let bytes = match plain.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => buffer.get(..n).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CoreError::stream("decompress the layer", error)),
        };
        hashers.values_mut().for_each(|hasher| hasher.update(bytes));
    }
    Ok(hashers.into_values().map(|hasher| DiffId::from_digest(hasher.finish())).collect())
}

/// Tells of the bytes that are read, and stops when that is asked for.
struct Watched<'a> {
    inner: Blob,
    ctx: &'a Ctx,
    task: &'a Task<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.ctx.check()?;
        let n = self.inner.read(buf)?;
        self.task.advance(n as u64, 0);
        Ok(n)
    }
}
