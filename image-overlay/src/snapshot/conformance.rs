//! The suite that every form of snapshots must pass.
//!
//! Each check takes a new and empty store in the form, and panics where it is not what [`SnapshotForm`] and
//! [`Snapshots`] promise, in words that say how. [`check_all`] runs all of them:
//!
//! ```
//! use image_overlay::{CopyForm, snapshot::conformance};
//! use std::sync::Arc;
//! conformance::check_all(&(Arc::new(CopyForm::default()) as _), &std::env::temp_dir());
//! ```
#![expect(clippy::missing_panics_doc, reason = "panicking is how a check fails, as said above")]

mod fixture;

use std::{fs, path::Path, sync::Arc};

use image_core::{ChainId, Ctx, MemoryBlobStore};

use self::fixture::{
    EDITED, commit, diff_id, edit, edit_new, ensure, err, key, layers, lines, listing, made, ok, prepare, some,
};
use super::{Keep, SnapshotForm, SnapshotId, Snapshots};
use crate::{
    content::LayerBlob,
    diff::{DiffOptions, diff},
    error::Error,
    image_source::ImageSource,
    limits::Limits,
    pack::PackOptions,
    unpack::UnpackOptions,
};

/// Runs every check on stores in this form, each in a directory of its own in `scratch`.
pub fn check_all(form: &Arc<dyn SnapshotForm>, scratch: &Path) {
    let checks: [fn(&Snapshots); 12] = [
        layers_become_snapshots,
        nothing_is_based_on_what_is_missing,
        an_empty_snapshot_is_an_empty_root,
        changes_stay_where_they_are_made,
        commits_show_what_was_changed,
        layers_are_verified,
        keys_name_one_snapshot,
        what_is_removed_is_gone,
        views_keep_what_they_show,
        writes_to_views_are_lost,
        collecting_keeps_what_is_needed,
        a_store_is_of_one_form,
    ];
    let directory = || ok(tempfile::tempdir_in(scratch), "a directory for the check");
    let run = |check: &dyn Fn(&Snapshots)| {
        let store = directory();
        check(&ok(Snapshots::with_form(store.path(), Arc::clone(form), &Ctx::default()), "open a new store"));
    };
    for check in checks {
        run(&check);
    }
    let [spool, target] = [directory(), directory()];
    run(&|snapshots| captures_say_what_was_changed(snapshots, spool.path()));
    run(&|snapshots| trees_are_mounted_elsewhere(snapshots, target.path()));
}

/// What layers say is what a view shows: files, links, markers, and the root's attributes.
pub fn layers_become_snapshots(snapshots: &Snapshots) {
    let chain = ensure(snapshots, &layers());
    assert_eq!(
        listing(&chain, snapshots),
        ["/ 711", "/b 600 new", "/dir 755", "/dir/new 644 x", "/one 644 one", "/other = /one", "/to -> one"],
        "two layers, one over the other"
    );
    assert!(snapshots.contains(&chain), "the top of the chain is there");
    let list = ok(snapshots.list(), "list");
    assert_eq!(list.len(), 2, "each layer has one snapshot, and views are not listed");
    let again = ensure(snapshots, &layers());
    assert_eq!((again, ok(snapshots.list(), "list")), (chain.clone(), list), "nothing is made twice");
    let usage = ok(snapshots.usage(&SnapshotId::Committed(chain), &Ctx::default()), "usage");
    assert!(usage.bytes >= 4 && usage.names >= 3, "what a snapshot takes: {usage:?}");
}

/// Parents must be there.
pub fn nothing_is_based_on_what_is_missing(snapshots: &Snapshots) {
    let missing = ChainId::bottom(&diff_id("missing"));
    assert!(err(snapshots.prepare(&key("a"), Some(&missing), &Ctx::default()), "prepare").is_not_found());
    assert!(err(snapshots.view(&missing, &Ctx::default()), "view").is_not_found());
    assert!(!ok(snapshots.remove(&missing, &Ctx::default()), "remove"), "what is missing is not removed");
    assert!(err(snapshots.usage(&SnapshotId::Committed(missing), &Ctx::default()), "usage").is_not_found());
    assert_eq!(ok(snapshots.list(), "list"), [], "nothing is left of what failed");
}

