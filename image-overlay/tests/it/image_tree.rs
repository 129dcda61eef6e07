//! The tree that is merged of layers' tables of contents, against the one that applying the layers makes.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    sync::Arc,
};

use image_core::{
    Ctx, Descriptor, DiffId, Digest, MediaType, MemoryBlobStore,
    blob::BlobStoreExt,
    codec::{Compression, EncodeOptions, Encoder},
};
use image_overlay::{Contents, EntryKind, ImageTree, LayerBlob, LayerContent, LayerPath, LayerToc, Limits, NodeRef};
use proptest::{collection::vec, prelude::*, sample::select};
use test_support::{
    Tree, require_root, temp_dir,
    tree::{Kind, Node},
};

use super::{
    layers::{Item, char_device, dir, fifo, file, hard_link, layer, symlink, with},
    on_disk::{Sandbox, causes},
    raw_tar::{Raw, archive, padded, pax},
};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

const ODD: [&str; 10] =
    [".", "/", "..", "../b", "../../c", "missing/../a", "a/../b", "a/.wh.x", "b/../../../c/d", "./e/."];

fn arb_path() -> impl Strategy<Value = String> {
    vec(select(&NAMES[..]), 1..4).prop_map(|names| names.join("/"))
}

/// Targets of links: to what is there and what is not, up and down, in circles, and to names that nothing may have.
fn arb_target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => arb_path(),
        2 => arb_path().prop_map(|path| format!("/{path}")),
        4 => select(&ODD[..]).prop_map(str::to_owned),
        1 => Just(format!("a/{}", "n".repeat(300))),
    ]
}

/// Any entry at any path: layers that no tool makes among them.
fn arb_item() -> impl Strategy<Value = Item> {
    let attributes = (select(&[0o755, 0o4711, 0o1777, 0][..]), 0..3_u32, 0..3_u32, -1..4_i64, any::<bool>());
    let plain = prop_oneof![
        4 => arb_path().prop_map(dir),
        4 => (arb_path(), "[xy]{0,2}").prop_map(|(path, content)| file(path, &content)),
        1 => arb_path().prop_map(fifo),
        1 => arb_path().prop_map(|path| char_device(path, 1, 3)),
        1 => Just(dir(".")),
        4 => (arb_path(), arb_target()).prop_map(|(path, target)| symlink(path, &target)),
        3 => (arb_path(), arb_path()).prop_map(|(path, target)| hard_link(path, &target)),
    ];
    let plain = (plain, attributes).prop_map(|(item, (mode, uid, gid, seconds, has_xattr))| {
        with(item, |metadata| {
            *metadata = image_overlay::Metadata::new(mode)
                .with_owner(uid, gid)
                .with_mtime(image_core::Timestamp::new(seconds, 500).unwrap());
            if has_xattr {
                *metadata = metadata.clone().with_xattr("trusted.x", "v").with_xattr("trusted.overlay.opaque", "y");
            }
        })
    });
    let whiteout = |path: String| match path.rsplit_once('/') {
        Some((parent, last)) => format!("{parent}/.wh.{last}"),
        None => format!(".wh.{path}"),
    };
    prop_oneof![
        12 => plain,
        4 => arb_path().prop_map(move |path| file(whiteout(path), "")),
        2 => prop_oneof![Just(".".to_owned()), arb_path()].prop_map(|path| file(format!("{path}/.wh..wh..opq"), "")),
        1 => arb_path().prop_map(|path| dir(format!("{path}/.wh..wh.plnk"))),
    ]
}

/// A layer's blob, compressed or not, whatever its media type says.
fn blob(store: &MemoryBlobStore, tar: &[u8], compression: Compression, media_type: MediaType) -> LayerBlob {
    let mut encoder = Encoder::new(Vec::new(), &EncodeOptions::new(compression)).unwrap();
    encoder.write_all(tar).unwrap();
    let committed = store.put_bytes(&encoder.finish().unwrap()).unwrap();
    let descriptor = Descriptor::new(media_type, committed.digest, committed.size);
    LayerBlob::new(Arc::new(store.clone()), descriptor, DiffId::from_digest(Digest::sha256_of(tar)))
}

