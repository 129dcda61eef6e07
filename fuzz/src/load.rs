//! Any bytes loaded as an archive: refused, with nothing named, or an image in a layout that is whole; and nothing is
//! ever made beside the layout. With a first byte of 1, the checksums of headers are mended first.

use std::{fs, path::Path};

use image_core::Ctx;
use image_layout::{LoadOptions, OciLayout, fsck::VerifyOptions};

use crate::tar::{BLOCK, mend};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if *first == 1 {
        bytes.chunks_exact_mut(BLOCK).for_each(mend);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = OciLayout::create(dir.path().join("layout")).expect("a layout");
    let options = LoadOptions::default().with_layer_bytes(Some(1 << 20)).with_total_bytes(Some(8 << 20));
    let loaded = layout.load(&bytes[..], &options, &Ctx::default());
    assert_eq!(names(dir.path()), ["layout"]);
    let own = ["blobs", "index.json", "ingest", "leases", "corrupt", "oci-layout", ".index.json.lock"];
    for name in names(layout.path()) {
        assert!(own.contains(&&*name), "{name} appears in the layout");
    }
    let roots = layout.roots().expect("the layout is whole");
    assert!(loaded.is_ok() || roots.is_empty(), "{loaded:?}");
    if let Ok(loaded) = loaded {
        assert!(loaded.iter().all(|loaded| roots.iter().any(|root| root.digest == loaded.descriptor.digest)));
        let report = layout.verify(None, &VerifyOptions::default(), &Ctx::default()).expect("it is read");
        assert!(report.is_clean(), "{:?}", report.findings);
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}
