#[cfg(unix)]
use std::process::{Command, Stdio};
use std::{
    io::{self, Read, Write},
    num::NonZeroUsize,
};

use image_core::{
    Digest, Error,
    codec::{Compression, EncodeOptions, Encoder},
};
use proptest::prelude::*;

use super::{decode, encode, encode_in_writes, options, sample};

const MIB: usize = 1 << 20;

#[test]
fn round_trips_at_the_edges_of_pieces() {
    for (text, piece) in [("none", MIB), ("gzip:1", MIB), ("gzip", MIB), ("gzip:9", MIB), ("zstd", 4 * MIB)] {
        for size in [0, 1, 100, piece - 1, piece, piece + 1, 2 * piece, 3 * piece + 17] {
            let (options, bytes) = (options(text), sample(size));
            let stored = encode(&options, &bytes);
            assert!(decode(stored.as_slice(), options.compression).unwrap() == bytes, "{text} of {size} bytes");
        }
    }
}

/// Several readers of layers stop after the first member.
#[test]
fn gzip_is_one_member() {
    for size in [0, MIB, 3 * MIB + 17] {
        let bytes = sample(size);
        let stored = encode(&EncodeOptions::default(), &bytes);
        let mut first = flate2::bufread::GzDecoder::new(stored.as_slice());
        let mut read = Vec::new();
        first.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert!(first.into_inner().is_empty(), "bytes follow the first member");
    }
}

/// Bytes that nothing makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let hexadecimal = |n: u32| hex::decode(Digest::sha256_of(&n.to_le_bytes()).encoded()).unwrap();
    (0..).flat_map(hexadecimal).take(size).collect()
}

#[test]
fn incompressible_input_hardly_grows() {
    let noise = noise(1_280_000);
    for text in ["gzip:1", "gzip:2", "gzip:5", "gzip:6", "gzip:9", "zstd"] {
        let stored = encode(&options(text), &noise);
        assert!(stored.len() < noise.len() + noise.len() / 5_000, "{text}: {} of {}", stored.len(), noise.len());
        assert!(decode(stored.as_slice(), options(text).compression).unwrap() == noise, "{text}");
    }
}

/// The first piece is stored, and the second one is what it ends with.
#[test]
fn gzip_refers_to_the_piece_before_at_every_level() {
    let mut bytes = noise(MIB);
    bytes.extend_from_within(MIB - (16 << 10)..);
    for level in 1..=9 {
        let stored = encode(&EncodeOptions::default().with_level(level), &bytes);
        assert!(stored.len() < MIB + 1_000, "level {level}: {}", stored.len());
        assert!(decode(stored.as_slice(), Compression::Gzip).unwrap() == bytes, "level {level}");
    }
}

#[cfg(unix)]
#[test]
fn reference_tools_read_it() {
    let bytes = sample(9 * MIB);
    for (text, tool, arguments) in [
        ("gzip:1", "gzip", ["-d", "-c"]),
        ("gzip:6", "gzip", ["-d", "-c"]),
        ("gzip:6", "pigz", ["-d", "-c"]),
        (
            "gzip:6",
            "python3",
            ["-c", "import gzip, shutil, sys; shutil.copyfileobj(gzip.open(sys.stdin.buffer), sys.stdout.buffer)"],
        ),
        ("zstd:3", "zstd", ["-d", "-c"]),
    ] {
        match run(tool, &arguments, encode(&options(text), &bytes)) {
            Some(output) => assert!(output == bytes, "{tool} reads {text} differently"),
            None => test_support::skip(&format!("{tool} is not installed")),
        }
    }
}

#[cfg(unix)]
fn run(tool: &str, arguments: &[&str], input: Vec<u8>) -> Option<Vec<u8>> {
    let mut child = Command::new(tool).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success(), "{tool}: {}", output.status);
    Some(output.stdout)
}

/// Takes `room` bytes and fails from then on.
struct Full {
    room: usize,
}

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(self.room);
        self.room -= n;
        if n == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(n) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn errors_of_the_writer_surface() {
    let bytes = sample(10 * MIB);
    for text in ["none", "gzip", "zstd"] {
        let whole = encode(&options(text), &bytes).len();
        for threads in [1, 3] {
            for room in [0, 5, whole / 2, whole - 1] {
                let options = options(text).with_threads(NonZeroUsize::new(threads).unwrap());
                let mut encoder = Encoder::new(Full { room }, &options).unwrap();
                let written = encoder.write_all(&bytes);
                if let Err(error) = &written {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                    assert!(encoder.write(b"more").is_err(), "a write after an error succeeds");
                }
                let finished = encoder.finish().map(drop);
                assert!(matches!(finished, Err(Error::Stream { .. })), "{text}, {threads} threads, {room} bytes");
                if let (Ok(()), Err(Error::Stream { source, .. })) = (written, finished) {
                    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
                }
            }
        }
    }
}

#[test]
fn an_encoder_can_be_dropped_at_any_point() {
    let bytes = sample(20 * MIB);
    for (text, piece) in [("gzip", MIB), ("zstd", 4 * MIB)] {
        for size in [0, 1, piece, piece + 1, 4 * piece, 5 * piece] {
            let options = options(text).with_threads(NonZeroUsize::new(4).unwrap());
            let mut encoder = Encoder::new(Vec::new(), &options).unwrap();
            encoder.write_all(&bytes[..size]).unwrap();
            drop(encoder);
        }
    }
}

#[test]
fn an_encoder_can_move_between_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<Encoder<Vec<u8>>>();
    assert_send::<image_core::codec::Decoder<io::Empty>>();
}

fn runs() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<u8>(), any::<u8>(), 1..60_000_usize), 0..60).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(first, step, size)| {
                (0..size).scan(first, move |byte, _| {
                    *byte = byte.wrapping_mul(5).wrapping_add(step);
                    Some(*byte)
                })
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn round_trip(bytes in runs(), text in prop::sample::select(vec!["none", "gzip:1", "gzip:4", "gzip:9", "zstd:1"]), size in 1..3_000_000_usize) {
        let options = options(text);
        let stored = encode_in_writes(&options, &bytes, size);
        prop_assert!(decode(stored.as_slice(), options.compression).unwrap() == bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_same_bytes_whatever_the_threads_and_writes(
        runs in runs(),
        times in 1..12_usize,
        text in prop::sample::select(vec!["gzip:1", "gzip:6", "zstd:1", "zstd:3", "zstd:6"]),
        threads in 2..6_usize,
        size in 1..6_000_000_usize,
    ) {
        let bytes = runs.repeat(times);
        let on = |threads| options(text).with_threads(NonZeroUsize::new(threads).unwrap());
        let expected = encode(&on(1), &bytes);
        prop_assert!(encode_in_writes(&on(threads), &bytes, size) == expected);
    }
}
