//! The tests of `image-layout` through its public interface.

#![cfg_attr(windows, allow(dead_code, unused_imports, reason = "what some tests need is only there on Unix systems"))]

mod archive;
#[cfg(unix)]
mod archive_tools;
mod concurrency;
mod copy;
mod fixture;
mod fsck;
mod gc;
#[cfg(unix)]
mod hostile;
#[cfg(unix)]
mod hostile_table;
mod layout;
mod load;
mod load_compressed;
mod referrers;
mod save;
mod select;
mod tag;
#[cfg(unix)]
mod tools;
