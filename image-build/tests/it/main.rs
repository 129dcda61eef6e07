//! The tests of `image-build` through its public interface.

mod dockerfile;
mod expand;
mod ignore;
