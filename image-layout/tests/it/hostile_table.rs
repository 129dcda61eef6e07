//! The table of hostile layouts: found by name, verified, and copied.

use std::{error::Error, path::Path};

use image_core::{Ctx, MemoryBlobStore};
use image_layout::{CopyOptions, OciLayout, copy, fsck::VerifyOptions};
use test_support::{
    hostile::{self, LayoutCase, Step},
    layout::Layout,
    temp_dir,
};

/// An error and its causes.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn open(place: &Path) -> Result<OciLayout, String> {
    OciLayout::open(place).map_err(|error| causes(&error))
}

fn find(place: &Path) -> Result<(), String> {
    open(place)?.image(Layout::NAME, None).map(drop).map_err(|error| causes(&error))
}

fn verify(place: &Path) -> Result<(), String> {
    let report = open(place)?.verify(None, &VerifyOptions::default(), &Ctx::default());
    let report = report.map_err(|error| causes(&error))?;
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

fn copied(place: &Path) -> Result<(), String> {
    let layout = open(place)?;
    let descriptor = layout.resolve(Layout::NAME).map_err(|error| causes(&error))?;
    let store = MemoryBlobStore::default();
    let copied = copy(layout.blobs(), &store, &descriptor, &CopyOptions::default(), &Ctx::default());
    copied.map(drop).map_err(|error| causes(&error))
}

#[test]
fn layouts_of_strangers() {
    let name = |case: &LayoutCase| format!("{:?}: {}", case.requirement, case.name);
    hostile::each(&hostile::layouts(), name, |case| {
        let dir = temp_dir();
        let place = dir.path().join("layout");
        case.layout.write_to(&place);
        let outcomes = [(Step::Find, find(&place)), (Step::Verify, verify(&place)), (Step::Copy, copied(&place))];
        let expected = outcomes.each_ref().map(|(step, _)| (*step, case.refusal(*step)));
        let is_as_expected = outcomes.iter().all(|(step, outcome)| match (case.refusal(*step), outcome) {
            (None, Ok(())) => true,
            (Some(text), Err(said)) => said.contains(text),
            _ => false,
        });
        assert!(is_as_expected, "{}: {outcomes:?}, and not {expected:?}", case.name);
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1, "{}", case.name);
    });
}
