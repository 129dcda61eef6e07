//! The tests of `image-core` through its public interface.

mod blob;
mod codec;
mod documents;
mod platform;
mod reference;
