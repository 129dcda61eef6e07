//! Layers as tar streams: one reader and one canonical writer.
//!
//! The reader understands what layers in the wild are written in: v7, ustar, star, PAX and GNU
//! headers, long names, binary numbers and all forms of sparse files. The writer makes the
//! same bytes of the same entries on every machine.

mod content;
mod decode;
mod failure;
mod header;
mod input;
mod pax;
mod read;
mod sparse;
mod write;

pub use read::{Chunk, TarEntry, TarReader};
pub use sparse::Segment;
pub use write::TarWriter;
