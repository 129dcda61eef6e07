//! Any bytes are read as a layer or refused: no panic, and nothing of an entry beyond its limits. With a first byte of
//! 1, the checksums of headers are mended first, so that what follows them is reached.

use std::io::Read;

use image_overlay::{EntryKind, LayerPath, Limits, Metadata, TarReader};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;
/// What is read of one file: one with holes may be of any length.
const READ: u64 = 1 << 16;

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if *first == 1 {
        bytes.chunks_exact_mut(BLOCK).for_each(mend);
    }
    let limits = Limits::default();
    let mut reader = TarReader::new(&bytes[..], &limits);
    let mut before = 0;
    loop {
        let mut entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(_) => {
                assert!(reader.next_entry().is_err(), "an error turned into an end");
                return;
            }
        };
        let Metadata { mode, uid, gid, xattrs, .. } = &entry.entry().metadata;
        assert!(*mode <= 0o7777 && *uid <= Metadata::MAX_ID && *gid <= Metadata::MAX_ID);
        let held: usize = xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(held as u64 <= limits.extension_bytes);
        assert!(entry.entry().path.as_bytes().len() <= LayerPath::MAX_BYTES);
        assert!(entry.data_offset() > before && entry.data_offset() <= bytes.len() as u64);
        before = entry.data_offset();
        let size = entry.entry().kind.size();
        let stored: u64 = entry.segments().iter().map(|segment| segment.length).sum();
        assert!(stored <= size);
        assert!(entry.segments().windows(2).all(|pair| pair[0].end() <= pair[1].offset));
        if let EntryKind::File { .. } = entry.entry().kind {
            let mut content = Vec::new();
            if (&mut entry).take(READ).read_to_end(&mut content).is_ok() {
                assert_eq!(content.len() as u64, size.min(READ));
            }
        }
    }
    assert_eq!(reader.drain().expect("bytes in memory"), bytes.len() as u64);
}

/// A header without anything but these.
pub(crate) fn header(kind: u8, name: &str, size: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(124, format!("{size:011o}").as_bytes());
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    mend(&mut block);
    block
}

/// Gives a header the checksum that it should have.
pub(crate) fn mend(block: &mut [u8]) {
    let sum: u64 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
