//! Any blobs and index in a layout are read, verified and copied, or refused: no panic, no endless walk, and what is
//! copied is whole if what it was copied from is.
//!
//! Parts are parted by a line of `---`; the last is `index.json`. In each, `@N` stands for the digest of part N, `#N` for
//! its size: so a graph of blobs can be written down.

use std::fs;

use image_core::{Ctx, Digest, ImageResolver, MemoryBlobStore};
use image_layout::{CopyOptions, OciLayout, copy, fsck::VerifyOptions};

/// Between two parts.
const LINE: &[u8] = b"\n---\n";
/// More parts than these are one.
const MOST: usize = 8;

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = OciLayout::create(dir.path().join("layout")).expect("a layout");
    let mut parts = split(bytes);
    let index = parts.pop().unwrap_or_default();
    let blobs = dir.path().join("layout/blobs/sha256");
    fs::create_dir_all(&blobs).expect("a directory");
    let mut stored: Vec<(Digest, usize)> = Vec::new();
    for part in parts {
        let content = filled(part, &stored);
        let digest = Digest::sha256_of(&content);
        fs::write(blobs.join(digest.encoded()), &content).expect("a blob");
        stored.push((digest, content.len()));
    }
    fs::write(dir.path().join("layout/index.json"), filled(index, &stored)).expect("an index");
    check(&layout);
}

fn check(layout: &OciLayout) {
    let ctx = Ctx::default();
    let clean = |layout: &OciLayout| {
        let report = layout.verify(None, &VerifyOptions::default(), &ctx);
        report.is_ok_and(|report| report.is_clean())
    };
    let is_clean = clean(layout);
    drop(layout.names());
    for tag in layout.tags().unwrap_or_default() {
        drop(layout.image(tag.name(), None));
        let store = MemoryBlobStore::default();
        let copied = copy(layout.blobs(), &store, tag.descriptor(), &CopyOptions::default(), &ctx);
        assert!(!is_clean || copied.is_ok(), "a clean layout is not copied: {copied:?}");
    }
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while parts.len() < MOST
        && let Some(at) = rest.windows(LINE.len()).position(|part| part == LINE)
    {
        parts.push(&rest[..at]);
        rest = &rest[at + LINE.len()..];
    }
    parts.push(rest);
    parts
}

fn filled(part: &[u8], stored: &[(Digest, usize)]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut bytes = part.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let number = bytes.peek().map(|digit| usize::from(digit.wrapping_sub(b'0')));
        match (byte, number.and_then(|number| stored.get(number))) {
            (b'@', Some((digest, _))) => content.extend(digest.to_string().into_bytes()),
            (b'#', Some((_, size))) => content.extend(size.to_string().into_bytes()),
            _ => {
                content.push(byte);
                continue;
            }
        }
        bytes.next();
    }
    content
}
