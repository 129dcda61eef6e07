//! The tests of `image-core` through its public interface.

#![cfg_attr(windows, allow(dead_code, unused_imports, reason = "what some tests need is only there on Unix systems"))]

mod blob;
mod blob_fs;
mod blob_fs_batch;
mod blob_fs_lease;
#[cfg(unix)]
mod blob_fs_share;
mod blob_fs_verify;
mod clock;
mod codec;
mod documents;
mod edit;
mod gc;
#[cfg(feature = "oci-spec")]
mod interop;
mod observer;
mod parallel;
mod platform;
#[cfg(unix)]
mod reference;
