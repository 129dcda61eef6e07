//! Collecting what no entry of a layout needs.

use std::{
    fs::{File, FileTimes},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use image_core::{
    Ctx, Descriptor, Digest, Document, ImageManifest, MediaType, Timestamp,
    blob::{BlobSource, BlobStore, BlobStoreExt},
    gc::{Collected, GcOptions, Roots},
};
use image_layout::{CopyOptions, OciLayout, copy, fsck::VerifyOptions, ref_name::REF_NAME};

use crate::fixture::Fixture;

fn now() -> GcOptions {
    GcOptions::default().with_grace(Duration::ZERO)
}

fn collect(fixture: &Fixture, options: &GcOptions) -> Collected {
    let collected = fixture.layout.collect(options, &Ctx::default()).expect("a collection");
    assert!(is_whole(&fixture.layout), "{collected:?}");
    collected
}

fn is_whole(layout: &OciLayout) -> bool {
    layout.verify(None, &VerifyOptions::default(), &Ctx::default()).expect("it is verified").is_clean()
}

fn names(layout: &OciLayout) -> Vec<String> {
    layout.tags().expect("names").iter().map(|tag| tag.name().to_owned()).collect()
}

/// Sets the time when something was last used.
fn use_at(fixture: &Fixture, digest: &Digest, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = File::open(fixture.blob_path(digest)).expect("a blob");
    file.set_times(FileTimes::new().set_modified(time)).expect("its time is set");
}

/// A signature of an image: a manifest about it.
fn signature(fixture: &Fixture, image: &Descriptor) -> Descriptor {
    let mut manifest = ImageManifest::new(fixture.put(b"{}", MediaType::OciEmpty), Vec::new());
    manifest.subject = Some(image.clone());
    let manifest = Document::new(manifest).expect("a manifest");
    fixture.layout.blobs().put_document(&manifest).expect("it is stored");
    manifest.descriptor(MediaType::OciManifest)
}

fn add(fixture: &Fixture, entry: Descriptor) {
    let added = fixture.layout.update_index(|index| {
        index.manifests.push(entry);
        Ok(())
    });
    added.expect("the index is changed");
}

#[test]
fn what_lost_its_name_goes() {
    let fixture = Fixture::new();
    let old = fixture.image_for("linux/amd64");
    fixture.layout.tag("app", &fixture.index(vec![old.clone()])).unwrap();
    assert_eq!(collect(&fixture, &now()).removed, 0);
    let new = fixture.image_for("linux/arm64");
    fixture.layout.tag("app", &fixture.index(vec![new.clone()])).unwrap();
    assert_eq!(collect(&fixture, &GcOptions::default()).removed, 0, "it is spared for a while");
    let collected = collect(&fixture, &now());
    assert_eq!((collected.removed, collected.kept), (4, 4));
    assert_eq!(fixture.layout.blobs().stat(&old.digest).unwrap(), None);
}

#[test]
fn the_least_recently_used_image_goes_first() {
    let fixture = Fixture::new();
    let images = ["one", "two", "three"].map(|name| {
        let image = fixture.image("linux/amd64", name);
        fixture.layout.tag(name, &image).unwrap();
        image
    });
    for (image, seconds) in images.iter().zip([1000, 2000, 3000]) {
        use_at(&fixture, &image.digest, seconds);
    }
    fixture.layout.image("one", None).unwrap();
    let limit = collect(&fixture, &now().with_dry_run()).kept_bytes - 1;
    let collected = collect(&fixture, &now().with_keep_bytes(Some(limit)));
    assert_eq!(collected.dropped.len(), 1);
    assert_eq!((collected.dropped[0].name.as_str(), &collected.dropped[0].digest), ("two", &images[1].digest));
    assert_eq!(collected.dropped[0].last_used, Timestamp::from_seconds(2000));
    assert_eq!(names(&fixture.layout), ["one", "three"]);
    fixture.layout.tag("three", &images[2]).unwrap();
    let collected = collect(&fixture, &now().with_keep_for(Some(Duration::from_secs(3600))));
    assert!(collected.dropped.is_empty(), "to tag is to use: {collected:?}");
}

#[test]
fn entries_about_an_image_go_with_it() {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "image");
    fixture.layout.tag("image", &image).unwrap();
    add(&fixture, signature(&fixture, &image));
    let list = fixture.index(vec![signature(&fixture, &image)]);
    let by_name = format!("sha256-{}", image.digest.encoded());
    fixture.layout.tag(&by_name, &list).unwrap();
    fixture.layout.tag(&format!("{by_name}.sig"), &fixture.image("linux/amd64", "cosign")).unwrap();
    let named = signature(&fixture, &fixture.image("linux/amd64", "gone"));
    fixture.layout.tag("report", &named).unwrap();

    assert_eq!(collect(&fixture, &now()).removed, 0);
    assert_eq!(fixture.layout.roots().unwrap().len(), 5);
    fixture.layout.untag("image").unwrap();
    let collected = collect(&fixture, &now());
    assert_eq!(collected.dropped.len(), 3, "{collected:?}");
    assert_eq!(names(&fixture.layout), ["report"]);
}

