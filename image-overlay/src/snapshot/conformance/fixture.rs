//! What the checks work on.

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use image_core::{ChainId, Ctx, DiffId, Digest, MemoryBlobStore};

use super::super::{Active, RootFs, SnapshotKey, Snapshots};
use crate::{
    content::LayerBlob,
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    pack::{LayerWriter, PackOptions},
    path::LayerPath,
    scan::DirSource,
    source::TreeSource,
    tree::NodeRef,
    unpack::UnpackOptions,
    whiteout::Whiteout,
};

/// What [`edit`] makes of [`layers`].
pub(super) const EDITED: [&str; 7] =
    ["/ 711", "/dir 755", "/dir/deep 700", "/made 644 made", "/one 644 on3", "/other 644 one", "/to -> one"];

/// Removes, replaces, makes and changes, keeping time and size of what is changed.
pub(super) fn edit(active: &mut Active) {
    let root = ok(active.mount(), "mount to change");
    let at = |name: &str| root.path().join(name);
    ok(fs::remove_file(at("b")), "remove");
    ok(fs::remove_file(at("dir/new")), "remove in a directory");
    ok(fs::remove_dir(at("dir")), "remove a directory");
    ok(fs::create_dir(at("dir")), "make it anew");
    set_mode(&at("dir"), 0o755);
    ok(fs::create_dir(at("dir/deep")), "make a directory in it");
    set_mode(&at("dir/deep"), 0o700);
    let time = ok(fs::metadata(at("one")).and_then(|meta| meta.modified()), "the time of a file");
    // As a process does that writes a new file and renames it: the other name stays what it was.
    ok(fs::write(at("temporary"), "on3"), "write");
    set_mode(&at("temporary"), 0o644);
    ok(fs::File::options().write(true).open(at("temporary")).and_then(|file| file.set_modified(time)), "set the time");
    ok(fs::rename(at("temporary"), at("one")), "rename over");
    made(root.path());
    ok(root.close(), "unmount");
}

pub(super) fn edit_new(active: &mut Active) {
    let root = ok(active.mount(), "mount to change");
    made(root.path());
    ok(root.close(), "unmount");
}

pub(super) fn made(root: &Path) {
    ok(fs::write(root.join("made"), "made"), "write");
    set_mode(&root.join("made"), 0o644);
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    ok(fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)), "set a mode");
}

/// Two layers of a root of mode 0711.
pub(super) fn layers() -> Vec<LayerBlob> {
    let file = |path: &str, mode, content: &'static str| (path.to_owned(), Some(content), mode);
    let dir = |path: &str, mode| (path.to_owned(), None, mode);
    let base = [
        dir("", 0o711),
        file("b", 0o644, "old"),
        dir("dir", 0o700),
        file("dir/old", 0o644, ""),
        file("one", 0o644, "one"),
    ];
    let links =
        [("other", EntryKind::HardLink { target: path("one") }), ("to", EntryKind::Symlink { target: b"one".into() })];
    let top = [file("b", 0o600, "new"), dir("dir", 0o755), file("dir/new", 0o644, "x")];
    vec![layer(&base, &links, &[]), layer(&top, &[], &["dir/old"])]
}

