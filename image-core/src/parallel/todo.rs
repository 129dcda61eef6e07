//! Work that is found while other work is done.

use std::{
    fmt,
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use super::map::lock;

/// Items that several threads take from, and add to meanwhile.
///
/// ```
/// use image_core::parallel::Todo;
/// let todo = Todo::new(3);
/// let mut numbers = Vec::new();
/// while let Some((n, _turn)) = todo.next() {
///     numbers.push(n);
///     todo.add((n > 0).then(|| n - 1));
/// }
/// assert_eq!(numbers, [3, 2, 1, 0]);
/// ```
pub struct Todo<T> {
    left: Mutex<Left<T>>,
    changed: Condvar,
}

struct Left<T> {
    /// The last is the next: of what lies open for what is found in it, little is.
    items: Vec<T>,
    /// How many were taken and are not done, so that more may come.
    busy: usize,
    /// How many threads wait for one.
    waiting: usize,
    stopped: bool,
}

impl<T> fmt::Debug for Todo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Todo").field("items", &lock(&self.left).items.len()).finish_non_exhaustive()
    }
}

impl<T> Todo<T> {
    /// Begins with one item.
    #[must_use]
    pub fn new(first: T) -> Self {
        let left = Left { items: vec![first], busy: 0, waiting: 0, stopped: false };
        Self { left: Mutex::new(left), changed: Condvar::new() }
    }

    /// The next item, and the turn that lasts as long as it may lead to more: waits for others that may; `None` where
    /// there is no item and none will come.
    pub fn next(&self) -> Option<(T, Turn<'_, T>)> {
        let mut left = lock(&self.left);
        loop {
            if left.stopped {
                return None;
            }
            if let Some(item) = left.items.pop() {
                left.busy += 1;
                return Some((item, Turn { todo: self }));
            }
            if left.busy == 0 {
                return None;
            }
            left.waiting += 1;
            left = self.changed.wait(left).unwrap_or_else(PoisonError::into_inner);
            left.waiting -= 1;
        }
    }

    /// Adds items.
    pub fn add(&self, items: impl IntoIterator<Item = T>) {
        self.change(|left| left.items.extend(items));
    }

    /// Nobody gets another item.
    pub fn stop(&self) {
        self.change(|left| left.stopped = true);
    }

    fn change(&self, change: impl FnOnce(&mut Left<T>)) {
        let mut left = lock(&self.left);
        change(&mut left);
        // To wake nobody is a system call too.
        if left.waiting > 0 && (left.stopped || left.busy == 0 || !left.items.is_empty()) {
            self.changed.notify_all();
        }
    }
}

/// The time in which an item of a [`Todo`] may lead to more of them.
#[must_use = "the turn is over when this is dropped"]
pub struct Turn<'a, T> {
    todo: &'a Todo<T>,
}

impl<T> fmt::Debug for Turn<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl<T> Drop for Turn<'_, T> {
    /// Nobody waits for what a thread that panics would have added.
    fn drop(&mut self) {
        self.todo.change(|left| {
            left.busy -= 1;
            left.stopped |= thread::panicking();
        });
    }
}
