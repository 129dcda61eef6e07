//! The names in a directory.

use std::{ffi::CStr, os::fd::OwnedFd};

use rustix::{fs::FileType, io::Errno};

/// The names in a directory but `.` and `..`, in the order in which their files are likely to lie on a disk.
pub(super) struct Names {
    /// Of all of them, one behind the other.
    bytes: Vec<u8>,
    pub(super) list: Vec<Name>,
}

#[derive(Clone, Copy)]
pub(super) struct Name {
    inode: u64,
    /// Where its bytes begin.
    start: usize,
    length: usize,
    /// What it names, where the file system tells.
    pub(super) kind: FileType,
}

impl Names {
    pub(super) fn read(directory: &OwnedFd) -> Result<Self, Errno> {
        let mut names = Self { bytes: Vec::new(), list: Vec::new() };
        go_over(directory, |inode, name, kind| {
            let name = name.to_bytes();
            if !matches!(name, b"." | b"..") {
                let (start, length) = (names.bytes.len(), name.len());
                names.bytes.extend_from_slice(name);
                names.list.push(Name { inode, start, length, kind });
            }
        })?;
        names.list.sort_unstable_by_key(|name| name.inode);
        Ok(names)
    }

    pub(super) fn bytes(&self, name: &Name) -> &[u8] {
        &self.bytes[name.start..name.start + name.length]
    }
}

#[cfg(target_os = "linux")]
fn go_over(directory: &OwnedFd, mut found: impl FnMut(u64, &CStr, FileType)) -> Result<(), Errno> {
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut listing = rustix::fs::RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        found(entry.ino(), entry.file_name(), entry.file_type());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn go_over(directory: &OwnedFd, mut found: impl FnMut(u64, &CStr, FileType)) -> Result<(), Errno> {
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        found(entry.ino(), entry.file_name(), entry.file_type());
    }
    Ok(())
}
