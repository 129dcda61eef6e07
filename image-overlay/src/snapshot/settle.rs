//! The times of what was changed, as the layer has them that was made of it.

use std::{
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use image_core::{Ctx, Event, Timestamp};

use super::Active;
use crate::{
    entry::EntryKind,
    error::{Error, Result},
    path::LayerPath,
    root::{Root, set_mtime, set_mtime_at},
    scan::{DirSource, Sight},
    source::TreeSource,
    toc::LayerToc,
    tree::{FileTree, NodeId},
};

impl Active {
    /// Gives what was changed the times that it has in `layer`, which was packed of it, and what the layer does not have
    /// those of `lower`, the tree that its parent shows. Committed then, it shows what the layer unpacks to.
    ///
    /// A layer has whole seconds, none later than was asked for, and knows nothing of a directory in which
    /// something was made and removed again. Whoever builds upon the snapshot would see another tree than whoever builds
    /// upon the layer.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn settle<C>(&self, lower: &FileTree<C>, layer: &LayerToc, ctx: &Ctx) -> Result<()> {
        let times: HashMap<LayerPath, Timestamp> =
            layer.entries().map(|entry| (entry.entry.path, entry.entry.metadata.mtime)).collect();
        // What it tells of was told when the changes were captured.
        let quiet = ctx.clone().with_observer(Arc::new(|_: &Event<'_>| {}));
        let changed = DirSource::look(Root::open(&self.dirs().fs)?, Sight::Overlay, &quiet)?;
        let mut open: Option<(NodeId, OwnedFd)> = None;
        for node in changed.tree().walk(changed.tree().root()) {
            ctx.check()?;
            if *node.kind() == (EntryKind::CharDevice { major: 0, minor: 0 }) {
                continue;
            }
            let path = node.path();
            let time = times.get(&path).copied().or_else(|| lower.get(&path).map(|below| below.metadata().mtime));
            let Some(time) = time.filter(|time| *time != node.metadata().mtime) else { continue };
            let failed = |e: rustix::io::Errno| Error::io("set the time of", path.to_string(), e.into());
            if path.is_root() {
                set_mtime(changed.root(), time).map_err(failed)?;
                continue;
            }
            let parent = node.parent();
            let (_, dir) = match open.take().filter(|(id, _)| *id == parent.id()) {
                Some(same) => open.insert(same),
                None => open.insert((parent.id(), changed.root().open_dir(&parent.path())?)),
            };
            set_mtime_at(dir.as_fd(), node.name(), time).map_err(failed)?;
        }
        Ok(())
    }
}
