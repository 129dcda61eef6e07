//! Content digests of a build context's files.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use image_core::{
    Ctx,
    hasher::Sha256,
    observer::{Outcome, Task, TaskKind},
};
use image_overlay::NodeRef;

use crate::{
    context::{BuildContext, ContextFile, Status, read_in, xattrs},
    error::{Error, Result},
    files::FileFacts,
};

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 3;

/// How many threads read at once.
const THREADS: usize = 8;

/// Reads and hashes those of the files that were not read yet, on several threads.
pub(crate) fn files(context: &BuildContext, files: &[NodeRef<'_, ContextFile>], ctx: &Ctx) -> Result<()> {
    let todo: Vec<_> = files
        .iter()
        .filter_map(|node| node.content().map(|content| (node, content)))
        .filter(|(_, content)| content.facts.get().is_none())
        .collect();
    if todo.is_empty() {
        return Ok(());
    }
    let bytes = todo.iter().map(|(node, _)| node.kind().size()).sum();
    let task =
        ctx.begin(TaskKind::Fingerprint, &format!("{} files of {}", todo.len(), context.path().display()), Some(bytes));
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        let mut buffer = vec![0; 256 << 10];
        while let Some((node, content)) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            match read(context, **node, &mut buffer, &task, ctx) {
                Ok(facts) => drop(content.facts.set(facts)),
                Err(error) => {
                    next.store(todo.len(), Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS).min(todo.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => {
            task.end(Outcome::Done);
            Ok(())
        }
    }
}

/// Reads one file; one that changes meanwhile is read again.
fn read(
    context: &BuildContext,
    node: NodeRef<'_, ContextFile>,
    buffer: &mut [u8],
    task: &Task<'_>,
    ctx: &Ctx,
) -> Result<FileFacts> {
    let path = node.path();
    let failed = |e| Error::io("read", context.path_of(&path), e);
    for _ in 0..ATTEMPTS {
        let (mut file, before) = context.open_file(&path)?;
        let (mut hasher, mut size) = (Sha256::default(), 0);
        loop {
            ctx.check()?;
            match read_in(&mut file, buffer).map_err(failed)? {
                0 => break,
                n => {
                    hasher.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
        let xattrs = xattrs(&file).map_err(|e| failed(e.into()))?;
        let after = rustix::fs::fstat(&file).map_err(|e| failed(e.into()))?;
        if Status::of(&before) == Status::of(&after) && size == Status::of(&after).size {
            task.advance(size, 1);
            return Ok(FileFacts {
                size,
                sha256: hasher.finish(),
                sparse: false,
                xattrs: (!xattrs.is_empty()).then(|| Box::new(xattrs)),
            });
        }
    }
    Err(Error::changed(context.path_of(&path)))
}
