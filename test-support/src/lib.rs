//! Generators, oracles and tree literals shared by the workspace's tests.

mod reference;

pub use reference::arb_reference;
