//! Any bytes are what is known of files or nothing, and what is something is written as it was read.
//! The checksum at the end is mended first.

use image_core::Digest;
use image_overlay::KnownFiles;

const VERSION: &[u8] = b"image-overlay known 1\n";

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let mut kept = [VERSION, bytes].concat();
    let sum = Digest::sha256_of(&kept);
    kept.extend(sum.encoded().as_bytes());
    let Ok(known) = KnownFiles::read(&*kept) else { return };
    let mut written = Vec::new();
    known.write(&mut written).expect("memory");
    assert_eq!(written.len(), kept.len());
    assert_eq!(KnownFiles::read(&*written).expect("it was written"), known);
}
