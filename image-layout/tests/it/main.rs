//! The tests of `image-layout` through its public interface.
