//! A digest of many facts that follows the change of one without reading the others again.
//!
//! A stage may have thousands of variables and labels, and each of its instructions changes a few. Facts lie in a tree
//! by the digests of their names, and every node has the digest of what is below it; a change makes those on its way
//! anew. The form of the tree follows from the facts alone, and so does its digest: not from the order in which they came.

use std::array;

use image_core::{Digest, hasher::Sha256};

/// How many facts a node holds before it is split.
const FEW: usize = 16;

/// Among how many nodes it is split.
const WAYS: usize = 16;

/// How many times it can be split: a digest has so many digits.
const DEPTH: usize = 64;

type Bytes = [u8; 32];

/// Facts, each with a name and a value.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    root: Node,
}

#[derive(Debug, Clone)]
struct Node {
    digest: Bytes,
    below: Below,
}

#[derive(Debug, Clone)]
enum Below {
    /// Digests of names and values, in the order of those of the names.
    Facts(Vec<(Bytes, Bytes)>),
    /// By the next digit of the name's digest.
    Nodes(Box<[Node; WAYS]>),
}

impl Default for Facts {
    fn default() -> Self {
        Self { root: Node::new() }
    }
}

impl Facts {
    /// Sets the value of a name. Both are lists of parts, which are told apart.
    pub(crate) fn set(&mut self, name: &[&[u8]], value: &[&[u8]]) {
        self.root.set(0, digest_of(name), digest_of(value));
    }

    /// Equal if and only if the facts are.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_sha256(self.root.digest)
    }
}

impl Node {
    fn new() -> Self {
        let below = Below::Facts(Vec::new());
        Self { digest: below.digest(), below }
    }

    fn set(&mut self, depth: usize, name: Bytes, value: Bytes) {
        match &mut self.below {
            Below::Nodes(nodes) => nodes[digit(&name, depth)].set(depth + 1, name, value),
            Below::Facts(facts) => {
                match facts.binary_search_by_key(&name, |(name, _)| *name) {
                    Ok(at) => facts[at].1 = value,
                    Err(at) => facts.insert(at, (name, value)),
                }
                if facts.len() > FEW && depth < DEPTH {
                    self.below = split(facts, depth);
                }
            }
        }
        self.digest = self.below.digest();
    }
}

fn split(facts: &[(Bytes, Bytes)], depth: usize) -> Below {
    let mut nodes = Box::new(array::from_fn(|_| Node::new()));
    for (name, value) in facts {
        nodes[digit(name, depth)].set(depth + 1, *name, *value);
    }
    Below::Nodes(nodes)
}

/// The digit of a digest at a place, from 0.
fn digit(digest: &Bytes, place: usize) -> usize {
    let byte = digest[place / 2];
    usize::from(if place.is_multiple_of(2) { byte >> 4 } else { byte & 0xf })
}

impl Below {
    fn digest(&self) -> Bytes {
        let mut hasher = Sha256::default();
        match self {
            Self::Facts(facts) => {
                hash(&mut hasher, b"f");
                for (name, value) in facts {
                    hash(&mut hasher, name);
                    hash(&mut hasher, value);
                }
            }
            Self::Nodes(nodes) => {
                hash(&mut hasher, b"n");
                nodes.iter().for_each(|node| hash(&mut hasher, &node.digest));
            }
        }
        hasher.finish()
    }
}

/// The digest of parts, each behind its length.
fn digest_of(parts: &[&[u8]]) -> Bytes {
    let mut hasher = Sha256::default();
    for part in parts {
        hash(&mut hasher, &(part.len() as u64).to_le_bytes());
        hash(&mut hasher, part);
    }
    hasher.finish()
}

fn hash(hasher: &mut Sha256, bytes: &[u8]) {
    #[cfg(test)]
    tests::HASHED.with(|hashed| hashed.set(hashed.get() + bytes.len()));
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeMap};

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        /// How many bytes were hashed.
        pub(super) static HASHED: Cell<usize> = const { Cell::new(0) };
    }

    fn facts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Facts {
        let mut facts = Facts::default();
        pairs.into_iter().for_each(|(name, value)| facts.set(&[name.as_bytes()], &[value.as_bytes()]));
        facts
    }

    #[test]
    fn the_work_of_a_change_hardly_grows_with_the_number_of_facts() {
        let work = |count: usize| {
            let mut facts = Facts::default();
            let before = HASHED.get();
            (0..count).for_each(|n| facts.set(&[&n.to_le_bytes()], &[b"value"]));
            (HASHED.get() - before) / count
        };
        let (few, many) = (work(200), work(20_000));
        assert!(many < 2 * few, "{few} bytes for each of 200, {many} for each of 20,000");
    }

    #[test]
    fn parts_are_told_apart() {
        let mut digests: Vec<Digest> = [&[&b"a"[..], b"b"][..], &[b"ab"], &[b"", b"ab"], &[b"ab", b""], &[]]
            .map(|name| {
                let mut facts = Facts::default();
                facts.set(name, &[]);
                facts.digest()
            })
            .to_vec();
        digests.push(Facts::default().digest());
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 6);
    }

    proptest! {
        #[test]
        fn digests_are_equal_if_and_only_if_facts_are(
            a in prop::collection::vec(("[a-d]{0,3}", "[xy]"), 0..60),
            b in prop::collection::vec(("[a-d]{0,3}", "[xy]"), 0..60),
            seed in any::<u64>(),
        ) {
            let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
            let digest = |pairs: &[(String, String)]| facts(pairs.iter().map(|(name, value)| (&**name, &**value))).digest();
            prop_assert_eq!(digest(&a) == digest(&b), map(&a) == map(&b));
            // In any order.
            let mut other: Vec<_> = map(&a).into_iter().collect();
            other.sort_by_key(|(name, _)| Digest::sha256_of(format!("{seed}{name}").as_bytes()));
            prop_assert_eq!(digest(&other), digest(&a));
        }
    }
}
