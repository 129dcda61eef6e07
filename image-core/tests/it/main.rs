//! The tests of `image-core` through its public interface.

mod blob;
mod blob_fs;
mod codec;
mod documents;
mod edit;
#[cfg(feature = "oci-spec")]
mod interop;
mod observer;
mod platform;
mod reference;
