//! The tests of `image-core` through its public interface.

mod platform;
mod reference;
