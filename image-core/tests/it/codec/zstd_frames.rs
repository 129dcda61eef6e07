use std::num::NonZeroUsize;

use ::zstd::zstd_safe;
use image_core::{
    Compression, Error,
    codec::{DecodeOptions, Decoder},
};

use super::{assert_corrupt, encode, options, read_all, sample, zstd};

const MIB: usize = 1 << 20;

fn frame(content: &[u8]) -> Vec<u8> {
    encode(&options("zstd"), content)
}

fn skippable(number: u8, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).unwrap();
    [&[0x50 + number, 0x2A, 0x4D, 0x18][..], &size.to_le_bytes(), content].concat()
}

/// A frame of no content that asks for a window of 2 to the power of `log` bytes
/// (RFC 8878, section 3.1.1.1.2).
fn frame_with_window(log: u8) -> Vec<u8> {
    let last_raw_block_of_nothing = [1, 0, 0];
    [&[0x28, 0xB5, 0x2F, 0xFD, 0, (log - 10) << 3][..], &last_raw_block_of_nothing].concat()
}

/// A stream by its frames.
fn frames(mut stored: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while !stored.is_empty() {
        let (frame, rest) = stored.split_at(zstd_safe::find_frame_compressed_size(stored).unwrap());
        frames.push(frame);
        stored = rest;
    }
    frames
}

/// Frames know nothing of each other: what the context of a thread compressed before leaves no trace.
#[test]
fn the_frames_are_those_that_the_pieces_have_alone() {
    for (text, piece, size) in [
        ("zstd:1", 4 * MIB, 13 * MIB + 1),
        ("zstd:3", 4 * MIB, 12 * MIB),
        ("zstd:5", 4 * MIB, 9 * MIB),
        ("zstd:8", 4 * MIB, 9 * MIB),
        ("zstd:9", 16 * MIB, 17 * MIB),
    ] {
        let bytes = sample(size);
        for threads in [1, 2] {
            let stored = encode(&options(text).with_threads(NonZeroUsize::new(threads).unwrap()), &bytes);
            let alone: Vec<_> = bytes.chunks(piece).map(|piece| encode(&options(text), piece)).collect();
            assert!(frames(&stored) == alone, "{text}, {threads} threads");
        }
    }
}

/// RFC 8878, section 3.1.1.1.1: Content_Checksum_flag.
#[test]
fn every_frame_says_its_size_and_has_a_checksum() {
    for (size, sizes) in [(0, vec![0]), (5, vec![5]), (4 * MIB, vec![4 * MIB]), (9 * MIB, vec![4 * MIB, 4 * MIB, MIB])]
    {
        let stored = encode(&options("zstd"), &sample(size));
        let frames = frames(&stored);
        assert!(frames.iter().all(|frame| frame[4] & 0b100 != 0));
        let said = frames.iter().map(|frame| zstd_safe::get_frame_content_size(frame).unwrap().unwrap());
        assert_eq!(said.collect::<Vec<_>>(), sizes.iter().map(|size| *size as u64).collect::<Vec<_>>());
    }
}

/// So that readers of little memory read all levels but the highest.
#[test]
fn windows_are_no_larger_than_those_of_readers_of_little_memory() {
    // RFC 8878, section 3.1.1.1.2 has every decoder support 8 MiB.
    let limit = DecodeOptions::default().with_max_window_log(23);
    for (text, size) in [("zstd:1", 5 * MIB), ("zstd:8", 5 * MIB), ("zstd:9", 17 * MIB)] {
        let bytes = sample(size);
        let stored = encode(&options(text), &bytes);
        let decoder = Decoder::new(stored.as_slice(), Compression::Zstd, &limit).unwrap();
        assert!(read_all(decoder).unwrap() == bytes, "{text}");
    }
}

#[test]
fn every_frame_counts() {
    let parts = [sample(70_000), Vec::new(), sample(3), sample(200_000)];
    let stored: Vec<u8> = parts.iter().flat_map(|part| frame(part)).collect();
    assert!(zstd(stored.as_slice()).unwrap() == parts.concat());
}

#[test]
fn skippable_frames_are_skipped() {
    for stored in [
        [skippable(0, b""), frame(b"layer")].concat(),
        [skippable(0xF, b"table of contents"), frame(b"lay"), skippable(3, &[0; 100_000]), frame(b"er")].concat(),
        [frame(b"layer"), skippable(0, b"footer")].concat(),
    ] {
        let decoder = Decoder::detect(stored.as_slice(), Compression::Zstd, &DecodeOptions::default()).unwrap();
        assert_eq!(decoder.compression(), Compression::Zstd);
        assert_eq!(read_all(decoder).unwrap(), b"layer");
    }
    assert_eq!(zstd(skippable(0, b"nothing else").as_slice()).unwrap(), b"");
}

#[test]
fn a_truncated_skippable_frame_is_corrupt() {
    let stored = [frame(b"layer"), skippable(0, b"footer")].concat();
    let whole_frame = frame(b"layer").len();
    for end in whole_frame + 1..stored.len() {
        assert_corrupt(zstd(&stored[..end]), Compression::Zstd);
    }
}

#[test]
fn the_checksum_of_every_frame_is_verified() {
    for broken in [0, 1] {
        let mut frames = [frame(b"the first"), frame(b"the second")];
        *frames[broken].last_mut().unwrap() ^= 1;
        assert_corrupt(zstd(frames.concat().as_slice()), Compression::Zstd);
    }
}

#[test]
fn a_window_has_a_limit() {
    assert_eq!(zstd(frame_with_window(23).as_slice()).unwrap(), b"");
    assert_eq!(zstd(frame_with_window(27).as_slice()).unwrap(), b"");
    for log in [28, 31, 41] {
        let error = zstd(frame_with_window(log).as_slice()).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { limit, .. } if limit == 128 << 20), "{error:?}");
        assert_eq!(error.to_string(), "window of the zstd stream: larger than the limit of 134217728");
    }
}

#[test]
fn the_limit_of_the_window_is_an_option() {
    let read = |log, max| {
        let options = DecodeOptions::default().with_max_window_log(max);
        Decoder::new(frame_with_window(log).as_slice(), Compression::Zstd, &options).and_then(read_all)
    };
    assert!(read(23, 23).is_ok());
    assert!(matches!(read(24, 23), Err(Error::LimitExceeded { .. })));
    for out_of_range in [0, 9, 32, u32::MAX] {
        assert!(read(23, out_of_range).unwrap_err().is_unsupported(), "{out_of_range}");
    }
}

/// A frame of one segment has no window of its own: its content size stands for it.
#[test]
fn a_content_size_does_not_get_around_the_limit() {
    let single_segment_of_8_bytes_size = 0b1110_0000;
    let mut stored = vec![0x28, 0xB5, 0x2F, 0xFD, single_segment_of_8_bytes_size];
    stored.extend_from_slice(&(1_u64 << 40).to_le_bytes());
    stored.extend_from_slice(&[1, 0, 0]);
    assert!(matches!(zstd(stored.as_slice()), Err(Error::LimitExceeded { .. })));
}
