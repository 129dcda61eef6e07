//! The table of hostile layers and layouts: applied, unpacked, and read into a tree without a disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use image_core::{Ctx, Descriptor, FsBlobStore, Image, MediaType};
use image_overlay::{
    ApplyOptions, ImageTree, LayerToc, Limits, PathFilter, Resolution, Root, UnpackOptions, apply_layer,
    apply_overlay_layer, unpack,
};
use test_support::{
    SmallDisk,
    hostile::{self, Expected, LayerCase, Limit, Requirement, Step},
    layout::{Layer, Layout},
    temp_dir, tool,
};

use super::{
    apply_race::race,
    on_disk::{Sandbox, causes, full, shape},
};

fn limits(limit: Option<Limit>) -> Limits {
    let limits = Limits::default();
    match limit {
        None => limits,
        Some(Limit::Entries(entries)) => limits.with_entries(entries),
        Some(Limit::LayerBytes(bytes)) => limits.with_layer_bytes(Some(bytes)),
        Some(Limit::ExtensionBytes(bytes)) => limits.with_extension_bytes(bytes),
        Some(Limit::SparseSegments(segments)) => limits.with_sparse_segments(segments),
        Some(Limit::Xattrs(xattrs)) => limits.with_xattrs(xattrs),
    }
}

/// That the outcome is what the table says; `tree` is where the layers were laid.
#[track_caller]
fn check(case: &LayerCase, how: &str, outcome: Result<(), String>, tree: &Path) {
    let LayerCase { name, requirement, expected, .. } = case;
    let context = format!("{requirement:?}: {name}: {how}");
    match (expected, outcome) {
        (Expected::Contained, _) => {}
        (Expected::Tree(lines) | Expected::TreeUnlessOverlay(lines, _), Ok(())) => {
            assert_eq!(shape(tree), *lines, "{context}")
        }
        (Expected::Paths(paths), Ok(())) => assert_eq!(all_names(tree), *paths, "{context}"),
        (Expected::Line(line), Ok(())) => {
            let lines = full(tree);
            assert!(lines.iter().any(|found| found == line), "{context}: {lines:#?} has no {line:?}");
        }
        (Expected::Refused(text) | Expected::RefusedOnDisk(text), Err(said)) => {
            assert!(said.contains(text), "{context}: `{said}` has no `{text}`");
            assert!(said.len() < 8192 && !said.contains('\x1b'), "{context}: {said:?}");
        }
        (expected, outcome) => panic!("{context}: {outcome:?}, and not {expected:?}"),
    }
}

fn applied(case: &LayerCase, resolution: Resolution) {
    let mut sandbox = Sandbox::new().resolving(resolution);
    sandbox.options = ApplyOptions::default().with_limits(limits(case.limit));
    let mut outcome = Ok(());
    for (position, layer) in case.layers.iter().enumerate() {
        assert_eq!(outcome, Ok(()), "{}: layer {position} is not the last", case.name);
        // Asserts that nothing beside the target has changed.
        outcome = sandbox.apply_tar(layer);
    }
    check(case, &format!("applied, {resolution:?}"), outcome, &sandbox.target());
}

