//! The tests of `image-build` through its public interface.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod build;
mod build_add;
mod build_cache;
mod build_copy;
mod build_copy_flags;
mod build_errors;
mod build_explain;
mod build_explain_again;
mod build_fidelity;
mod build_fixture;
mod build_named;
mod build_onbuild;
mod build_parallel;
mod build_platforms;
mod build_property;
mod build_recode;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod build_run;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod build_run_end;
#[cfg(target_os = "linux")]
mod build_run_explain;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod build_run_fixture;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod build_run_mounts;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod build_run_parallel;
mod build_security;
mod build_state;
mod cache;
mod context_source;
mod differential;
mod differential_docker;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod differential_run;
mod dockerfile;
mod exec_conformance;
mod expand;
#[cfg(feature = "http")]
mod fetch_http;
mod ignore;
mod ignore_model;
mod image_steps;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod image_steps_run;
mod input;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod run_command;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod run_end;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod run_fixture;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod run_mounts;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod run_network;
mod stat_cache;
