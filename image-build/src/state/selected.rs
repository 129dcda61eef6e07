//! What a choice of files from layers comes to.

use std::io::{self, Write};

use image_core::{Digest, Timestamp};

use super::BuildState;
use crate::{
    error::{Error, Result},
    temporary::set_time_of,
};

/// Digest, blank, checksum.
const LENGTH: usize = 64 + 1 + 64;

impl BuildState {
    /// The digest of what a definition selects, where it was found out before. When it last served is its file's time.
    pub(crate) fn selected(&self, definition: &Digest, now: Timestamp) -> Result<Option<Digest>> {
        let path = self.selected.join(definition.encoded());
        let failed = |e| Error::io("read", &path, e);
        let mut bytes = Vec::with_capacity(LENGTH + 1);
        match std::fs::File::open(&path) {
            Ok(file) => {
                io::Read::read_to_end(&mut io::Read::take(file, LENGTH as u64 + 1), &mut bytes).map_err(failed)?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        let digest = text.split_once(' ').and_then(|(digest, _)| format!("sha256:{digest}").parse().ok());
        // What is damaged, or is another's, counts as none.
        let digest = digest.filter(|digest| written(definition, digest) == text);
        if digest.is_some() {
            match set_time_of(&path, now) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("set the time of", &path, e)),
                _ => {}
            }
        }
        Ok(digest)
    }

    /// Keeps the digest of what a definition selects.
    pub(crate) fn keep_selected(&self, definition: &Digest, selected: &Digest) -> Result<()> {
        let path = self.selected.join(definition.encoded());
        let failed = |e| Error::io("write", &path, e);
        let mut file = self.temporary.file().map_err(failed)?;
        file.write_all(written(definition, selected).as_bytes()).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }
}

/// What is written for a selection: its digest, and a checksum of that and the definition.
fn written(definition: &Digest, selected: &Digest) -> String {
    let checksum = Digest::sha256_of(format!("{definition} {selected}").as_bytes());
    format!("{} {}", selected.encoded(), checksum.encoded())
}
