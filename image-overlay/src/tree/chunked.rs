//! A list that grows without being moved, and whose copies share what neither changed.

use std::{
    ops::{Index, IndexMut},
    sync::Arc,
};

/// How many items a chunk holds.
pub(super) const CHUNK: usize = 1 << 10;

/// Items in chunks of equal length. A vector as large as a tree would be copied each time it grows, and for that moment,
/// and as a hole in the heap for longer, take two or three times its memory.
#[derive(Debug, Clone)]
pub(super) struct Chunked<T> {
    chunks: Vec<Arc<Vec<T>>>,
}

impl<T: Clone> Chunked<T> {
    pub(super) fn push(&mut self, item: T) {
        match self.chunks.last_mut().map(Arc::make_mut) {
            // The first grows as it is needed: many trees are small.
            Some(last) if last.len() < CHUNK => last.push(item),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(item);
                self.chunks.push(Arc::new(chunk));
            }
        }
    }
}

impl<T> Chunked<T> {
    pub(super) fn of(first: T) -> Self {
        Self { chunks: vec![Arc::new(vec![first])] }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }
}

impl<T> Index<usize> for Chunked<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.chunks[place / CHUNK][place % CHUNK]
    }
}

impl<T: Clone> IndexMut<usize> for Chunked<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut Arc::make_mut(&mut self.chunks[place / CHUNK])[place % CHUNK]
    }
}