/// Each layer in a directory of its own, as overlayfs keeps them, and then mounted.
fn applied_apart(case: &LayerCase) {
    let sandbox = Sandbox::new();
    let options = ApplyOptions::default().with_limits(limits(case.limit));
    let at = |number: usize| sandbox.target().join(number.to_string());
    let roots = |count: usize| (0..count).map(|number| Root::open(&at(number)).unwrap()).collect::<Vec<_>>();
    let mut outcome = Ok(());
    for (number, layer) in case.layers.iter().enumerate() {
        fs::create_dir(at(number)).unwrap();
        let upper = Root::open(&at(number)).unwrap();
        let applied = apply_overlay_layer(&layer[..], &upper, &roots(number), &options, &Ctx::default());
        outcome = applied.map(drop).map_err(|error| causes(&error));
        sandbox.assert_untouched();
    }
    if let Expected::TreeUnlessOverlay(_, text) = case.expected {
        let said = outcome.unwrap_err();
        return assert!(said.contains(text), "{}: applied apart: {said}", case.name);
    }
    if case.requirement == Requirement::OverlayNames {
        // Overlayfs shows such names again where it is mounted, and obeys none.
        outcome.unwrap();
        let found: Vec<_> = full(&at(0)).into_iter().filter(|line| line.contains(".overlay.")).collect();
        return assert!(found.iter().all(|line| line.contains(".overlay.overlay.")), "{}: {found:?}", case.name);
    }
    let merged = temp_dir();
    let _mounted = outcome.is_ok().then(|| Mounted::new(&sandbox.target(), case.layers.len(), merged.path()));
    check(case, "applied apart", outcome, merged.path());
}

