//! Unpacking images: verification, and what is left after errors.

use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use image_core::{
    CancelToken, Compression, Ctx, Digest, Event, Image, MediaType,
    blob::{Blob, BlobSource, BlobStoreExt, MemoryBlobStore},
    descriptor::Descriptor,
};
use image_overlay::{UnpackOptions, unpack};
use serde_json::json;
use tempfile::TempDir;

use super::{
    layers::{Item, dir, file, layer, symlink, with},
    on_disk::{causes, full, shape},
};

/// A layer as it is stored, and what the manifest and config say of it.
pub(crate) struct Stored {
    pub(crate) media_type: &'static str,
    bytes: Vec<u8>,
    digest: Digest,
    size: u64,
    diff_id: Digest,
    missing: bool,
}

impl Stored {
    fn new(media_type: &'static str, bytes: Vec<u8>, plain: &[u8]) -> Self {
        let (digest, size) = (Digest::sha256_of(&bytes), bytes.len() as u64);
        Self { media_type, bytes, digest, size, diff_id: Digest::sha256_of(plain), missing: false }
    }

    pub(crate) fn plain(tar: &[u8]) -> Self {
        Self::new("application/vnd.oci.image.layer.v1.tar", tar.to_vec(), tar)
    }

    /// Other bytes than its digest says.
    pub(crate) fn damage(&mut self) {
        let middle = self.bytes.len() / 2;
        self.bytes[middle] ^= 1;
    }

    pub(crate) fn gzip(tar: &[u8]) -> Self {
        Self::new("application/vnd.oci.image.layer.v1.tar+gzip", gzip(tar), tar)
    }

    fn zstd(tar: &[u8]) -> Self {
        let options = image_core::codec::EncodeOptions::new(Compression::Zstd);
        let mut encoder = image_core::codec::Encoder::new(Vec::new(), &options).unwrap();
        encoder.write_all(tar).unwrap();
        Self::new("application/vnd.oci.image.layer.v1.tar+zstd", encoder.finish().unwrap(), tar)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A store whose layers may be other than their digests.
struct Source {
    documents: MemoryBlobStore,
    layers: Vec<(Digest, Vec<u8>)>,
}

impl BlobSource for Source {
    fn stat(&self, digest: &Digest) -> image_core::Result<Option<u64>> {
        Ok(self.open(digest)?.map(|blob| blob.size()))
    }

    fn open(&self, digest: &Digest) -> image_core::Result<Option<Blob>> {
        match self.layers.iter().find(|(name, _)| name == digest) {
            Some((_, bytes)) => Ok(Some(Blob::from_bytes(bytes.clone()))),
            None => self.documents.open(digest),
        }
    }
}

pub(crate) fn image(layers: Vec<Stored>) -> Image {
    let documents = MemoryBlobStore::default();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = documents.put_bytes(config.to_string().as_bytes()).unwrap();
    let described: Vec<_> = layers
        .iter()
        .map(|layer| json!({"mediaType": layer.media_type, "digest": layer.digest.to_string(), "size": layer.size}))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest.to_string(),
            "size": config.size,
        },
        "layers": described,
    });
    let manifest = documents.put_bytes(manifest.to_string().as_bytes()).unwrap();
    let present = layers.into_iter().filter(|layer| !layer.missing);
    let layers = present.map(|layer| (layer.digest, layer.bytes)).collect();
    let descriptor = Descriptor::new(MediaType::OciManifest, manifest.digest, manifest.size);
    Image::open(Arc::new(Source { documents, layers }), &descriptor).unwrap()
}

