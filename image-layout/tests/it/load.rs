//! Loading archives.

use std::{
    fs,
    io::{self, Read},
    sync::{Arc, Mutex},
    time::Duration,
};

use image_core::{
    CancelToken, Compression, Ctx, Descriptor, Digest, Document, Event, ImageIndex, ImageManifest, MediaType,
    MemoryBlobStore,
    blob::{BlobSource, BlobSourceExt, BlobStore},
    hasher::Hasher,
};
use image_layout::{CopyOptions, Error, LoadOptions, Loaded, OciLayout, copy};
use serde_json::json;
#[cfg(unix)]
use test_support::{SmallDisk, hostile::ArchiveLimit, thread_time};

use crate::{
    archive::{Archive, compress, config, diff_id, layer, manifest, record},
    fixture::Fixture,
};

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn load(fixture: &Fixture, archive: &[u8]) -> Result<Vec<Loaded>, Error> {
    fixture.layout.load(archive, &LoadOptions::default(), &Ctx::default())
}

fn blobs(fixture: &Fixture) -> usize {
    let mut count = 0;
    let visited = fixture.layout.blobs().for_each(&mut |_, _| {
        count += 1;
        Ok(())
    });
    visited.expect("a store");
    count
}

fn names(fixture: &Fixture) -> Vec<String> {
    fixture.layout.tags().expect("names").iter().map(|tag| tag.name().to_owned()).collect()
}

/// Nothing is named, nothing became a blob, and nothing is left half-written.
fn assert_untouched(fixture: &Fixture, case: &str) {
    assert!(fixture.layout.roots().is_ok_and(|roots| roots.is_empty()), "{case}");
    assert_eq!(blobs(fixture), 0, "{case}");
    let ingest = fixture.path().join("ingest");
    assert!(!ingest.exists() || fs::read_dir(ingest).is_ok_and(|mut dir| dir.next().is_none()), "{case}");
}

/// An archive of one image of two layers.
fn simple(compression: Compression) -> Vec<(&'static str, Vec<u8>)> {
    let layers = [layer("lower"), layer("upper")];
    let config = config(&[&layers[0], &layers[1]]);
    vec![
        ("manifest.json", manifest("config.json", &["app:1"], &["a.tar", "b.tar"])),
        ("config.json", config.bytes().to_vec()),
        ("a.tar", compress(&layers[0], compression)),
        ("b.tar", compress(&layers[1], compression)),
    ]
}

fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    members.iter().fold(Archive::default(), |archive, (name, content)| archive.file(name, content)).end()
}

fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for position in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(position);
        all.extend(permutations(&rest).into_iter().map(|mut tail| {
            tail.insert(0, first.clone());
            tail
        }));
    }
    all
}

#[test]
fn members_in_any_order_and_layers_of_any_compression() {
    for compression in ALL {
        let members = simple(compression);
        let mut digests = Vec::new();
        let is_thorough = compression == Compression::Gzip;
        for members in permutations(&members).into_iter().take(if is_thorough { 24 } else { 4 }) {
            let fixture = Fixture::new();
            let loaded = load(&fixture, &archive(&members)).unwrap();
            assert_eq!(loaded[0].names, ["app:1"]);
            digests.push(loaded[0].descriptor.digest.clone());
            assert_eq!(names(&fixture), ["app:1"]);
            assert_eq!(blobs(&fixture), 4);
            assert!(fixture.is_whole());
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "the manifest depends on the order");

        let fixture = Fixture::new();
        load(&fixture, &archive(&members)).unwrap();
        let image = fixture.layout.image("app:1", None).unwrap();
        assert_eq!(*image.id().as_digest(), Digest::sha256_of(&members[1].1));
        for (layer, (_, stored)) in image.layers().zip(&members[2..]) {
            assert_eq!(layer.descriptor.digest, Digest::sha256_of(stored));
            assert_eq!(layer.descriptor.media_type, MediaType::layer(compression));
        }
    }
}

#[test]
fn a_second_time_nothing_changes() {
    let fixture = Fixture::new();
    let archive = archive(&simple(Compression::Gzip));
    let first = load(&fixture, &archive).unwrap();
    assert_eq!(load(&fixture, &archive).unwrap(), first);
    assert_eq!((blobs(&fixture), names(&fixture).len()), (4, 1));
}