fn read(contents: &Contents<'_>, file: &LayerContent) -> Vec<u8> {
    let mut bytes = Vec::new();
    contents.open(file).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// All of a merged tree, a line for each name.
fn merged(tree: &ImageTree, layers: &[LayerBlob]) -> Vec<String> {
    let wanted = tree.walk(tree.root()).filter_map(NodeRef::content);
    let scratch = temp_dir();
    let contents = Contents::fetch(layers, wanted, scratch.path(), &Ctx::default()).unwrap();
    let mut groups = BTreeMap::<_, Vec<Vec<u8>>>::new();
    for node in tree.walk(tree.root()).filter(|node| !node.is_directory()) {
        groups.entry(node.inode_id()).or_default().push(node.path().as_bytes().to_vec());
    }
    let line = |node: NodeRef<'_, LayerContent>| {
        let kind = match node.kind() {
            EntryKind::File { size } => {
                let bytes = node.content().map(|content| read(&contents, content)).unwrap();
                format!("file of {size} bytes, sha256 {}", Digest::sha256_of(&bytes).encoded())
            }
            EntryKind::Directory => Kind::Directory.to_string(),
            EntryKind::Fifo => Kind::Fifo.to_string(),
            EntryKind::Symlink { target } => format!("link to {}", target.escape_ascii()),
            EntryKind::CharDevice { major, minor } => format!("character device {major}:{minor}"),
            EntryKind::BlockDevice { major, minor } => format!("block device {major}:{minor}"),
            EntryKind::HardLink { .. } => panic!("no node is a hard link"),
        };
        let metadata = node.metadata();
        let mode = (!matches!(node.kind(), EntryKind::Symlink { .. })).then_some(metadata.mode);
        let mut xattrs = metadata.xattrs.clone();
        xattrs.remove(&b"trusted.overlay.opaque"[..]);
        let link = groups.get(&node.inode_id()).filter(|names| names.len() > 1).and_then(|names| names.iter().min());
        let path = node.path();
        let mtime = (metadata.mtime.seconds(), i64::from(metadata.mtime.nanoseconds()));
        let owner = (metadata.uid, metadata.gid);
        format!(
            "{:?} {kind} {:?} {:?} {:?} {:?} {:?}",
            path.as_bytes(),
            mode,
            Some(owner),
            Some(mtime),
            Some(xattrs),
            link
        )
    };
    let mut lines: Vec<_> = tree.walk(tree.root()).map(line).collect();
    lines.sort();
    lines
}

/// All of a tree on disk, as [`merged`] shows it.
fn applied(sandbox: &Sandbox) -> Vec<String> {
    let tree = Tree::scan(&sandbox.target());
    let line = |(path, node): (&[u8], &Node)| {
        let Node { kind, mode, owner, mtime, xattrs, link, .. } = node;
        format!("{path:?} {kind} {mode:?} {owner:?} {mtime:?} {xattrs:?} {:?}", link.as_ref())
    };
    let mut lines: Vec<_> = tree.nodes().map(line).collect();
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn merging_agrees_with_applying(layers in vec(vec(arb_item(), 0..8), 1..4), forms in vec(0..4_usize, 4)) {
        if !require_root() {
            return Ok(());
        }
        let sandbox = Sandbox::new();
        let store = MemoryBlobStore::default();
        let mut tree = ImageTree::new();
        let mut blobs = Vec::new();
        for (position, mut items) in layers.into_iter().enumerate() {
            if position == 0 {
                items.insert(0, dir("."));
            }
            let tar = layer(&items);
            let (compression, media_type) = [
                (Compression::None, MediaType::OciLayer),
                (Compression::Gzip, MediaType::OciLayerGzip),
                (Compression::Gzip, MediaType::OciLayer),
                (Compression::None, MediaType::OciLayerGzip),
            ][forms[position]].clone();
            blobs.push(blob(&store, &tar, compression, media_type));
            let toc = blobs[position].toc(&Limits::default(), &Ctx::default()).unwrap();
            let pushed = tree.push(position, &toc).map_err(|error| causes(&error));
            let on_disk = sandbox.apply_tar(&tar);
            let shown: Vec<_> = items.iter().map(|(entry, _)| format!("{:?} {:?}", entry.path, entry.kind)).collect();
            prop_assert_eq!(pushed.is_ok(), on_disk.is_ok(), "{:?} {:?} {:#?}", pushed, on_disk, shown);
            if on_disk.is_err() {
                return Ok(());
            }
            prop_assert_eq!(merged(&tree, &blobs), applied(&sandbox), "layer {:#?}", shown);
        }
    }
}

