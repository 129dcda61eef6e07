//! Errors on their way through readers and writers, and what they answer.

use std::io;

use image_overlay::{Error, LayerPath};

fn invalid() -> Error {
    LayerPath::parse(b"..").unwrap_err()
}

#[test]
fn errors_travel_through_io_errors() {
    let travelling: io::Error = invalid().into();
    assert_eq!(travelling.kind(), io::ErrorKind::InvalidData);
    assert!(matches!(Error::stream("read", travelling), Error::InvalidPath { .. }));
    assert!(matches!(Error::io("open", "/x", invalid().into()), Error::InvalidPath { .. }));

    // Those of the crate below come out in either crate, however they were wrapped.
    let wrapped = || io::Error::from(Error::from(image_core::Error::Cancelled));
    assert!(Error::recover(wrapped()).unwrap().is_cancelled());
    assert!(image_core::Error::recover(wrapped()).unwrap().is_cancelled());

    let foreign = io::Error::other("foreign");
    assert_eq!(Error::recover(foreign).unwrap_err().to_string(), "foreign");
}

#[test]
fn questions_see_through_wrapping() {
    type Question = fn(&Error) -> bool;
    let questions: [Question; 6] = [
        Error::is_not_found,
        Error::is_corrupt,
        Error::is_cancelled,
        Error::is_unsupported,
        Error::is_denied,
        Error::is_busy,
    ];
    let system = |kind: io::ErrorKind| Error::io("open", "/x", kind.into());
    for (error, expected) in [
        (system(io::ErrorKind::NotFound), Some(0)),
        (invalid(), Some(1)),
        (image_core::Error::Cancelled.into(), Some(2)),
        (Error::stream("read", io::ErrorKind::Unsupported.into()), Some(3)),
        (system(io::ErrorKind::PermissionDenied), Some(4)),
        (system(io::ErrorKind::StorageFull), None),
    ] {
        let answers = questions.map(|question| question(&error));
        assert_eq!(answers.iter().position(|&yes| yes), expected, "{error}");
        assert_eq!(answers.iter().filter(|&&yes| yes).count(), usize::from(expected.is_some()), "{error}");
    }
}
