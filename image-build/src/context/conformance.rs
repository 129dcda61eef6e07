//! The suite that every source of a context must pass.
//!
//! Each check has a source made that holds certain files, and panics where it breaks the contract of [`ContextSource`], in
//! words that say how. [`check_all`] runs all of them:
//!
//! ```
//! use image_build::{MemoryContext, context_conformance};
//! context_conformance::check_all(&|files| {
//!     let add = |source: MemoryContext, file: &context_conformance::Sample| {
//!         source.with_entry(file.entry.clone(), file.content.clone())
//!     };
//!     Box::new(files.iter().fold(MemoryContext::new(), add))
//! });
//! ```
//!
//! The files are such as any source can hold: modes 0644 and 0755, no times, no hard links, no directory without files.
#![expect(clippy::missing_panics_doc, reason = "panicking is how a check fails, as said above")]
#![expect(clippy::panic, reason = "panicking is how a check fails")]

use std::{collections::BTreeMap, io::Read, thread};

use image_core::{CancelToken, Ctx, hasher::Sha256};
use image_overlay::{Entry, EntryKind, LayerPath, Metadata};

use super::{ContextSource, SourceEntry};
use crate::error::{Error, Result};

/// A file that a source is to hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sample {
    /// Its path, kind and mode. Directories come before what is in them.
    pub entry: Entry,
    /// The content of a regular file.
    pub content: Vec<u8>,
}

/// Makes a source of these files.
pub type MakeSource<'a> = &'a dyn Fn(&[Sample]) -> Box<dyn ContextSource>;

/// Runs every check.
pub fn check_all(make: MakeSource<'_>) {
    let checks: [fn(MakeSource<'_>); 6] = [
        every_file_is_told_once,
        files_are_read_whole_and_again,
        what_is_no_file_is_not_opened,
        several_threads_may_read,
        a_visitor_may_stop,
        listing_can_be_cancelled,
    ];
    for check in checks {
        check(make);
    }
    assert!(told(&*make(&[])).values().all(|file| file.entry.kind.is_directory()), "a source without files has none");
}

/// Every file is told once, with its kind, size, mode and content's digest, and so again.
pub fn every_file_is_told_once(make: MakeSource<'_>) {
    let samples = samples();
    let source = make(&samples);
    let files = told(&*source);
    for Sample { entry, content } in &samples {
        let path = &entry.path;
        match (files.get(path), &entry.kind) {
            (None, EntryKind::Directory) => {}
            (None, _) => panic!("{path} was not told of"),
            (Some(file), kind) => {
                assert_eq!(file.entry.kind, *kind, "the kind of {path}");
                if !matches!(kind, EntryKind::Symlink { .. }) {
                    assert_eq!(file.entry.metadata.mode, entry.metadata.mode, "the mode of {path}");
                }
                if let (Some(sha256), EntryKind::File { .. }) = (file.sha256, kind) {
                    assert_eq!(sha256, digest(content), "the digest of {path}, where it is told");
                }
            }
        }
    }
    let known = |path: &LayerPath| path.is_root() || samples.iter().any(|sample| sample.entry.path == *path);
    let odd: Vec<&LayerPath> = files.keys().filter(|path| !known(path)).collect();
    assert!(odd.is_empty(), "files that are not there: {odd:?}");
    assert_eq!(told(&*source), files, "the files hold still");
    assert_eq!(source.name(), make(&samples).name(), "the name is that of sources of this kind");
}

/// A regular file is read whole, by the path that was told, and as often as it is asked for.
pub fn files_are_read_whole_and_again(make: MakeSource<'_>) {
    let samples = samples();
    let source = make(&samples);
    for Sample { entry, content } in
        samples.iter().filter(|sample| is_file(sample)).chain(samples.iter().filter(|sample| is_file(sample)))
    {
        assert!(read(&*source, &entry.path).as_deref() == Some(&**content), "the content of {}", entry.path);
    }
}

/// Directories, and what is not there, cannot be opened, which is no error.
pub fn what_is_no_file_is_not_opened(make: MakeSource<'_>) {
    let source = make(&samples());
    for path in ["d", "", "d/absent", "absent/absent", "empty/below"] {
        let path = ok(LayerPath::parse(path.as_bytes()).map_err(Into::into), "a path");
        assert!(read(&*source, &path).is_none(), "{path} is no regular file");
    }
}

/// Several threads may read at once.
pub fn several_threads_may_read(make: MakeSource<'_>) {
    let samples = samples();
    let source = make(&samples);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for Sample { entry, content } in samples.iter().filter(|sample| is_file(sample)) {
                    assert!(
                        read(&*source, &entry.path).as_deref() == Some(&**content),
                        "the content of {}",
                        entry.path
                    );
                }
            });
        }
    });
}

