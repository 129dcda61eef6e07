//! The system call that rustix does not have.

use std::{ffi::CStr, os::fd::BorrowedFd};

use rustix::io::Result;

/// Lists the names of the extended attributes of a name in a directory, not following it, each with a NUL byte behind it,
/// and gives the length of the list.
///
/// Fails with `NOSYS` where there is no such call (before Linux 6.13), and with `PERM` where a sandbox does not know it.
#[cfg(all(target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
#[expect(unsafe_code, reason = "rustix has no listxattrat")]
pub(super) fn listxattrat(dir: BorrowedFd<'_>, name: &CStr, list: &mut [u8]) -> Result<usize> {
    use std::{io, os::fd::AsRawFd};

    use rustix::io::Errno;

    /// One number on all of these.
    const SYS_LISTXATTRAT: libc::c_long = 465;
    let (flags, size) = (libc::AT_SYMLINK_NOFOLLOW, list.len());
    // SAFETY: the handle is open and the name ends with a NUL byte as long as the call takes, and the kernel writes at most
    // `size` bytes into the list, which has as many.
    let length =
        unsafe { libc::syscall(SYS_LISTXATTRAT, dir.as_raw_fd(), name.as_ptr(), flags, list.as_mut_ptr(), size) };
    usize::try_from(length).map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOSYS))
}

/// As the other, where nobody tried its number.
#[cfg(not(all(
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
pub(super) fn listxattrat(_: BorrowedFd<'_>, _: &CStr, _: &mut [u8]) -> Result<usize> {
    Err(rustix::io::Errno::NOSYS)
}
