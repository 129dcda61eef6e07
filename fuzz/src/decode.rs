//! Any bytes are decoded or refused: no panic, no endless loop, and no end after an error.

use std::io::{self, Read};

use image_core::codec::{Compression, DecodeOptions, Decoder};

/// What is read of each input: a bomb of a few bytes yields as much as one asks for.
const LIMIT: u64 = 1 << 20;

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let options = DecodeOptions::default().with_max_window_log(23);
    for declared in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let decoders = [Decoder::new(bytes, declared, &options), Decoder::detect(bytes, declared, &options)];
        decoders.into_iter().flatten().for_each(check);
    }
}

fn check(decoder: Decoder<&[u8]>) {
    let mut limited = decoder.take(LIMIT);
    if io::copy(&mut limited, &mut io::sink()).is_err() {
        assert!(limited.into_inner().read(&mut [0; 64]).is_err(), "an error turned into an end");
    }
}
