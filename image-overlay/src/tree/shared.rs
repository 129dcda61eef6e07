//! What many files of a tree have in common.

use std::{collections::HashSet, sync::Arc};

use image_core::Timestamp;

use crate::entry::Metadata;

/// Metadata that many files share, but for its times: each kept once.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    metadata: HashSet<Arc<Metadata>>,
    /// What was asked for last, which mostly is asked for again.
    last: Arc<Metadata>,
}

impl Shared {
    pub(super) fn metadata(&mut self, metadata: Metadata) -> (Arc<Metadata>, Timestamp) {
        let mtime = metadata.mtime;
        let timeless = metadata.with_mtime(Timestamp::UNIX_EPOCH);
        if *self.last != timeless {
            self.last = self.known(timeless);
        }
        (Arc::clone(&self.last), mtime)
    }

    fn known(&mut self, timeless: Metadata) -> Arc<Metadata> {
        if let Some(known) = self.metadata.get(&timeless) {
            return Arc::clone(known);
        }
        let new = Arc::new(timeless);
        self.metadata.insert(Arc::clone(&new));
        new
    }
}
