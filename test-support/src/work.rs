//! How much a test has a thread work.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread has been at work, whatever else the machine does: what must end soon is measured by it rather than by a
/// clock, which goes on while others work.
#[must_use]
pub fn thread_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or_default())
}
