//! The directory beside a destination in which its tree is built.
//!
//! A process that builds holds a lock on its directory, which the kernel lets go of when the process
//! dies. So the next one that builds for the same destination can tell what a killed one left, and
//! removes it. On a file system without locks nothing counts as left.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::{Dir, FlockOperation, Mode},
    io::Errno,
};

use crate::root::{Status, open_dir, remove, writable_dir};

/// Bytes of the destination's name in the temporary name, which must stay within 255.
const MAX_NAME: usize = 200;

/// What stands between the destination's name and the numbers.
const MARK: &[u8] = b".unpack-";

/// Makes a directory that nobody has for the destination `name` in `parent`; gives its name and the directory.
pub(super) fn make(parent: &OwnedFd, name: &[u8]) -> Result<(Vec<u8>, OwnedFd), Errno> {
    let prefix = prefix(name);
    // What cannot be removed is in nobody's way.
    let _ = remove_abandoned(parent, &prefix);
    let process = rustix::process::getpid().as_raw_nonzero();
    for attempt in 0_u32.. {
        let temporary = [&*prefix, format!("{process}-{attempt}").as_bytes()].concat();
        match rustix::fs::mkdirat(parent, &*temporary, Mode::RWXU) {
            Err(Errno::EXIST) => continue,
            result => result?,
        }
        match writable_dir(parent.as_fd(), &temporary) {
            Ok(directory) if claim(parent, &temporary, &directory)? => return Ok((temporary, directory)),
            // Another process took it for abandoned before it was locked.
            Ok(_) | Err(Errno::NOENT) => {}
            Err(other) => return Err(other),
        }
    }
    Err(Errno::EXIST)
}

fn prefix(name: &[u8]) -> Vec<u8> {
    [b".", name.get(..MAX_NAME).unwrap_or(name), MARK].concat()
}

/// Locks a directory that was just made; tells whether it is still there.
fn claim(parent: &OwnedFd, name: &[u8], directory: &OwnedFd) -> Result<bool, Errno> {
    // Where there are no locks, nobody takes it away.
    if rustix::fs::flock(directory, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Ok(false);
    }
    let there = Status::at(parent.as_fd(), name)?;
    Ok(there.is_some_and(|there| Status::of(directory).is_ok_and(|ours| ours.id == there.id)))
}

fn remove_abandoned(parent: &OwnedFd, prefix: &[u8]) -> Result<(), Errno> {
    for entry in Dir::read_from(parent)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !name.strip_prefix(prefix).is_some_and(is_numbers) {
            continue;
        }
        let Ok(directory) = open_dir(parent.as_fd(), name) else { continue };
        if rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(parent.as_fd(), name, &mut || Ok::<_, Errno>(()))?;
        }
    }
    Ok(())
}

/// Whether this is what [`make`] puts behind the mark: `PROCESS-ATTEMPT`.
fn is_numbers(text: &[u8]) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = text.split(|byte| *byte == b'-');
    parts.by_ref().take(2).filter(|part| is_number(part)).count() == 2 && parts.next().is_none()
}
