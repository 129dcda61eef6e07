//! The tests of `image-core` through its public interface.

mod blob;
mod blob_fs;
mod blob_fs_batch;
mod blob_fs_lease;
mod blob_fs_share;
mod blob_fs_verify;
mod codec;
mod documents;
mod edit;
mod gc;
#[cfg(feature = "oci-spec")]
mod interop;
mod observer;
mod parallel;
mod platform;
mod reference;
