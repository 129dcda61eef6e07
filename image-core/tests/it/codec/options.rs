use image_core::codec::{Compression, EncodeOptions, Encoder};

#[test]
fn text_form() {
    for (text, printed) in [
        ("none", "none"),
        ("gzip", "gzip:5"),
        ("gzip:1", "gzip:1"),
        ("gzip:9", "gzip:9"),
        ("zstd", "zstd:3"),
        ("zstd:22", "zstd:22"),
    ] {
        let options: EncodeOptions = text.parse().unwrap();
        assert_eq!(options.to_string(), printed);
        assert_eq!(printed.parse::<EncodeOptions>().unwrap().to_string(), printed);
    }
}

#[test]
fn refused_text() {
    for (text, message) in [
        ("", "compression \"\" is not supported: write none, gzip[:LEVEL] or zstd[:LEVEL]"),
        ("lz4", "compression \"lz4\" is not supported: write none, gzip[:LEVEL] or zstd[:LEVEL]"),
        ("GZIP", "compression \"GZIP\" is not supported: write none, gzip[:LEVEL] or zstd[:LEVEL]"),
        ("gzip:", "compression \"gzip:\" is not supported: write none, gzip[:LEVEL] or zstd[:LEVEL]"),
        ("gzip:-1", "compression \"gzip:-1\" is not supported: write none, gzip[:LEVEL] or zstd[:LEVEL]"),
        ("zstd:3:1", "compression \"zstd:3:1\" is not supported: write none, gzip[:LEVEL] or zstd[:LEVEL]"),
        ("gzip:0", "level 0 of gzip is not supported: gzip has levels 1 to 9"),
        ("gzip:10", "level 10 of gzip is not supported: gzip has levels 1 to 9"),
        ("zstd:0", "level 0 of zstd is not supported: zstd has levels 1 to 22"),
        ("zstd:23", "level 23 of zstd is not supported: zstd has levels 1 to 22"),
        ("none:1", "level 1 of uncompressed is not supported: there are no levels without compression"),
    ] {
        let error = text.parse::<EncodeOptions>().unwrap_err();
        assert!(error.is_unsupported());
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn levels_are_checked_when_encoding_begins() {
    let options = EncodeOptions::new(Compression::Gzip).with_level(10);
    assert!(Encoder::new(Vec::new(), &options).unwrap_err().is_unsupported());
}
