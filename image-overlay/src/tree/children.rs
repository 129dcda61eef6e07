//! The names in a directory, in order.

use std::cmp::Ordering;

use super::NodeId;

/// How many names a chunk holds at most: what a name that is added in the middle moves.
const CHUNK: usize = 512;

/// Names in order: in chunks, none of which is empty, so that a name is quickly added to a large directory too.
#[derive(Debug, Clone, Default)]
pub(super) struct Children {
    chunks: Vec<Vec<NodeId>>,
}

/// Where a name stands, or would: its chunk, and its place in that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position(usize, usize);

impl Children {
    /// Where the name stands that `compare` finds equal; else where it belongs.
    pub(super) fn find(&self, compare: impl Fn(NodeId) -> Ordering) -> Result<(Position, NodeId), Position> {
        let is_before = |chunk: &Vec<NodeId>| chunk.last().is_some_and(|last| compare(*last) == Ordering::Less);
        let chunk = self.chunks.partition_point(is_before);
        match self.chunks.get(chunk).map(|names| (names, names.binary_search_by(|name| compare(*name)))) {
            Some((names, Ok(place))) => Ok((Position(chunk, place), names[place])),
            Some((_, Err(place))) => Err(Position(chunk, place)),
            // Behind all.
            None => Err(self.chunks.last().map_or(Position(0, 0), |last| Position(chunk - 1, last.len()))),
        }
    }

    /// Adds a name where it belongs.
    pub(super) fn insert(&mut self, Position(chunk, place): Position, name: NodeId) {
        let is_last = chunk + 1 == self.chunks.len();
        let Some(names) = self.chunks.get_mut(chunk) else { return self.chunks.push(vec![name]) };
        if names.len() < CHUNK {
            names.insert(place, name);
        } else if is_last && place == names.len() {
            self.chunks.push(vec![name]);
        } else {
            let mut rest = names.split_off(CHUNK / 2);
            match place.checked_sub(CHUNK / 2) {
                Some(place) => rest.insert(place, name),
                None => names.insert(place, name),
            }
            self.chunks.insert(chunk + 1, rest);
        }
    }

    /// Puts a name in the place of an equal one.
    pub(super) fn replace(&mut self, Position(chunk, place): Position, name: NodeId) {
        self.chunks[chunk][place] = name;
    }

    /// Takes a name away.
    pub(super) fn remove(&mut self, Position(chunk, place): Position) {
        self.chunks[chunk].remove(place);
        if self.chunks[chunk].is_empty() {
            self.chunks.remove(chunk);
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        self.chunks.iter().flatten().copied()
    }
}