#[test]
fn an_entry_that_is_used_meanwhile_is_not_forgotten() {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "image");
    fixture.layout.tag("image", &image).unwrap();
    use_at(&fixture, &image.digest, 1000);
    let roots = Roots::roots(&fixture.layout).unwrap();
    fixture.layout.tag("image", &image).unwrap();
    assert!(fixture.layout.forget(&roots).unwrap().is_empty());
    let other = fixture.image("linux/amd64", "other");
    let roots = Roots::roots(&fixture.layout).unwrap();
    fixture.layout.tag("image", &other).unwrap();
    assert!(fixture.layout.forget(&roots).unwrap().is_empty(), "it is another image by now");
    let roots = Roots::roots(&fixture.layout).unwrap();
    assert_eq!(fixture.layout.forget(&roots).unwrap(), roots);
    assert!(names(&fixture.layout).is_empty());
}

#[test]
fn entries_that_are_not_in_the_layout_are_nothing_to_stop_at() {
    let fixture = Fixture::new();
    let absent = Descriptor::new(MediaType::OciManifest, Digest::sha256_of(b"absent"), 7);
    let unknown: Digest = "blake3:0123456789abcdef".parse().unwrap();
    add(&fixture, fixture.index(vec![absent.clone(), fixture.image_for("linux/amd64")]));
    add(&fixture, absent);
    add(&fixture, Descriptor::new(MediaType::OciManifest, unknown, 7).with_annotation(REF_NAME, "unknown"));
    let collected = fixture.layout.collect(&now(), &Ctx::default()).unwrap();
    assert_eq!((collected.removed, collected.kept, collected.dropped.len()), (0, 4, 0));
    let all = fixture.layout.collect(&now().with_keep_bytes(Some(0)), &Ctx::default()).unwrap();
    assert_eq!((all.kept, all.removed), (0, 4));
}

#[test]
fn copies_and_names_survive_collections_at_any_moment() {
    let from = Fixture::new();
    let images: Vec<Descriptor> =
        (0..4).map(|n| from.index(vec![from.image_for("linux/amd64"), from.image("", &n.to_string())])).collect();
    let to = Fixture::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let layout = OciLayout::open(to.path()).expect("a layout");
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                removed += layout.collect(&now(), &Ctx::default()).expect("a collection").removed;
            }
            removed
        });
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                scope.spawn({
                    let (from, to, images) = (&from, &to, &images);
                    move || {
                        let layout = OciLayout::open(to.path()).expect("a layout");
                        for round in 0..60 {
                            let image = &images[(writer + round) % images.len()];
                            let leased = layout.clone().leased().expect("a lease");
                            copy(from.layout.blobs(), leased.blobs(), image, &CopyOptions::default(), &Ctx::default())
                                .expect("a copy");
                            let name = format!("writer-{writer}");
                            layout.tag(&name, image).expect("a name");
                            drop(leased);
                            let report = layout.verify(Some(&name), &VerifyOptions::default(), &Ctx::default());
                            let report = report.expect("it is verified");
                            assert!(report.is_clean(), "round {round}: {report:?}");
                            if round % 3 == 0 {
                                layout.untag(&name).expect("the name goes");
                            }
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(collector.join().unwrap() > 20, "the collector had something to do");
    });
    assert!(is_whole(&to.layout));
    collect(&to, &now().with_keep_bytes(Some(0)));
    let mut left = 0;
    to.layout
        .blobs()
        .for_each(&mut |_, _| {
            left += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_load_survives_collections_at_any_moment() {
    let from = Fixture::new();
    let image = from.image("linux/amd64", "image");
    from.layout.tag("app:1", &image).unwrap();
    let mut archive = Vec::new();
    let images = [(from.layout.image("app:1", None).unwrap(), vec!["app:1".to_owned()])];
    image_layout::save(&images, &mut archive, &image_layout::SaveOptions::default(), &Ctx::default()).unwrap();
    let to = Fixture::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                to.layout.collect(&now(), &Ctx::default()).expect("a collection");
            }
        });
        for round in 0..60 {
            let layout = OciLayout::open(to.path()).unwrap();
            layout.load(archive.as_slice(), &Default::default(), &Ctx::default()).unwrap();
            assert!(is_whole(&layout) && layout.image("app:1", None).is_ok(), "round {round}");
            layout.untag("app:1").unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}
