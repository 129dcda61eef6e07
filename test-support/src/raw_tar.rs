//! Tar streams made byte by byte, right and wrong.

/// A header that a test may put anything into.
#[derive(Debug, Clone)]
pub struct Raw([u8; 512]);

impl Raw {
    /// A ustar header of mode 0644 with this type, name and size.
    ///
    /// # Panics
    /// Where the name has more than 100 bytes.
    #[must_use]
    pub fn new(kind: u8, name: &[u8], size: u64) -> Self {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let raw = Self(block).with(100, b"0000644\0").with(108, b"0000000\0").with(116, b"0000000\0");
        raw.with(124, format!("{size:011o}\0").as_bytes()).with(136, b"00000000000\0")
    }

    /// In GNU's old format.
    #[must_use]
    pub fn gnu(self) -> Self {
        self.with(257, b"ustar  \0")
    }

    /// In the format of before there were others.
    #[must_use]
    pub fn v7(self) -> Self {
        self.with(257, &[0; 8])
    }

    /// With these bytes at an offset.
    ///
    /// # Panics
    /// Where the header ends before.
    #[must_use]
    pub fn with(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// The block with a right checksum.
    #[must_use]
    pub fn block(mut self) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.to_vec()
    }

    /// The block as it is, whatever its checksum.
    #[must_use]
    pub fn unsummed(self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// The block and padded data.
    #[must_use]
    pub fn data(self, data: &[u8]) -> Vec<u8> {
        [self.block(), padded(data)].concat()
    }
}

/// Data up to the end of a block.
#[must_use]
pub fn padded(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    out.resize(data.len().next_multiple_of(512), 0);
    out
}

/// A regular file.
#[must_use]
pub fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Vec<u8> {
    let (name, data) = (name.as_ref(), data.as_ref());
    named(name, |name| Raw::new(b'0', name, data.len() as u64).data(data))
}

/// A directory.
#[must_use]
pub fn dir(name: impl AsRef<[u8]>) -> Vec<u8> {
    named(name.as_ref(), |name| Raw::new(b'5', name, 0).with(100, b"0000755\0").block())
}

/// A symbolic link.
#[must_use]
pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Vec<u8> {
    link(b'2', name.as_ref(), target.as_ref())
}

/// A hard link.
#[must_use]
pub fn hard_link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Vec<u8> {
    link(b'1', name.as_ref(), target.as_ref())
}

/// A named pipe.
#[must_use]
pub fn fifo(name: impl AsRef<[u8]>) -> Vec<u8> {
    named(name.as_ref(), |name| Raw::new(b'6', name, 0).block())
}

/// A character device.
#[must_use]
pub fn char_device(name: impl AsRef<[u8]>, major: u32, minor: u32) -> Vec<u8> {
    let number = |number: u32| format!("{number:07o}\0").into_bytes();
    named(name.as_ref(), |name| Raw::new(b'3', name, 0).with(329, &number(major)).with(337, &number(minor)).block())
}

fn link(kind: u8, name: &[u8], target: &[u8]) -> Vec<u8> {
    let short = &target[..target.len().min(100)];
    let member = named(name, |name| Raw::new(kind, name, 0).with(157, short).block());
    if target.len() > 100 { [pax(&[("linkpath", target)]), member].concat() } else { member }
}

/// A member under a name that may be too long for its header.
fn named(name: &[u8], member: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    if name.len() > 100 { [pax(&[("path", name)]), member(b"long")].concat() } else { member(name) }
}

/// An extended header of type `kind` with this body.
#[must_use]
pub fn extended(kind: u8, body: &[u8]) -> Vec<u8> {
    Raw::new(kind, b"ext", body.len() as u64).data(body)
}

/// A PAX header with these records.
#[must_use]
pub fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    extended(b'x', &records.iter().flat_map(|(k, v)| record(k, v)).collect::<Vec<_>>())
}

/// A PAX record.
#[must_use]
pub fn record(keyword: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", keyword.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

/// The parts and the archive's end.
#[must_use]
pub fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), vec![0; 1024]].concat()
}
