//! Listing a context: directories are read on several threads, and their files put into one tree as they come.

mod assembly;
mod names;

use std::{
    mem,
    os::fd::OwnedFd,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, SyncSender},
    },
    thread,
};

use image_core::{
    Ctx,
    observer::{Outcome, TaskKind},
};
use image_overlay::LayerPath;
use rustix::{
    fs::{AtFlags, FileType, RawMode, Stat},
    io::Errno,
};

use self::{
    assembly::Assembly,
    names::{Name, Names},
};
use super::{
    BuildContext, ContextTree,
    open::{open_directory, xattrs},
    status::Status,
};
use crate::{
    error::{Error, Result},
    files::Xattrs,
    ignore::Verdict,
    stat_cache::{Fact, Loaded, Lookup},
};

/// How many threads list directories at once.
const THREADS: usize = 8;

/// How many names a thread finds before it hands them on.
const BATCH: usize = 1 << 10;

/// How many batches wait to be put into the tree.
const AHEAD: usize = 4;

/// Lists the files of a context. What `known` knows of a file's content is put beside it.
pub(super) fn list(context: &BuildContext, root: &OwnedFd, known: &Loaded, ctx: &Ctx) -> Result<ContextTree> {
    let task = ctx.begin(TaskKind::Fingerprint, &format!("list {}", context.path.display()), None);
    let queue = Queue::new(Job { id: 0, path: LayerPath::root(), verdict: Verdict::default() });
    let reader = Reader { context, root, known, ctx };
    let (found, listed) = mpsc::sync_channel(AHEAD);
    let mut assembly = Assembly::new(context, ctx);
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        for _ in 0..threads {
            let (reader, queue, found) = (&reader, &queue, found.clone());
            scope.spawn(move || reader.work(queue, &found));
        }
        drop(found);
        for batch in listed {
            let added = batch.and_then(|batch| {
                task.advance(0, batch.len() as u64);
                batch.into_iter().try_for_each(|directory| assembly.add(directory))
            });
            if added.is_err() {
                queue.stop();
                return added;
            }
        }
        Ok(())
    })?;
    task.end(Outcome::Done);
    Ok(assembly.finish())
}

/// A directory to be listed.
struct Job {
    id: usize,
    path: LayerPath,
    verdict: Verdict,
}

/// The directories that nobody listed yet.
struct Queue {
    state: Mutex<Jobs>,
    changed: Condvar,
}

struct Jobs {
    todo: Vec<Job>,
    /// How many are waiting or being listed.
    open: usize,
    /// How many threads wait for one.
    idle: usize,
    /// How many there were so far.
    count: usize,
    /// Whether nobody wants to hear of more.
    stopped: bool,
}