#[test]
fn a_file_of_a_layer_that_is_not_what_its_media_type_says_is_read_right() {
    let store = MemoryBlobStore::default();
    let tar = layer(&[file("a", "content")]);
    for (compression, media_type) in
        [(Compression::Gzip, MediaType::OciLayer), (Compression::None, MediaType::OciLayerGzip)]
    {
        let layers = [blob(&store, &tar, compression, media_type)];
        let toc = layers[0].toc(&Limits::default(), &Ctx::default()).unwrap();
        let tree = ImageTree::of_layers([&toc]).unwrap();
        let file = tree.get(&LayerPath::parse(b"a").unwrap()).unwrap().content().unwrap();
        let scratch = temp_dir();
        let contents = Contents::fetch(&layers, [file], scratch.path(), &Ctx::default()).unwrap();
        assert_eq!(read(&contents, file), b"content");
    }
}

#[test]
fn a_file_that_is_not_what_the_table_says_is_refused_at_its_end() {
    let store = MemoryBlobStore::default();
    let toc = LayerToc::read(&layer(&[file("a", "content")])[..], &Limits::default(), &Ctx::default()).unwrap();
    let tree = ImageTree::of_layers([&toc]).unwrap();
    let file = tree.get(&LayerPath::parse(b"a").unwrap()).unwrap().content().unwrap();
    // Another blob, which claims the same diffID.
    let other = layer(&[super::layers::file("a", "CONTENT")]);
    for compression in [Compression::None, Compression::Gzip] {
        let layers = [blob(&store, &other, compression, MediaType::OciLayer)];
        let scratch = temp_dir();
        let contents = Contents::fetch(&layers, [file], scratch.path(), &Ctx::default()).unwrap();
        let error = contents.open(file).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        let error = image_overlay::Error::stream("read", error);
        assert!(error.is_corrupt(), "{error:?}");
        assert!(causes(&error).contains(&layers[0].descriptor.digest.to_string()), "{error}");
    }
}

#[test]
fn a_sparse_file_is_read_with_its_holes() {
    let records = pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.numblocks", b"2"), ("GNU.sparse.map", b"1,2,5,1")]);
    let tar = archive(&[[records, Raw::new(b'0', b"s", 3).block(), padded(b"abc")].concat()]);
    let store = MemoryBlobStore::default();
    for compression in [Compression::None, Compression::Gzip] {
        let layers = [blob(&store, &tar, compression, MediaType::OciLayer)];
        let tree = ImageTree::of_layers([&layers[0].toc(&Limits::default(), &Ctx::default()).unwrap()]).unwrap();
        let file = tree.get(&LayerPath::parse(b"s").unwrap()).unwrap().content().unwrap();
        let scratch = temp_dir();
        let contents = Contents::fetch(&layers, [file], scratch.path(), &Ctx::default()).unwrap();
        assert_eq!(read(&contents, file), b"\0ab\0\0c\0\0\0");
    }
}

#[test]
fn a_layer_with_a_sha512_diff_id_is_read() {
    let store = MemoryBlobStore::default();
    let tar = layer(&[file("a", "content")]);
    let mut hasher =
        image_core::hasher::Hasher::for_digest(&format!("sha512:{}", "0".repeat(128)).parse().unwrap()).unwrap();
    hasher.update(&tar);
    let mut layer = blob(&store, &tar, Compression::None, MediaType::OciLayer);
    layer.diff_id = DiffId::from_digest(hasher.finish());
    assert_eq!(layer.toc(&Limits::default(), &Ctx::default()).unwrap().len(), 1);
}

#[test]
fn a_table_that_would_take_too_much_memory_is_refused_by_its_entry() {
    let mut large = file("large", "");
    large = with(large, |metadata| *metadata = metadata.clone().with_xattr("user.large", vec![1; 60_000]));
    let tar = layer(&[file("small", ""), large]);
    let limits = Limits::default().with_toc_bytes(50_000);
    let error = LayerToc::read(&tar[..], &limits, &Ctx::default()).unwrap_err();
    assert!(error.to_string().contains("large") && error.to_string().contains("50000"), "{error}");
    assert!(LayerToc::read(&tar[..], &limits.with_toc_bytes(70_000), &Ctx::default()).is_ok());
}
