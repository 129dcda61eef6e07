//! The bytes that are written, pinned: a change here changes the digests of everybody's layers.

use std::num::NonZeroUsize;

use image_core::{Digest, codec::EncodeOptions};

use super::{encode, encode_in_writes, options, sample};

const MIB: usize = 1 << 20;
const LARGE: usize = 5 * MIB / 2;

fn digest(bytes: &[u8]) -> String {
    Digest::sha256_of(bytes).encoded().to_owned()
}

#[track_caller]
fn check(text: &str, size: usize, expected: &str) {
    let actual = digest(&encode(&options(text), &sample(size)));
    assert_eq!(actual, expected, "{text} of {size} bytes");
}

#[test]
fn the_sample_is_what_it_was() {
    assert_eq!(digest(&sample(LARGE)), "SAMPLE");
}

#[test]
fn gzip_of_every_level_and_size() {
    for (text, size, expected) in [
GZIPTABLE
    ] {
        check(text, size, expected);
    }
}

/// The promise for zstd holds for one version of its library: on an update of that, renew these.
#[test]
fn zstd() {
    for (text, size, expected) in [
ZSTDTABLE
    ] {
        check(text, size, expected);
    }
}

#[test]
fn threads_leave_no_trace() {
    let bytes = sample(10 * MIB + 1);
    for text in ["gzip:2", "gzip:6"] {
        let with = |threads| options(text).with_threads(NonZeroUsize::new(threads).unwrap());
        let expected = encode(&with(1), &bytes);
        for threads in [2, 3, 8] {
            assert!(encode(&with(threads), &bytes) == expected, "{text} on {threads} threads");
        }
        assert!(encode(&options(text), &bytes) == expected, "{text} on as many threads as there are");
    }
}

#[test]
fn sizes_of_writes_leave_no_trace() {
    let bytes = sample(LARGE);
    for text in ["none", "gzip:1", "gzip:6", "zstd:3", "zstd:12"] {
        let expected = encode(&options(text), &bytes);
        for size in [1, 7, 65537, MIB] {
            assert!(encode_in_writes(&options(text), &bytes, size) == expected, "{text} in writes of {size}");
        }
    }
}

#[test]
fn flushes_leave_no_trace() {
    use std::io::Write;
    let bytes = sample(3 * MIB / 2);
    for text in ["gzip", "zstd"] {
        let mut encoder = image_core::codec::Encoder::new(Vec::new(), &options(text)).unwrap();
        for part in bytes.chunks(100_000) {
            encoder.write_all(part).unwrap();
            encoder.flush().unwrap();
        }
        assert!(encoder.finish().unwrap() == encode(&options(text), &bytes), "{text}");
    }
}

#[test]
fn gzip_begins_with_a_header_that_tells_nothing() {
    for (level, extra_flags) in [(1, 4), (2, 0), (6, 0), (9, 2)] {
        let stored = encode(&EncodeOptions::default().with_level(level), b"x");
        assert_eq!(stored[..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, extra_flags, 255]);
    }
}