/// Gives one byte at a time, as a slow pipe does.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = buf.len().min(1);
        self.0.read(&mut buf[..count])
    }
}

#[test]
fn archives_that_are_compressed_or_trickle_in_or_have_dots_before_names() {
    let plain = archive(&simple(Compression::Zstd));
    for compression in ALL {
        let fixture = Fixture::new();
        let archive = compress(&plain, compression);
        let loaded = fixture.layout.load(Slow(&archive), &LoadOptions::default(), &Ctx::default()).unwrap();
        assert_eq!(loaded.len(), 1);
        assert!(fixture.is_whole());

        // What follows the archive's end is part of the stream, and verified.
        if compression != Compression::None {
            let fixture = Fixture::new();
            let cut = &archive[..archive.len() - 4];
            assert!(load(&fixture, cut).unwrap_err().is_corrupt());
            assert_untouched(&fixture, "cut");
        }
    }
    let fixture = Fixture::new();
    let dotted = simple(Compression::None)
        .into_iter()
        .fold(Archive::default().other("./", b'5', ""), |archive, (name, content)| {
            archive.file(&format!("./{name}"), content)
        });
    load(&fixture, &dotted.end()).unwrap();
    assert!(fixture.is_whole());
}

#[test]
fn several_images_with_several_names_share_layers() {
    let (shared, own) = (layer("shared"), layer("own"));
    let (one, two, three) = (config(&[&shared]), config(&[&shared, &own]), config(&[]));
    let json = serde_json::json!([
        {"Config": "1", "RepoTags": ["app:1", "docker.io/library/app:latest"], "Layers": ["s"]},
        {"Config": "2", "RepoTags": null, "Layers": ["s", "o"], "Parent": "x", "LayerSources": {}},
        {"Config": "3", "RepoTags": ["localhost:5000/a__b:1"], "Layers": null},
    ]);
    let archive = Archive::default()
        .files(&[("s", &shared), ("o", &own), ("1", one.bytes()), ("2", two.bytes()), ("3", three.bytes())])
        .file("manifest.json", json.to_string());
    let fixture = Fixture::new();
    let loaded = load(&fixture, &archive.end()).unwrap();
    assert_eq!(loaded.len(), 3);
    assert_eq!(names(&fixture), ["app:1", "app:latest", "localhost:5000/a__b:1"]);
    // Two layers, and of each image config and manifest.
    assert_eq!(blobs(&fixture), 8);
    assert!(fixture.is_whole());
    // The image without a name is kept too.
    assert!(fixture.layout.roots().unwrap().iter().any(|root| root.digest == loaded[1].descriptor.digest));
    for name in ["app:1", "app", "docker.io/library/app:1", "localhost:5000/a__b:1"] {
        fixture.layout.image(name, None).unwrap();
    }
}

#[test]
fn a_name_of_ones_own() {
    let one = archive(&simple(Compression::None));
    let fixture = Fixture::new();
    let options = LoadOptions::default().with_name("mine");
    let loaded = fixture.layout.load(&*one, &options, &Ctx::default()).unwrap();
    assert_eq!((&*loaded[0].names, names(&fixture)), (&["mine".to_owned()][..], vec!["mine".to_owned()]));

    let fixture = Fixture::new();
    let none = Archive::default().file("manifest.json", "[]").end();
    let error = fixture.layout.load(&*none, &options, &Ctx::default()).unwrap_err();
    assert!(error.to_string().contains("0 images"), "{error}");
    let error = fixture.layout.load(&*one, &LoadOptions::default().with_name("a b"), &Ctx::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidRefName { .. }), "{error}");
    assert_untouched(&fixture, "names");
}

