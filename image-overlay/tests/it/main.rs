//! The tests of `image-overlay` through its public interface.
