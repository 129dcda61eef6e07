//! The tests of `image-layout` through its public interface.

mod archive;
mod archive_tools;
mod concurrency;
mod copy;
mod fixture;
mod fsck;
mod gc;
mod hostile;
mod hostile_table;
mod layout;
mod load;
mod load_compressed;
mod referrers;
mod save;
mod select;
mod tag;
mod tools;