#[test]
fn layers_that_are_links() {
    let content = layer("linked");
    let config = config(&[&content, &content]);
    let linked = |links: &[(&str, u8, &str)]| {
        let archive = Archive::default()
            .file("manifest.json", manifest("c", &["app:1"], &["x/layer.tar", "y/layer.tar"]))
            .file("c", config.bytes())
            .file("x/layer.tar", &content);
        links.iter().fold(archive, |archive, (name, kind, target)| archive.other(name, *kind, target)).end()
    };
    let chain = |length: usize| {
        let names: Vec<String> = (0..length).map(|n| format!("l{n}")).collect();
        let mut links = vec![("y/layer.tar".to_owned(), "../l0".to_owned())];
        links.extend((1..length).map(|n| (names[n - 1].clone(), names[n].clone())));
        links.push((names[length - 1].clone(), "x/layer.tar".to_owned()));
        let links: Vec<(&str, u8, &str)> = links.iter().map(|(from, to)| (&**from, b'2', &**to)).collect();
        linked(&links)
    };
    let good = [
        linked(&[("y/layer.tar", b'2', "../x/layer.tar")]),
        linked(&[("y/layer.tar", b'2', ".././/x/layer.tar")]),
        linked(&[("y/layer.tar", b'1', "x/layer.tar")]),
        linked(&[("y/layer.tar", b'1', "./x/layer.tar")]),
        chain(7),
    ];
    for archive in good {
        let fixture = Fixture::new();
        load(&fixture, &archive).unwrap();
        assert!(fixture.is_whole());
        assert_eq!(blobs(&fixture), 3);
    }
    let bad = [
        (linked(&[("y/layer.tar", b'2', "/x/layer.tar")]), "no such file"),
        (linked(&[("y/layer.tar", b'2', "../../x/layer.tar")]), "no such file"),
        (linked(&[("y/layer.tar", b'2', "/etc/passwd")]), "no such file"),
        (linked(&[("y/layer.tar", b'1', "../x/layer.tar")]), "no such file"),
        (linked(&[("y/layer.tar", b'2', "layer.tar")]), "more than 8 links"),
        (linked(&[("y/layer.tar", b'6', "")]), "no such file"),
        (chain(8), "more than 8 links"),
    ];
    for (archive, reason) in bad {
        let fixture = Fixture::new();
        let error = load(&fixture, &archive).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(reason), "{error}");
        assert_untouched(&fixture, reason);
    }
}

#[test]
fn names_and_sizes_in_extended_headers() {
    let content = layer("long");
    let long = "d/".repeat(100) + "layer.tar";
    let config = config(&[&content]);
    let base = || {
        Archive::default()
            .extended(b'g', &record("comment", "of the whole archive"))
            .file("manifest.json", manifest("c", &["app:1"], &[&long]))
            .file("c", config.bytes())
    };
    let pax = [record("path", &long), record("size", &content.len().to_string())].concat();
    let mut lying = base().extended(b'x', &pax).lying("short", 7).end();
    lying.truncate(lying.len() - 1024);
    lying.extend(&content);
    let archives = [
        base().extended(b'x', &record("path", &long)).file("short", &content).end(),
        base().extended(b'L', format!("{long}\0").as_bytes()).file("short", &content).end(),
        // PAX wins, whichever comes last.
        base().extended(b'x', &record("path", &long)).extended(b'L', b"other\0").file("short", &content).end(),
        lying,
    ];
    for archive in archives {
        let fixture = Fixture::new();
        load(&fixture, &archive).unwrap();
        assert!(fixture.is_whole());
    }
}

/// An image in OCI form: its members, and its manifest's descriptor.
fn oci(text: &str, compression: Compression) -> (Vec<(String, Vec<u8>)>, Descriptor) {
    let plain = layer(text);
    let stored = compress(&plain, compression);
    let config = config(&[&plain]);
    let layer = Descriptor::new(MediaType::layer(compression), Digest::sha256_of(&stored), stored.len() as u64);
    let manifest = ImageManifest::new(config.descriptor(MediaType::OciConfig), vec![layer]);
    let manifest = Document::new(manifest).expect("a manifest");
    let members = [stored, config.bytes().to_vec(), manifest.bytes().to_vec()];
    let name = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::sha256_of(bytes).encoded());
    (members.into_iter().map(|bytes| (name(&bytes), bytes)).collect(), manifest.descriptor(MediaType::OciManifest))
}

fn index(manifests: Vec<Descriptor>) -> Document<ImageIndex> {
    Document::new(ImageIndex::new(manifests)).expect("an index")
}

fn with_members(archive: Archive, members: &[(String, Vec<u8>)]) -> Archive {
    members.iter().fold(archive, |archive, (name, content)| archive.file(name, content))
}

