//! The annotations that name images, and what a name may look like.

use crate::error::{Error, Result, excerpt};

/// The annotation with an image's name in its layout: often a tag alone.
///
/// # Spec
/// OCI image-spec 1.1, annotations.md, § Pre-Defined Annotation Keys.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation in which Docker and containerd write an image's full name.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// The longest name, in bytes: a registry, a repository and a tag fit, with room to spare.
const MAX_NAME: usize = 1024;

/// Says that a text may stand in [`REF_NAME`].
///
/// # Errors
/// [`Error::InvalidRefName`] where it may not.
///
/// # Spec
/// OCI image-spec 1.1, annotations.md: `component ("/" component)*`, where a component is letters and
/// digits, parted by one of `-._:@+` or by `--`.
pub fn check_ref_name(name: &str) -> Result<()> {
    let invalid = |reason| Error::InvalidRefName { input: excerpt(name), reason };
    if name.len() > MAX_NAME {
        return Err(invalid("it is longer than 1024 bytes"));
    }
    if !name.split('/').all(is_component) {
        return Err(invalid("it is not letters and digits, parted by one of '/', '-', '.', '_', ':', '@', '+', '--'"));
    }
    Ok(())
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.split(alphanumeric).all(|run| matches!(run, "" | "-" | "." | "_" | ":" | "@" | "+" | "--"))
}
