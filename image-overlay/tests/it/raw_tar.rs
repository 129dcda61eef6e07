//! Tar streams made byte by byte, right and wrong, and what the reader makes of them.

use std::io::Read;

use image_overlay::{Entry, Error, Limits, Result, Segment, TarReader};

/// A header that a test may put anything into.
#[derive(Clone)]
pub(crate) struct Raw([u8; 512]);

impl Raw {
    /// A ustar header of mode 0644 with this type, name and size.
    pub(crate) fn new(kind: u8, name: &[u8], size: u64) -> Self {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let raw = Self(block).with(100, b"0000644\0").with(108, b"0000000\0").with(116, b"0000000\0");
        raw.with(124, format!("{size:011o}\0").as_bytes()).with(136, b"00000000000\0")
    }

    pub(crate) fn gnu(self) -> Self {
        self.with(257, b"ustar  \0")
    }

    pub(crate) fn v7(self) -> Self {
        self.with(257, &[0; 8])
    }

    pub(crate) fn with(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// The block with a right checksum.
    pub(crate) fn block(mut self) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.to_vec()
    }

    /// The block as it is, whatever its checksum.
    pub(crate) fn unsummed(self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// The block and padded data.
    pub(crate) fn data(self, data: &[u8]) -> Vec<u8> {
        [self.block(), padded(data)].concat()
    }
}

pub(crate) fn padded(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    out.resize(data.len().next_multiple_of(512), 0);
    out
}

/// A regular file.
pub(crate) fn file(name: &[u8], data: &[u8]) -> Vec<u8> {
    Raw::new(b'0', name, data.len() as u64).data(data)
}

/// An extended header of type `kind` with this body.
pub(crate) fn extended(kind: u8, body: &[u8]) -> Vec<u8> {
    Raw::new(kind, b"ext", body.len() as u64).data(body)
}

/// A PAX header with these records.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    extended(b'x', &records.iter().flat_map(|(k, v)| record(k, v)).collect::<Vec<_>>())
}

pub(crate) fn record(keyword: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", keyword.as_bytes(), b"=", value, b"\n"].concat();
    let digits = (1..20).find(|d| (rest.len() + d).to_string().len() == *d).unwrap();
    [(rest.len() + digits).to_string().as_bytes(), &rest].concat()
}

/// The parts and the archive's end.
pub(crate) fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), vec![0; 1024]].concat()
}

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
