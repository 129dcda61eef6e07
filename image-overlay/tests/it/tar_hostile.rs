//! The reader on what is wrong: refused with the entry's number and name, never skipped, never a panic.

use std::io::{self, Read};

use image_overlay::{Error, Limits, TarReader};
use proptest::prelude::*;
use test_support::hostile::{self, Expected, LayerCase};

use crate::raw_tar::{Raw, archive, extended, file, padded, pax, read, read_within, record};

fn check(parts: &[Vec<u8>], expected: &str) -> Error {
    let error = read(&archive(parts)).map(|seen| panic!("{expected:?}: was read as {seen:?}")).unwrap_err();
    assert!(error.to_string().contains(expected), "`{error}` has no `{expected}`");
    error
}

/// Each is refused by the reader, as it is by all that reads layers.
fn check_table(cases: &[LayerCase]) {
    for case in cases {
        let Expected::Refused(text) = case.expected else { panic!("{} is to be refused", case.name) };
        let seen = read(&case.layers[0]);
        let error = seen.map(|seen| panic!("{}: was read as {seen:?}", case.name)).unwrap_err();
        assert!(error.to_string().contains(text), "{}: `{error}` has no `{text}`", case.name);
        assert!(error.is_corrupt(), "{}: {error:?}", case.name);
    }
}

#[test]
fn malformed_headers() {
    check_table(&hostile::headers());
    for kind in [b'8', b'D', b'M', b'N', b'V', b'X', b'A', b'I', b'a', 0xff] {
        let error = check(&[Raw::new(kind, b"bad", 0).block()], "tar entry 1 (bad): its type `");
        assert!(error.is_unsupported() && error.to_string().contains("is not supported"), "{error}");
    }
}

#[test]
fn malformed_extended_headers() {
    check_table(&hostile::extended());
}

#[test]
fn malformed_sparse_files() {
    check_table(&hostile::sparse());
}

#[test]
fn limits_hold_before_anything_is_set_aside() {
    let limits = Limits::default;
    let f = || file(b"f", b"12345");
    let xattrs = |count: usize| {
        let body = (0..count).flat_map(|i| record(&format!("SCHILY.xattr.user.{i}"), b"v")).collect::<Vec<_>>();
        extended(b'x', &body)
    };
    let huge = |kind| Raw::new(kind, b"big", (1 << 33) - 1).block();
    let v10 = |count: &[u8]| {
        let records = pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")]);
        [records, Raw::new(b'0', b"s", 1 << 30).block(), padded(count)].concat()
    };
    let many = b"0,0,".repeat(3);
    for (parts, limits, expected) in [
        (vec![f(), f(), f()], limits().with_entries(2), "tar entry 3 (f): entries of the layer exceed the limit of 2"),
        (
            vec![f()],
            limits().with_layer_bytes(Some(2000)),
            "tar entry 1: bytes of the layer's plain tar stream exceed the limit of 2000",
        ),
        (vec![huge(b'x')], limits(), "(big): bytes of extended headers and long names exceed the limit of 1048576"),
        (vec![huge(b'g')], limits(), "bytes of extended headers and long names exceed"),
        (vec![huge(b'L')], limits(), "bytes of extended headers and long names exceed"),
        (vec![huge(b'K')], limits(), "bytes of extended headers and long names exceed"),
        (
            vec![pax(&[("a", &[b'x'; 600])]), extended(b'L', &[b'x'; 600])],
            limits().with_extension_bytes(1000),
            "limit of 1000",
        ),
        (vec![extended(b'g', b""); 17], limits(), "tar entry 1 (ext): extended headers exceed the limit of 16"),
        (vec![xattrs(1025), f()], limits(), "(ext): extended attributes exceed the limit of 1024"),
        (vec![pax(&[("SCHILY.xattr.a", &[0; 65_537])]), f()], limits(), "value exceed the limit of 65536"),
        (
            vec![pax(&[(&format!("SCHILY.xattr.{}", "n".repeat(256)), b"")]), f()],
            limits(),
            "name exceed the limit of 255",
        ),
        (vec![v10(b"65537\n")], limits(), "(s): segments of a sparse file exceed the limit of 65536"),
        (vec![v10(b"9223372036854775807\n")], limits(), "segments of a sparse file exceed"),
        (vec![pax(&[("GNU.sparse.map", &many)]), f()], limits().with_sparse_segments(2), "exceed the limit of 2"),
        (vec![pax(&[("path", &b"a/".repeat(3000))]), f()], limits(), "it is longer than 4096 bytes"),
        (vec![pax(&[("path", &[b'a'; 256])]), f()], limits(), "longer than 255 bytes"),
        (
            vec![pax(&[("linkpath", &[b'a'; 4096])]), Raw::new(b'2', b"l", 0).block()],
            limits(),
            "tar entry 1 (l): bytes of a symbolic link's target exceed the limit of 4095",
        ),
    ] {
        let bytes = archive(&parts);
        let error = read_within(&bytes, &limits).map(|seen| panic!("{expected}: {}", seen.len())).unwrap_err();
        assert!(error.to_string().contains(expected), "`{error}` has no `{expected}`");
    }
    let fits = read_within(&archive(&[xattrs(1024), f()]), &limits()).unwrap();
    assert_eq!(fits[0].entry.metadata.xattrs.len(), 1024);
    assert_eq!(read_within(&archive(&[f()]), &limits().with_layer_bytes(Some(2048))).unwrap().len(), 1);
}

