//! Resolving a path component by component, without the kernel following any link.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::status::Status;

type Result<T, E = Errno> = std::result::Result<T, E>;

/// How many links one path may lead through, as in the kernel.
pub(crate) const MAX_LINKS: usize = 40;
/// How many directories above the current one are kept open for `..`.
const MAX_OPEN: usize = 32;
/// How many directories are opened for one path: more than the longest path through 40 links of the greatest length
/// needs, unless it goes up and down for the sake of it.
pub(crate) const MAX_STEPS: usize = 100_000;

/// Why a component cannot be walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Nothing is there.
    Missing,
    /// Neither a directory nor a link is there.
    NotDirectory,
}

impl Obstacle {
    pub(super) fn errno(self) -> Errno {
        match self {
            Self::Missing => Errno::NOENT,
            Self::NotDirectory => Errno::NOTDIR,
        }
    }
}

/// Opens the directory at `path` below `root` as under chroot.
///
/// Where a component is in the way, `clear` is called with the directory that holds it and its name, and
/// gives the directory to go on with. The result is fit as the parent of further operations.
pub(crate) fn walk<E: From<Errno>>(
    root: BorrowedFd<'_>,
    path: &[u8],
    clear: impl FnMut(BorrowedFd<'_>, &[u8], Obstacle) -> Result<OwnedFd, E>,
) -> Result<OwnedFd, E> {
    walk_to(root, path, clear).map(|(dir, _)| dir)
}

/// As [`walk`], and tells by which names the directory is reached without any link.
pub(crate) fn walk_to<E: From<Errno>>(
    root: BorrowedFd<'_>,
    path: &[u8],
    mut clear: impl FnMut(BorrowedFd<'_>, &[u8], Obstacle) -> Result<OwnedFd, E>,
) -> Result<(OwnedFd, Vec<Vec<u8>>), E> {
    let mut pending: Vec<Vec<u8>> = Vec::new();
    push_components(&mut pending, path);
    let mut position = Position::new(root)?;
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == b".." {
            position.up();
            continue;
        }
        let dir = position.dir()?;
        let child = match look(dir, &name)? {
            Found::Directory(fd) => fd,
            Found::Link(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                if target.starts_with(b"/") {
                    position.reset();
                }
                push_components(&mut pending, &target);
                continue;
            }
            Found::Obstacle(obstacle) => clear(dir, &name, obstacle)?,
        };
        position.down(name, child);
    }
    position.dir()?;
    let names = std::mem::take(&mut position.names);
    Ok((position.into_dir()?, names))
}

/// Puts the components of `path` on the stack, the first on top.
fn push_components(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let names = path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    pending.extend(names.rev().map(<[u8]>::to_vec));
}

enum Found {
    Directory(OwnedFd),
    Link(Vec<u8>),
    Obstacle(Obstacle),
}

fn look(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Found> {
    match open_path(dir, name) {
        Ok(fd) => return Ok(Found::Directory(fd)),
        Err(Errno::NOENT) => return Ok(Found::Obstacle(Obstacle::Missing)),
        Err(Errno::NOTDIR | Errno::LOOP) => {}
        Err(other) => return Err(other),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Found::Obstacle(Obstacle::Missing)),
        result => result?,
    };
    match Status::of(&fd)?.kind {
        FileType::Directory => Ok(Found::Directory(fd)),
        FileType::Symlink => Ok(Found::Link(rustix::fs::readlinkat(fd, c"", Vec::new())?.into_bytes())),
        _ => Ok(Found::Obstacle(Obstacle::NotDirectory)),
    }
}

/// Opens a directory for naming what is in it, not following a link.
pub(crate) fn open_path(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Where the walk is: the names from the root down, none of them a link, and handles of the last of them.
///
/// `..` is never given to the kernel, which would look where the directory hangs by then: it takes a name
/// off, and when the handles run out the names are walked down again.
struct Position<'a> {
    root: BorrowedFd<'a>,
    names: Vec<Vec<u8>>,
    open: VecDeque<OwnedFd>,
    steps: usize,
}

impl<'a> Position<'a> {
    fn new(root: BorrowedFd<'a>) -> Result<Self> {
        Ok(Self { root, names: Vec::new(), open: VecDeque::new(), steps: 0 })
    }

    fn reset(&mut self) {
        self.names.clear();
        self.open.clear();
    }

    fn up(&mut self) {
        self.names.pop();
        self.open.pop_back();
    }

    fn down(&mut self, name: Vec<u8>, dir: OwnedFd) {
        self.names.push(name);
        self.open.push_back(dir);
        if self.open.len() > MAX_OPEN {
            self.open.pop_front();
        }
    }

    fn dir(&mut self) -> Result<BorrowedFd<'_>> {
        if self.open.is_empty() {
            self.steps += self.names.len();
            if self.steps > MAX_STEPS {
                return Err(Errno::LOOP);
            }
            let mut below: Option<OwnedFd> = None;
            for name in &self.names {
                let dir = below.as_ref().map_or(self.root, AsFd::as_fd);
                below = Some(open_path(dir, name)?);
            }
            self.open.extend(below);
        }
        Ok(self.open.back().map_or(self.root, AsFd::as_fd))
    }

    fn into_dir(mut self) -> Result<OwnedFd> {
        match self.open.pop_back() {
            Some(dir) => Ok(dir),
            None => open_path(self.root, b"."),
        }
    }
}