/// A snapshot of nothing is a root of mode 0755.
pub fn an_empty_snapshot_is_an_empty_root(snapshots: &Snapshots) {
    let mut active = prepare(snapshots, "a", None);
    assert_eq!(lines(&ok(active.mount(), "mount")), ["/ 755"], "an empty snapshot");
    let chain = commit(active, "empty");
    assert_eq!(listing(&chain, snapshots), ["/ 755"], "an empty snapshot, committed");
}

/// What is changed in one active snapshot is seen neither in its parent nor in another.
pub fn changes_stay_where_they_are_made(snapshots: &Snapshots) {
    let parent = ensure(snapshots, &layers());
    let before = listing(&parent, snapshots);
    let (mut one, mut other) = (prepare(snapshots, "one", Some(&parent)), prepare(snapshots, "other", Some(&parent)));
    edit(&mut one);
    assert_eq!(lines(&ok(one.mount(), "mount again")), EDITED, "what was changed");
    assert_eq!(lines(&ok(other.mount(), "mount")), before, "another snapshot of the same parent");
    assert_eq!(listing(&parent, snapshots), before, "the parent");
}

/// A committed snapshot shows what was changed, and so does what is based on it.
pub fn commits_show_what_was_changed(snapshots: &Snapshots) {
    let parent = ensure(snapshots, &layers());
    let mut active = prepare(snapshots, "a", Some(&parent));
    edit(&mut active);
    let chain = commit(active, "edit");
    assert_eq!(chain, parent.push(&diff_id("edit")), "the chainID");
    assert_eq!(listing(&chain, snapshots), EDITED, "the committed snapshot");
    let mut next = prepare(snapshots, "a", Some(&chain));
    assert_eq!(lines(&ok(next.mount(), "mount")), EDITED, "what is based on it");
    let root = ok(next.mount(), "mount again");
    ok(fs::remove_file(root.path().join("made")), "remove a file of the layer below");
    ok(root.close(), "unmount");
    let top = commit(next, "next");
    assert!(!listing(&top, snapshots).contains(&EDITED[3].to_owned()), "what was removed is gone");
    // Somebody else made the same layer.
    let mut same = prepare(snapshots, "b", Some(&parent));
    edit(&mut same);
    assert_eq!(commit(same, "edit"), chain, "a commit of what is there");
    assert_eq!(listing(&chain, snapshots), EDITED, "what was there stays");
    assert_eq!(ok(snapshots.list(), "list").len(), 4, "nothing but what was committed");
}

/// What is captured is a layer that makes the same snapshot. The content of layers may go to files in `spool`.
pub fn captures_say_what_was_changed(snapshots: &Snapshots, spool: &Path) {
    let (store, ctx) = (MemoryBlobStore::default(), Ctx::default());
    let mut layers = layers();
    let parent = ensure(snapshots, &layers);
    let lower = ok(ImageSource::new(layers.clone(), spool, &Limits::default(), &ctx), "read the layers");
    let mut active = prepare(snapshots, "a", Some(&parent));
    let captured = ok(active.capture(&lower, &ctx), "capture");
    let none = ok(diff(&lower, &captured, &DiffOptions::default(), &ctx), "diff");
    assert!(none.is_empty(), "nothing was changed yet: {:?}", none.iter().collect::<Vec<_>>());
    edit(&mut active);
    let captured = ok(active.capture(&lower, &ctx), "capture");
    let changes = ok(diff(&lower, &captured, &DiffOptions::default(), &ctx), "diff");
    let said: Vec<_> = changes.iter().map(|change| format!("{} {}", change.letter(), change.path())).collect();
    assert_eq!(said, ["C /", "D /b", "C /dir", "D /dir/new", "A /dir/deep", "A /made", "C /one"], "the changes");
    let packed = ok(changes.pack(&store, PackOptions::default(), &ctx), "pack");
    layers.push(LayerBlob::new(Arc::new(store), packed.descriptor, packed.diff_id.clone()));
    drop(ok(active.commit(&packed.diff_id, &ctx), "commit"));
    let chain = ensure(snapshots, &layers);
    assert_eq!(listing(&chain, snapshots), EDITED, "what was committed");
    ok(snapshots.remove(&chain, &ctx), "remove");
    assert_eq!(listing(&ensure(snapshots, &layers), snapshots), EDITED, "what the layer makes");
}

