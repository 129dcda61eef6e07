//! Generators, oracles and tree literals shared by the workspace's tests. Never published.

pub mod skip;

pub use skip::{require_root, require_tool, skip};
