//! Whether files of two trees have the same content: read side by side, on several threads.

use std::io::Read;

use image_core::{
    Ctx,
    hasher::Sha256,
    observer::{Outcome, TaskKind},
    parallel,
};

use crate::{
    error::{Error, Result},
    filled::fill,
    source::{OpenFile, TreeSource},
    tree::NodeId,
};

/// How many files a thread takes at once: one behind the other in the tree, so that most are of a directory that is open.
const BATCH: usize = 64;
/// How much of a file is read at once, in bytes.
const BUFFER: usize = 64 << 10;

/// A file of the lower tree and one of the upper tree, which have one size.
pub(crate) type Pair = (NodeId, NodeId);

/// Whether the files of each pair have the same content, holes being zeros.
///
/// Content whose digest a tree knows is not read there, and of two files nothing behind the first difference.
pub(crate) fn same_content<L, U>(lower: &L, upper: &U, pairs: &[Pair], ctx: &Ctx) -> Result<Vec<bool>>
where
    L: TreeSource,
    U: TreeSource,
{
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let size = |(_, file): &Pair| upper.tree().node(*file).kind().size();
    let total = pairs.iter().map(size).fold(0, u64::saturating_add);
    let task = ctx.begin(TaskKind::Compare, &format!("{} files", pairs.len()), Some(total));
    let batches: Vec<_> = pairs.chunks(BATCH).collect();
    let answers = parallel::map(parallel::threads(), &batches, |batch| {
        let mut comparison = Comparison::of(lower, upper, batch, ctx)?;
        let answers: Result<Vec<bool>> = batch.iter().map(|pair| comparison.is_same(*pair)).collect();
        task.advance(batch.iter().map(size).fold(0, u64::saturating_add), batch.len() as u64);
        answers
    })?;
    task.end(Outcome::Done);
    Ok(answers.into_iter().flatten().collect())
}

/// Files that are ready to be compared.
struct Comparison<'a, L, U> {
    lower: &'a L,
    upper: &'a U,
    open_lower: OpenFile<'a>,
    open_upper: OpenFile<'a>,
    /// What is read of either.
    buffers: (Vec<u8>, Vec<u8>),
    ctx: &'a Ctx,
}

impl<'a, L: TreeSource, U: TreeSource> Comparison<'a, L, U> {
    fn of(lower: &'a L, upper: &'a U, pairs: &[Pair], ctx: &'a Ctx) -> Result<Self> {
        let below: Vec<_> =
            pairs.iter().map(|(file, _)| *file).filter(|file| lower.known_digest(*file).is_none()).collect();
        let above: Vec<_> =
            pairs.iter().map(|(_, file)| *file).filter(|file| upper.known_digest(*file).is_none()).collect();
        let (open_lower, open_upper) = (lower.files(&below, ctx)?, upper.files(&above, ctx)?);
        Ok(Self { lower, upper, open_lower, open_upper, buffers: (vec![0; BUFFER], vec![0; BUFFER]), ctx })
    }

    fn is_same(&mut self, (lower, upper): Pair) -> Result<bool> {
        let size = self.upper.tree().node(upper).kind().size();
        match (self.lower.known_digest(lower), self.upper.known_digest(upper)) {
            (Some(below), Some(above)) => Ok(below == above),
            (Some(below), None) => self.is_of(below, size, &mut *(self.open_upper)(upper)?),
            (None, Some(above)) => self.is_of(above, size, &mut *(self.open_lower)(lower)?),
            (None, None) => self.is_equal(size, &mut *(self.open_lower)(lower)?, &mut *(self.open_upper)(upper)?),
        }
    }

    /// Whether content of this size has this digest.
    fn is_of(&mut self, sha256: [u8; 32], mut left: u64, content: &mut dyn Read) -> Result<bool> {
        let mut hasher = Sha256::default();
        while left > 0 {
            self.ctx.check()?;
            let bytes = read(content, left, &mut self.buffers.0)?;
            if bytes.is_empty() {
                return Ok(false);
            }
            hasher.update(bytes);
            left -= bytes.len() as u64;
        }
        Ok(hasher.finish() == sha256)
    }

    /// Whether content of this size is the same.
    fn is_equal(&mut self, mut left: u64, lower: &mut dyn Read, upper: &mut dyn Read) -> Result<bool> {
        while left > 0 {
            self.ctx.check()?;
            let (below, above) = (read(lower, left, &mut self.buffers.0)?, read(upper, left, &mut self.buffers.1)?);
            if below != above || below.is_empty() {
                return Ok(false);
            }
            left -= below.len() as u64;
        }
        Ok(true)
    }
}

/// Reads the next of so many bytes that are left, and not whether there are more by now: that costs as much again.
fn read<'b>(content: &mut dyn Read, left: u64, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    fill(content, &mut buffer[..length]).map_err(|error| Error::stream("read a file's content", error))
}
