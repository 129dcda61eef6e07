//! Times as text.

use image_core::{Error, Timestamp};

#[test]
fn times_are_read_as_they_are_written() {
    let time = Timestamp::new(-1, 500_000_000).unwrap();
    assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    assert_eq!("1970-01-01T02:00:00+02:00".parse::<Timestamp>().unwrap(), Timestamp::default());
    let invalid = "yesterday".parse::<Timestamp>();
    assert!(matches!(&invalid, Err(Error::InvalidTimestamp { input, .. }) if input == "yesterday"), "{invalid:?}");
}
