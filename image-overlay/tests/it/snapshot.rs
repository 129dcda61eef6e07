//! Snapshots: every form keeps the same promises and shows the same trees, whatever happens to its processes.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use image_core::{ChainId, Ctx, DiffId, Digest, MemoryBlobStore, observer::Event};
use image_overlay::{
    CopyForm, DiffOptions, Durability, Error, Keep, LayerBlob, OverlayForm, OverlayXattrs, PackOptions, PackedLayer,
    SnapshotForm, SnapshotId, SnapshotKey, Snapshots, UnpackOptions, diff, snapshot::conformance,
};
use proptest::prelude::*;
use test_support::{Tree, require_root, require_tool, skip, temp_dir, unprivileged};

use super::{
    edits::arb_edits,
    mount::support,
    trees::{apply, arb_stack, arb_trees, empty, image, pack, said, scan},
};

type Form = Arc<dyn SnapshotForm>;

pub(crate) fn copies() -> Form {
    Arc::new(CopyForm::default())
}

/// The forms that work here.
fn forms() -> Vec<Form> {
    let overlay = support().map(|support| Arc::new(OverlayForm::new(support.xattrs)) as Form);
    overlay.into_iter().chain([copies()]).collect()
}

fn open(directory: &Path, form: &Form) -> Snapshots {
    let snapshots = Snapshots::with_form(directory, Arc::clone(form), &Ctx::default()).unwrap();
    snapshots.with_durability(Durability::Volatile)
}

fn key(name: &str) -> SnapshotKey {
    SnapshotKey::parse(name).unwrap()
}

fn blob(store: &MemoryBlobStore, layer: &PackedLayer) -> LayerBlob {
    LayerBlob::new(Arc::new(store.clone()), layer.descriptor.clone(), layer.diff_id.clone())
}

fn ensure(snapshots: &Snapshots, layers: &[LayerBlob]) -> ChainId {
    let view = snapshots.ensure_layers(layers, &UnpackOptions::default(), &Ctx::default()).unwrap();
    view.unwrap().chain().clone()
}

#[test]
fn every_form_conforms() {
    for form in forms() {
        conformance::check_all(&form, temp_dir().path());
    }
}

#[test]
fn copies_conform_without_privilege() {
    let scratch = temp_dir();
    fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    unprivileged(|| conformance::check_all(&copies(), scratch.path()));
}