impl Queue {
    fn new(first: Job) -> Self {
        Self {
            state: Mutex::new(Jobs { todo: vec![first], open: 1, idle: 0, count: 1, stopped: false }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next directory; `None` where there is none and none will come.
    fn next(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            match jobs.todo.pop() {
                _ if jobs.stopped => return None,
                Some(job) => return Some(job),
                None if jobs.open == 0 => return None,
                None => {
                    jobs.idle += 1;
                    jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                    jobs.idle -= 1;
                }
            }
        }
    }

    /// Numbers for so many more directories, from the one given.
    fn reserve(&self, count: usize) -> usize {
        let mut jobs = self.lock();
        jobs.count += count;
        jobs.count - count
    }

    /// Ends a directory, with those found in it.
    fn done(&self, found: Vec<Job>) {
        let mut jobs = self.lock();
        jobs.open = (jobs.open + found.len()).saturating_sub(1);
        jobs.todo.extend(found);
        // To wake nobody is a system call too.
        if jobs.idle > 0 {
            self.changed.notify_all();
        }
    }

    /// Nothing more is to be listed.
    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// A directory that was listed.
struct Directory {
    id: usize,
    path: LayerPath,
    xattrs: Xattrs,
    names: Names,
    children: Vec<(Child, What)>,
}

/// A name in a directory.
struct Child {
    name: Name,
    status: Status,
    mode: RawMode,
    owner: (u32, u32),
    has_other_names: bool,
    excluded: bool,
}

/// What has that name.
enum What {
    /// A directory, which has this number.
    Directory(usize),
    File(Option<Fact>),
    Symlink(Vec<u8>),
    Socket,
    Other,
}

/// Reads directories.
struct Reader<'a> {
    context: &'a BuildContext,
    root: &'a OwnedFd,
    known: &'a Loaded,
    ctx: &'a Ctx,
}

impl Reader<'_> {
    /// Lists directories as long as there are any. Nobody listens any more after an error.
    fn work(&self, queue: &Queue, found: &SyncSender<Result<Vec<Directory>>>) {
        let (mut batch, mut names) = (Vec::new(), 0);
        while let Some(job) = queue.next() {
            let jobs = match self.read(&job, queue) {
                Ok((directory, jobs)) => {
                    names += 1 + directory.children.len();
                    batch.push(directory);
                    jobs
                }
                Err(error) => {
                    drop(found.send(Err(error)));
                    Vec::new()
                }
            };
            if names >= BATCH {
                names = 0;
                if found.send(Ok(mem::take(&mut batch))).is_err() {
                    return;
                }
            }
            queue.done(jobs);
        }
        drop(found.send(Ok(batch)));
    }

    fn read(&self, job: &Job, queue: &Queue) -> Result<(Directory, Vec<Job>)> {
        self.ctx.check()?;
        let failed = |e: Errno| Error::io("list", self.context.path_of(&job.path), e.into());
        let directory = open_directory(self.root, &job.path).map_err(failed)?;
        let names = Names::read(&directory).map_err(failed)?;
        let ignore = &self.context.ignore;
        let (mut children, mut jobs) = (Vec::with_capacity(names.list.len()), Vec::new());
        let mut known = self.known.lookup();
        let mut path = job.path.as_bytes().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let above = path.len();
        for name in &names.list {
            path.truncate(above);
            path.extend_from_slice(names.bytes(name));
            let verdict = ignore.verdict(job.verdict, &path);
            let may_be_directory = matches!(name.kind, FileType::Unknown | FileType::Directory);
            if verdict.is_excluded() && (!may_be_directory || ignore.may_skip(verdict, &path)) {
                continue;
            }
            let Some((stat, what)) = self.look(&directory, names.bytes(name), &path, &mut known)? else { continue };
            if matches!(what, What::Directory(_)) {
                jobs.push(Job { id: children.len(), path: LayerPath::parse(&path)?, verdict });
            }
            let child = Child {
                name: *name,
                status: Status::of(&stat),
                mode: stat.st_mode,
                owner: (stat.st_uid, stat.st_gid),
                has_other_names: stat.st_nlink > 1,
                excluded: verdict.is_excluded(),
            };
            children.push((child, what));
        }
        let first = queue.reserve(jobs.len());
        for (offset, job) in jobs.iter_mut().enumerate() {
            if let Some((_, what)) = children.get_mut(job.id) {
                *what = What::Directory(first + offset);
            }
            job.id = first + offset;
        }
        let xattrs = xattrs(&directory).map_err(failed)?;
        Ok((Directory { id: job.id, path: job.path.clone(), xattrs, names, children }, jobs))
    }

    /// What has a name in a directory; `None` for what is gone since it was listed.
    fn look(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        path: &[u8],
        known: &mut Lookup<'_>,
    ) -> Result<Option<(Stat, What)>> {
        let failed = |e: Errno| Error::io("read", self.context.path_of_bytes(path), e.into());
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => What::Directory(0),
            FileType::RegularFile => What::File(known.get(&Status::of(&stat))),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new()).map_err(failed)?;
                What::Symlink(target.into_bytes())
            }
            FileType::Socket => What::Socket,
            _ => What::Other,
        };
        Ok(Some((stat, what)))
    }
}
