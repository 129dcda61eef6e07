//! What the reader makes of tar streams, right and wrong.

use std::io::Read;

use image_overlay::{Entry, Error, Limits, Result, Segment, TarReader};
pub(crate) use test_support::raw_tar::{Raw, archive, extended, file, padded, pax, record};

/// One entry as it was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) entry: Entry,
    pub(crate) content: Vec<u8>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) offset: u64,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Seen>> {
    read_within(bytes, &Limits::default())
}

pub(crate) fn read_within(bytes: &[u8], limits: &Limits) -> Result<Vec<Seen>> {
    let mut reader = TarReader::new(bytes, limits);
    let mut seen = Vec::new();
    while let Some(mut entry) = reader.next_entry()? {
        assert_eq!(entry.number(), seen.len() as u64 + 1);
        let (segments, offset) = (entry.segments().to_vec(), entry.data_offset());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|e| Error::recover(e).unwrap())?;
        assert_eq!(content.len() as u64, entry.entry().kind.size());
        seen.push(Seen { entry: entry.into_entry(), content, segments, offset });
    }
    assert!(reader.next_entry()?.is_none(), "an end stays the end");
    assert_eq!(reader.drain()?, bytes.len() as u64);
    Ok(seen)
}

/// The one entry of an archive.
pub(crate) fn read_one(parts: &[Vec<u8>]) -> Seen {
    let mut seen = read(&archive(parts)).unwrap();
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}