fn items() -> Vec<Item> {
    vec![dir("d"), file("d/a", "1"), symlink("l", "d"), file("big", &"0123456789abcdef".repeat(100_000))]
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Unpacking fails with this text and leaves nothing.
#[track_caller]
fn check_refused(layers: Vec<Stored>, expected: &str) {
    let temp = TempDir::new().unwrap();
    let error = unpack(&image(layers), &temp.path().join("dest"), &UnpackOptions::default(), &Ctx::default());
    let error = error.unwrap_err();
    assert_eq!(causes(&error), expected);
    assert!(error.is_corrupt() || error.is_not_found(), "{error:?}");
    assert!(names(temp.path()).is_empty(), "{:?}", names(temp.path()));
}

#[test]
fn layers_of_every_compression_are_laid_in_order() {
    let temp = TempDir::new().unwrap();
    let layers = vec![
        Stored::gzip(&layer(&items())),
        Stored::plain(&layer(&[file("d/.wh.a", ""), file("d/b", "2"), file("big", "small")])),
        Stored::zstd(&layer(&[file("d/c", "3")])),
        Stored::plain(&layer(&[])),
        // The same layer again.
        Stored::zstd(&layer(&[file("d/c", "3")])),
        // Two gzip members, and not as the media type says.
        Stored::new(
            "application/vnd.oci.image.layer.v1.tar",
            [gzip(&layer(&[file("e", "4")])[..700]), gzip(&layer(&[file("e", "4")])[700..])].concat(),
            &layer(&[file("e", "4")]),
        ),
    ];
    let dest = temp.path().join("dest");
    let unpacked = unpack(&image(layers), &dest, &UnpackOptions::default(), &Ctx::default()).unwrap();
    assert_eq!((unpacked.layers, unpacked.entries), (6, 10));
    assert_eq!(shape(&dest), ["big = small", "d/", "d/b = 2", "d/c = 3", "e = 4", "l -> d"]);
    assert_eq!(names(temp.path()), ["dest"]);
}

#[test]
fn the_root_is_plain_unless_a_layer_says_otherwise() {
    let root = |layers: Vec<Vec<Item>>| {
        let temp = TempDir::new().unwrap();
        let dest = temp.path().join("dest");
        let layers = layers.iter().map(|items| Stored::plain(&layer(items))).collect();
        unpack(&image(layers), &dest, &UnpackOptions::default(), &Ctx::default()).unwrap();
        let line = full(&dest).remove(0);
        let mut words = line.split(' ');
        (words.nth(1).unwrap().to_owned(), words.nth(1).unwrap().to_owned())
    };
    let is = |mode: &str, time: &str| (mode.to_owned(), time.to_owned());
    let named = with(dir("./"), |metadata| metadata.mode = 0o700);
    assert_eq!(root(vec![]), is("0755", "0.000000000"));
    assert_eq!(root(vec![vec![file("a", "1")]]), is("0755", "0.000000000"));
    assert_eq!(root(vec![vec![named], vec![file("a", "1")]]), is("0700", "1000000000.000000000"));
}

#[test]
fn what_follows_the_archive_counts() {
    let mut tar = layer(&items());
    tar.extend([0; 9000]);
    tar.extend(b"anything");
    let temp = TempDir::new().unwrap();
    let dest = temp.path().join("dest");
    unpack(&image(vec![Stored::gzip(&tar)]), &dest, &UnpackOptions::default(), &Ctx::default()).unwrap();
    let whole = Digest::sha256_of(&tar);
    let mut wrong = Stored::gzip(&tar);
    tar.truncate(tar.len() - 8);
    wrong.diff_id = Digest::sha256_of(&tar);
    let (digest, diff_id) = (wrong.digest.clone(), wrong.diff_id.clone());
    check_refused(
        vec![wrong],
        &format!("cannot apply layer 0 ({digest}): the plain layer hashes to {whole}, but its diffID is {diff_id}"),
    );
}

#[test]
fn corrupt_blobs_leave_nothing() {
    let good = || Stored::plain(&layer(&[file("first", "1")]));
    let tar = layer(&items());

    let mut flipped = Stored::plain(&tar);
    flipped.bytes[600] ^= 1;
    let digest = flipped.digest.clone();
    let error = unpack_error(vec![good(), flipped]);
    // A parser came upon it before the end, where the digest would tell.
    assert!(error.starts_with(&format!("cannot apply layer 1: {digest}: content is corrupt: ")), "{error}");

    // In what the tar does not use, so that nothing but the digest tells.
    let mut trailing = Stored::plain(&tar);
    *trailing.bytes.last_mut().unwrap() = 1;
    let (digest, actual) = (trailing.digest.clone(), Digest::sha256_of(&trailing.bytes));
    check_refused(
        vec![good(), trailing],
        &format!("cannot apply layer 1: {digest}: content is corrupt: it hashes to {actual}"),
    );

    let mut short = Stored::gzip(&tar);
    let size = short.size;
    short.bytes.pop();
    let digest = short.digest.clone();
    check_refused(
        vec![good(), short],
        &format!("cannot apply layer 1: {digest}: content is corrupt: {} bytes where {size} were expected", size - 1),
    );

    // A truncated stream whose digest and size are those of what is left.
    let compressed = gzip(&tar);
    let truncated = Stored::new(Stored::gzip(&tar).media_type, compressed[..compressed.len() - 9].to_vec(), &tar);
    let error = unpack_error(vec![good(), truncated]);
    assert!(error.contains("corrupt gzip stream"), "{error}");

    // A checksum that does not hold.
    let mut compressed = gzip(&tar);
    let crc = compressed.len() - 8;
    compressed[crc] ^= 1;
    let error = unpack_error(vec![Stored::new(Stored::gzip(&tar).media_type, compressed, &tar)]);
    assert!(error.contains("corrupt gzip stream"), "{error}");
}

#[test]
fn missing_blobs_are_named() {
    let tar = layer(&items());
    let mut missing = Stored::zstd(&tar);
    missing.missing = true;
    let digest = missing.digest.clone();
    check_refused(vec![Stored::gzip(&tar), missing], &format!("cannot apply layer 1: {digest}: blob not found"));
}

/// Unpacking fails and leaves nothing.
#[track_caller]
fn unpack_error(layers: Vec<Stored>) -> String {
    let temp = TempDir::new().unwrap();
    let dest = temp.path().join("dest");
    fs::create_dir(&dest).unwrap();
    let error = unpack(&image(layers), &dest, &UnpackOptions::default(), &Ctx::default()).unwrap_err();
    assert!(error.is_corrupt(), "{error:?}");
    assert_eq!(names(temp.path()), ["dest"]);
    assert!(names(&dest).is_empty());
    causes(&error)
}

#[test]
fn errors_name_layer_entry_and_cause() {
    let tar = layer(&[file("a", "1"), super::layers::hard_link("h\n", "b")]);
    let digest = Digest::sha256_of(&tar);
    check_refused(
        vec![Stored::plain(&layer(&items())), Stored::plain(&tar)],
        &format!("cannot apply layer 1 ({digest}): tar entry 2 (h\\n): it is a hard link to /b, which does not exist"),
    );
}

#[test]
fn destinations_are_absent_or_empty() {
    let temp = TempDir::new().unwrap();
    let image = image(vec![Stored::plain(&layer(&[file("a", "1")]))]);
    let to = |name: &str| {
        let unpacked = unpack(&image, &temp.path().join(name), &UnpackOptions::default(), &Ctx::default());
        unpacked.map(drop).map_err(|error| error.to_string().replace(temp.path().to_str().unwrap(), ""))
    };
    to("absent").unwrap();
    fs::create_dir(temp.path().join("empty")).unwrap();
    to("empty").unwrap();
    // A link to an empty directory: into the directory.
    fs::create_dir(temp.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", temp.path().join("link")).unwrap();
    to("link/").unwrap();
    assert_eq!(shape(&temp.path().join("real")), ["a = 1"]);
    fs::write(temp.path().join("file"), "").unwrap();
    fs::create_dir(temp.path().join("dot")).unwrap();
    to("dot/.").unwrap();
    let before = names(temp.path());
    assert_eq!(
        to("absent"),
        Err("cannot unpack to /absent: it is not empty: unpack to an empty directory, or to a place where nothing is"
            .to_owned())
    );
    assert_eq!(
        to("link"),
        Err("cannot unpack to /link: it is not empty: unpack to an empty directory, or to a place where nothing is"
            .to_owned())
    );
    assert_eq!(to("file"), Err("cannot unpack to /file: it is not a directory: unpack to an empty directory, or to a place where nothing is".to_owned()));
    assert_eq!(to("none/dest"), Err("cannot create a directory in /none".to_owned()));
    assert_eq!(names(temp.path()), before);
}

#[test]
fn what_a_killed_run_left_is_removed_and_nothing_else() {
    let temp = TempDir::new().unwrap();
    let make = |name: &str| {
        fs::create_dir(temp.path().join(name)).unwrap();
        fs::write(temp.path().join(name).join("a"), "old").unwrap();
    };
    let this = std::process::id();
    let (same, other) = (format!(".dest.unpack-{this}-0"), ".dest.unpack-1234567-8");
    let kept = [".dest.unpack-1-2-3", ".dest.unpack-1-x", ".other.unpack-1-2", "dest.unpack-1-2"];
    for name in kept.into_iter().chain([&*same, other]) {
        make(name);
    }
    // One that is being built.
    make(".dest.unpack-1-1");
    let busy = fs::File::open(temp.path().join(".dest.unpack-1-1")).unwrap();
    busy.lock().unwrap();

    let image = image(vec![Stored::plain(&layer(&[file("a", "1")]))]);
    unpack(&image, &temp.path().join("dest"), &UnpackOptions::default(), &Ctx::default()).unwrap();
    assert_eq!(shape(&temp.path().join("dest")), ["a = 1"]);
    let mut expected: Vec<_> = kept.into_iter().chain([".dest.unpack-1-1", "dest"]).collect();
    expected.sort_unstable();
    assert_eq!(names(temp.path()), expected);
}

#[test]
fn mount_points_are_filled_in_place_and_cleared_after_errors() {
    if !test_support::require_root() {
        return;
    }
    let temp = TempDir::new().unwrap();
    let dest = temp.path().join("dest");
    fs::create_dir(&dest).unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        std::process::Command::new(program).args(arguments).arg(&dest).status().is_ok_and(|status| status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "none"]) {
        return test_support::skip("may not mount");
    }
    let wrong = image(vec![Stored::plain(&layer(&items())), Stored::plain(b"no tar")]);
    let refused = unpack(&wrong, &dest, &UnpackOptions::default(), &Ctx::default());
    let left = names(&dest);
    let right =
        unpack(&image(vec![Stored::plain(&layer(&items()))]), &dest, &UnpackOptions::default(), &Ctx::default());
    let (found, beside) = (shape(&dest).len(), names(temp.path()));
    assert!(mount("umount", &[]));
    assert!(refused.is_err());
    assert!(left.is_empty(), "{left:?}");
    right.unwrap();
    assert_eq!((found, beside), (4, vec!["dest".to_owned()]));
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    if !test_support::require_root() {
        return;
    }
    let temp = TempDir::new().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let command = &mut std::process::Command::new(program);
        command.args(arguments).arg(temp.path()).status().is_ok_and(|status| status.success())
    };
    if !run("mount", &["-t", "tmpfs", "-o", "size=1m", "none"]) {
        return test_support::skip("may not mount");
    }
    let refused = unpack(
        &image(vec![Stored::gzip(&layer(&items()))]),
        &temp.path().join("dest"),
        &UnpackOptions::default(),
        &Ctx::default(),
    );
    let left = names(temp.path());
    assert!(run("umount", &[]));
    let error = causes(&refused.unwrap_err());
    assert!(
        error.ends_with("tar entry 4 (big): cannot write the file: No space left on device (os error 28)"),
        "{error}"
    );
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_ordinary_user_unpacks_too() {
    let temp = TempDir::new().unwrap();
    fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let owned =
        |item: Item, mode: u32| with(item, |metadata| (metadata.uid, metadata.gid, metadata.mode) = (1, 2, mode));
    let locked = |change: Item| {
        vec![Stored::plain(&layer(&[owned(dir("./"), 0o555), owned(dir("d"), 0o111), file("d/a", "1"), change]))]
    };
    test_support::unprivileged(|| {
        let dest = temp.path().join("dest");
        let run = |layers| unpack(&image(layers), &dest, &UnpackOptions::default(), &Ctx::default());
        // The bad layer first: what it left must be removable.
        run([locked(file("e", "")), locked(super::layers::hard_link("h", "none"))].into_iter().flatten().collect())
            .unwrap_err();
        assert!(names(temp.path()).is_empty());
        run([locked(file("e", "")), locked(file("d/.wh.a", ""))].into_iter().flatten().collect()).unwrap();
        assert_eq!(names(&dest), ["d", "e"]);
        let mode = |name: &str| std::os::unix::fs::MetadataExt::mode(&fs::metadata(dest.join(name)).unwrap()) & 0o7777;
        assert_eq!((mode(""), mode("d")), (0o555, 0o111));
        assert!(fs::metadata(dest.join("d/a")).is_ok(), "both layers bring it");
    });
}

#[test]
fn cancelling_leaves_nothing() {
    let temp = TempDir::new().unwrap();
    let layers = || vec![Stored::gzip(&layer(&items())), Stored::gzip(&layer(&items()))];
    let image = image(layers());
    let events = Arc::new(Mutex::new(0));
    let run = |stop_at: usize| {
        let (cancel, seen) = (CancelToken::default(), Arc::new(Mutex::new(0)));
        let (switch, count) = (cancel.clone(), Arc::clone(&seen));
        let observer = move |_: &Event<'_>| {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count == stop_at {
                switch.cancel();
            }
        };
        let ctx = Ctx::default().with_cancel(cancel).with_observer(Arc::new(observer));
        let result = unpack(&image, &temp.path().join("dest"), &UnpackOptions::default(), &ctx);
        *events.lock().unwrap() = *seen.lock().unwrap();
        result
    };
    let mut cancelled = 0;
    for stop_at in 1..20 {
        match run(stop_at) {
            Ok(_) => break,
            Err(error) => {
                assert!(error.is_cancelled(), "{error:?}");
                assert!(names(temp.path()).is_empty(), "{:?}", names(temp.path()));
                cancelled += 1;
            }
        }
    }
    assert!(cancelled > 2, "{cancelled}");
}