#[test]
fn holes_count_as_bytes_of_the_layer() {
    let hole = |size: &[u8]| {
        let records = pax(&[("GNU.sparse.size", size), ("GNU.sparse.numblocks", b"0"), ("GNU.sparse.map", b"")]);
        [records, Raw::new(b'0', b"h", 0).block()].concat()
    };
    let bytes = archive(&[hole(b"60000"), hole(b"60000")]);
    let limits = Limits::default().with_layer_bytes(Some(100_000));
    let error = read_within(&bytes, &limits).unwrap_err();
    assert_eq!(error.to_string(), "tar entry 2 (h): bytes of the layer's files exceed the limit of 100000");
}

#[test]
fn endless_blocks_of_an_empty_sparse_map_end() {
    struct Endless(io::Cursor<Vec<u8>>);
    impl Read for Endless {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            match self.0.read(to)? {
                0 => {
                    for (i, byte) in to.iter_mut().enumerate() {
                        *byte = u8::from(i % 512 == 504);
                    }
                    Ok(to.len() / 512 * 512)
                }
                count => Ok(count),
            }
        }
    }
    let header = Raw::new(b'S', b"s", 0).gnu().with(482, b"\x01").block();
    let mut reader = TarReader::new(Endless(io::Cursor::new(header)), &Limits::default());
    let error = reader.next_entry().unwrap_err();
    assert!(error.to_string().contains("blocks of a sparse map exceed the limit"), "{error}");
}

#[test]
fn after_an_error_there_are_no_more_entries() {
    let bytes = archive(&[Raw::new(b'0', b"bad", 0).unsummed(), file(b"f", b"")]);
    let mut reader = TarReader::new(&bytes[..], &Limits::default());
    reader.next_entry().unwrap_err();
    assert!(reader.next_entry().unwrap_err().is_corrupt());
    assert_eq!(reader.drain().unwrap(), bytes.len() as u64);
    assert!(reader.next_entry().unwrap_err().is_corrupt());
}

#[test]
fn errors_of_the_reader_below_come_through() {
    struct Fails(&'static [u8]);
    impl Read for Fails {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(image_core::Error::Cancelled.into()) } else { self.0.read(to) }
        }
    }
    let mut reader = TarReader::new(Fails(b"some"), &Limits::default());
    assert!(reader.next_entry().unwrap_err().is_cancelled());
    let header: &'static [u8] = Raw::new(b'0', b"f", 5).block().leak();
    let mut reader = TarReader::new(Fails(header), &Limits::default());
    let mut entry = reader.next_entry().unwrap().unwrap();
    let error = entry.read(&mut [0; 5]).unwrap_err();
    assert!(Error::recover(error).unwrap().is_cancelled());
}

#[test]
fn names_in_errors_are_escaped_and_short() {
    let name = b"\x1b[2J\n".repeat(200);
    let error = check(&[pax(&[("path", &name), ("uid", b"4294967295")]), file(b"f", b"")], "\\u{1b}[2J\\n");
    assert!(error.to_string().len() < 400 && !error.to_string().contains('\x1b'), "{error}");
}

