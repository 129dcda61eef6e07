//! Content that a descriptor carries along.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Whether `data` is the base64 of `bytes`; line breaks in it do not count.
///
/// # Spec
/// OCI image-spec 1.1, descriptor.md, § Properties: `data` is as RFC 4648, section 4, has it.
pub(super) fn is_base64_of(data: &str, bytes: &[u8]) -> bool {
    let data = data.bytes().filter(|b| !matches!(b, b'\r' | b'\n'));
    data.eq(bytes.chunks(3).flat_map(encode))
}

fn encode(chunk: &[u8]) -> [u8; 4] {
    let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    let sextet = |i: usize| ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
    let digit = |i: usize| if i <= chunk.len() { sextet(i) } else { b'=' };
    [sextet(0), sextet(1), digit(2), digit(3)]
}
