//! Owners that are recorded instead of given: the form that umoci and other tools share.
//!
//! # Spec
//! rootlesscontainers/proto, rootlesscontainers.proto: message `Resource`, of `uint32 uid = 1` and `uint32 gid = 2`;
//! 4294967295 stands for the owner that the file has to those who read no records, which is root.

/// Where owners are recorded.
pub(crate) const XATTR: &[u8] = b"user.rootlesscontainers";
/// Nothing is recorded.
const NONE: u32 = u32::MAX;

/// The record of an owner; `None` for root, of whom all files are.
pub(crate) fn resource(uid: u32, gid: u32) -> Option<Vec<u8>> {
    if (uid, gid) == (0, 0) {
        return None;
    }
    let mut bytes = Vec::with_capacity(12);
    for (field, id) in [(1_u8, uid), (2, gid)] {
        // A number: its wire type is 0.
        bytes.push(field << 3);
        put_varint(&mut bytes, if id == 0 { NONE } else { id });
    }
    Some(bytes)
}

/// Seven bits a byte, the lowest first; all but the last have the top bit.
fn put_varint(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// The owner that a record tells; `None` where it is no such record.
pub(crate) fn parse(record: &[u8]) -> Option<(u32, u32)> {
    let mut owner = [0; 2];
    let mut rest = record;
    while !rest.is_empty() {
        let (tag, after) = take_varint(rest)?;
        let (id, after) = take_varint(after)?;
        // Both are numbers, fields 1 and 2; the last of a field counts.
        *owner.get_mut((tag >> 3).checked_sub(1)? as usize).filter(|_| tag & 7 == 0)? = if id == NONE { 0 } else { id };
        rest = after;
    }
    let [uid, gid] = owner;
    Some((uid, gid))
}

/// A number from the front, and what follows it.
fn take_varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(length);
    let digits = number.iter().rev().map(|byte| u64::from(byte & 0x7f));
    // Of five bytes at most; what is more than a number of 32 bits is none.
    let number = (length <= 5).then(|| digits.fold(0, |number, digit| number << 7 | digit))?;
    Some((u32::try_from(number).ok()?, rest))
}