/// Every stream that is cut anywhere gives entries that the whole has, and then a clean end on the
/// boundary of an entry or an error that it is corrupt.
fn check_truncated(bytes: &[u8], boundaries: &[usize], at: usize) {
    let cut = &bytes[..at];
    let mut reader = TarReader::new(cut, &Limits::default());
    let mut count = 0;
    let result = loop {
        match reader.next_entry() {
            Ok(Some(mut entry)) => match io::copy(&mut entry, &mut io::sink()) {
                Ok(_) => count += 1,
                Err(error) => break Err(Error::recover(error).unwrap()),
            },
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    match result {
        Ok(()) => {
            assert!(boundaries.contains(&at), "a clean end at {at}");
            assert_eq!(count, boundaries.iter().position(|&b| b == at).unwrap().min(boundaries.len() - 2), "at {at}");
        }
        Err(error) => {
            assert!(error.is_corrupt() && !boundaries.contains(&at), "at {at}: {error}");
            assert!(
                error.to_string().contains("the stream ends inside it")
                    || error.to_string().contains("no entry after")
                    || error.to_string().contains("truncated"),
                "{error}"
            );
        }
    }
}

#[test]
fn streams_that_are_cut_anywhere() {
    let v10 = pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"900")]);
    let old = Raw::new(b'S', b"o", 3).gnu().with(386, b"00000000002\x0000000000003\0").with(482, b"\x01");
    let parts = [
        file(b"a", [1; 700]),
        [pax(&[("path", &[b'p'; 300].map(|_| b'p')[..200]), ("size", b"5")]), Raw::new(b'0', b"b", 0).data(b"12345")]
            .concat(),
        [extended(b'K', &[b'k'; 600]), Raw::new(b'2', b"l", 0).block()].concat(),
        [v10, Raw::new(b'0', b"s", 515).block(), padded(b"1\n9\n3\n"), padded(b"abc")].concat(),
        [old.with(483, b"00000000012\0").block(), vec![0; 512], padded(b"abc")].concat(),
    ];
    let mut boundaries = vec![0];
    for part in &parts {
        boundaries.push(boundaries.last().unwrap() + part.len());
    }
    let bytes = [parts.concat(), vec![0; 512]].concat();
    read(&bytes).unwrap();
    boundaries.push(bytes.len());
    for at in 0..=bytes.len() {
        check_truncated(&bytes, &boundaries, at);
    }
}

fn arb_stream() -> impl Strategy<Value = Vec<u8>> {
    let field = (0..512_usize, prop::collection::vec(any::<u8>(), 1..12));
    let kind = prop::sample::select(b"0015562xgLKS7\x00".to_vec());
    let header =
        (kind, prop::collection::vec(field, 0..3), 0..1200_u64, any::<bool>()).prop_map(|(kind, fields, size, gnu)| {
            let mut raw = Raw::new(kind, b"n", size).with(157, b"t");
            if gnu {
                raw = raw.gnu();
            }
            for (at, bytes) in fields {
                raw = raw.with(at.min(512 - bytes.len()), &bytes);
            }
            raw.block()
        });
    let keyword = prop::sample::select(vec![
        "path",
        "linkpath",
        "size",
        "uid",
        "mtime",
        "GNU.sparse.major",
        "GNU.sparse.minor",
        "GNU.sparse.size",
        "GNU.sparse.map",
        "GNU.sparse.numblocks",
        "GNU.sparse.name",
        "SCHILY.xattr.user.a",
        "GNU.sparse.offset",
    ]);
    let value = prop_oneof!["[0-9,.-]{0,8}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..9)];
    let records = prop::collection::vec((keyword, value), 0..5)
        .prop_map(|r| pax(&r.iter().map(|(k, v)| (*k, &v[..])).collect::<Vec<_>>()));
    let data = prop_oneof![
        "[0-9\n]{0,600}".prop_map(|digits| padded(digits.as_bytes())),
        prop::collection::vec(any::<u8>(), 0..600),
    ];
    prop::collection::vec(prop_oneof![header, records, data], 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_stream_makes_the_reader_panic_or_disagree_with_itself(bytes in arb_stream()) {
        let limits = Limits::default().with_layer_bytes(Some(1 << 20));
        let read = |by_chunks: bool| {
            let mut reader = TarReader::new(&bytes[..], &limits);
            let mut seen = Vec::new();
            loop {
                match reader.next_entry() {
                    Ok(None) => return (seen, None),
                    Err(error) => return (seen, Some(error.to_string())),
                    Ok(Some(mut entry)) => {
                        let mut content = Vec::new();
                        if by_chunks {
                            while let Ok(Some(chunk)) = entry.next_chunk() {
                                content.resize(usize::try_from(chunk.offset).unwrap(), 0);
                                content.extend_from_slice(chunk.bytes);
                            }
                        } else {
                            entry.read_to_end(&mut content).ok();
                        }
                        while content.last() == Some(&0) {
                            content.pop();
                        }
                        seen.push((entry.into_entry(), content));
                    }
                }
            }
        };
        prop_assert_eq!(read(true), read(false));
    }
}
