//! The tests of `image-build` through its public interface.
