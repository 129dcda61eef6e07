//! Limits on all layers of an image together, and images whose files claim more bytes than numbers count.

use image_core::{Ctx, Image};
use image_overlay::{
    ApplyOptions, ImageSource, ImageTree, LayerToc, Limits, OverlayForm, PathFilter, SnapshotForm, SnapshotId,
    Snapshots, Strictness, UnpackOptions, Usage, unpack,
};
use std::sync::Arc;
use tempfile::TempDir;
use test_support::{SmallDisk, raw_tar::Raw, require_root};

use super::{
    layers::{dir, file, layer, symlink},
    mount::support,
    on_disk::causes,
    raw_tar::{archive, pax},
    snapshot::copies,
    unpack::{Stored, image},
};

/// A file that is one hole, of as many bytes as a file can have.
fn hole(name: &str) -> Vec<u8> {
    let records =
        [("GNU.sparse.size", &b"9223372036854775807"[..]), ("GNU.sparse.numblocks", b"0"), ("GNU.sparse.map", b"")];
    [pax(&records), Raw::new(b'0', name.as_bytes(), 0).block()].concat()
}

/// Two layers whose files have together more than 2^64 bytes, each of them too.
fn holes() -> [Vec<u8>; 2] {
    let layer = |names: [&str; 3]| archive(&names.map(hole));
    [layer(["a", "b", "c"]), layer(["c", "d", "e"])]
}

fn image_of_holes() -> Image {
    image(holes().iter().map(|tar| Stored::gzip(tar)).collect())
}

/// The forms of snapshots that work here.
fn forms() -> Vec<Arc<dyn SnapshotForm>> {
    let overlay = support().map(|support| Arc::new(OverlayForm::new(support.xattrs)) as Arc<dyn SnapshotForm>);
    overlay.into_iter().chain([copies()]).collect()
}

#[test]
fn bytes_that_no_number_counts_are_told_as_the_most_there_are() {
    let tocs = holes().map(|tar| LayerToc::read(&tar[..], &Limits::default(), &Ctx::default()).unwrap());
    let usage = Usage::of_layers(&tocs).unwrap();
    let most = i64::MAX.unsigned_abs();
    let told: Vec<_> = usage.layers.iter().map(|layer| (layer.added, layer.hidden, layer.wasted)).collect();
    assert_eq!(told, [(u64::MAX, 0, most), (u64::MAX, most, 0)]);
    assert_eq!((usage.wasted(), usage.efficiency), (most, 5.0 / 6.0));
    assert_eq!(usage.repeated[0].size, 2 * most);
}

#[test]
fn files_of_more_bytes_than_numbers_count_are_unpacked_as_holes() {
    // A file system in memory takes files of any size.
    let Some(disk) = SmallDisk::mount(1 << 20) else { return };
    let image = image_of_holes();
    let filter = PathFilter::new(|_| true);
    let upwards = UnpackOptions::default().with_apply(ApplyOptions::default().with_filter(filter));
    for (name, options) in [("over", upwards), ("left", UnpackOptions::default())] {
        let dest = disk.path().join(name);
        unpack(&image, &dest, &options, &Ctx::default()).unwrap();
        assert_eq!(std::fs::metadata(dest.join("e")).unwrap().len(), i64::MAX.unsigned_abs());
    }
    let snapshots = Snapshots::with_form(&disk.path().join("snapshots"), copies(), &Ctx::default()).unwrap();
    let view = snapshots.ensure(&image, &UnpackOptions::default(), &Ctx::default()).unwrap().unwrap();
    let usage = snapshots.usage(&SnapshotId::Committed(view.chain().clone()), &Ctx::default()).unwrap();
    assert_eq!(usage.bytes, u64::MAX);
}

