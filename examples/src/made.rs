//! Telling of an image that was made.

use std::io::Write;

use image_core::Descriptor;

use crate::{ImageName, run::Result};

/// Prints what came of the work: the image's digest and its name.
///
/// # Errors
/// A failed write.
pub fn print_made(manifest: &Descriptor, name: &ImageName, json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        let result = serde_json::json!({ "digest": manifest.digest, "layout": name.layout, "ref": name.reference });
        writeln!(out, "{result:#}")?;
    } else {
        writeln!(out, "digest: {}", manifest.digest)?;
        writeln!(out, "image: {name}")?;
    }
    Ok(())
}
