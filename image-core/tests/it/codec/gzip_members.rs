use std::io::{self, Read};

use image_core::{Compression, codec::EncodeOptions};

use super::{assert_corrupt, encode, gzip, sample};

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

/// A header with these optional fields, which must come in the order of RFC 1952, section 2.3.
fn header(flags: u8, fields: &[u8]) -> Vec<u8> {
    let mut header = vec![0x1F, 0x8B, 8, flags, 1, 2, 3, 4, 0, 3];
    header.extend_from_slice(fields);
    if flags & FHCRC != 0 {
        let mut crc = flate2::Crc::new();
        crc.update(&header);
        header.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
    }
    header
}

fn member(header: &[u8], content: &[u8]) -> Vec<u8> {
    let plain = encode(&EncodeOptions::default(), content);
    [header, &plain[10..]].concat()
}

#[test]
fn every_member_counts() {
    let parts = [sample(70_000), Vec::new(), sample(3), sample(200_000)];
    let stored: Vec<u8> = parts.iter().flat_map(|part| encode(&EncodeOptions::default(), part)).collect();
    assert!(gzip(stored.as_slice()).unwrap() == parts.concat());
}

#[test]
fn many_members() {
    let stored = encode(&EncodeOptions::default(), b"x").repeat(100_000);
    assert_eq!(gzip(stored.as_slice()).unwrap().len(), 100_000);
}

#[test]
fn members_have_header_fields() {
    let extra = [&[6, 0][..], b"SG\x02\0ab"].concat();
    for (flags, fields) in [
        (0, vec![]),
        (1, vec![]), // FTEXT, a hint
        (FEXTRA, extra.clone()),
        (FEXTRA, vec![0, 0]),
        (FNAME, b"layer.tar\0".to_vec()),
        (FCOMMENT, b"a comment\0".to_vec()),
        (FHCRC, vec![]),
        (FEXTRA | FNAME | FCOMMENT | FHCRC, [&extra[..], b"layer.tar\0", b"a comment\0"].concat()),
    ] {
        let stored = member(&header(flags, &fields), b"layer");
        let twice = [stored.clone(), stored].concat();
        assert_eq!(gzip(twice.as_slice()).unwrap(), b"layerlayer", "flags {flags:#b}");
    }
}

#[test]
fn broken_headers() {
    let mut crc = header(FHCRC | FNAME, b"layer.tar\0");
    *crc.last_mut().unwrap() ^= 1;
    let mut method = header(0, b"");
    method[2] = 7;
    for broken in [crc, method, header(0x20, b""), header(0x80, b"")] {
        assert_corrupt(gzip(member(&broken, b"layer").as_slice()), Compression::Gzip);
    }
}

#[test]
fn header_fields_are_bounded() {
    // 64 KiB is what FEXTRA can say and the most that a name or a comment may take.
    let extra = [&[0xFF, 0xFF][..], &[b'x'; 0xFFFF]].concat();
    assert_eq!(gzip(member(&header(FEXTRA, &extra), b"layer").as_slice()).unwrap(), b"layer");
    for flags in [FNAME, FCOMMENT] {
        let long = [&[b'x'; 60_000][..], b"\0"].concat();
        assert_eq!(gzip(member(&header(flags, &long), b"layer").as_slice()).unwrap(), b"layer");
        let endless = io::Cursor::new(header(flags, b"")).chain(io::repeat(b'x'));
        assert_corrupt(gzip(endless), Compression::Gzip);
    }
}

#[test]
fn every_trailer_is_verified() {
    let first = encode(&EncodeOptions::default(), b"the first");
    let second = encode(&EncodeOptions::default(), b"the second");
    for from_end in 1..=8 {
        for broken in [0, 1] {
            let mut members = [first.clone(), second.clone()];
            let position = members[broken].len() - from_end;
            members[broken][position] ^= 0x10;
            assert_corrupt(gzip(members.concat().as_slice()), Compression::Gzip);
        }
    }
}

/// A bomb is read in small memory: what comes out is for the caller to bound.
#[test]
fn a_bomb_is_read_as_far_as_the_caller_wants() {
    let stored = encode(&EncodeOptions::default(), &vec![0; 8 << 20]).repeat(1_000);
    let decoder =
        image_core::codec::Decoder::detect(stored.as_slice(), Compression::Gzip, &Default::default()).unwrap();
    let read = io::copy(&mut decoder.take(20 << 20), &mut io::sink()).unwrap();
    assert_eq!(read, 20 << 20);
}
