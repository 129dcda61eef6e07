//! Generators, oracles and tree literals shared by the workspace's tests. Never published.

pub mod privilege;
mod reference;
pub mod skip;

pub use privilege::unprivileged;
pub use reference::arb_reference;
pub use skip::{require_root, require_tool, skip};
