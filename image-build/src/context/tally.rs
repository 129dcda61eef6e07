//! Progress of one thread among several.

use image_core::observer::Task;

/// How many items a thread has done before it says so: to say it is a lock that all threads share.
const ITEMS: u64 = 64;

/// How many bytes.
const BYTES: u64 = 4 << 20;

/// Counts what a thread does, and tells of it now and then.
pub(super) struct Tally<'a> {
    task: &'a Task<'a>,
    bytes: u64,
    items: u64,
}

impl<'a> Tally<'a> {
    pub(super) fn new(task: &'a Task<'a>) -> Self {
        Self { task, bytes: 0, items: 0 }
    }

    pub(super) fn add(&mut self, bytes: u64, items: u64) {
        self.bytes += bytes;
        self.items += items;
        if self.items >= ITEMS || self.bytes >= BYTES {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.task.advance(self.bytes, self.items);
        (self.bytes, self.items) = (0, 0);
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        if self.items > 0 {
            self.tell();
        }
    }
}