/// A path, and what is there with which mode and content; `None` for what is hidden.
type Step<'a> = (LayerPath, Option<(EntryKind, u32, &'a str)>);
/// A path, its content if it is no directory, and its mode.
type Made = (String, Option<&'static str>, u32);

pub(super) fn layer(made: &[Made], links: &[(&str, EntryKind)], hidden: &[&str]) -> LayerBlob {
    let store = MemoryBlobStore::default();
    let ctx = Ctx::default();
    let mut writer = ok(LayerWriter::new(&store, PackOptions::default()), "begin a layer");
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (name, content, mode) in made {
        let kind = content.map_or(EntryKind::Directory, |content| EntryKind::File { size: content.len() as u64 });
        steps.push((path(name), Some((kind, *mode, content.unwrap_or_default()))));
    }
    steps.extend(links.iter().map(|(name, kind)| (path(name), Some((kind.clone(), 0o644, "")))));
    steps.extend(hidden.iter().map(|name| (path(name), None)));
    // The caller's, who may not be able to make others.
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let place = |(path, what): &(LayerPath, Option<_>)| match what {
        Some(_) => path.clone(),
        None => some(ok(Whiteout::Plain { target: path.clone() }.marker_path(), "a marker"), "a marker"),
    };
    steps.sort_by_key(place);
    for (path, what) in steps {
        match what {
            Some((kind, mode, content)) => {
                let entry = Entry::new(path, kind, Metadata::new(mode).with_owner(uid, gid));
                drop(ok(writer.append(entry, &mut content.as_bytes(), &ctx), "append"));
            }
            None => ok(writer.whiteout(&Whiteout::Plain { target: path }, &ctx), "hide"),
        }
    }
    let packed = ok(writer.finish(), "finish a layer");
    LayerBlob::new(Arc::new(store), packed.descriptor, packed.diff_id)
}

pub(super) fn path(name: &str) -> LayerPath {
    ok(LayerPath::parse(name.as_bytes()), "a path")
}

pub(super) fn key(name: &str) -> SnapshotKey {
    ok(SnapshotKey::parse(name), "a key")
}

pub(super) fn diff_id(name: &str) -> DiffId {
    DiffId::from_digest(Digest::sha256_of(name.as_bytes()))
}

pub(super) fn prepare(snapshots: &Snapshots, name: &str, parent: Option<&ChainId>) -> Active {
    ok(snapshots.prepare(&key(name), parent, &Ctx::default()), "prepare")
}

pub(super) fn commit(active: Active, name: &str) -> ChainId {
    ok(active.commit(&diff_id(name), &Ctx::default()), "commit")
}

pub(super) fn ensure(snapshots: &Snapshots, layers: &[LayerBlob]) -> ChainId {
    let view = ok(snapshots.ensure_layers(layers, &UnpackOptions::default(), &Ctx::default()), "ensure");
    some(view, "a view").chain().clone()
}

pub(super) fn listing(chain: &ChainId, snapshots: &Snapshots) -> Vec<String> {
    let mut view = ok(snapshots.view(chain, &Ctx::default()), "view");
    lines(&ok(view.mount(&Ctx::default()), "mount a view"))
}

/// All of a tree but owners and times, one line for each name.
pub(super) fn lines(root: &RootFs<'_>) -> Vec<String> {
    let ctx = Ctx::default();
    let source = ok(DirSource::scan(ok(root.root(), "open the root"), &ctx), "scan");
    let tree = source.tree();
    let mut seen = HashMap::new();
    let line = |node: NodeRef<'_, _>| {
        let (path, mode) = (node.path(), node.metadata().mode);
        if let Some(first) = seen.insert(node.inode_id(), path.clone()).filter(|_| !node.is_directory()) {
            return format!("{path} = {first}");
        }
        match node.kind() {
            EntryKind::Symlink { target } => format!("{path} -> {}", target.escape_ascii()),
            EntryKind::File { .. } => {
                let open = ok(source.files(&[node.id()], &ctx), "open files");
                let content = ok(std::io::read_to_string(ok(open(node.id()), "open a file")), "read");
                format!("{path} {mode:o} {content}").trim_end().to_owned()
            }
            _ => format!("{path} {mode:o}"),
        }
    };
    tree.walk(tree.root()).map(line).collect()
}

pub(super) fn some<T>(value: Option<T>, what: &str) -> T {
    #[expect(clippy::panic, reason = "the check fails")]
    value.unwrap_or_else(|| panic!("{what} is missing"))
}

pub(super) fn ok<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    #[expect(clippy::panic, reason = "the check fails")]
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

pub(super) fn err<T>(result: Result<T>, what: &str) -> Error {
    #[expect(clippy::panic, reason = "the check fails")]
    result.err().unwrap_or_else(|| panic!("{what} succeeds"))
}
