//! Tables of contents.

use image_core::{CancelToken, Ctx, Digest, hasher::Hasher};
use image_overlay::{LayerToc, Limits, Segment, TarWriter, TocEntry};
use proptest::prelude::*;

use crate::{
    arb,
    raw_tar::{Raw, archive, file, padded, pax},
};

fn toc(bytes: &[u8]) -> LayerToc {
    LayerToc::read(bytes, &Limits::default(), &Ctx::default()).unwrap()
}

fn layer() -> Vec<u8> {
    let sparse = pax(&[
        ("GNU.sparse.size", b"9"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.map", b"1,2,5,1"),
        ("SCHILY.xattr.user.a", b"\n"),
    ]);
    let sparse = [sparse, Raw::new(b'0', b"s", 3).block(), padded(b"abc")].concat();
    let hole = pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.numblocks", b"0"), ("GNU.sparse.map", b"")]);
    let hole = [hole, Raw::new(b'0', b"h", 0).block()].concat();
    [archive(&[file(b"a", b"12345"), sparse, hole, file(b".wh.b", b""), file(b"a", b"again")]), vec![7; 100]].concat()
}

#[test]
fn entries_and_where_their_data_lies() {
    let bytes = layer();
    let toc = toc(&bytes);
    assert_eq!(toc.tar_size(), bytes.len() as u64);
    let summary: Vec<_> = toc
        .entries()
        .map(|TocEntry { entry, content, .. }| {
            let content = content.unwrap();
            let at = usize::try_from(content.offset).unwrap();
            let data = &bytes[at..at + usize::try_from(content.stored_size()).unwrap()];
            assert_eq!(Digest::from_sha256(content.sha256), Digest::sha256_of(data), "{}", entry.path);
            assert_eq!(content.size, entry.kind.size());
            (entry.path.to_string(), content.size, data)
        })
        .collect();
    let expected =
        [("/a", 5, &b"12345"[..]), ("/s", 9, b"abc"), ("/h", 9, b""), ("/.wh.b", 0, b""), ("/a", 5, b"again")];
    assert_eq!(summary, expected.map(|(path, size, data)| (path.to_owned(), size, data)));
    let segments = |at: usize| toc.entries().nth(at).unwrap().content.unwrap().sparse.map(<[Segment]>::into_vec);
    assert_eq!(segments(0), None);
    assert_eq!(segments(1), Some(vec![Segment { offset: 1, length: 2 }, Segment { offset: 5, length: 1 }]));
    assert_eq!(segments(2), Some(Vec::new()));
    assert_eq!(segments(3), None);
    assert_eq!(LayerToc::from_bytes(&toc.to_bytes()).unwrap(), toc);
}

#[test]
fn a_cancelled_reading_ends() {
    let cancel = CancelToken::default();
    cancel.cancel();
    let ctx = Ctx::default().with_cancel(cancel);
    assert!(LayerToc::read(&layer()[..], &Limits::default(), &ctx).unwrap_err().is_cancelled());
}

/// `body` with the checksum that it should have.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::sha256();
    hasher.update(body);
    [body, hasher.finish().encoded().as_bytes()].concat()
}

#[test]
fn bytes_that_are_no_table_are_refused() {
    let bytes = toc(&layer()).to_bytes();
    let body = &bytes[..bytes.len() - 64];
    assert_eq!(sealed(body), bytes);
    for (bytes, expected) in [
        (vec![], "of another version"),
        (b"image-overlay toc 2\n".repeat(9), "of another version"),
        (bytes[..30].to_vec(), "ends too early"),
        (bytes[..bytes.len() - 1].to_vec(), "checksum does not match"),
        (sealed(&body[..body.len() - 1]), "invalid table of contents at byte"),
        (sealed(&[body, b"x"].concat()), "something follows its entries"),
        (sealed(b"image-overlay toc 1\n\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "ends too early"),
        (sealed(b"image-overlay toc 1\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00"), "number is too large"),
        (sealed(b"image-overlay toc 1\n\x00\x01\x01\x00"), "shares more than the path before it"),
    ] {
        let error = LayerToc::from_bytes(&bytes).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(expected), "`{error}` has no `{expected}`");
    }
}

proptest! {
    #[test]
    fn a_table_survives_its_bytes(entries in prop::collection::vec(arb::arb_entry(), 0..6)) {
        let mut writer = TarWriter::new(Vec::new());
        for (entry, content) in &entries {
            writer.append(entry, &mut &content[..]).unwrap();
        }
        let toc = toc(&writer.finish().unwrap());
        prop_assert!(toc.entries().map(|e| e.entry).eq(entries.iter().map(|(e, _)| e.clone())));
        prop_assert_eq!(LayerToc::from_bytes(&toc.to_bytes()).unwrap(), toc);
    }

    #[test]
    fn no_bytes_make_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = toc(&layer()).to_bytes();
        bytes.truncate(bytes.len() - 64);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // A table that is read is one that is written.
        if let Ok(toc) = LayerToc::from_bytes(&sealed(&bytes)) {
            prop_assert_eq!(LayerToc::from_bytes(&toc.to_bytes()).unwrap(), toc);
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(LayerToc::from_bytes(&bytes).is_err());
    }
}