/// The first error of who is told ends the listing, and is its error.
pub fn a_visitor_may_stop(make: MakeSource<'_>) {
    let source = make(&samples());
    let mut count = 0;
    let result = source.list(
        &mut |_| {
            count += 1;
            Err(Error::external("the visitor had enough", "of it"))
        },
        &Ctx::default(),
    );
    match result {
        Err(error) => assert_eq!(error.to_string(), "the visitor had enough", "the error of the visitor"),
        Ok(()) => panic!("the error of the visitor was lost"),
    }
    assert_eq!(count, 1, "nothing is told after an error");
}

/// A listing that is cancelled ends with that error.
pub fn listing_can_be_cancelled(make: MakeSource<'_>) {
    let source = make(&samples());
    let cancel = CancelToken::default();
    cancel.cancel();
    let ctx = Ctx::default().with_cancel(cancel);
    match source.list(&mut |_| Ok(()), &ctx) {
        Err(error) => assert!(error.is_cancelled(), "the listing was cancelled, and failed otherwise: {error}"),
        Ok(()) => panic!("the listing was cancelled, and went on"),
    }
}

fn samples() -> Vec<Sample> {
    let large: Vec<u8> = (0..300_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let file = |path: &str, mode, content: &[u8]| {
        sample(path, EntryKind::File { size: content.len() as u64 }, mode, content.to_vec())
    };
    let target = b"d/plain".to_vec();
    vec![
        sample("d", EntryKind::Directory, 0o755, Vec::new()),
        file("d/plain", 0o644, b"plain\n"),
        file("d/program", 0o755, b"#!/bin/sh\n"),
        sample("d/e", EntryKind::Directory, 0o755, Vec::new()),
        file("d/e/a name with \u{fc} and $", 0o644, b"odd"),
        file("empty", 0o644, b""),
        file("large", 0o644, &large),
        sample("link", EntryKind::Symlink { target }, 0o777, Vec::new()),
    ]
}

fn sample(path: &str, kind: EntryKind, mode: u32, content: Vec<u8>) -> Sample {
    let path = ok(LayerPath::parse(path.as_bytes()).map_err(Into::into), "a path");
    Sample { entry: Entry::new(path, kind, Metadata::new(mode)), content }
}

fn is_file(sample: &Sample) -> bool {
    matches!(sample.entry.kind, EntryKind::File { .. })
}

fn told(source: &dyn ContextSource) -> BTreeMap<LayerPath, SourceEntry> {
    let mut files = BTreeMap::new();
    let mut add = |file: SourceEntry| {
        let path = file.entry.path.clone();
        assert!(files.insert(path.clone(), file).is_none(), "{path} was told of twice");
        Ok(())
    };
    ok(source.list(&mut add, &Ctx::default()), "list");
    files
}

fn read(source: &dyn ContextSource, path: &LayerPath) -> Option<Vec<u8>> {
    let mut file = ok(source.open(path), "open")?;
    let mut bytes = Vec::new();
    match file.read_to_end(&mut bytes) {
        Ok(_) => Some(bytes),
        Err(error) => panic!("read {path}: {error}"),
    }
}

fn digest(content: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::default();
    hasher.update(content);
    hasher.finish()
}

fn ok<T>(result: Result<T>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}
