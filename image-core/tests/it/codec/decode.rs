use std::io::{self, Read};

use image_core::{
    Digest, Error,
    codec::{Compression, DecodeOptions, Decoder},
    verify::VerifyingReader,
};
use proptest::prelude::*;

use super::{assert_corrupt, decode, encode, options, read_all, sample};

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn detect<R: Read>(stored: R, declared: Compression) -> image_core::Result<Decoder<R>> {
    Decoder::detect(stored, declared, &DecodeOptions::default())
}

/// Hands out one byte per read, and an interruption before each.
struct Trickle<R> {
    inner: R,
    interrupt: bool,
}

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = buf.len().min(1);
        self.inner.read(&mut buf[..n])
    }
}

#[test]
fn sniffs_by_magic() {
    for (prefix, expected) in [
        (&b""[..], None),
        (b"\x1f\x8b", None),
        (b"\x1f\x8b\x08", Some(Compression::Gzip)),
        (b"\x1f\x8b\x07\0", None),
        (b"\x28\xb5\x2f\xfd", Some(Compression::Zstd)),
        (b"\x28\xb5\x2f", None),
        (b"\x50\x2a\x4d\x18", Some(Compression::Zstd)),
        (b"\x5f\x2a\x4d\x18rest", Some(Compression::Zstd)),
        (b"\x4f\x2a\x4d\x18", None),
        (b"\x60\x2a\x4d\x18", None),
        (b"BZh91AY&SY", None),
        (b"etc/passwd", None),
    ] {
        assert_eq!(Compression::sniff(prefix), expected, "{prefix:02x?}");
    }
}

#[test]
fn the_bytes_win_over_the_media_type() {
    let bytes = sample(100_000);
    for actual in ["none", "gzip", "zstd"] {
        let stored = encode(&options(actual), &bytes);
        for declared in ALL {
            let decoder = detect(Trickle { inner: stored.as_slice(), interrupt: false }, declared).unwrap();
            assert_eq!(decoder.compression(), options(actual).compression);
            assert!(read_all(decoder).unwrap() == bytes, "{actual} declared as {declared}");
        }
    }
}

#[test]
fn no_bytes_are_an_empty_layer() {
    for declared in ALL {
        let decoder = detect(io::empty(), declared).unwrap();
        assert_eq!(decoder.compression(), Compression::None);
        assert!(read_all(decoder).unwrap().is_empty());
    }
    assert_corrupt(decode(io::empty(), Compression::Gzip), Compression::Gzip);
    assert_corrupt(decode(io::empty(), Compression::Zstd), Compression::Zstd);
}

#[test]
fn bzip2_and_xz_are_named() {
    for (prefix, message) in [
        (&b"BZh91AY&SY rest"[..], "a layer compressed with bzip2 is not supported: compress it with gzip or zstd"),
        (
            b"BZh1\x17\x72\x45\x38\x50\x90",
            "a layer compressed with bzip2 is not supported: compress it with gzip or zstd",
        ),
        (b"\xfd7zXZ\0\0\0\0\0", "a layer compressed with xz is not supported: compress it with gzip or zstd"),
    ] {
        let error = detect(prefix, Compression::Gzip).unwrap_err();
        assert!(error.is_unsupported());
        assert_eq!(error.to_string(), message);
    }
    // A tar may well begin with a file of such a name.
    let tar = b"BZh9/file\0\0\0\0";
    assert_eq!(read_all(detect(&tar[..], Compression::None).unwrap()).unwrap(), tar);
}

#[test]
fn a_truncated_stream_is_never_an_end() {
    let bytes = sample(3_000);
    for text in ["gzip", "zstd"] {
        let compression = options(text).compression;
        let stored = encode(&options(text), &bytes);
        for end in 1..stored.len() {
            assert_corrupt(decode(&stored[..end], compression), compression);
            assert_corrupt(detect(&stored[..end], compression).and_then(read_all), compression);
        }
    }
    let large = sample(3 << 20);
    for text in ["gzip", "zstd"] {
        let compression = options(text).compression;
        let stored = encode(&options(text), &large);
        for end in (0..stored.len()).step_by(stored.len() / 23) {
            assert_corrupt(decode(&stored[..end], compression), compression);
        }
    }
}

