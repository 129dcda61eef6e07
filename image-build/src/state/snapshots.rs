//! The root file systems in which commands are run.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::{self, File},
    io::{self, Read, Write},
    path::PathBuf,
};

use image_core::{ChainId, Ctx, DiffId, Digest, Timestamp};
use image_overlay::{Keep, SnapshotId, Snapshots};

use super::{BuildState, Removed, expire::is_file};
use crate::{
    cache::RunMode,
    error::{Error, Result},
    id_map,
    temporary::set_time,
};

/// The largest note of a snapshot that is read, in bytes: more than an image's layers take.
const MAX_NOTE: u64 = 1 << 20;

impl BuildState {
    /// The snapshots of layers, opened when they are first asked for. What killed builds have left in them is removed.
    pub(crate) fn snapshots(&self, ctx: &Ctx) -> Result<&Snapshots> {
        if let Some(snapshots) = self.snapshots.get() {
            return Ok(snapshots);
        }
        let snapshots = Snapshots::open(&self.snapshots_directory(), ctx)?;
        snapshots.remove_abandoned(ctx)?;
        Ok(self.snapshots.get_or_init(|| snapshots))
    }

    /// Where the snapshots are whose owners are what this process sees.
    fn snapshots_directory(&self) -> PathBuf {
        let name = if id_map::is_whole() { "snapshots".into() } else { format!("snapshots-{}", id_map::name()) };
        self.directory.join(name)
    }

    /// Notes that a snapshot serves, and the layers of builds that it is made of.
    pub(crate) fn note_snapshot<'d>(
        &self,
        chain: &ChainId,
        layers: impl Iterator<Item = &'d DiffId>,
        now: Timestamp,
    ) -> Result<()> {
        let path = self.chains.join(chain.as_digest().encoded());
        let failed = |e| Error::io("write", &path, e);
        let text: String = layers.map(|layer| format!("{layer}\n")).collect();
        let mut file = self.temporary.file().map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| set_time(file.as_file(), now)).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// Removes the snapshots that no build can use, since a layer in them is no result any more that is kept, and those that
    /// did not serve for too long. `layers` are the results that are kept, by their diffIDs.
    pub(super) fn expire_snapshots(
        &self,
        layers: &HashSet<String>,
        is_unused: &dyn Fn(Timestamp) -> bool,
        mode: RunMode,
        ctx: &Ctx,
    ) -> Result<Removed> {
        let mut removed = Removed::default();
        if !is_file(&self.snapshots_directory().join("version"))? {
            return Ok(removed);
        }
        let mut keep = BTreeSet::new();
        let failed = |e| Error::io("read", &self.chains, e);
        for entry in fs::read_dir(&self.chains).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let used = Timestamp::from(entry.metadata().and_then(|note| note.modified()).map_err(failed)?);
            let name = entry.file_name();
            let chain = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>().map(ChainId::from_digest);
            let text = File::open(entry.path()).and_then(|file| io::read_to_string(file.take(MAX_NOTE)));
            let is_known = text
                .map_err(failed)?
                .lines()
                .all(|layer| layer.parse::<DiffId>().is_ok_and(|layer| layers.contains(layer.as_digest().encoded())));
            match chain {
                Ok(chain) if is_known && !is_unused(used) => drop(keep.insert(chain)),
                _ if mode == RunMode::Real => {
                    fs::remove_file(entry.path()).map_err(|e| Error::io("remove", entry.path(), e))?;
                }
                _ => {}
            }
        }
        let snapshots = self.snapshots(ctx)?;
        let parents: BTreeMap<_, _> = snapshots
            .list()?
            .into_iter()
            .filter_map(|info| match info.id {
                SnapshotId::Committed(chain) => Some((chain, info.parent)),
                SnapshotId::Active(_) => None,
            })
            .collect();
        for chain in superfluous(&parents, keep.clone()) {
            removed.add(snapshots.usage(&SnapshotId::Committed(chain.clone()), ctx)?.bytes);
        }
        if mode == RunMode::Real {
            snapshots.collect(&Keep::default().with_chains(keep), ctx)?;
        }
        Ok(removed)
    }
}

/// The snapshots that are neither needed nor below one that is.
fn superfluous(
    parents: &BTreeMap<ChainId, Option<ChainId>>,
    mut needed: BTreeSet<ChainId>,
) -> impl Iterator<Item = &ChainId> {
    let mut todo: Vec<_> = needed.iter().cloned().collect();
    while let Some(chain) = todo.pop() {
        if let Some(Some(parent)) = parents.get(&chain)
            && needed.insert(parent.clone())
        {
            todo.push(parent.clone());
        }
    }
    parents.keys().filter(move |chain| !needed.contains(*chain))
}
