//! Extended headers: records that name what a header block cannot hold.

use std::{collections::BTreeMap, mem};

use image_core::Timestamp;

use super::{
    failure::Failure,
    header::Fault,
    sparse::{SparseRecords, parse_decimal},
};
use crate::limits::Limits;

const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// What extended headers and long names say of the entry that follows them.
///
/// A later record of a keyword wins over an earlier one, and an empty value takes the earlier
/// one back, so that the header block's own holds.
///
/// # Spec
/// POSIX.1-2017, pax, § pax Extended Header; OCI image-spec 1.1, layer.md, § File Attributes, for extended attributes.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    path: Option<Vec<u8>>,
    link_path: Option<Vec<u8>>,
    gnu_path: Option<Vec<u8>>,
    gnu_link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: SparseRecords,
}

impl Extensions {
    /// The name: of a sparse file's records, of PAX, or of GNU, in this order.
    pub(super) fn take_path(&mut self) -> Option<Vec<u8>> {
        let gnu = self.gnu_path.take();
        self.sparse.name.take().or_else(|| self.path.take()).or(gnu)
    }

    /// The name of a link's target: of PAX or of GNU, in this order.
    pub(super) fn take_link_path(&mut self) -> Option<Vec<u8>> {
        let gnu = self.gnu_link_path.take();
        self.link_path.take().or(gnu)
    }

    pub(super) fn take_xattrs(&mut self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        mem::take(&mut self.xattrs)
    }

    /// Takes the body of GNU's header for a long name.
    pub(super) fn set_gnu_path(&mut self, body: &[u8]) {
        self.gnu_path = gnu_name(body);
    }

    /// Takes the body of GNU's header for a long link target.
    pub(super) fn set_gnu_link_path(&mut self, body: &[u8]) {
        self.gnu_link_path = gnu_name(body);
    }

    /// Takes all records of an extended header's body.
    pub(super) fn add_records(&mut self, body: &[u8], limits: &Limits) -> Result<(), Failure> {
        records(body).try_for_each(|record| {
            let Record { keyword, value } = record?;
            self.add(keyword, value, limits)
        })
    }

    fn add(&mut self, keyword: &[u8], value: &[u8], limits: &Limits) -> Result<(), Failure> {
        match keyword {
            b"path" => self.path = name(value)?,
            b"linkpath" => self.link_path = name(value)?,
            b"size" => self.size = decimal(value)?,
            b"uid" => self.uid = decimal(value)?,
            b"gid" => self.gid = decimal(value)?,
            b"mtime" => self.mtime = if value.is_empty() { None } else { Some(parse_time(value)?) },
            _ => {
                if let Some(attribute) = keyword.strip_prefix(XATTR_PREFIX) {
                    self.add_xattr(attribute, value, limits)?;
                } else if let Some(keyword) = keyword.strip_prefix(b"GNU.sparse.") {
                    self.sparse.add(keyword, value, limits)?;
                }
            }
        }
        Ok(())
    }

    fn add_xattr(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Failure> {
        if name.is_empty() {
            return Err("an extended attribute has no name".into());
        }
        let within = |length: usize, what, limit| {
            if length as u64 > limit { Err(Failure::Limit(what, limit)) } else { Ok(()) }
        };
        within(name.len(), "bytes of an extended attribute's name", limits.xattr_name_bytes)?;
        within(value.len(), "bytes of an extended attribute's value", limits.xattr_value_bytes)?;
        // An empty value is a value here: such attributes exist.
        self.xattrs.insert(name.to_vec(), value.to_vec());
        within(self.xattrs.len(), "extended attributes", limits.xattrs)
    }
}

/// One record of an extended header.
struct Record<'a> {
    keyword: &'a [u8],
    value: &'a [u8],
}

/// The records of a body, each framed by its own length alone.
fn records(body: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Fault>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (record, after) = match frame(rest) {
            Some((record, after)) => (Record::parse(record), after),
            // What follows a record with a wrong length cannot be found.
            None => (Err("an extended header's record has a wrong length"), &[][..]),
        };
        rest = after;
        Some(record)
    })
}

/// The content of the first record, between its length and its newline, and what follows it.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(parse_decimal(bytes.get(..space)?)?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    Some((record.get(space + 1..)?.strip_suffix(b"\n")?, rest))
}

impl<'a> Record<'a> {
    fn parse(content: &'a [u8]) -> Result<Self, Fault> {
        let equals = content.iter().position(|&byte| byte == b'=').ok_or("an extended header's record has no value")?;
        let (keyword, value) = content.split_at(equals);
        if keyword.is_empty() || keyword.contains(&0) {
            return Err("an extended header's record has an invalid keyword");
        }
        Ok(Self { keyword, value: value.strip_prefix(b"=").unwrap_or_default() })
    }
}

/// A record that frames itself.
pub(super) fn append_record(body: &mut Vec<u8>, keyword: &[u8], value: &[u8]) {
    let content = keyword.len() + value.len() + 3;
    let mut length = content + 1;
    // The length counts its own digits.
    while length != content + length.to_string().len() {
        length = content + length.to_string().len();
    }
    body.extend_from_slice(length.to_string().as_bytes());
    for piece in [b" ", keyword, b"=", value, b"\n"] {
        body.extend_from_slice(piece);
    }
}

/// A record of an extended attribute.
pub(super) fn append_xattr(body: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    append_record(body, &[XATTR_PREFIX, name].concat(), value);
}

fn gnu_name(body: &[u8]) -> Option<Vec<u8>> {
    body.split(|&byte| byte == 0).next().filter(|name| !name.is_empty()).map(<[u8]>::to_vec)
}

pub(super) fn name(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err("an extended header's name holds a NUL byte");
    }
    Ok(if value.is_empty() { None } else { Some(value.to_vec()) })
}

fn decimal(value: &[u8]) -> Result<Option<u64>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    parse_decimal(value).map(Some).ok_or("an extended header's size or id is not a number from 0 to 2^63-1")
}

/// Seconds since 1970 as a decimal fraction; digits past the nanosecond are dropped.
fn parse_time(value: &[u8]) -> Result<Timestamp, Fault> {
    const FAULT: Fault = "an extended header's mtime is not a time";
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let fraction = parts.next().unwrap_or_default();
    let digits = whole.strip_prefix(b"-").unwrap_or(whole);
    if digits.is_empty() || !digits.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(FAULT);
    }
    let seconds: i64 = str::from_utf8(whole).ok().and_then(|whole| whole.parse().ok()).ok_or(FAULT)?;
    let padded = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = padded.fold(0, |number, &digit| number * 10 + u32::from(digit - b'0'));
    // The fraction goes the way of the sign, and nanoseconds go forward.
    let time = if whole.starts_with(b"-") && nanoseconds > 0 {
        Timestamp::new(seconds.checked_sub(1).ok_or(FAULT)?, 1_000_000_000 - nanoseconds)
    } else {
        Timestamp::new(seconds, nanoseconds)
    };
    time.ok_or(FAULT)
}
