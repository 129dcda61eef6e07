//! The tests of `image-layout` through its public interface.

mod concurrency;
mod copy;
mod fixture;
mod fsck;
mod hostile;
mod layout;
mod select;
mod tag;
mod tools;
