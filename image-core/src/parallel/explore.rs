//! A tree that is found as it is visited.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use super::todo::Todo;

/// How many results of visits may wait to be received.
const WAITING: usize = 64;

/// Visits everything that can be found from `first`, on so many threads, and hands what the visits tell to `receive`, on the
/// calling thread: of what was found after what it was found from, and otherwise in any order.
///
/// ```
/// use image_core::parallel::{self, Visit};
/// let mut numbers = Vec::new();
/// let halves = |n: u32, visit: &mut Visit<'_, u32, u32>| {
///     visit.tell(n);
///     if n > 1 {
///         visit.find(n / 2);
///         visit.find(n - n / 2);
///     }
///     Ok::<_, ()>(())
/// };
/// parallel::explore(parallel::threads(), 5, halves, |n| Ok(numbers.push(n)))?;
/// numbers.sort();
/// assert_eq!(numbers, [1, 1, 1, 1, 1, 2, 2, 3, 5]);
/// # Ok::<(), ()>(())
/// ```
///
/// # Errors
/// One of those of `visit` and `receive`, after which no more is visited.
pub fn explore<T, R, E>(
    threads: NonZeroUsize,
    first: T,
    visit: impl Fn(T, &mut Visit<'_, T, R>) -> Result<(), E> + Sync,
    mut receive: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E>
where
    T: Send,
    R: Send,
    E: Send,
{
    let todo = Todo::new(first);
    let work = |results: SyncSender<Result<R, E>>| {
        while let Some((item, _turn)) = todo.next() {
            let (mut found, mut is_wanted) = (Vec::new(), true);
            let mut tell = |told| is_wanted = is_wanted && results.send(Ok(told)).is_ok();
            let visited = visit(item, &mut Visit { found: &mut found, tell: &mut tell });
            if visited.is_err() || !is_wanted {
                todo.stop();
            }
            todo.add(found);
            if let Err(error) = visited {
                // Fails only where nobody is left to be told.
                drop(results.send(Err(error)));
            }
        }
    };
    thread::scope(|scope| {
        let (results, received) = sync_channel(WAITING);
        let mut started = 0;
        for _ in 0..threads.get() {
            let results = results.clone();
            let work = &work;
            let spawned = thread::Builder::new().name("explore".to_owned()).spawn_scoped(scope, move || work(results));
            started += usize::from(spawned.is_ok());
        }
        drop(results);
        if started > 0 {
            return received.into_iter().try_for_each(|told| receive(told?));
        }
        while let Some((item, _turn)) = todo.next() {
            let (mut found, mut all) = (Vec::new(), Vec::new());
            visit(item, &mut Visit { found: &mut found, tell: &mut |told| all.push(told) })?;
            todo.add(found);
            all.into_iter().try_for_each(&mut receive)?;
        }
        Ok(())
    })
}

/// A visit of [`explore`].
pub struct Visit<'a, T, R> {
    found: &'a mut Vec<T>,
    tell: &'a mut dyn FnMut(R),
}

impl<T, R> fmt::Debug for Visit<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("found", &self.found.len()).finish_non_exhaustive()
    }
}

impl<T, R> Visit<'_, T, R> {
    /// Adds what is to be visited too, when this visit is over.
    pub fn find(&mut self, item: T) {
        self.found.push(item);
    }

    /// Hands something to whoever receives.
    pub fn tell(&mut self, result: R) {
        (self.tell)(result);
    }
}