#[test]
fn oci_archives() {
    for compression in ALL {
        let (members, manifest) = oci("one", compression);
        let inner = index(vec![manifest.clone()]);
        let inner_name = format!("./blobs/sha256/{}", inner.digest().encoded());
        let names =
            [("org.opencontainers.image.ref.name", "v1"), ("io.containerd.image.name", "docker.io/library/a:1")];
        let named = |descriptor: &Descriptor, (key, name): (&str, &str)| descriptor.clone().with_annotation(key, name);
        let root = index(vec![
            named(&manifest, names[0]),
            named(&inner.descriptor(MediaType::OciIndex), names[1]),
            named(&manifest, ("org.opencontainers.image.ref.name", "v2")),
        ]);
        let archive =
            with_members(Archive::default().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#), &members)
                .file(&inner_name, inner.bytes())
                .file("index.json", root.bytes());
        let fixture = Fixture::new();
        let loaded = load(&fixture, &archive.end()).unwrap();
        assert_eq!(loaded.len(), 2);
        assert_eq!(loaded[0].descriptor.digest, manifest.digest);
        assert_eq!((&*loaded[0].names, &*loaded[1].names), (&["v1".into(), "v2".into()][..], &["a:1".into()][..]));
        assert_eq!(blobs(&fixture), 4);
        assert!(fixture.is_whole());
    }
}

#[test]
fn archives_of_both_forms() {
    let (members, descriptor) = oci("one", Compression::None);
    let (others, other) = oci("two", Compression::None);
    let json = |members: &[(String, Vec<u8>)], tag: Option<&str>| serde_json::json!({"Config": members[1].0, "RepoTags": tag.map(|tag| [tag]), "Layers": [members[0].0]});
    let named = descriptor.clone().with_annotation("io.containerd.image.name", "docker.io/library/app:1");
    let manifest = serde_json::json!([json(&members, Some("app:1")), json(&others, None)]).to_string();
    let base = |root: Document<ImageIndex>| {
        let archive = Archive::default().file("index.json", root.bytes()).file("manifest.json", &manifest);
        with_members(with_members(archive, &members), &others[..2])
    };
    // The image that index.json has is taken as it is; the other gets a manifest that is equal to its own.
    let fixture = Fixture::new();
    let loaded = load(&fixture, &base(index(vec![named.clone()])).end()).unwrap();
    assert_eq!(
        loaded.iter().map(|loaded| &loaded.descriptor.digest).collect::<Vec<_>>(),
        [&descriptor.digest, &other.digest]
    );
    assert_eq!((names(&fixture), blobs(&fixture)), (vec!["app:1".to_owned()], 6));
    assert!(fixture.is_whole());

    // An index of platforms most of which are not there: what manifest.json has is taken.
    let absent = Descriptor::new(MediaType::OciManifest, Digest::sha256_of(b"absent"), 6);
    let partial = index(vec![descriptor, absent]);
    let name = format!("blobs/sha256/{}", partial.digest().encoded());
    let root = index(vec![partial.descriptor(MediaType::OciIndex)]);
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notices);
    let ctx = Ctx::default().with_observer(Arc::new(move |event: &Event<'_>| {
        if let Event::Notice { message, .. } = event {
            heard.lock().unwrap().push((*message).to_owned());
        }
    }));
    let fixture = Fixture::new();
    let archive = base(root).file(&name, partial.bytes()).end();
    let loaded = fixture.layout.load(&*archive, &LoadOptions::default(), &ctx).unwrap();
    assert_eq!((loaded.len(), names(&fixture)), (2, vec!["app:1".to_owned()]));
    assert!(fixture.is_whole());
    assert!(notices.lock().unwrap()[0].contains("no such file"), "{notices:?}");
}

#[test]
fn what_no_image_names_is_not_stored() {
    let mut members = simple(Compression::None);
    members.insert(0, ("a.tar", layer("replaced by the one that comes later")));
    members.push(("large", layer("unreferenced")));
    members.push(("repositories", b"{}".to_vec()));
    members.push(("broken.gz", [&[0x1F, 0x8B, 8][..], &[7; 9000]].concat()));
    let mut archive = Archive::default().other("dev", b'3', "").other("dir", b'5', "");
    for (name, content) in &members {
        archive = archive.file(name, content);
    }
    for name in ["../outside", "/etc/passwd", "a/../../b", "a/..", "."] {
        archive = archive.file(name, layer("climbing"));
    }
    let fixture = Fixture::new();
    load(&fixture, &archive.end()).unwrap();
    assert_eq!(blobs(&fixture), 4);
    assert!(fixture.is_whole());
}

