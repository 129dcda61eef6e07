//! The tests of `image-overlay` through its public interface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod apply;
mod arb;
mod error;
mod layers;
mod on_disk;
mod path;
mod raw_tar;
mod tar_hostile;
mod tar_oracle;
mod tar_read;
mod tar_write;
mod toc;
mod whiteout;
