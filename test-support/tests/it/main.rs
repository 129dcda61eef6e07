//! The tests of the tests' tools.

mod engines;
mod hostile;
mod tree;
