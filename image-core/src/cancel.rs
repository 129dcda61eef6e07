//! Cancelling long work from elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::error::{Error, Result};

/// A switch that stops long work: cheap to clone, usable from any thread and from a signal handler.
///
/// Work looks at it at every entry and at least once per MiB, returns [`Error::Cancelled`],
/// and leaves nothing half-visible.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    is_on: AtomicBool,
    /// What stops this too.
    above: Option<CancelToken>,
}

impl CancelToken {
    /// A switch for a part of the work: cancelling it stops that part alone, and cancelling this one stops it too.
    ///
    /// ```
    /// use image_core::CancelToken;
    /// let (whole, other) = (CancelToken::default(), CancelToken::default());
    /// let part = whole.child();
    /// part.cancel();
    /// assert!(part.is_cancelled() && !whole.is_cancelled());
    /// let part = whole.child();
    /// whole.cancel();
    /// assert!(part.is_cancelled() && !other.is_cancelled());
    /// ```
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Switch { is_on: AtomicBool::new(false), above: Some(self.clone()) }))
    }

    /// Cancels all work that was given this token, a clone or a child of it. It cannot be undone.
    pub fn cancel(&self) {
        self.0.is_on.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let mut tokens = std::iter::successors(Some(self), |token| token.0.above.as_ref());
        tokens.any(|token| token.0.is_on.load(Ordering::Relaxed))
    }

    /// Goes on unless cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
