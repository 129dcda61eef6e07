//! What a thread does at a time when a context is listed.

use std::{ops::Range, os::fd::OwnedFd, sync::Arc};

use image_overlay::LayerPath;

use super::names::Names;
use crate::ignore::Verdict;

/// Work for one thread.
pub(super) enum Job {
    /// A directory whose names are to be read.
    Open(Directory),
    /// Names of a directory whose files are to be looked at.
    Look(Opened),
}

/// A directory that was found.
#[derive(Clone)]
pub(super) struct Directory {
    pub(super) id: usize,
    pub(super) path: LayerPath,
    pub(super) verdict: Verdict,
}

/// Some of the names of a directory.
pub(super) struct Opened {
    pub(super) directory: Directory,
    pub(super) handle: Arc<OwnedFd>,
    pub(super) names: Arc<Names>,
    pub(super) range: Range<usize>,
}

impl Job {
    /// What all begins with: the root, which is directory 0.
    pub(super) fn first() -> Self {
        Self::Open(Directory { id: 0, path: LayerPath::root(), verdict: Verdict::default() })
    }
}
