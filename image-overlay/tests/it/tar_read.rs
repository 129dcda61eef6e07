//! The reader on what is right, in every dialect that layers are written in.

use image_core::Timestamp;
use image_overlay::{EntryKind, Limits, Segment, TarReader};

use crate::raw_tar::{Raw, archive, extended, file, padded, pax, read, read_one, record};

fn segment(offset: u64, length: u64) -> Segment {
    Segment { offset, length }
}

fn name_of(parts: &[Vec<u8>]) -> Vec<u8> {
    read_one(parts).entry.path.as_bytes().to_vec()
}

#[test]
fn archives_end_in_several_ways() {
    let a = file(b"a", b"1");
    let zero = || vec![0; 512];
    for (bytes, count) in [
        (vec![], 0),
        (zero(), 0),
        (vec![0; 10240], 0),
        (a.clone(), 1),
        ([a.clone(), zero()].concat(), 1),
        ([a.clone(), zero(), zero()].concat(), 1),
        ([a.clone(), zero(), zero(), b"rest".to_vec()].concat(), 1),
        // Entries after the end do not exist.
        ([a.clone(), zero(), zero(), a.clone()].concat(), 1),
        ([a.clone(), a.clone()].concat(), 2),
    ] {
        assert_eq!(read(&bytes).unwrap().len(), count, "{} bytes", bytes.len());
    }
}

#[test]
fn all_of_the_stream_is_read() {
    struct Counting<'a>(&'a [u8], usize);
    impl std::io::Read for Counting<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            // Odd pieces, so that blocks straddle them.
            let count = to.len().min(77).min(self.0.len());
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            self.1 += count;
            Ok(count)
        }
    }
    let bytes = [archive(&[file(b"a", [1; 3000]), file(b"b", b"2")]), vec![9; 100_001]].concat();
    let mut reader = TarReader::new(Counting(&bytes, 0), &Limits::default());
    let mut offsets = Vec::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        offsets.push(entry.data_offset());
        assert_eq!(entry.next_chunk().unwrap().unwrap().offset, 0);
    }
    assert_eq!(offsets, [512, 4096]);
    assert_eq!(reader.drain().unwrap(), bytes.len() as u64);
    assert_eq!(reader.into_inner().1, bytes.len());
}

#[test]
fn kinds_and_their_fields() {
    let link = |kind, target: &[u8]| Raw::new(kind, b"l", 0).with(157, target).block();
    let device = |kind| Raw::new(kind, b"d", 0).with(329, b"0000010\0").with(337, b"0000377\0").block();
    let target = |raw: &[u8]| image_overlay::LayerPath::parse(raw).unwrap();
    for (part, kind) in [
        (Raw::new(b'0', b"f", 0).block(), EntryKind::File { size: 0 }),
        (Raw::new(0, b"f", 0).block(), EntryKind::File { size: 0 }),
        (Raw::new(b'7', b"f", 0).block(), EntryKind::File { size: 0 }),
        (Raw::new(b'5', b"d", 0).block(), EntryKind::Directory),
        (Raw::new(0, b"d/", 0).block(), EntryKind::Directory),
        (Raw::new(0, b"d/", 0).v7().block(), EntryKind::Directory),
        (Raw::new(b'0', b"f/", 0).block(), EntryKind::File { size: 0 }),
        (Raw::new(b'6', b"p", 0).block(), EntryKind::Fifo),
        (link(b'1', b"./x//y"), EntryKind::HardLink { target: target(b"x/y") }),
        (link(b'2', b"../..//y/"), EntryKind::Symlink { target: b"../..//y/".to_vec() }),
        (link(b'2', &[b't'; 100]), EntryKind::Symlink { target: vec![b't'; 100] }),
        (device(b'3'), EntryKind::CharDevice { major: 8, minor: 255 }),
        (device(b'4'), EntryKind::BlockDevice { major: 8, minor: 255 }),
    ] {
        assert_eq!(read_one(&[part]).entry.kind, kind);
    }
}

