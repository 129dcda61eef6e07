//! Any bytes are a document or none; what is one can be written and read again.

use image_core::{Document, ImageConfig, ImageIndex, ImageManifest, document::Body};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    check::<ImageManifest>(bytes);
    check::<ImageIndex>(bytes);
    check::<ImageConfig>(bytes);
}

fn check<T: Body + PartialEq + Clone + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(document) = Document::<T>::parse(bytes.to_vec(), "input") else { return };
    assert_eq!(document.bytes(), bytes);
    let Ok(written) = Document::new(document.value().clone()) else { return };
    let again = Document::<T>::parse(written.bytes().clone(), "output").expect("what is written can be read");
    assert_eq!(again.value(), document.value());
}
