//! Running as somebody whom the kernel refuses things.

use std::{panic::resume_unwind, thread};

use rustix::{process::Uid, thread::set_thread_res_uid};

/// Runs `work` without root's power over permissions: on a thread of user 65534 where the process
/// is root, else as it is.
///
/// # Panics
/// As `work` does, and where the kernel does not let go of the power.
pub fn unprivileged<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if !rustix::process::geteuid().is_root() {
        return work();
    }
    let run = || {
        let nobody = Uid::from_raw(65534);
        set_thread_res_uid(nobody, nobody, nobody).expect("root may become another user");
        work()
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| resume_unwind(panic))
}
