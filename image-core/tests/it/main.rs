//! The tests of `image-core` through its public interface.

mod documents;
mod platform;
mod reference;
