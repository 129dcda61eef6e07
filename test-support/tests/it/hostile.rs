//! The table of hostile input, counted, so that no case goes unnoticed.

use std::collections::{BTreeMap, BTreeSet};

use test_support::hostile::{self, Requirement};

#[test]
fn no_case_goes_and_no_requirement_is_left_out() {
    let layers = hostile::layers().into_iter().map(|case| ("layer", case.name, case.requirement));
    let layouts = hostile::layouts().into_iter().map(|case| ("layout", case.name, case.requirement));
    let archives = hostile::archives().into_iter().map(|case| ("archive", case.name, case.requirement));
    let mut counts = BTreeMap::<Requirement, usize>::new();
    let mut names = BTreeSet::new();
    for (kind, name, requirement) in layers.chain(layouts).chain(archives) {
        assert!(names.insert((kind, requirement, name)), "two cases of {requirement:?} are named {name:?}");
        *counts.entry(requirement).or_default() += 1;
    }
    let expected = [
        (Requirement::InsideTheRoot, 27),
        (Requirement::LeavesAreNotFollowed, 8),
        (Requirement::LinksAsUnderChroot, 6),
        (Requirement::RootStays, 10),
        (Requirement::HardLinks, 16),
        (Requirement::Whiteouts, 32),
        (Requirement::Races, 4),
        (Requirement::NothingAfterErrors, 5),
        (Requirement::ContentIsVerified, 26),
        (Requirement::Digests, 9),
        (Requirement::Documents, 52),
        (Requirement::OneMeaningOfTar, 68),
        (Requirement::OwnersAndModes, 19),
        (Requirement::WriteErrors, 3),
        (Requirement::NothingIsSetAside, 24),
        (Requirement::NoRecursion, 11),
        (Requirement::RegularFilesOnly, 11),
        (Requirement::Accepted, 40),
        (Requirement::HostIndependence, 4),
        (Requirement::OverlayNames, 6),
        (Requirement::ArchivesAreIndexed, 12),
        (Requirement::LayersOfArchives, 6),
        (Requirement::DocumentBytes, 6),
        (Requirement::JsonNesting, 7),
        (Requirement::IndexDepth, 6),
        (Requirement::LayersOfAnImage, 2),
        (Requirement::ExtensionBytes, 8),
        (Requirement::PathBytes, 7),
        (Requirement::SparseSegments, 28),
        (Requirement::Xattrs, 6),
        (Requirement::Entries, 3),
        (Requirement::LayerBytes, 16),
        (Requirement::ZstdWindow, 2),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(counts.values().sum::<usize>(), 490);
}
