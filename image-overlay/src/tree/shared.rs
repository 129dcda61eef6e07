//! What many files of a tree have in common.

use std::{collections::HashSet, sync::Arc};

use image_core::Timestamp;

use crate::entry::Metadata;

/// Values that many files share, each kept once: names, and metadata but for their times.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    names: HashSet<Arc<[u8]>>,
    metadata: HashSet<Arc<Metadata>>,
}

impl Shared {
    pub(super) fn name(&mut self, name: &[u8]) -> Arc<[u8]> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<[u8]> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }

    pub(super) fn metadata(&mut self, metadata: Metadata) -> (Arc<Metadata>, Timestamp) {
        let mtime = metadata.mtime;
        let timeless = metadata.with_mtime(Timestamp::UNIX_EPOCH);
        if let Some(known) = self.metadata.get(&timeless) {
            return (Arc::clone(known), mtime);
        }
        let new = Arc::new(timeless);
        self.metadata.insert(Arc::clone(&new));
        (new, mtime)
    }
}