/// A layer of another diffID makes no snapshot, and those below it stay.
pub fn layers_are_verified(snapshots: &Snapshots) {
    let mut layers = layers();
    layers[1].diff_id = diff_id("another");
    let error = err(snapshots.ensure_layers(&layers, &UnpackOptions::default(), &Ctx::default()), "a wrong diffID");
    assert!(error.is_corrupt() && matches!(error, Error::Layer { position: 1, .. }), "{error:?}");
    assert_eq!(ok(snapshots.list(), "list").len(), 1, "the layer below is there, and no other");
}

/// A key is taken until its snapshot is committed or removed, and one at a time works in it.
pub fn keys_name_one_snapshot(snapshots: &Snapshots) {
    let mut first = prepare(snapshots, "a", None);
    edit_new(&mut first);
    assert!(snapshots.prepare(&key("a"), None, &Ctx::default()).is_err(), "the key is taken");
    assert!(err(snapshots.active(&key("a")), "take up what is held").is_busy());
    drop(first);
    assert!(snapshots.prepare(&key("a"), None, &Ctx::default()).is_err(), "the key is taken still");
    let again = ok(snapshots.active(&key("a")), "take up").map(|mut again| {
        let shown = lines(&ok(again.mount(), "mount what was taken up"));
        assert_eq!(shown, ["/ 755", "/made 644 made"], "what was taken up");
        again
    });
    drop(again.map(|again| commit(again, "a")));
    assert!(ok(snapshots.active(&key("a")), "take up what was committed").is_none(), "the key is free");
    drop(prepare(snapshots, "a", None));
}

/// What is removed is gone, and its key with it.
pub fn what_is_removed_is_gone(snapshots: &Snapshots) {
    let ctx = Ctx::default();
    let mut active = prepare(snapshots, "a", None);
    edit_new(&mut active);
    ok(active.remove(&ctx), "remove an active snapshot");
    assert_eq!(ok(snapshots.list(), "list"), [], "nothing is left");
    let chain = ensure(snapshots, &layers());
    let bottom = ok(snapshots.list(), "list").into_iter().find_map(|info| info.parent);
    let bottom = some(bottom, "the snapshot below");
    assert!(err(snapshots.remove(&bottom, &ctx), "remove what another is based on").is_busy());
    let active = prepare(snapshots, "a", Some(&chain));
    assert!(err(snapshots.remove(&chain, &ctx), "remove what an active one is based on").is_busy());
    ok(active.remove(&ctx), "remove");
    assert!(ok(snapshots.remove(&chain, &ctx), "remove"), "it was there");
    assert!(ok(snapshots.remove(&bottom, &ctx), "remove"), "nothing is based on it any more");
    assert_eq!(ok(snapshots.list(), "list"), [], "nothing is left");
}

