//! Generators, oracles and tree literals shared by the workspace's tests. Never published.

mod buildkit;
pub mod containerd;
mod daemon;
pub mod docker;
pub mod hostile;
pub mod layout;
pub mod privilege;
pub mod raw_tar;
mod reference;
pub mod skip;
pub mod temp;
pub mod tool;
pub mod tree;
mod work;

pub use containerd::Containerd;
pub use docker::Docker;
pub use privilege::unprivileged;
pub use reference::arb_reference;
pub use skip::{require_root, require_tool, skip, some_cases, unobtainable};
pub use temp::{DiskImage, SmallDisk, TempDir, temp_dir};
pub use tree::{Tree, TreeBuilder, TreeOptions};
pub use work::thread_time;
