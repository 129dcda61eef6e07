//! What every long operation is given besides its work.

use std::{fmt, sync::Arc};

use crate::{
    cancel::CancelToken,
    clock::{Clock, SystemClock, Timestamp},
    error::Result,
    observer::{Event, NoticeKind, Observer, Task, TaskKind},
};

/// Observer, cancel token and clock, in one argument.
///
/// ```
/// use std::sync::Arc;
/// use image_core::{CancelToken, Ctx};
/// let cancel = CancelToken::default();
/// let ctx = Ctx::default().with_cancel(cancel.clone());
/// cancel.cancel();
/// assert!(ctx.check().unwrap_err().is_cancelled());
/// ```
#[derive(Clone)]
pub struct Ctx {
    observer: Arc<dyn Observer>,
    cancel: CancelToken,
    clock: Arc<dyn Clock>,
}

impl Default for Ctx {
    /// Nobody watches, nobody cancels, and the time is the machine's.
    fn default() -> Self {
        Self { observer: Arc::new(|_: &Event<'_>| {}), cancel: CancelToken::default(), clock: Arc::new(SystemClock) }
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("cancel", &self.cancel).field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Ctx {
    /// With this observer.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// With this cancel token.
    #[must_use]
    pub fn with_cancel(self, cancel: CancelToken) -> Self {
        Self { cancel, ..self }
    }

    /// With this clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The cancel token.
    #[must_use]
    pub fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Goes on unless cancelled.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// Begins a piece of work under observation; `bytes` says how many are ahead, where known.
    #[must_use = "the work counts as failed when the task is dropped"]
    pub fn begin(&self, kind: TaskKind, label: &str, bytes: Option<u64>) -> Task<'_> {
        Task::begin(&*self.observer, kind, label, bytes)
    }

    /// Tells of something skipped or altered.
    pub fn notice(&self, kind: NoticeKind, subject: &str, message: &str) {
        self.observer.event(&Event::Notice { kind, subject, message });
    }
}
