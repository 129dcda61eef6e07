//! Any bytes as an extended header before a file: they are refused, or say what a plain reading of the records says.

use std::collections::BTreeMap;

use image_overlay::{Limits, Metadata, TarReader};

use crate::tar::{BLOCK, header};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let mut tar = header(b'x', "extended", bytes.len());
    tar.extend_from_slice(bytes);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    tar.extend(header(b'0', "file", 0));
    tar.extend([0; 4 * BLOCK]);
    let limits = Limits::default();
    let mut reader = TarReader::new(&tar[..], &limits);
    let Ok(Some(entry)) = reader.next_entry() else { return };
    let entry = entry.entry();
    let records = read(bytes).expect("a header that is taken is well formed");
    let said = |keyword: &str| records.get(keyword.as_bytes()).filter(|value| !value.is_empty());
    let Metadata { uid, gid, mtime, xattrs, .. } = &entry.metadata;
    assert_eq!(said("uid").map_or(0, |value| number(value)), i128::from(*uid));
    assert_eq!(said("gid").map_or(0, |value| number(value)), i128::from(*gid));
    let seconds = said("mtime").map_or(0, |value| whole_seconds(value));
    assert_eq!(seconds, i128::from(mtime.seconds()));
    let names = records.iter().filter_map(|(keyword, value)| Some((keyword.strip_prefix(b"SCHILY.xattr.")?, value)));
    let expected: BTreeMap<Vec<u8>, Vec<u8>> = names.map(|(name, value)| (name.to_vec(), value.clone())).collect();
    assert_eq!(*xattrs, expected);
    let path = said("GNU.sparse.name").or_else(|| said("path")).map_or(&b"file"[..], |value| value);
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    assert_eq!(entry.path.components().collect::<Vec<_>>(), names);
}

/// The last value of each keyword.
fn read(mut rest: &[u8]) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut records = BTreeMap::new();
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.insert(record[..equals].to_vec(), record[equals + 1..].to_vec());
        rest = &rest[length..];
    }
    Some(records)
}

fn number(digits: &[u8]) -> i128 {
    std::str::from_utf8(digits).expect("a number").parse().expect("a number")
}

/// Rounded down.
fn whole_seconds(value: &[u8]) -> i128 {
    let text = std::str::from_utf8(value).expect("a time");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    // What is less than a nanosecond is cut off.
    let fraction = fraction.bytes().take(9).any(|digit| digit != b'0');
    number(whole.as_bytes()) - i128::from(text.starts_with('-') && fraction)
}
