//! RUN: a command in the root file system of a stage, and what it changed as a layer.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::PathBuf,
    sync::Arc,
};

use image_core::{
    Ctx,
    observer::{Outcome, TaskKind},
};
use image_overlay::{
    Active, ApplyOptions, DevicePolicy, DiffOptions, EntryKind, ImageSource, ImageTree, Metadata, NodeRef, PackOptions,
    PackedLayer, SnapshotKey, Snapshots, TreeSource, UnpackOptions, View, diff,
};

use crate::{
    error::{Error, Result},
    exec::{Executor, RunSpec},
    id_map::{self, Kind},
    rootfs::RootFs,
    state::BuildState,
};

/// Runs a command on top of the layers of `stage`, and packs what it changed; nothing changed is a layer without entries,
/// as BuildKit has it. The snapshot of the new layer stays, for the next command.
///
/// `label` names the step whose command it is.
pub(crate) fn run(
    executor: &dyn Executor,
    spec: RunSpec,
    label: &str,
    stage: &RootFs,
    options: PackOptions,
    place: &Place<'_>,
) -> Result<PackedLayer> {
    let Place { state, ctx } = *place;
    let tree = stage.tree(state, ctx)?;
    require_owners(&tree)?;
    let snapshots = state.snapshots(ctx)?;
    let tree = if snapshots.form().marks().is_none() && !id_map::is_whole() { without_devices(&tree) } else { tree };
    let below = ImageSource::of_tree(stage.layers().to_vec(), tree, state.temporary());
    // What it is based on is kept until the end.
    let (view, mut active) = prepare(snapshots, stage, ctx)?;
    let layer =
        carry_out(executor, spec, label, &mut active, ctx).and_then(|()| capture(&active, &below, options, state, ctx));
    match layer {
        Ok(layer) => {
            let chain = active.commit(&layer.diff_id, ctx)?;
            let layers = stage.own_layers().iter().map(|layer| &layer.diff_id);
            if let Some(below) = view.as_ref().map(View::chain) {
                state.note_snapshot(below, layers.clone(), ctx.now())?;
            }
            state.note_snapshot(&chain, layers.chain([&layer.diff_id]), ctx.now())?;
            view.map_or(Ok(()), |view| view.close(ctx))?;
            Ok(layer)
        }
        Err(error) => {
            // There is a better error to tell; what cannot be deleted now is deleted by the next build.
            drop(active.remove(&Ctx::default()));
            drop(view.map(|view| view.close(&Ctx::default())));
            Err(error)
        }
    }
}

/// Where the work is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) state: &'a BuildState,
    pub(crate) ctx: &'a Ctx,
}

/// Files of an image belong to many users, and so do those of a command: this process must be able to give them.
fn require_owners(tree: &ImageTree) -> Result<()> {
    let refuse = |reason: String| Err(Error::CannotRun { reason });
    if !rustix::process::geteuid().is_root() {
        return refuse(
            "the files of an image belong to many users, and only root can give them: build as root, or in a user \
             namespace (`unshare --map-root-user --map-auto --mount PROGRAM`)"
                .into(),
        );
    }
    if id_map::is_whole() {
        return Ok(());
    }
    let (users, groups) = (id_map::ranges(Kind::Users), id_map::ranges(Kind::Groups));
    for node in tree.walk(tree.root()) {
        let Metadata { uid, gid, .. } = node.metadata();
        if !id_map::has(&users, uid) || !id_map::has(&groups, gid) {
            return refuse(format!(
                "{} of the image belongs to {uid}:{gid}, and this user namespace does not have both: give the user more \
                 ids in /etc/subuid and /etc/subgid, and take them in (`unshare --map-auto`)",
                node.path()
            ));
        }
    }
    Ok(())
}

/// A tree without what root of a namespace could not make: in a copy of it nobody has removed that.
fn without_devices(tree: &ImageTree) -> Arc<ImageTree> {
    let is_device = |kind: &EntryKind| matches!(kind, EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. });
    let devices: Vec<_> = tree.walk(tree.root()).filter(|node| is_device(node.kind())).map(NodeRef::id).collect();
    let mut tree = tree.clone();
    devices.into_iter().for_each(|device| tree.remove(device));
    tree.into()
}

/// An active snapshot on top of the layers, with what keeps these.
fn prepare(snapshots: &Snapshots, stage: &RootFs, ctx: &Ctx) -> Result<(Option<View>, Active)> {
    match try_prepare(snapshots, stage, ctx) {
        // Somebody has deleted some of them: all that nobody uses are made anew.
        Err(error) if error.is_not_found() => {
            snapshots.collect(&Default::default(), ctx)?;
            try_prepare(snapshots, stage, ctx)
        }
        result => result,
    }
}

fn try_prepare(snapshots: &Snapshots, stage: &RootFs, ctx: &Ctx) -> Result<(Option<View>, Active)> {
    let task = ctx.begin(TaskKind::Extract, "layers for a command", None);
    // No namespace's root may make devices, and no command sees those of an image.
    let devices = if id_map::is_whole() { DevicePolicy::Require } else { DevicePolicy::LeaveOut };
    let options = UnpackOptions::default().with_apply(ApplyOptions::default().with_devices(devices));
    let view = snapshots.ensure_layers(stage.layers(), &options, ctx)?;
    let active = snapshots.prepare(&key()?, view.as_ref().map(View::chain), ctx)?;
    task.end(Outcome::Done);
    Ok((view, active))
}

/// A name that no other active snapshot has.
fn key() -> Result<SnapshotKey> {
    Ok(SnapshotKey::parse(&format!("run-{:016x}", RandomState::new().build_hasher().finish()))?)
}

/// Runs the command in the snapshot.
fn carry_out(executor: &dyn Executor, spec: RunSpec, label: &str, active: &mut Active, ctx: &Ctx) -> Result<()> {
    let mounted = active.mount()?;
    let spec = RunSpec { rootfs: PathBuf::from(mounted.path()), ..spec };
    let task = ctx.begin(TaskKind::Run, label, None);
    let exit = executor.run(&spec, &mut |line| task.output(line), ctx)?;
    exit.into_result()?;
    task.end(Outcome::Done);
    match mounted.close() {
        // No process of the command is left. A child that another thread has begun has all that this process
        // has open until it becomes its own program.
        Err(error) if error.is_busy() => Ok(()),
        closed => Ok(closed?),
    }
}

/// Packs what the command changed.
fn capture(
    active: &Active,
    below: &ImageSource,
    options: PackOptions,
    state: &BuildState,
    ctx: &Ctx,
) -> Result<PackedLayer> {
    let changed = active.capture(below, ctx)?;
    let layer = diff(below, &changed, &DiffOptions::default(), ctx)?.pack(state.blobs(), options, ctx)?;
    active.settle(below.tree(), &layer.toc, ctx)?;
    Ok(layer)
}
