//! Names and paths as numbers, where very many have to be told apart.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// 128 bits of two keyed hashes. A set of ten million names costs hundreds of megabytes otherwise.
pub(super) type Key = u128;

/// Makes keys. They are of this run and secret, so that no layer can be made to collide, and by chance ten million do with
/// probability 2^-82.
#[derive(Debug, Default)]
pub(super) struct Keys([RandomState; 2]);

impl Keys {
    /// The key of something.
    pub(super) fn of(&self, what: impl Hash) -> Key {
        join(self.0.each_ref().map(|state| state.hash_one(&what)))
    }

    /// The keys of all directories on the way to a path and of the path itself, each with where its name ends, the nearest to the
    /// root first: each byte is hashed once.
    pub(super) fn on_the_way(&self, path: &[u8]) -> impl Iterator<Item = (Key, usize)> {
        let mut hashers = self.0.each_ref().map(BuildHasher::build_hasher);
        let mut end = 0;
        path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(move |name| {
            end += usize::from(end > 0) + name.len();
            hashers.iter_mut().for_each(|hasher| name.hash(hasher));
            (join(hashers.each_ref().map(Hasher::finish)), end)
        })
    }

    /// The key of a path, as it is among those of paths below it.
    pub(super) fn of_path(&self, path: &[u8]) -> Key {
        self.on_the_way(path).last().map_or_else(|| self.of_root(), |(key, _)| key)
    }

    /// The key of the root, which is on the way to every path.
    pub(super) fn of_root(&self) -> Key {
        join(self.0.each_ref().map(|state| state.build_hasher().finish()))
    }
}

fn join([high, low]: [u64; 2]) -> Key {
    Key::from(high) << 64 | Key::from(low)
}
