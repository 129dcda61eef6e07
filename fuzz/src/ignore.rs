//! Any bytes are an ignore file or an error, and whatever the patterns are: what a walk that carries verdicts
//! says of a path is what the whole path says, and no skipped directory holds a file that is kept.

use image_build::ignore::{Ignore, Verdict};

/// Between the ignore file and the paths.
const PART: &[u8] = b"\n---\n";

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let at = bytes.windows(PART.len()).position(|part| part == PART);
    let (rules, paths) = at.map_or((bytes, &b"a/b/c\nd.log"[..]), |at| (&bytes[..at], &bytes[at + PART.len()..]));
    let Ok(ignore) = Ignore::parse("ignore", rules) else { return };
    for path in paths.split(|b| *b == b'\n').take(8).filter(|path| path.len() < 128) {
        let names: Vec<&[u8]> =
            path.split(|b| *b == b'/').filter(|name| !matches!(*name, b"" | b"." | b"..")).collect();
        let (mut verdict, mut skipped) = (Verdict::default(), false);
        for depth in 1..=names.len() {
            let path = names[..depth].join(&b'/');
            verdict = ignore.verdict(verdict, &path);
            assert_eq!(verdict.is_excluded(), ignore.matches(&path), "{:?}", String::from_utf8_lossy(&path));
            assert!(
                !skipped || verdict.is_excluded(),
                "a skipped directory holds {:?}",
                String::from_utf8_lossy(&path)
            );
            skipped = skipped || verdict.is_excluded() && ignore.may_skip(verdict, &path);
        }
    }
}
