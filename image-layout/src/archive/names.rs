//! The names of members.

use image_core::Digest;

use crate::error::{excerpt, printable};

/// A name for a message.
pub(super) fn display(name: &[u8]) -> String {
    printable(&excerpt(&String::from_utf8_lossy(name)))
}

/// A name without `.`, empty components and slashes at its ends; `None` where it leads out of the archive, or to
/// all of it.
pub(super) fn clean(name: &[u8]) -> Option<Vec<u8>> {
    if name.starts_with(b"/") {
        return None;
    }
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.is_empty() || parts.contains(&&b".."[..]) { None } else { Some(parts.join(&b'/')) }
}

/// What a symbolic link leads to.
pub(super) fn resolve(link: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> = link.split(|byte| *byte == b'/').collect();
    parts.pop();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    if parts.is_empty() { None } else { Some(parts.join(&b'/')) }
}

/// The name of a blob's file.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.encoded())
}

/// The digest in the name of a blob's file.
pub(super) fn digest_of(name: &[u8]) -> Option<Digest> {
    let (algorithm, encoded) = str::from_utf8(name).ok()?.strip_prefix("blobs/")?.split_once('/')?;
    let digest: Digest = format!("{algorithm}:{encoded}").parse().ok()?;
    digest.algorithm().is_supported().then_some(digest)
}