/// What somebody looks at is kept.
pub fn views_keep_what_they_show(snapshots: &Snapshots) {
    let ctx = Ctx::default();
    let chain = ensure(snapshots, &layers());
    let view = ok(snapshots.view(&chain, &ctx), "view");
    assert_eq!(view.chain(), &chain, "what is viewed");
    assert!(err(snapshots.remove(&chain, &ctx), "remove what is viewed").is_busy());
    assert_eq!(ok(snapshots.collect(&Keep::default(), &ctx), "collect").chains, [], "it is kept, and so is its parent");
    ok(view.close(&ctx), "close");
    assert_eq!(ok(snapshots.collect(&Keep::default(), &ctx), "collect").chains.len(), 2, "nobody needs it any more");
    drop(ok(snapshots.view(&ensure(snapshots, &layers()), &ctx), "view"));
    assert_eq!(ok(snapshots.collect(&Keep::default(), &ctx), "collect").chains.len(), 2, "a view that was dropped");
}

/// A view can be changed by nobody, or the change is lost.
pub fn writes_to_views_are_lost(snapshots: &Snapshots) {
    let chain = ensure(snapshots, &layers());
    let before = listing(&chain, snapshots);
    let mut view = ok(snapshots.view(&chain, &Ctx::default()), "view");
    let root = ok(view.mount(&Ctx::default()), "mount");
    let _may_be_refused = (fs::write(root.path().join("b"), "evil"), fs::remove_file(root.path().join("one")));
    ok(root.close(), "unmount");
    assert_eq!(listing(&chain, snapshots), before, "what was viewed");
}

/// A tree can be had at a place of the caller's, unless the process may not mount.
pub fn trees_are_mounted_elsewhere(snapshots: &Snapshots, target: &Path) {
    let chain = ensure(snapshots, &layers());
    let mut active = prepare(snapshots, "a", Some(&chain));
    let mut view = ok(snapshots.view(&chain, &Ctx::default()), "view");
    let before = listing(&chain, snapshots);
    match active.mount_at(target) {
        Err(error) => assert!(error.is_denied(), "mount elsewhere: {error}"),
        Ok(root) => {
            assert_eq!(root.path(), target, "where it is");
            assert_eq!(lines(&root), before, "what it shows");
            made(target);
            ok(root.close(), "unmount");
            assert!(!target.join("made").exists(), "it is gone from there");
            assert!(ok(active.mount(), "mount").path().join("made").exists(), "what was changed there");
            let root = ok(view.mount_at(target, &Ctx::default()), "mount a view");
            assert_eq!(lines(&root), before, "the view");
        }
    }
}

/// Collecting leaves what is named, held or looked at, and what that is based on.
pub fn collecting_keeps_what_is_needed(snapshots: &Snapshots) {
    let ctx = Ctx::default();
    let chain = ensure(snapshots, &layers());
    let (held, dropped, named) = (
        prepare(snapshots, "held", Some(&chain)),
        prepare(snapshots, "dropped", None),
        prepare(snapshots, "named", None),
    );
    drop((dropped, named));
    let other = commit(prepare(snapshots, "c", None), "other");
    let keep = Keep::default().with_keys([key("named")]);
    let collected = ok(snapshots.collect(&keep, &ctx), "collect");
    assert_eq!((collected.chains, collected.keys), (vec![other], vec![key("dropped")]), "what nobody needs");
    drop(held);
    let collected = ok(snapshots.collect(&Keep::default().with_chains([chain.clone()]), &ctx), "collect");
    assert_eq!((collected.chains, collected.keys), (vec![], vec![key("held"), key("named")]), "what nobody holds");
    assert_eq!(ok(snapshots.list(), "list").len(), 2, "the chain that is kept");
    assert_eq!(ok(snapshots.collect(&Keep::default(), &ctx), "collect").chains.len(), 2, "all of it");
    assert_eq!(ok(snapshots.list(), "list"), [], "nothing is left");
}

/// A store says what it is, and is not taken for another.
pub fn a_store_is_of_one_form(snapshots: &Snapshots) {
    assert!(!snapshots.form().name().is_empty(), "a form has a name");
    assert!(!snapshots.form().name().contains('\n'), "of one line");
}
