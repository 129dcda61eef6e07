//! The tests of `image-build` through its public interface.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod build;
mod build_add;
mod build_cache;
mod build_copy;
mod build_copy_flags;
mod build_errors;
mod build_explain;
mod build_fidelity;
mod build_fixture;
mod build_onbuild;
mod build_property;
mod build_security;
mod cache;
mod differential;
mod differential_docker;
mod dockerfile;
mod expand;
mod ignore;
mod input;
