//! Codecs: what is decoded, what is refused, and that encoding is deterministic.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod decode;
mod encode;
mod golden;
mod gzip_members;
mod options;
mod zstd_frames;

use std::io::{Read, Write};

use image_core::{
    Error, Result,
    codec::{Compression, DecodeOptions, Decoder, EncodeOptions, Encoder},
};

/// Text-like bytes with incompressible stretches, from a fixed seed: the golden digests hang on it.
fn sample(size: usize) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["usr", "/lib/", "image ", "0000644", "\0\0\0\0\0\0\0\0", "layer\n", "{\"digest\": ", "whiteout"];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    // xorshift64*
    let mut next = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    };
    let mut bytes = Vec::with_capacity(size + 512);
    while bytes.len() < size {
        let number = next();
        if number >> 56 == 0 {
            (0..64).for_each(|_| bytes.extend_from_slice(&next().to_le_bytes()));
        } else {
            bytes.extend_from_slice(WORDS[(number >> 32) as usize % WORDS.len()].as_bytes());
        }
    }
    bytes.truncate(size);
    bytes
}

fn encode(options: &EncodeOptions, bytes: &[u8]) -> Vec<u8> {
    encode_in_writes(options, bytes, usize::MAX)
}

fn encode_in_writes(options: &EncodeOptions, bytes: &[u8], size: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), options).unwrap();
    for part in bytes.chunks(size) {
        encoder.write_all(part).unwrap();
    }
    encoder.finish().unwrap()
}

fn options(text: &str) -> EncodeOptions {
    text.parse().unwrap()
}

fn read_all<R: Read>(mut decoder: Decoder<R>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes).map_err(|e| Error::stream("read", e))?;
    Ok(bytes)
}

fn decode(stored: impl Read, compression: Compression) -> Result<Vec<u8>> {
    read_all(Decoder::new(stored, compression, &DecodeOptions::default())?)
}

fn gzip(stored: impl Read) -> Result<Vec<u8>> {
    decode(stored, Compression::Gzip)
}

fn zstd(stored: impl Read) -> Result<Vec<u8>> {
    decode(stored, Compression::Zstd)
}

#[track_caller]
fn assert_corrupt(result: Result<Vec<u8>>, compression: Compression) {
    match result {
        Err(error) => {
            assert!(error.is_corrupt(), "{error:?}");
            assert_eq!(error.to_string(), format!("corrupt {compression} stream"));
            assert!(std::error::Error::source(&error).is_some(), "{error:?} has no cause");
        }
        Ok(bytes) => panic!("{} bytes were read from a corrupt stream", bytes.len()),
    }
}
