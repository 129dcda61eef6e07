//! Owners that are recorded instead of given: the form that umoci and other tools share.
//!
//! # Spec
//! rootlesscontainers/proto, rootlesscontainers.proto: message `Resource`, of `uint32 uid = 1` and `uint32 gid = 2`;
//! 4294967295 stands for the owner that the file has to those who read no records, which is root.

/// Where owners are recorded.
pub(super) const XATTR: &[u8] = b"user.rootlesscontainers";
/// Nothing is recorded.
const NONE: u32 = u32::MAX;

/// The record of an owner; `None` for root, of whom all files are.
pub(super) fn resource(uid: u32, gid: u32) -> Option<Vec<u8>> {
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
