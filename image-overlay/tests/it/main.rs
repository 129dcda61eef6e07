//! The tests of `image-overlay` through its public interface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod apply;
mod apply_attributes;
mod apply_cost;
mod apply_kernel;
mod apply_model;
mod apply_options;
mod apply_overlay;
mod apply_race;
mod arb;
mod capture;
mod diff;
mod edits;
mod error;
mod file_tree;
mod flatten;
mod hostile;
mod image_limits;
mod image_of_layers;
mod image_tree;
mod known;
mod layer_changes;
mod layers;
mod mount;
mod mount_point;
mod on_disk;
mod pack;
mod path;
mod raw_tar;
mod root;
mod snapshot;
mod tar_hostile;
mod tar_oracle;
mod tar_read;
mod tar_write;
mod toc;
mod trees;
mod unpack;
mod unpack_order;
mod usage;
mod whiteout;