#[test]
fn an_image_of_300_layers_beside_a_thousand_other_members() {
    let layers: Vec<Vec<u8>> = (0..300).map(|n| layer(&format!("layer {n} "))).collect();
    let names: Vec<String> = (0..300).map(|n| format!("{n}.tar")).collect();
    let config = config(&layers.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut archive = Archive::default();
    for n in 0..1000 {
        archive = archive.file(&format!("note {n}"), "small");
    }
    for (name, layer) in names.iter().zip(&layers) {
        archive = archive.file(name, layer);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let archive = archive.file("manifest.json", manifest("c", &["app:1"], &names)).file("c", config.bytes());
    let fixture = Fixture::new();
    load(&fixture, &archive.end()).unwrap();
    assert_eq!(blobs(&fixture), 302);
}

#[test]
fn documents_past_what_is_held_in_memory() {
    let large = |size: usize| [b"{}".to_vec(), vec![b' '; size]].concat();
    let mut archive = Archive::default();
    for n in 0..17 {
        archive = archive.file(&format!("{n}"), large((1 << 20) + n));
    }
    let archive =
        simple(Compression::Gzip).iter().fold(archive, |archive, (name, content)| archive.file(name, content));
    let fixture = Fixture::new();
    load(&fixture, &archive.end()).unwrap();
    assert_eq!(names(&fixture), ["app:1"]);
    assert!(fixture.is_whole());

    // An index may have 8 MiB.
    let (members, descriptor) = oci("one", Compression::Gzip);
    let root = [index(vec![descriptor]).bytes(), &*vec![b' '; 5 << 20]].concat();
    let fixture = Fixture::new();
    load(&fixture, &with_members(Archive::default().file("index.json", root), &members).end()).unwrap();
    assert!(fixture.is_whole());
}

#[cfg(unix)]
#[test]
fn archives_that_are_not_right_leave_nothing_behind() {
    for case in test_support::hostile::archives() {
        let fixture = Fixture::new();
        let options = match case.limit {
            None => LoadOptions::default(),
            Some(ArchiveLimit::Members(members)) => LoadOptions::default().with_members(members),
            Some(ArchiveLimit::NameBytes(bytes)) => LoadOptions::default().with_name_bytes(bytes),
            Some(ArchiveLimit::LayerBytes(bytes)) => LoadOptions::default().with_layer_bytes(Some(bytes)),
            Some(ArchiveLimit::TotalBytes(bytes)) => LoadOptions::default().with_total_bytes(Some(bytes)),
        };
        let start = thread_time();
        let error = fixture.layout.load(&*case.archive, &options, &Ctx::default()).expect_err(case.name);
        assert!(thread_time() - start < Duration::from_secs(5), "{}: {:?}", case.name, thread_time() - start);
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        assert!(text.contains(case.refused), "{}: {text}", case.name);
        let is_limit = matches!(error, Error::Core(image_core::Error::LimitExceeded { .. }));
        assert!(error.is_corrupt() || is_limit, "{}: {text}", case.name);
        assert_untouched(&fixture, case.name);
    }
}

#[test]
fn an_uncompressed_layer_that_is_another_is_not_named() {
    let mut members = simple(Compression::None);
    members[2].1 = layer("other");
    let fixture = Fixture::new();
    let error = load(&fixture, &archive(&members)).unwrap_err();
    assert!(error.to_string().contains(&diff_id(&layer("other")).to_string()), "{error}");
    assert!(fixture.layout.roots().unwrap().is_empty());
}

#[test]
fn archives_that_end_early() {
    let whole = archive(&simple(Compression::None));
    // Up to the end of the last member, whose end marker may be missing.
    for length in (1..whole.len() - 1024).step_by(1021) {
        let fixture = Fixture::new();
        assert!(load(&fixture, &whole[..length]).unwrap_err().is_corrupt(), "{length}");
        assert_untouched(&fixture, "short");
    }
    load(&Fixture::new(), &whole[..whole.len() - 1024]).unwrap();
}

#[test]
fn an_image_layout_of_another_version_is_not_guessed_at() {
    let cases = [
        (&br#"{"imageLayoutVersion":"2.0.0"}"#[..], "image layout version \"2.0.0\" is not supported"),
        (b"{}", "it is not a JSON object with an imageLayoutVersion"),
    ];
    for (marker, reason) in cases {
        let (members, descriptor) = oci("one", Compression::Gzip);
        let root = index(vec![descriptor]);
        let archive = Archive::default().file("./oci-layout", marker).file("./index.json", root.bytes());
        let fixture = Fixture::new();
        let error = load(&fixture, &with_members(archive, &members).end()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_untouched(&fixture, reason);
    }
}

#[test]
fn oci_archives_that_lie() {
    let (members, descriptor) = oci("one", Compression::Gzip);
    let with = |position: usize, content: &[u8], root: &Descriptor| {
        let mut members = members.clone();
        members[position].1 = content.to_vec();
        let root = index(vec![root.clone()]);
        with_members(Archive::default().file("index.json", root.bytes()), &members).end()
    };
    let same_size = |position: usize| vec![b'{'; members[position].1.len()];
    let mut longer = descriptor.clone();
    longer.size += 1;
    let cases = [
        with(0, &compress(&layer("other"), Compression::Gzip), &descriptor),
        with(1, &same_size(1), &descriptor),
        with(2, &same_size(2), &descriptor),
        with(2, b"{}", &descriptor),
        with(2, &members[2].1, &longer),
        with(2, &members[2].1, &Descriptor::new(MediaType::OciIndex, descriptor.digest.clone(), descriptor.size)),
        with(2, &members[2].1, &Descriptor::new(MediaType::OciIndex, Digest::sha256_of(b"absent"), 1)),
    ];
    for (position, archive) in cases.iter().enumerate() {
        let fixture = Fixture::new();
        let error = load(&fixture, archive).unwrap_err();
        assert!(error.is_corrupt(), "{position}: {error}");
        assert_untouched(&fixture, &format!("{position}"));
    }
}

#[test]
fn limits_of_ones_own() {
    let archive = archive(&simple(Compression::Gzip));
    let cases = [
        (LoadOptions::default().with_members(3), "limit of 3"),
        (LoadOptions::default().with_name_bytes(20), "limit of 20"),
        (LoadOptions::default().with_layer_bytes(Some(5000)), "limit of 5000"),
    ];
    for (options, reason) in cases {
        let fixture = Fixture::new();
        let error = fixture.layout.load(&*archive, &options, &Ctx::default()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_untouched(&fixture, reason);
    }
}

/// An archive of one small layer, and its config, that `images` are made of.
fn of_images(images: &serde_json::Value) -> Vec<u8> {
    let layer = layer("one");
    let archive = Archive::default().file("l.tar", &layer).file("c.json", config(&[&layer]).bytes());
    archive.file("manifest.json", images.to_string()).end()
}

#[test]
fn more_images_and_names_than_anybody_has_are_refused() {
    let check = |images: serde_json::Value, reason: &str| {
        let fixture = Fixture::new();
        let error = load(&fixture, &of_images(&images)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_untouched(&fixture, reason);
    };
    let image = |names: Vec<String>, number: usize| {
        // The same layer under names that look different.
        let prefix: String = (0..13).map(|bit| if number >> bit & 1 == 0 { "./" } else { ".//" }).collect();
        json!({"Config": "c.json", "RepoTags": names, "Layers": [format!("{prefix}l.tar")]})
    };
    check((0..4097).map(|number| image(Vec::new(), number)).collect(), "limit of 4096");
    let names = |from: usize, to: usize| (from..to).map(|number| format!("app:{number}")).collect::<Vec<_>>();
    check(json!([image(names(0, 10_001), 0)]), "limit of 10000");
    check(json!([image(names(0, 5000), 0), image(names(5000, 10_001), 1)]), "limit of 10000");

    // As many as that are taken.
    let fixture = Fixture::new();
    let loaded = load(&fixture, &of_images(&json!([image(names(0, 10_000), 0)]))).unwrap();
    assert_eq!((loaded.len(), fixture.layout.tags().unwrap().len()), (1, 10_000));
}

#[test]
fn what_links_lead_to_counts_as_names_do() {
    let target = "x".repeat(100_000);
    let link = |archive: Archive, number: usize| {
        archive.extended(b'x', &record("linkpath", &target)).other(&format!("link{number}"), b'2', "")
    };
    let archive = (0..30).fold(Archive::default(), link).end();
    let fixture = Fixture::new();
    let options = LoadOptions::default().with_name_bytes(2 << 20);
    let error = fixture.layout.load(&*archive, &options, &Ctx::default()).unwrap_err();
    assert!(error.to_string().contains("limit of 2097152"), "{error}");
}

/// A few bytes that decompress to many are decompressed once, however often an image names them.
#[test]
fn a_layer_that_is_named_often_is_read_once() {
    let plain = vec![0; 48 << 20];
    let packed = compress(&plain, Compression::Zstd);
    assert!(packed.len() < 4096, "it is held in memory");
    let diff_ids = vec![diff_id(&plain).to_string(); 2000];
    let config = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let manifest = json!([{"Config": "c.json", "Layers": vec!["l"; diff_ids.len()]}]);
    let archive = Archive::default().file("l", &packed).file("c.json", config.to_string());
    let fixture = Fixture::new();
    let loaded = load(&fixture, &archive.file("manifest.json", manifest.to_string()).end()).unwrap();
    let image = fixture.layout.image_at("it", &loaded[0].descriptor, None).unwrap();
    assert_eq!(image.layers().len(), 2000);
}

#[test]
fn diff_ids_of_another_algorithm_are_refused_as_such() {
    let layer = layer("one");
    let sha512 = {
        let any = format!("sha512:{}", "0".repeat(128));
        let mut hasher = Hasher::for_digest(&any.parse().unwrap()).unwrap();
        hasher.update(&layer);
        hasher.finish()
    };
    for compression in ALL {
        let config = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha512.to_string()]}});
        let archive = Archive::default().file("c.json", config.to_string()).file("l", compress(&layer, compression));
        let fixture = Fixture::new();
        let error = load(&fixture, &archive.file("manifest.json", manifest("c.json", &[], &["l"])).end()).unwrap_err();
        assert!(error.to_string().contains("in archives only those of sha256 are verified"), "{error}");
    }
}

#[test]
fn nested_indexes_become_blobs_after_what_they_hold() {
    let from = Fixture::new();
    let inner = from.index(vec![from.image_for("linux/arm64")]);
    let middle = from.index(vec![inner.clone()]);
    // The inner one is met before the one that holds it, and after it.
    for children in [vec![middle.clone(), inner.clone()], vec![inner, middle]] {
        let root = from.index(children);
        let mut archive = Archive::default().file("index.json", index(vec![root.clone()]).bytes());
        let copied = MemoryBlobStore::default();
        copy(from.layout.blobs(), &copied, &root, &CopyOptions::default(), &Ctx::default()).unwrap();
        for digest in crate::copy::blobs(&copied) {
            let name = format!("blobs/sha256/{}", digest.encoded());
            archive = archive.file(&name, copied.require(&digest).unwrap().map().unwrap());
        }
        let archive = archive.end();
        for left in 0.. {
            let to = crate::copy::Failing::after(left);
            let result = image_layout::archive::load(&*archive, &to, &LoadOptions::default(), &Ctx::default());
            assert!(crate::copy::is_closed(to.inner()), "after {left} blobs");
            if result.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn it_stops_when_asked() {
    let cancel = CancelToken::default();
    cancel.cancel();
    let fixture = Fixture::new();
    let archive = archive(&simple(Compression::Gzip));
    let error = fixture.layout.load(&*archive, &LoadOptions::default(), &Ctx::default().with_cancel(cancel));
    assert!(error.unwrap_err().is_cancelled());
    assert_untouched(&fixture, "cancelled");
    assert_eq!(fixture.layout.blobs().stat(&Digest::sha256_of(b"")).unwrap(), None);
}

/// An archive of any length: what it begins with, then zeros without end, until somebody has cancelled.
struct Endless<'a> {
    beginning: &'a [u8],
    given: usize,
    cancel: &'a CancelToken,
}

impl Read for Endless<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        const BEFORE: usize = 1 << 20;
        const MOST: usize = 4 << 20;
        if !self.beginning.is_empty() {
            return self.beginning.read(buf);
        }
        buf.fill(0);
        self.given += buf.len();
        if self.given > BEFORE {
            self.cancel.cancel();
        }
        assert!(self.given < MOST, "it goes on reading when cancelled");
        Ok(buf.len())
    }
}

#[test]
fn what_nobody_needs_is_not_read_for_ever() {
    let huge = |name: &str| Archive::default().lying(name, (1 << 33) - 1).end();
    let cases = [
        ("a member that leads out of the archive", huge("../huge")),
        ("a member that may be a layer", huge("huge")),
        ("what follows the end of the archive", archive(&simple(Compression::Gzip))),
    ];
    for (case, beginning) in cases {
        let fixture = Fixture::new();
        let cancel = CancelToken::default();
        let endless = Endless { beginning: &beginning, given: 0, cancel: &cancel };
        let ctx = Ctx::default().with_cancel(cancel.clone());
        let error = fixture.layout.load(endless, &LoadOptions::default(), &ctx).unwrap_err();
        assert!(error.is_cancelled(), "{case}: {error}");
        assert_untouched(&fixture, case);

        let options = LoadOptions::default().with_total_bytes(Some(500_000));
        let endless = Endless { beginning: &beginning, given: 0, cancel: &cancel };
        let error = fixture.layout.load(endless, &options, &Ctx::default()).unwrap_err();
        assert!(error.to_string().contains("limit of 500000"), "{case}: {error}");
        assert_untouched(&fixture, case);
    }
}

/// As many images as an archive may have, all with one configuration as large as one may be.
#[test]
fn a_document_that_is_named_often_is_not_read_for_ever() {
    let layer = layer("one");
    let plain = config(&[&layer]);
    let large = [plain.bytes(), &*vec![b' '; (4 << 20) - plain.bytes().len()]].concat();
    let image = |number: usize| {
        // The same layer under names that look different.
        let prefix: String = (0..13).map(|bit| if number >> bit & 1 == 0 { "./" } else { ".//" }).collect();
        json!({"Config": "c.json", "Layers": [format!("{prefix}l.tar")]})
    };
    let of = |count: usize| {
        let images: serde_json::Value = (0..count).map(image).collect();
        let archive = Archive::default().file("l.tar", &layer).file("c.json", &large);
        archive.file("manifest.json", images.to_string()).end()
    };
    let fixture = Fixture::new();
    assert_eq!(load(&fixture, &of(50)).unwrap().len(), 50);
    let fixture = Fixture::new();
    let error = load(&fixture, &of(4096)).unwrap_err();
    assert!(error.to_string().contains("limit of 268435456"), "{error}");
    assert_untouched(&fixture, "documents");
}

#[cfg(unix)]
#[test]
fn a_layer_is_on_the_disk_once() {
    let noise = |seed: u8| {
        let blocks = (0..700_u16).flat_map(|n| [seed, n.to_le_bytes()[0], n.to_le_bytes()[1]]).collect::<Vec<_>>();
        let content = blocks
            .chunks(3)
            .flat_map(|block| Digest::sha256_of(block).encoded().bytes().cycle().take(512).collect::<Vec<_>>());
        Archive::default().file("content", content.collect::<Vec<_>>()).end()
    };
    let layers = [noise(1), noise(2)];
    assert!(layers.iter().map(Vec::len).sum::<usize>() > 700 << 10);
    let config = config(&[&layers[0], &layers[1]]);
    let plain = Archive::default().files(&[("a", &layers[0]), ("b", &layers[1]), ("c", config.bytes())]);
    let plain = plain.file("manifest.json", manifest("c", &["app:1"], &["a", "b"])).end();
    for compression in ALL {
        let Some(disk) = SmallDisk::mount(1 << 20) else { return };
        let layout = OciLayout::create(disk.path().join("layout")).unwrap();
        layout.load(&*compress(&plain, compression), &LoadOptions::default(), &Ctx::default()).unwrap();
        assert_eq!(layout.tags().unwrap().len(), 1, "two copies would not have fitted");
    }
}