/// Whoever reads the layers of an image refuses what is too much of all of them together.
#[test]
fn one_limit_holds_for_all_layers_wherever_they_go() {
    let content = "x".repeat(50_000);
    let image = image((0..3).map(|n| Stored::gzip(&layer(&[file(format!("{n}"), &content)]))).collect());
    let (temp, ctx) = (TempDir::new().unwrap(), Ctx::default());
    let check = |limits: Limits, expected: &str| {
        let texts = [
            ImageTree::of_image(&image, &limits, &ctx).map(drop),
            ImageSource::of_image(&image, temp.path(), &limits, &ctx).map(drop),
        ];
        for text in texts.map(|result| result.map_err(|error| causes(&error))) {
            if expected.is_empty() {
                assert_eq!(text, Ok(()));
            } else {
                assert!(text.clone().unwrap_err().ends_with(expected), "{text:?}");
            }
        }
    };
    let limits = Limits::default();
    check(limits.with_image_bytes(Some(130_000)), "of the image exceed the limit of 130000");
    check(limits.with_image_bytes(Some(200_000)), "");
    check(limits.with_toc_bytes(450), "bytes of the table of contents up to it exceed the limit of 450");
    check(limits.with_toc_bytes(2000), "");
    if !require_root() {
        return;
    }
    for form in forms() {
        let snapshots = Snapshots::with_form(&temp.path().join(form.name()), form, &ctx).unwrap();
        let within = |bytes| {
            let apply = ApplyOptions::default().with_limits(limits.with_image_bytes(Some(bytes)));
            snapshots.ensure(&image, &UnpackOptions::default().with_apply(apply), &ctx).map(drop)
        };
        let text = causes(&within(130_000).unwrap_err());
        assert!(text.starts_with("cannot apply layer 2 (sha256:"), "{text}");
        assert!(text.contains("of the image") && text.ends_with("exceed the limit of 130000"), "{text}");
        within(200_000).unwrap();
    }
}

#[test]
fn snapshots_of_layers_that_are_compressed_otherwise_are_refused_by_the_strict() {
    let (temp, ctx) = (TempDir::new().unwrap(), Ctx::default());
    let mut stored = Stored::gzip(&layer(&[file("f", "1")]));
    stored.media_type = "application/vnd.oci.image.layer.v1.tar";
    let image = image(vec![stored]);
    let snapshots = Snapshots::with_form(temp.path(), copies(), &ctx).unwrap();
    let ensure = |strictness| {
        let apply = ApplyOptions::default().with_strictness(strictness);
        snapshots.ensure(&image, &UnpackOptions::default().with_apply(apply), &ctx).map(drop)
    };
    let text = causes(&ensure(Strictness::Strict).unwrap_err());
    assert!(text.ends_with("the media type is application/vnd.oci.image.layer.v1.tar, but it is gzip"), "{text}");
    ensure(Strictness::Lenient).unwrap();
}

/// A path costs a few bytes in a layer and a directory for each of its names in memory.
#[test]
fn directories_that_paths_imply_count_as_memory() {
    let deep = |top: &str| format!("{top}{}", "/a".repeat(2000));
    let tar = layer(&[file(deep("1"), ""), file(deep("2"), "")]);
    let read = |bytes| LayerToc::read(&tar[..], &Limits::default().with_toc_bytes(bytes), &Ctx::default());
    let error = read(1_000_000).unwrap_err().to_string();
    assert!(error.starts_with("tar entry 2 ") && error.ends_with("exceed the limit of 1000000"), "{error}");
    read(2_000_000).unwrap();
    // Beside one that is named, a path costs what is new in it.
    let siblings: Vec<_> = (0..1000).map(|n| file(format!("{}/{n:04}", deep("1")), "")).collect();
    let tar = layer(&siblings);
    LayerToc::read(&tar[..], &Limits::default().with_toc_bytes(1_200_000), &Ctx::default()).unwrap();
}

/// Entries of a few bytes, behind links that lead far.
#[test]
fn what_links_lead_to_is_bounded() {
    let far = |name: &str, step: &str| symlink(name, &step.repeat(4090 / step.len()));
    // Each pair of entries makes two thousand directories, and puts a file in their place.
    let mut entries = vec![far("s", "b/")];
    for n in 0..600 {
        entries.extend([file("b", ""), file(format!("s/{n}"), "")]);
    }
    let toc = LayerToc::read(&layer(&entries)[..], &Limits::default(), &Ctx::default()).unwrap();
    let error = causes(&ImageTree::of_layers([&toc]).unwrap_err());
    assert!(
        error.contains("directories that no layer of the image names up to /s") && error.contains("1000000"),
        "{error}"
    );

    // Each entry goes up and down eighty thousand times.
    let mut entries = vec![dir("a")];
    entries.extend((0..40).map(|n| {
        let (name, next) = (format!("l{n:02}"), format!("l{:02}", n + 1));
        symlink(&name, &format!("{}{}", "a/../".repeat(810), if n < 39 { &next } else { "a" }))
    }));
    entries.extend((0..400).map(|n| file(format!("l00/{n}"), "")));
    let toc = LayerToc::read(&layer(&entries)[..], &Limits::default(), &Ctx::default()).unwrap();
    let error = causes(&ImageTree::of_layers([&toc]).unwrap_err());
    assert!(
        error.contains("steps of links on the ways of a layer up to /l00") && error.contains("20000000"),
        "{error}"
    );
}
