//! Reflinks, and second names of files.

use std::{fs::File, os::unix::fs::MetadataExt, sync::Arc};

use super::Shared;
use crate::{
    blob::fs::{
        dir::open_file_path,
        options::Sharing,
        temporary::{Temporary, unique_name},
    },
    error::Result,
};

/// What is smaller is copied, in bytes: it would save nothing to link it, and documents have a time of use in each store.
const WORTH_A_LINK: u64 = 16 << 10;

impl Temporary {
    /// Gives the content of another file to this one, which is empty, without copying it; `None` where that cannot be
    /// done. The result may be a second name of the other file.
    pub(in crate::blob::fs) fn share(&self, other: &File, prefix: &str, sharing: Sharing) -> Result<Option<Shared>> {
        if sharing == Sharing::Never {
            return Ok(None);
        }
        #[cfg(target_os = "linux")]
        if rustix::fs::ioctl_ficlone(&self.file, other).is_ok() {
            return Ok(Some(Shared::Cloned));
        }
        if sharing == Sharing::Reflink || !self.may_be_linked(other) {
            return Ok(None);
        }
        // A description of its own, whose lock is there before the name is.
        let Ok(file) = File::open(open_file_path(other)) else { return Ok(None) };
        let name = unique_name(prefix);
        if file.try_lock_shared().is_ok() && self.dir.link(&file, &name) {
            return Ok(Some(Shared::Linked(Self { dir: Arc::clone(&self.dir), name, file })));
        }
        Ok(None)
    }

    /// Whether a second name may, and should, be given to a file: it is the user's own, nobody may write to it, as to this
    /// one, and it is of some size.
    fn may_be_linked(&self, other: &File) -> bool {
        let (Ok(own), Ok(other)) = (self.file.metadata(), other.metadata()) else { return false };
        let is_as_safe = own.uid() == other.uid() && own.mode() == other.mode() && own.mode() & 0o222 == 0;
        other.is_file() && other.len() >= WORTH_A_LINK && is_as_safe
    }
}
