//! Listing a context: directories are read on several threads, and their files put into one tree as they come.

mod assembly;
mod job;
mod names;

use std::{
    collections::HashSet,
    mem,
    ops::Range,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
};

use image_core::{
    Ctx,
    observer::{Outcome, TaskKind},
    parallel::{self, Todo},
};
use image_overlay::LayerPath;
use rustix::{
    fs::{AtFlags, FileType, RawMode, Stat},
    io::Errno,
};

use self::{
    assembly::Assembly,
    job::{Directory, Job, Opened},
    names::{Name, Names},
};
use super::{
    BuildContext, ContextTree,
    content::ContentReader,
    open::{open_directory, xattrs},
    status::Status,
    tally::Tally,
};
use crate::{
    error::{Error, Result},
    files::{FileFacts, Xattrs},
    stat_cache::{Fact, Loaded, Lookup},
};

/// How many names of a directory a thread looks at before it sees what else there is to do.
const TOGETHER: usize = 512;

/// How many names a thread finds before it hands them on.
const BATCH: usize = 1 << 10;

/// How many batches wait to be put into the tree.
const AHEAD: usize = 4;

/// Lists the files of a context. What `known` knows of a file's content is put beside it; or all files are read as they
/// are found: each is then opened once, by a directory that is open. Tells also whether all that a copy needs to know is
/// known then.
pub(super) fn list(
    context: &BuildContext,
    root: &OwnedFd,
    known: &Loaded,
    reads: bool,
    ctx: &Ctx,
) -> Result<(ContextTree, bool)> {
    let verb = if reads { "read" } else { "list" };
    let task = ctx.begin(TaskKind::Fingerprint, &format!("{verb} {}", context.path.display()), None);
    let (todo, count) = (Todo::new(Job::first()), AtomicUsize::new(1));
    let (found, listed) = mpsc::sync_channel(AHEAD);
    let mut assembly = Assembly::new(context, ctx);
    let linked = Mutex::new(HashSet::new());
    thread::scope(|scope| {
        for _ in 0..parallel::threads().get() {
            let (todo, count, linked, found) = (&todo, &count, &linked, found.clone());
            let (contents, tally) = (reads.then(|| ContentReader::new(ctx)), Tally::new(&task));
            let lister = Lister { context, root, known, linked, todo, count, ctx, contents, tally };
            scope.spawn(move || lister.work(&found));
        }
        drop(found);
        for batch in listed {
            let added = batch.and_then(|batch: Vec<Listed>| batch.into_iter().try_for_each(|part| assembly.add(part)));
            if added.is_err() {
                todo.stop();
                return added;
            }
        }
        Ok(())
    })?;
    task.end(Outcome::Done);
    Ok(assembly.finish())
}

/// Names of a directory that were looked at.
struct Listed {
    id: usize,
    path: LayerPath,
    names: Arc<Names>,
    range: Range<usize>,
    /// The extended attributes of the directory, with the first of its names.
    xattrs: Xattrs,
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
    /// A file, and what is known of its content: all of it where the fact does not tell that.
    File(Option<Fact>, Option<Box<FileFacts>>),
    Symlink(Vec<u8>),
    Socket,
    Other,
}

/// One thread that lists.
struct Lister<'a> {
    context: &'a BuildContext,
    root: &'a OwnedFd,
    known: &'a Loaded,
    /// The files with several names that somebody read or reads, by device and inode.
    linked: &'a Mutex<HashSet<(u64, u64)>>,
    todo: &'a Todo<Job>,
    /// How many directories were found.
    count: &'a AtomicUsize,
    ctx: &'a Ctx,
    /// What reads files, where they are to be read.
    contents: Option<ContentReader<'a>>,
    tally: Tally<'a>,
}

