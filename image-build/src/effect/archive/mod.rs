//! Archives that ADD unpacks: tar files, plain or compressed.
//!
//! An archive is foreign input. It is read by the reader of layers, within its limits; its names are
//! resolved within it, so that no path and no link of it leads out of the destination.

mod decode;
mod part;
mod spool;

pub(crate) use decode::{decompress, is_archive};
pub(crate) use part::ArchivePart;
pub(crate) use spool::spool;
