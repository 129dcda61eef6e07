//! The tests of the tests' tools.

mod tree;