#[test]
fn a_changed_byte_never_changes_content_unnoticed() {
    let bytes = sample(2_000);
    for text in ["gzip", "zstd"] {
        let stored = encode(&options(text), &bytes);
        for position in 0..stored.len() {
            for bit in 0..8 {
                let mut changed = stored.clone();
                changed[position] ^= 1 << bit;
                if let Ok(read) = decode(changed.as_slice(), options(text).compression) {
                    assert!(read == bytes, "{text}: byte {position}, bit {bit}");
                }
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for text in ["gzip", "zstd"] {
        let compression = options(text).compression;
        for garbage in [&b"\0"[..], &[0; 1024], b"garbage", b"\x1f", b"\x28\xb5"] {
            let mut stored = encode(&options(text), b"layer");
            stored.extend_from_slice(garbage);
            assert_corrupt(decode(stored.as_slice(), compression), compression);
        }
        let mut endless = Vec::from(*b"garbage");
        endless.extend(sample(1 << 20));
        assert_corrupt(decode(endless.chain(io::repeat(b'x')), compression), compression);
    }
}

#[test]
fn a_verifying_reader_below_sees_every_byte() {
    let bytes = sample(300_000);
    for text in ["none", "gzip", "zstd"] {
        let stored = encode(&options(text), &bytes);
        let size = stored.len() as u64;
        let compression = options(text).compression;

        let below = VerifyingReader::new(stored.as_slice(), Digest::sha256_of(&stored), size).unwrap();
        let mut decoder = Decoder::new(below, compression, &DecodeOptions::default()).unwrap();
        let mut read = Vec::new();
        decoder.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert!(decoder.into_inner().is_verified(), "{text}");

        let below = VerifyingReader::new(stored.as_slice(), Digest::sha256_of(b"other"), size).unwrap();
        let error = decode(below, compression).unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }), "{text}: {error:?}");
    }
}

/// Fails once its bytes are used up.
#[derive(Debug)]
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            n => Ok(n),
        }
    }
}

#[test]
fn errors_of_the_reader_below_are_not_called_corruption() {
    for text in ["none", "gzip", "zstd"] {
        let stored = encode(&options(text), &sample(100_000));
        for end in [0, 2, 12, 1_000, stored.len()] {
            let mut decoder =
                Decoder::new(Broken(&stored[..end]), options(text).compression, &DecodeOptions::default()).unwrap();
            let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{text} up to {end}");
            assert!(decoder.read(&mut [0; 16]).is_err(), "{text} up to {end}: an error turns into an end");
        }
    }
    let error = detect(Broken(b""), Compression::Gzip).unwrap_err();
    assert!(matches!(error, Error::Stream { .. }), "{error:?}");
}

#[test]
fn an_error_stays() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut decoder = Decoder::new(&b"garbage, not a layer"[..], compression, &DecodeOptions::default()).unwrap();
        for _ in 0..3 {
            assert!(decoder.read(&mut [0; 16]).is_err());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..2_000), magic in 0..4_usize) {
        let prefix: &[u8] = [&b""[..], b"\x1f\x8b\x08\x1f", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"][magic];
        bytes.splice(0..0, prefix.iter().copied());
        for declared in ALL {
            if let Ok(decoder) = detect(bytes.as_slice(), declared) {
                let mut read = Vec::new();
                let result = decoder.take(1 << 20).read_to_end(&mut read);
                if magic == 0 && Compression::sniff(&bytes).is_none() && result.is_ok() {
                    prop_assert!(read == bytes);
                }
            }
        }
    }
}
