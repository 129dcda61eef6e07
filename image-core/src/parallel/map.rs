//! Items looked at side by side.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// More threads than this gain little: reading and hashing are then the slower part.
const MAX_THREADS: usize = 8;

/// As many threads as the system has processors for, eight at most.
#[must_use]
pub fn threads() -> NonZeroUsize {
    let available = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    available.min(NonZeroUsize::new(MAX_THREADS).unwrap_or(available))
}

/// What `f` makes of each item, in their order, by so many threads: fewer where there are fewer items, or the system has no
/// more to give.
///
/// ```
/// use image_core::parallel;
/// let squares = parallel::map(parallel::threads(), &[1_u32, 2, 3], |n| n.checked_mul(*n).ok_or("too large"));
/// assert_eq!(squares, Ok(vec![1, 4, 9]));
/// ```
///
/// # Errors
/// That of the first item, in their order, for which `f` fails. Items behind it may not have been looked at.
pub fn map<T, R, E>(threads: NonZeroUsize, items: &[T], f: impl Fn(&T) -> Result<R, E> + Sync) -> Result<Vec<R>, E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let failed = Mutex::new(None::<(usize, E)>);
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return };
            match f(item) {
                Ok(result) => lock(&done).push((place, result)),
                Err(error) => {
                    // Nobody takes another one. Those before it have been taken.
                    next.store(items.len(), Ordering::Relaxed);
                    let mut failed = lock(&failed);
                    if failed.as_ref().is_none_or(|(first, _)| place < *first) {
                        *failed = Some((place, error));
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.get().min(items.len()) {
            // A thread that cannot be had leaves its work to the others.
            if thread::Builder::new().name("parallel".to_owned()).spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    if let Some((_, error)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