#[test]
fn every_form_conforms_in_a_user_namespace() {
    if !require_root() || !require_tool("unshare") {
        return;
    }
    let mut inner = Command::new("unshare");
    inner.arg("-Urm").arg(std::env::current_exe().unwrap());
    let output = inner.args(["--exact", "snapshot::every_form_conforms", "--nocapture"]).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if complained.contains("unshare") {
        return skip(&complained);
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The layers of an image make one tree: unpacked over each other, copied, and mounted by the kernel.
    #[test]
    fn every_form_shows_what_is_unpacked(stack in arb_stack()) {
        if !require_root() {
            return Ok(());
        }
        let (store, plain) = (MemoryBlobStore::default(), temp_dir());
        let mut layers = Vec::new();
        for spec in stack {
            let next = temp_dir();
            spec.write(next.path());
            let below = image(&store, &layers.iter().collect::<Vec<_>>());
            let layer = pack(&below, &scan(next.path()), &store);
            apply(&store, &layer, plain.path());
            layers.push(layer);
        }
        let expected = Tree::scan(plain.path());
        let blobs: Vec<_> = layers.iter().map(|layer| blob(&store, layer)).collect();
        for form in forms() {
            let directory = temp_dir();
            let snapshots = open(directory.path(), &form);
            let mut view = snapshots.ensure_layers(&blobs, &UnpackOptions::default(), &Ctx::default()).unwrap().unwrap();
            let root = view.mount(&Ctx::default()).unwrap();
            Tree::scan(root.path()).assert_same(&expected);
        }
    }

    /// What is done to an active snapshot is what is captured of it, and what it shows when it is committed.
    #[test]
    fn captured_and_committed_are_what_was_seen((lower, _) in arb_trees(), edits in arb_edits()) {
        if !require_root() {
            return Ok(());
        }
        let (store, made) = (MemoryBlobStore::default(), temp_dir());
        lower.write(made.path());
        let base = pack(&empty(), &scan(made.path()), &store);
        let below = image(&store, &[&base]);
        for form in forms() {
            let directory = temp_dir();
            let snapshots = open(directory.path(), &form);
            let parent = ensure(&snapshots, &[blob(&store, &base)]);
            let mut active = snapshots.prepare(&key("a"), Some(&parent), &Ctx::default()).unwrap();
            let root = active.mount().unwrap();
            edits.iter().for_each(|(path, edit)| edit.carry_out(root.path(), path));
            let seen = said(root.path());
            root.close().unwrap();

            let captured = active.capture(&below, &Ctx::default()).unwrap();
            let changes = diff(&below, &captured, &DiffOptions::default(), &Ctx::default()).unwrap();
            let layer = changes.pack(&store, PackOptions::default(), &Ctx::default()).unwrap();
            let chain = active.commit(&layer.diff_id, &Ctx::default()).unwrap();
            let mut view = snapshots.view(&chain, &Ctx::default()).unwrap();
            said(view.mount(&Ctx::default()).unwrap().path()).assert_same(&seen);

            let plain = temp_dir();
            apply(&store, &base, plain.path());
            apply(&store, &layer, plain.path());
            said(plain.path()).assert_same(&seen);
        }
    }
}

#[test]
fn a_store_of_another_form_is_refused() {
    let directory = temp_dir();
    drop(open(directory.path(), &copies()));
    let other = Arc::new(OverlayForm::default());
    let error = Snapshots::with_form(directory.path(), other, &Ctx::default()).unwrap_err();
    assert!(matches!(error, Error::SnapshotStore { .. }), "{error:?}");
    assert!(error.to_string().ends_with(
        "version says image-overlay snapshots 1 copy, not image-overlay snapshots 1 overlay: \
         use another directory, or remove this one"
    ));
}

/// Gives a store that it opens the form that works, and says why it is no other.
#[test]
fn the_form_is_what_the_machine_can_do() {
    if let Some(support) = support() {
        let directory = temp_dir();
        let snapshots = Snapshots::open(&directory.path().join("new"), &Ctx::default()).unwrap();
        assert_eq!(snapshots.form().marks(), Some(support.xattrs));
    }
    let directory = temp_dir();
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let (said, notices) = mpsc::channel();
    let ctx = Ctx::default().with_observer(Arc::new(move |event: &Event<'_>| {
        if let Event::Notice { message, .. } = event {
            said.send((*message).to_owned()).unwrap();
        }
    }));
    let form = unprivileged(|| Snapshots::open(directory.path(), &ctx).unwrap().form().name().to_owned());
    assert_eq!(form, "copy");
    // What it has once, it keeps.
    let again = Snapshots::open(directory.path(), &Ctx::default()).unwrap();
    assert_eq!(again.form().name(), "copy");
    let said = notices.try_recv().unwrap();
    assert!(said.contains("snapshots are whole copies") && said.contains("unshare --user"), "{said}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["", ".", "..", ".hidden", "a/b", "/", "a\0b", "a b", "ä", "a:b", &"a".repeat(129)] {
        assert!(SnapshotKey::parse(name).is_err(), "{name:?}");
    }
    for name in ["a", "A-1_b.c", "0", &"a".repeat(128)] {
        assert_eq!(SnapshotKey::parse(name).unwrap().as_str(), name);
    }
}