#[test]
fn what_is_no_file_has_no_data_whatever_its_size() {
    for kind in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        let header = Raw::new(kind, b"x", 512).with(157, b"t").block();
        let seen = read(&archive(&[header, file(b"after", b"")])).unwrap();
        assert_eq!(seen.len(), 2, "{}", kind as char);
        assert_eq!(seen[0].segments, []);
        assert_eq!(seen[1].entry.path.as_bytes(), b"after");
    }
}

#[test]
fn numbers_in_octal_and_binary() {
    let mtime = |field: &[u8]| read_one(&[Raw::new(b'0', b"f", 0).with(136, field).block()]).entry.metadata.mtime;
    for (field, seconds) in [
        (&b"00000000017\0"[..], 15),
        (b"        17 \0", 15),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0", 0),
        (b"            ", 0),
        (b"777777777777", 0o777_777_777_777),
        (b"17\0 garbage\0", 15),
        (b"\x80\0\0\0\0\0\0\0\0\0\0\x07", 7),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
        (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
        (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", i64::MIN),
    ] {
        assert_eq!(mtime(field), Timestamp::from_seconds(seconds), "{field:?}");
    }
    let raw = Raw::new(b'0', b"f", 0).with(100, b"0104755\0").with(108, b"\x80\0\0\0\xff\xff\xff\xfe");
    let metadata = read_one(&[raw.block()]).entry.metadata;
    assert_eq!((metadata.mode, metadata.uid), (0o4755, 4_294_967_294));
    let raw = Raw::new(b'0', b"f", 0).with(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x03");
    assert_eq!(read_one(&[raw.data(b"abc")]).content, b"abc");
}

#[test]
fn a_checksum_over_signed_bytes_is_right_too() {
    let mut block = Raw::new(b'0', b"\xff\xfe", 0).unsummed();
    block[148..156].fill(b' ');
    let sum: i32 = block.iter().map(|&b| i32::from(b.cast_signed())).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(name_of(&[block]), b"\xff\xfe");
}

#[test]
fn names_of_every_dialect() {
    let raw = || Raw::new(b'0', b"name", 0);
    assert_eq!(name_of(&[raw().with(345, b"dir/sub").block()]), b"dir/sub/name");
    assert_eq!(name_of(&[raw().with(345, &[b'p'; 155]).block()]), [&[b'p'; 155][..], b"/name"].concat());
    assert_eq!(name_of(&[raw().v7().with(345, b"junk").block()]), b"name");
    // GNU has times there, and Go before 1.8 a prefix all the same.
    assert_eq!(name_of(&[raw().gnu().with(345, b"00000000017\x0000000000020\0").block()]), b"name");
    assert_eq!(name_of(&[raw().gnu().with(345, b"old/docker/layer").block()]), b"old/docker/layer/name");
    // star's prefix is shorter, and times follow it.
    let star = raw().with(345, &[b's'; 131]).with(476, b"00000000017 00000000020 ").with(508, b"tar\0");
    assert_eq!(name_of(&[star.block()]), [&[b's'; 131][..], b"/name"].concat());
    assert_eq!(name_of(&[Raw::new(b'0', &[b'n'; 100], 0).block()]), [b'n'; 100]);
}

#[test]
fn long_names_and_their_order_of_precedence() {
    let (long, link) = (&[b'l'; 200][..], &[b'k'; 200][..]);
    let with_nul = |name: &[u8]| [name, b"\0"].concat();
    let symlink = || Raw::new(b'2', b"short", 0).with(157, b"target").block();
    let seen = read_one(&[extended(b'K', &with_nul(link)), extended(b'L', &with_nul(long)), symlink()]);
    assert_eq!(seen.entry.path.as_bytes(), long);
    assert_eq!(seen.entry.kind, EntryKind::Symlink { target: link.to_vec() });
    // Without a NUL, and with a prefix that no longer counts.
    assert_eq!(name_of(&[extended(b'L', long), Raw::new(b'0', b"n", 0).with(345, b"p").block()]), long);
    // PAX wins over GNU in either order, and the later record over the earlier.
    let records = || pax(&[("path", b"first"), ("path", b"from/pax"), ("linkpath", b"to\nlink")]);
    for extensions in [[extended(b'L', long), records()], [records(), extended(b'L', long)]] {
        let seen = read_one(&[extensions.concat(), symlink()]);
        assert_eq!(seen.entry.path.as_bytes(), b"from/pax");
        assert_eq!(seen.entry.kind, EntryKind::Symlink { target: b"to\nlink".to_vec() });
    }
    // An empty value takes a record back.
    assert_eq!(name_of(&[pax(&[("path", b"a"), ("path", b"")]), file(b"b", b"")]), b"b");
    // Nothing carries over to the next entry.
    let seen = read(&archive(&[pax(&[("path", b"a"), ("mtime", b"5")]), file(b"x", b""), file(b"y", b"")])).unwrap();
    assert_eq!(seen[1].entry.path.as_bytes(), b"y");
    assert_eq!(seen[1].entry.metadata.mtime, Timestamp::UNIX_EPOCH);
}

#[test]
fn global_headers_are_ignored() {
    let global = extended(b'g', &[record("path", b"evil"), record("comment", &[b'0'; 40])].concat());
    assert_eq!(name_of(&[global.clone(), file(b"a", b"")]), b"a");
    assert_eq!(name_of(&[pax(&[("path", b"p")]), global, file(b"a", b"")]), b"p");
}

#[test]
fn records_are_framed_by_their_length_alone() {
    let seen = read_one(&[
        pax(&[
            ("SCHILY.xattr.user.a", b"line\n19 path=injected\n\0\xff="),
            ("SCHILY.xattr.user.b=c", b"d"),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.user.a=", b""),
            ("comment", b"ignored"),
            ("path", b"with\nnewline"),
        ]),
        file(b"f", b""),
    ]);
    assert_eq!(seen.entry.path.as_bytes(), b"with\nnewline");
    let xattrs: Vec<_> = seen.entry.metadata.xattrs.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    // The first `=` ends the keyword.
    let expected: [(&[u8], &[u8]); 3] = [(b"user.a", b"="), (b"user.b", b"c=d"), (b"user.empty", b"")];
    assert_eq!(xattrs, expected);
}

#[test]
fn the_size_of_an_extended_header_governs() {
    for stored in [0, 2, 99_999] {
        let header = Raw::new(b'0', b"f", stored).block();
        let seen = read(&archive(&[pax(&[("size", b"600")]), header, padded(&[7; 600]), file(b"g", b"g")])).unwrap();
        assert_eq!(seen[0].content, [7; 600]);
        assert_eq!(seen[1].content, b"g");
    }
    // It is that of the entry, not of a header that extends it.
    let name = extended(b'L', b"long\0");
    let seen = read_one(&[pax(&[("size", b"3")]), name, Raw::new(b'0', b"f", 0).data(b"abc")]);
    assert_eq!((seen.entry.path.as_bytes(), &seen.content[..]), (&b"long"[..], &b"abc"[..]));
}

#[test]
fn ids_and_times_of_extended_headers() {
    let metadata = |records: &[(&str, &[u8])]| read_one(&[pax(records), file(b"f", b"")]).entry.metadata;
    let ids = metadata(&[("uid", b"4294967294"), ("gid", b"0000003000000")]);
    assert_eq!((ids.uid, ids.gid), (4_294_967_294, 3_000_000));
    for (value, seconds, nanoseconds) in [
        ("0", 0, 0),
        ("1700000000.5", 1_700_000_000, 500_000_000),
        ("5.", 5, 0),
        ("5.000000001999", 5, 1),
        ("-1", -1, 0),
        ("-1.5", -2, 500_000_000),
        ("-0.25", -1, 750_000_000),
        ("-0", 0, 0),
        ("9223372036854775807.9", i64::MAX, 900_000_000),
        ("-9223372036854775808", i64::MIN, 0),
    ] {
        let mtime = metadata(&[("mtime", value.as_bytes()), ("atime", b"3"), ("ctime", b"4")]).mtime;
        assert_eq!(mtime, Timestamp::new(seconds, nanoseconds).unwrap(), "{value}");
    }
}

#[test]
fn sparse_files_of_every_format() {
    let data = padded(b"abcde");
    let expected = b"\0\0abc\0\0\0de";
    let old = Raw::new(b'S', b"s", 5).gnu().with(386, b"00000000002\x0000000000003\0");
    let old = old.with(410, b"00000000010\x0000000000002\0").with(434, b"00000000012\x0000000000000\0");
    let old = old.with(483, b"00000000012\0").block();
    let v00 = pax(&[
        ("GNU.sparse.size", b"10"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"2"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"8"),
        ("GNU.sparse.numbytes", b"2"),
    ]);
    let v01 = pax(&[
        ("GNU.sparse.size", b"10"),
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.numblocks", b"3"),
        ("GNU.sparse.map", b"2,3,8,2,10,0"),
        ("path", b"GNUSparseFile.1/s"),
    ]);
    let v10 = pax(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.realsize", b"10"),
    ]);
    let plain = |size| Raw::new(b'0', b"s", size).block();
    for (form, parts) in [
        ("old", vec![old, data.clone()]),
        ("0.0", vec![v00, plain(5), data.clone()]),
        ("0.1", vec![v01, plain(5), data.clone()]),
        ("1.0", vec![v10, plain(512 + 5), padded(b"2\n2\n3\n8\n2\n"), data]),
    ] {
        let offset = parts.iter().map(Vec::len).sum::<usize>() as u64 - 512;
        let bytes = archive(&[parts.concat(), file(b"after", b"x")]);
        let seen = read(&bytes).unwrap();
        assert_eq!(seen.len(), 2, "{form}");
        assert_eq!(seen[0].content, expected, "{form}");
        assert_eq!(seen[0].segments, [segment(2, 3), segment(8, 2)], "{form}");
        assert_eq!(seen[0].offset, offset, "{form}");
        assert_eq!((seen[0].entry.path.as_bytes(), &seen[1].content[..]), (&b"s"[..], &b"x"[..]), "{form}");

        let mut reader = TarReader::new(&bytes[..], &Limits::default());
        let mut entry = reader.next_entry().unwrap().unwrap();
        let mut chunks = Vec::new();
        while let Some(chunk) = entry.next_chunk().unwrap() {
            chunks.push((chunk.offset, chunk.bytes.to_vec()));
        }
        assert_eq!(chunks, [(2, b"abc".to_vec()), (8, b"de".to_vec())], "{form}");
    }
}

#[test]
fn sparse_files_with_long_maps_and_none() {
    // 4 segments in the header, 21 and 5 in two blocks that follow.
    let entry = |i: u64| format!("{:011o}\0{:011o}\0", i * 10, 1);
    let entries = |range: std::ops::Range<u64>| range.map(entry).collect::<String>();
    let header = Raw::new(b'S', b"s", 30).gnu().with(386, entries(0..4).as_bytes()).with(482, b"\x01");
    let header = header.with(483, b"00000000454\0").block();
    let mut first = padded(entries(4..25).as_bytes());
    first[504] = 1;
    let bytes = [header, first, padded(entries(25..30).as_bytes()), padded(&[7; 30])];
    let seen = read_one(&bytes);
    assert_eq!(seen.segments.len(), 30);
    assert_eq!(seen.content.iter().filter(|&&b| b == 7).count(), 30);
    assert_eq!((seen.content.len(), seen.content[290], seen.content[291]), (300, 7, 0));

    let hole = pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"5")]);
    let seen = read_one(&[hole, Raw::new(b'0', b"hole", 512).data(b"0\n")]);
    assert_eq!((&seen.content[..], &seen.segments[..]), (&[0; 5][..], &[][..]));

    // A map that is longer than a block.
    let count = 200;
    let map: String = format!("{count}\n") + &(0..count).map(|i| format!("{}\n1\n", i * 1000)).collect::<String>();
    let size = map.len().next_multiple_of(512) as u64 + count;
    let records = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"200000")];
    let data = padded(&[1; 200]);
    let seen = read_one(&[pax(&records), Raw::new(b'0', b"s", size).block(), padded(map.as_bytes()), data]);
    assert_eq!((seen.segments.len(), seen.content.iter().map(|&b| u64::from(b)).sum::<u64>()), (200, 200));
}
