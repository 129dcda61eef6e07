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
        ("gzip:1", LARGE, "6839d129c637c606478d0a9d949a205acf6a630010b3e4699023be2e7d0c527b"),
        ("gzip:2", LARGE, "f04303debddd9e3cbc3b86edd957902a8599bb44b3dc228296ccbc9ba21eb87a"),
        ("gzip:3", LARGE, "9efb198f082beda02028693a47c9907ce092d637b64e9e33723ac848575df939"),
        ("gzip:4", LARGE, "826013af9957932bac1a12705135f7767f1660673369e8a2dc4ab2d0e9cbc50b"),
        ("gzip:5", LARGE, "41b210a69f40166bb9d787e5b803c0aa5e6a1d81baa3842d44bfe5940ccba405"),
        ("gzip:6", LARGE, "8d9fce2a31426c76755531aaa6e16dddc13f08a0ad575ea6d15a9834974977c7"),
        ("gzip:7", LARGE, "ddec5455a40a66acbcdfaaedefbbca55973150118b5ac0142cdc67547d7c004a"),
        ("gzip:8", LARGE, "4997184052446ec9898e927e6470068e6a2b88b76bcbcdd96287f846b076472c"),
        ("gzip:9", LARGE, "abb0349200277a9e3abf960d5e208374cef4ace0ae5a8c1e576aa9475b6f3608"),
        ("gzip:6", 0, "ac73670af3abed54ac6fb4695131f4099be9fbe39d6076c5d0264a6bbdae9d83"),
        ("gzip:6", 1, "e8d9719ed27aeca49332bdc3b54cf08e570a8195b1472fe688ba9e00a602fa91"),
        ("gzip:6", MIB, "49a7d01eda743133ee2ca1fd991003f6fee55f4b581fd12909d3aba101768d62"),
        ("gzip:6", MIB + 1, "c2b64150f06f2f3c8fb87903161201057948de1b5ba15b39e0b42cd2ceeeaa33"),
        ("gzip:6", 2 * MIB, "d1b51a74ebed59801f05011a23b3aa7658f60934c8df183f7485eaa2d828d2f6"),
    ] {
        check(text, size, expected);
    }
}

/// The promise for zstd holds for one version of its library: on an update of that, renew these.
#[test]
fn zstd() {
    for (text, size, expected) in [
        ("zstd:1", LARGE, "57f0a19cc3872e9d4c13e74eadd5dd3b611891e310eb1f5b01c3114014d07a79"),
        ("zstd:3", LARGE, "cd69033e64993d908fe448dd43a533cb242c13615e02a0ee71a72c96e58bc93e"),
        ("zstd:9", LARGE, "64729cab69c0cc92b9be0daedf2d5aaeee60ae766eef632ffa1eefce27d2d3b7"),
        ("zstd:19", MIB, "eecdad375766dda30e0e2d99201befdb1d955ea02771325b2571a93f01c5a047"),
        ("zstd:1", HUGE, "e15a40568b61e09a900f335fd3ab5fc72fd08c7fed84ddc29ffa77ce697f1cd6"),
        ("zstd:3", HUGE, "3ea887d24d0d0c88bdace996785957fdadb614023f16051263a2445f26b94235"),
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