impl Lister<'_> {
    /// Works as long as there is something to do. Nobody listens any more after an error.
    fn work(mut self, found: &SyncSender<Result<Vec<Listed>>>) {
        let (mut batch, mut names) = (Vec::new(), 0);
        while let Some((job, _turn)) = self.todo.next() {
            let listed = match job {
                Job::Open(directory) => self.open(&directory),
                Job::Look(opened) => self.look_at(opened, Xattrs::new()),
            };
            match listed {
                Ok(listed) => {
                    names += 1 + listed.children.len();
                    batch.push(listed);
                }
                Err(error) => drop(found.send(Err(error))),
            }
            if names >= BATCH {
                names = 0;
                if found.send(Ok(mem::take(&mut batch))).is_err() {
                    return;
                }
            }
        }
        drop(found.send(Ok(batch)));
    }

    /// Opens a directory and looks at the first of its names; the others are for whoever has time.
    fn open(&mut self, directory: &Directory) -> Result<Listed> {
        self.ctx.check()?;
        let failed = |e: Errno| Error::io("list", self.context.path_of(&directory.path), e.into());
        let handle = open_directory(self.root, &directory.path).map_err(failed)?;
        let names = Names::read(&handle).map_err(failed)?;
        let xattrs = xattrs(&handle).map_err(failed)?;
        let (handle, names) = (Arc::new(handle), Arc::new(names));
        let part = |range| Opened { directory: directory.clone(), handle: handle.clone(), names: names.clone(), range };
        let count = names.list.len();
        if count > TOGETHER {
            let others = (TOGETHER..count).step_by(TOGETHER).map(|from| from..count.min(from + TOGETHER));
            self.todo.add(others.map(|range| Job::Look(part(range))));
        }
        self.look_at(part(0..count.min(TOGETHER)), xattrs)
    }

    /// Looks at names of a directory.
    fn look_at(&mut self, opened: Opened, xattrs: Xattrs) -> Result<Listed> {
        self.ctx.check()?;
        let Opened { directory: Directory { id, path, verdict: above }, handle, names, range } = opened;
        let ignore = &self.context.ignore;
        let (mut children, mut directories) = (Vec::with_capacity(range.len()), Vec::new());
        let mut known = self.known.lookup();
        let mut full = path.as_bytes().to_vec();
        if !full.is_empty() {
            full.push(b'/');
        }
        let parent = full.len();
        for name in &names.list[range.clone()] {
            full.truncate(parent);
            full.extend_from_slice(names.bytes(name));
            let verdict = ignore.verdict(above, &full);
            let may_be_directory = matches!(name.kind, FileType::Unknown | FileType::Directory);
            if verdict.is_excluded() && (!may_be_directory || ignore.may_skip(verdict, &full)) {
                continue;
            }
            let Some((stat, what)) = self.look(&handle, name.kind, names.bytes(name), &full, &mut known)? else {
                continue;
            };
            if matches!(what, What::Directory(_)) {
                directories.push((children.len(), LayerPath::parse(&full)?, verdict));
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
        if !directories.is_empty() {
            let first = self.count.fetch_add(directories.len(), Ordering::Relaxed);
            let numbered = directories.into_iter().zip(first..);
            self.todo.add(numbered.map(|((at, path, verdict), id)| {
                children[at].1 = What::Directory(id);
                Job::Open(Directory { id, path, verdict })
            }));
        }
        if self.contents.is_none() {
            self.tally.add(0, children.len() as u64);
        }
        Ok(Listed { id, path, names, range, xattrs, children })
    }

    /// What has a name in a directory, and is likely to be of a kind; `None` for what is gone since it was listed.
    fn look(
        &mut self,
        directory: &OwnedFd,
        kind: FileType,
        name: &[u8],
        path: &[u8],
        known: &mut Lookup<'_>,
    ) -> Result<Option<(Stat, What)>> {
        if kind == FileType::RegularFile
            && let Some(read) = self.read(directory, name, path)?
        {
            return Ok(Some(read));
        }
        let failed = |e: Errno| Error::io("read", self.context.path_of_bytes(path), e.into());
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => What::Directory(0),
            FileType::RegularFile => What::File(known.get(&Status::of(&stat)), None),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new()).map_err(failed)?;
                What::Symlink(target.into_bytes())
            }
            FileType::Socket => What::Socket,
            _ => What::Other,
        };
        Ok(Some((stat, what)))
    }

    /// Reads a file where files are to be read; `None` where there is none that can be opened. What cannot be read in one
    /// state is left for later, when it is asked for.
    fn read(&mut self, directory: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<(Stat, What)>> {
        let Some(contents) = &mut self.contents else { return Ok(None) };
        let is_first = |stat: &Stat| {
            let status = Status::of(stat);
            let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
            linked.insert((status.device, status.inode))
        };
        let path = || self.context.path_of_bytes(path);
        let Some((stat, content)) =
            contents.read_name(directory, name, |stat| stat.st_nlink < 2 || is_first(stat), path)?
        else {
            return Ok(None);
        };
        let what = match content {
            None => What::File(None, None),
            Some(content) => {
                let size = Status::of(&stat).size;
                self.tally.add(size, 1);
                let fact = content.fact;
                What::File(Some(fact), fact.has_xattrs.then(|| content.facts(size)))
            }
        };
        Ok(Some((stat, what)))
    }
}
