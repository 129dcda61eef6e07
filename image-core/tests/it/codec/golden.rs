//! The bytes that are written, pinned: a change here changes the digests of everybody's layers.

use std::{io::Write, num::NonZeroUsize};

use image_core::{
    Digest,
    codec::{EncodeOptions, Encoder},
};

use super::{encode, encode_in_writes, options, sample};

const MIB: usize = 1 << 20;
const LARGE: usize = 5 * MIB / 2;
/// Of several pieces of zstd.
const HUGE: usize = 9 * MIB;
/// More than a piece of the levels of zstd that have larger ones.
const GIANT: usize = 17 * MIB;

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
    assert_eq!(digest(&sample(LARGE)), "0bcf51df7ac96ba32643319cf814cc7a2d3f00a23789e933249e74359852c41f");
}

#[test]
fn gzip_of_every_level_and_size() {
    for (text, size, expected) in [
        ("gzip:1", LARGE, "cc5757baa84fdd0bf4722ef7143b883e2b453e45fce9bbdf950cba604f34bd41"),
        ("gzip:2", LARGE, "eb56a5be707344b332e7d663e54f99d97975f8460ff801eeb15b938980497409"),
        ("gzip:3", LARGE, "114ba7bdcf74736cb20606e6225fe608195b291d942fb062d204dfa4f2459d04"),
        ("gzip:4", LARGE, "4312a36fe3026d670844719a76757a798b092353fbe5f6431b94d0f9a2ffbca8"),
        ("gzip:5", LARGE, "828655fa7065f0802d169f586c7294a531f9bf406b8c4eb9603e314000769bd3"),
        ("gzip:6", LARGE, "3897dedd5e787a3f3aba094b4526411b8725b012944c418c09b957491a0f89b6"),
        ("gzip:7", LARGE, "a947675e5286bc8341832f9bc9c96676ffd931151e39875bc3903814bc48b0ac"),
        ("gzip:8", LARGE, "447f53373603c77db2d73b3715b7c85cf515d690bce91980cfaf9865e834c5b0"),
        ("gzip:9", LARGE, "acf113cd28ec068c2e250bb4b617f78551ad1ccd1868fb97b9cea028c3136de8"),
        ("gzip:6", 0, "ac73670af3abed54ac6fb4695131f4099be9fbe39d6076c5d0264a6bbdae9d83"),
        ("gzip:6", 1, "e8d9719ed27aeca49332bdc3b54cf08e570a8195b1472fe688ba9e00a602fa91"),
        ("gzip:6", MIB, "8d20a2fa1fc3b9194e2f6270748432fb82b29a27ac021921c451f06084e4bfff"),
        ("gzip:6", MIB + 1, "65792836af695aa07f19e1aa2392ec83290f3da18536b196bd8f638f92d85012"),
        ("gzip:6", 2 * MIB, "b2d3d6e3ae98dd06d1db65d6a7dae0c823ad916de3e5429594942e3241c0d4aa"),
    ] {
        check(text, size, expected);
    }
}

/// The promise for zstd holds for one version of its library: on an update of that, renew these.
#[test]
fn zstd() {
    for (text, size, expected) in [
        ("zstd:1", LARGE, "57f0a19cc3872e9d4c13e74eadd5dd3b611891e310eb1f5b01c3114014d07a79"),
        ("zstd:3", LARGE, "b2ee56ca1262f4141f2724d13faa137302a337d8c14173885efaf340a505870d"),
        ("zstd:9", LARGE, "64729cab69c0cc92b9be0daedf2d5aaeee60ae766eef632ffa1eefce27d2d3b7"),
        ("zstd:19", MIB, "eecdad375766dda30e0e2d99201befdb1d955ea02771325b2571a93f01c5a047"),
        ("zstd:1", HUGE, "e15a40568b61e09a900f335fd3ab5fc72fd08c7fed84ddc29ffa77ce697f1cd6"),
        ("zstd:3", HUGE, "8309a9f07081f03a35aa2627156df5975ca2731126de6747f1dde22bb3e3e56d"),
        ("zstd:8", HUGE, "92bad7a00ea5119641645d1883236769c64cd4511230e176cc6d5c05a3c9b43e"),
        ("zstd:9", GIANT, "7bf15230f31a19bb29748f87eda97cd02d8d01b205fa71e06427ea3fdc48d33b"),
        ("zstd:3", 0, "f96deff1816083fdff8bc3e46c3fe6ca46a6bb49f4d5a00627616c13237a512c"),
    ] {
        check(text, size, expected);
    }
}

#[test]
fn threads_leave_no_trace() {
    for (text, size) in [("gzip:2", 10 * MIB + 1), ("gzip:6", 10 * MIB + 1), ("zstd:3", 2 * HUGE), ("zstd:9", GIANT)] {
        let bytes = sample(size);
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
    for (text, size) in
        [("none", LARGE), ("gzip:1", LARGE), ("gzip:6", LARGE), ("zstd:3", LARGE), ("zstd:3", HUGE), ("zstd:12", LARGE)]
    {
        let bytes = sample(size);
        let expected = encode(&options(text), &bytes);
        for size in [1, 7, 65537, MIB] {
            assert!(encode_in_writes(&options(text), &bytes, size) == expected, "{text} in writes of {size}");
        }
    }
}

#[test]
fn empty_writes_leave_no_trace() {
    let bytes = sample(MIB);
    for text in ["none", "gzip", "zstd"] {
        let mut encoder = Encoder::new(Vec::new(), &options(text)).unwrap();
        assert_eq!(encoder.write(b"").unwrap(), 0);
        encoder.write_all(&bytes).unwrap();
        assert_eq!(encoder.write(b"").unwrap(), 0);
        assert!(encoder.finish().unwrap() == encode(&options(text), &bytes), "{text}");
    }
}

#[test]
fn flushes_leave_no_trace() {
    let bytes = sample(HUGE);
    for text in ["gzip", "zstd"] {
        let mut encoder = Encoder::new(Vec::new(), &options(text)).unwrap();
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