/// Layers of which each adds a file, the same in every process.
fn layers(count: usize) -> Vec<LayerBlob> {
    let store = MemoryBlobStore::default();
    let layer = |number| {
        let made = temp_dir();
        let file = made.path().join(format!("file-{number}"));
        fs::write(&file, format!("{number}").repeat(1000)).unwrap();
        for path in [&file, made.path()] {
            fs::File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        blob(&store, &pack(&empty(), &scan(made.path()), &store))
    };
    (0..count).map(layer).collect()
}

#[test]
fn a_chain_of_many_layers_is_one_tree() {
    let layers = layers(130);
    for form in forms() {
        let directory = temp_dir();
        let snapshots = open(directory.path(), &form);
        let mut view = snapshots.ensure_layers(&layers, &UnpackOptions::default(), &Ctx::default()).unwrap().unwrap();
        assert_eq!(fs::read_dir(view.mount(&Ctx::default()).unwrap().path()).unwrap().count(), 130);
    }
}

/// Tells a process that it is a child, which form it works in, and for how long.
const CHILD: &str = "SNAPSHOT_TEST_CHILD";

fn spawn(directory: &Path, form: &Form, rounds: usize) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "snapshot::child_works", "--ignored", "--nocapture"]).current_dir(directory);
    // What it makes besides goes with the store.
    child
        .env("TMPDIR", directory)
        .env(CHILD, format!("{} {rounds}", form.name()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Works in the store that is the current directory; does nothing where nobody asked for it.
#[test]
#[ignore = "the child process of another test"]
fn child_works() {
    #[expect(clippy::disallowed_methods, reason = "this is how another test calls it")]
    let Some(asked) = std::env::var(CHILD).ok() else { return };
    let (name, rounds) = asked.rsplit_once(' ').unwrap();
    // Found without a look at the machine, in the middle of which it may be killed.
    let form: Form = match name {
        "overlay" => Arc::new(OverlayForm::new(OverlayXattrs::Trusted)),
        "overlay userxattr" => Arc::new(OverlayForm::new(OverlayXattrs::User)),
        _ => copies(),
    };
    let snapshots = open(Path::new("."), &form);
    let layers = layers(4);
    let process = u64::from(std::process::id());
    for round in 0..rounds.parse::<u64>().unwrap() {
        let random = (process * 31 + round).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        work(&snapshots, &layers, &format!("{process}-{round}"), random).unwrap();
    }
}

/// One life of a snapshot, or a part of one.
fn work(snapshots: &Snapshots, layers: &[LayerBlob], name: &str, random: u64) -> Result<(), Error> {
    let ctx = Ctx::default();
    let depth = usize::try_from(random % 4).unwrap() + 1;
    let base = snapshots.ensure_layers(&layers[..depth], &UnpackOptions::default(), &ctx)?.unwrap();
    let mut active = snapshots.prepare(&key(name), Some(base.chain()), &ctx)?;
    let root = active.mount()?;
    for number in 0..random % 20 {
        fs::write(root.path().join(format!("new-{number}")), name).unwrap();
    }
    fs::remove_file(root.path().join("file-0")).unwrap();
    root.close()?;
    match random % 5 {
        0 => active.remove(&ctx)?,
        1 => drop(active),
        _ => drop(active.commit(&DiffId::from_digest(Digest::sha256_of(name.as_bytes())), &ctx)?),
    }
    if random.is_multiple_of(7) {
        drop(snapshots.collect(&Keep::default().with_chains([pinned(layers)]).with_keys([key("kept")]), &ctx)?);
    }
    if random.is_multiple_of(3) { base.close(&ctx) } else { Ok(()) }
}

fn chain_of(layers: &[LayerBlob]) -> ChainId {
    ChainId::of(layers.iter().map(|layer| &layer.diff_id)).unwrap()
}

/// The one snapshot that all processes keep.
fn pinned(layers: &[LayerBlob]) -> ChainId {
    chain_of(&layers[..2])
}

/// What a store has to show when nothing happens in it any more, and does show after a collection.
fn check_store(directory: &Path, form: &Form, layers: &[LayerBlob]) -> usize {
    let ctx = Ctx::default();
    let snapshots = open(directory, form);
    let list = snapshots.list().unwrap();
    let of_layers: Vec<_> = (1..=4).map(|depth| chain_of(&layers[..depth])).collect();
    for info in &list {
        let SnapshotId::Committed(chain) = &info.id else { continue };
        let mut view = snapshots.view(chain, &ctx).unwrap();
        let root = view.mount(&ctx).unwrap();
        // All layers have the first file, and nothing that was committed over them has.
        assert_eq!(root.path().join("file-0").exists(), of_layers.contains(chain), "{chain}");
        root.close().unwrap();
        view.close(&ctx).unwrap();
    }
    drop(snapshots.collect(&Keep::default().with_chains([pinned(layers)]).with_keys([key("kept")]), &ctx).unwrap());
    let left: Vec<_> = snapshots.list().unwrap().into_iter().map(|info| info.id).collect();
    let bottom = ChainId::bottom(&layers[0].diff_id);
    let mut expected = vec![SnapshotId::Committed(bottom), SnapshotId::Committed(pinned(layers))];
    expected.sort();
    expected.push(SnapshotId::Active(key("kept")));
    assert_eq!(left, expected);
    for place in ["tmp", "views"] {
        assert_eq!(fs::read_dir(directory.join(place)).unwrap().count(), 0, "{place}");
    }
    let mounts = std::io::read_to_string(fs::File::open("/proc/self/mounts").unwrap()).unwrap();
    assert!(!mounts.contains(directory.to_str().unwrap()), "{mounts}");
    list.len()
}

/// A store with the pinned snapshot, and an active one that stays.
fn store(directory: &Path, form: &Form, layers: &[LayerBlob]) {
    let snapshots = open(directory, form);
    ensure(&snapshots, &layers[..2]);
    let mut kept = snapshots.prepare(&key("kept"), Some(&pinned(layers)), &Ctx::default()).unwrap();
    let root = kept.mount().unwrap();
    fs::write(root.path().join("mine"), "mine").unwrap();
    root.close().unwrap();
}

fn check_kept(directory: &Path, form: &Form) {
    let mut kept = open(directory, form).active(&key("kept")).unwrap().unwrap();
    let root = kept.mount().unwrap();
    let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(root.path().join("mine").exists() && root.path().join("file-1").exists());
}

#[test]
fn a_killed_process_leaves_a_whole_store() {
    if !require_root() {
        return;
    }
    let layers = layers(4);
    for form in forms() {
        let directory = temp_dir();
        store(directory.path(), &form, &layers);
        let mut seen = 0;
        for round in 0..14 {
            let mut children = [0, 1].map(|_| spawn(directory.path(), &form, usize::MAX >> 1));
            // Until they have begun, and a little longer each time.
            while !fs::read_dir(directory.path().join("active"))
                .unwrap()
                .any(|entry| entry.unwrap().file_name() != "kept")
            {
                assert!(
                    children.iter_mut().all(|child| child.try_wait().unwrap().is_none()),
                    "they work until they are killed"
                );
                thread::sleep(Duration::from_millis(2));
            }
            thread::sleep(Duration::from_micros(2900 * round));
            for child in &mut children {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            seen += check_store(directory.path(), &form, &layers);
            check_kept(directory.path(), &form);
        }
        assert!(seen > 3 * 14, "the children were killed before they made anything");
    }
}

#[test]
fn two_processes_work_at_once() {
    if !require_root() {
        return;
    }
    let layers = layers(4);
    for form in forms() {
        let directory = temp_dir();
        store(directory.path(), &form, &layers);
        let children: Vec<_> = (0..3).map(|_| spawn(directory.path(), &form, 25)).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        check_store(directory.path(), &form, &layers);
        check_kept(directory.path(), &form);
    }
}