/// Layers in the form of overlayfs, mounted together until this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(layers: &Path, count: usize, merged: &Path) -> Self {
        let empty = layers.join("empty");
        fs::create_dir(&empty).unwrap();
        let lowers = (0..count).rev().map(|number| number.to_string()).chain(["empty".to_owned()]);
        let options = format!("lowerdir={}", lowers.collect::<Vec<_>>().join(":"));
        let mut mount = Command::new("mount");
        tool::run(mount.current_dir(layers).args(["-t", "overlay", "none", "-o", &options]).arg(merged));
        Self(merged.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// All layers at once, from the top down and from the lowest up.
fn unpacked(case: &LayerCase, disk: &Path) {
    let layers: Vec<Layer> = case.layers.iter().map(|tar| Layer::plain(tar)).collect();
    for order in [Order::Downwards, Order::Upwards] {
        let dir = temp_dir();
        let outcome = unpack_layout(&Layout::of(&layers), case.limit, order, dir.path(), disk);
        check(case, &format!("unpacked, {order:?}"), outcome.clone(), &disk.join("tree"));
        left(case.name, &outcome, disk);
    }
}

/// What is said of an entry, but for its number and name: where no stream is read, an error names the path.
fn by_path(text: &'static str) -> &'static str {
    text.rsplit("): ").next().unwrap()
}

/// In which order layers are unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// From the top, as far as that makes the same tree.
    Downwards,
    Upwards,
}

/// A refused image leaves nothing, and one that is taken nothing but its tree.
fn left(name: &str, outcome: &Result<(), String>, disk: &Path) {
    let left: Vec<_> = fs::read_dir(disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    match outcome {
        Ok(()) => {
            assert_eq!(left, ["tree"], "{name}");
            tool::run(Command::new("rm").arg("-rf").arg(disk.join("tree")));
        }
        Err(_) => assert!(left.is_empty(), "{name} leaves {left:?}"),
    }
}

/// Unpacks the image of a layout, made in `dir`, to a place on a small disk.
fn unpack_layout(layout: &Layout, limit: Option<Limit>, order: Order, dir: &Path, disk: &Path) -> Result<(), String> {
    let place = dir.join("layout");
    layout.write_to(&place);
    let described = layout.manifest().unwrap();
    let (digest, size) = (described.digest.parse().unwrap(), described.size.parse().unwrap());
    let descriptor = Descriptor::new(MediaType::from(&*described.media_type), digest, size);
    let limits = limits(limit);
    let mut options = UnpackOptions::default().with_apply(ApplyOptions::default().with_limits(limits));
    let image = Image::open(Arc::new(FsBlobStore::open(&place).unwrap()), &descriptor).map_err(|e| causes(&e))?;
    if order == Order::Upwards {
        options.apply = options.apply.with_filter(PathFilter::new(|_| true));
    }
    unpack(&image, &disk.join("tree"), &options, &Ctx::default()).map(drop).map_err(|error| causes(&error))
}

/// A tree that is merged without a disk is the one on disk, or refused as that is.
fn merged(case: &LayerCase) {
    let sandbox = Sandbox::new();
    let mut tree = ImageTree::new();
    let mut outcome = Ok(());
    for (position, layer) in case.layers.iter().enumerate() {
        let toc = LayerToc::read(&layer[..], &limits(case.limit), &Ctx::default());
        outcome = toc.and_then(|toc| tree.push(position, &toc)).map_err(|error| causes(&error));
        if outcome.is_ok() && !matches!(case.expected, Expected::RefusedOnDisk(_)) {
            apply_layer(&layer[..], &sandbox.root(), &sandbox.options, &Ctx::default()).unwrap();
        }
    }
    match (case.expected, outcome) {
        (Expected::RefusedOnDisk(_) | Expected::Contained, _) => {}
        (Expected::Refused(text), Err(said)) => {
            assert!(said.contains(by_path(text)) && !said.contains('\x1b'), "{}: merged: {said}", case.name);
        }
        (_, Ok(())) => {
            let paths = tree.walk(tree.root()).skip(1);
            let paths: Vec<_> = paths.map(|node| node.path().as_bytes().escape_ascii().to_string()).collect();
            assert_eq!(paths, all_names(&sandbox.target()), "{}: merged", case.name);
        }
        (expected, outcome) => panic!("{}: merged: {outcome:?}, and not {expected:?}", case.name),
    }
}

/// All paths of a tree, escaped, in the order of names.
fn all_names(tree: &Path) -> Vec<String> {
    let nodes = test_support::Tree::scan(tree);
    let mut paths: Vec<Vec<Vec<u8>>> = nodes
        .nodes()
        .filter(|(path, _)| !path.is_empty())
        .map(|(path, _)| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| path.join(&b'/').escape_ascii().to_string()).collect()
}

#[test]
fn layers_of_strangers() {
    // Who may not mount one may not mount layers either.
    if SmallDisk::mount(1 << 20).is_none() {
        return;
    }
    hostile::each(
        &hostile::layers(),
        |case| format!("{:?}: {}", case.requirement, case.name),
        |case| match case.requirement {
            Requirement::Races => {
                race(Resolution::Kernel, &case.layers[0]);
                race(Resolution::Walk, &case.layers[0]);
            }
            // A disk that is large enough takes all of it.
            Requirement::WriteErrors => {
                let Some(disk) = SmallDisk::mount(2 << 20) else { return };
                unpacked(case, disk.path());
            }
            _ => {
                applied(case, Resolution::Kernel);
                applied(case, Resolution::Walk);
                applied_apart(case);
                unpacked(case, temp_dir().path());
                merged(case);
            }
        },
    );
}

/// The disk is smaller than what the bombs among them would be.
#[test]
fn layouts_of_strangers() {
    hostile::each(
        &hostile::layouts(),
        |case| format!("{:?}: {}", case.requirement, case.name),
        |case| {
            let (dir, Some(disk)) = (temp_dir(), SmallDisk::mount(16 << 20)) else { return };
            let outcome = unpack_layout(&case.layout, case.limit, Order::Downwards, dir.path(), disk.path());
            match (case.refusal(Step::Unpack), &outcome) {
                (None, Ok(())) => {}
                (Some(text), Err(said)) => assert!(said.contains(text), "{}: `{said}` has no `{text}`", case.name),
                (refusal, outcome) => panic!("{}: {outcome:?}, and not {refusal:?}", case.name),
            }
            left(case.name, &outcome, disk.path());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{}", case.name);
        },
    );
}

/// A stream that is cut between two blocks is a whole layer of fewer entries, or refused; and what is refused leaves
/// nothing.
#[test]
fn layers_that_are_cut_between_blocks() {
    let members = [
        test_support::raw_tar::dir("d"),
        test_support::raw_tar::file("d/f", "content".repeat(300)),
        test_support::raw_tar::file(format!("d/{}", "n".repeat(200)), "x"),
        test_support::raw_tar::symlink("l", "t".repeat(300)),
        test_support::raw_tar::hard_link("h", "d/f"),
        test_support::raw_tar::file("d/.wh.f", ""),
    ];
    let mut ends = vec![0];
    for member in &members {
        ends.push(ends.last().unwrap() + member.len());
    }
    let tar = test_support::raw_tar::archive(&members);
    for at in (0..=tar.len()).step_by(512) {
        let (dir, disk) = (temp_dir(), temp_dir());
        let layout = Layout::of(&[Layer::gzip(&tar[..at])]);
        let outcome = unpack_layout(&layout, None, Order::Downwards, dir.path(), disk.path());
        left("a layer that is cut", &outcome, disk.path());
        let is_whole = ends.contains(&at) || at > *ends.last().unwrap();
        assert_eq!(outcome.is_ok(), is_whole, "at {at}: {outcome:?}");
    }
}

/// A block that was changed, while all digests say so, is another layer or refused; while they say otherwise, it is refused. What
/// is refused leaves nothing.
#[test]
fn layers_that_are_changed_in_any_block() {
    let members = [
        test_support::raw_tar::dir("d"),
        test_support::raw_tar::file("d/f", "content".repeat(300)),
        test_support::raw_tar::file(format!("d/{}", "n".repeat(200)), "x"),
        test_support::raw_tar::pax(&[("SCHILY.xattr.user.a", b"v"), ("mtime", b"1.5")]),
        test_support::raw_tar::symlink("l", "t".repeat(300)),
        test_support::raw_tar::hard_link("h", "d/f"),
        test_support::raw_tar::file("d/.wh.f", ""),
    ];
    let tar = test_support::raw_tar::archive(&members);
    let mut taken = 0;
    for at in (0..tar.len()).step_by(512) {
        for bytes in [1, 512] {
            let mut changed = tar.clone();
            changed[at..at + bytes].iter_mut().for_each(|byte| *byte ^= 0xff);
            let consistent = Layer::gzip(&changed);
            let mut told_otherwise = consistent.clone();
            told_otherwise.diff_id = Layer::gzip(&tar).diff_id;
            for (layer, may_be_taken) in [(consistent, true), (told_otherwise, false)] {
                let (dir, disk) = (temp_dir(), temp_dir());
                let outcome = unpack_layout(&Layout::of(&[layer]), None, Order::Downwards, dir.path(), disk.path());
                left("a layer that is changed", &outcome, disk.path());
                assert!(outcome.is_err() || may_be_taken, "{bytes} bytes at {at}");
                taken += usize::from(outcome.is_ok());
            }
        }
    }
    // Content and what follows the end is anything.
    assert!(taken > 10, "{taken} were taken");
}

/// A blob that is cut anywhere, while its digest and size say so, is refused and leaves nothing.
#[test]
fn streams_that_are_cut_or_changed() {
    // Content without a period, in which another distance would be as good.
    let content: String = (0..=255).map(|n| test_support::layout::digest(&[n])).collect();
    let tar = test_support::raw_tar::archive(&[test_support::raw_tar::file("f", content)]);
    for whole in [Layer::gzip(&tar), Layer::zstd(&tar)] {
        let stored = whole.stored.clone().unwrap();
        for at in (0..stored.len()).step_by(stored.len() / 40 + 1) {
            let media_type = &whole.described.media_type;
            let mut changed = stored.clone();
            changed[at] ^= 0x55;
            // Nothing at all is an empty layer, whose diffID is another one.
            for bytes in [stored[..at].to_vec(), changed] {
                let (dir, disk) = (temp_dir(), temp_dir());
                let layout = Layout::of(&[Layer::new(media_type, bytes, &tar)]);
                let outcome = unpack_layout(&layout, None, Order::Downwards, dir.path(), disk.path());
                left("a stream that is cut or changed", &outcome, disk.path());
                // A header of gzip has bytes that mean nothing for the content.
                assert!(outcome.is_err() || at < 10, "{media_type} at {at} of {}", stored.len());
            }
        }
    }
}
