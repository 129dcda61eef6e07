//! The tests of `image-core` through its public interface.

mod blob;
mod documents;
mod platform;
mod reference;
