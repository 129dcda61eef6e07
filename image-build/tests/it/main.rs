//! The tests of `image-build` through its public interface.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod dockerfile;
mod expand;
mod ignore;
