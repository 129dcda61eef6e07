//! The tests of the tests' tools.

mod engines;
mod tree;
