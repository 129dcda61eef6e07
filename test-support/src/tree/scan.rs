//! Reading a tree.

use std::{
    collections::BTreeMap,
    ffi::CStr,
    fmt,
    fs::{self, File, Metadata},
    io::Read,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
};

use rustix::{
    fs::{lgetxattr, llistxattr, major, minor},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::{Kind, Node, Tree, TreeOptions};

/// The label of a security module: the machine's, not the tree's.
const LABEL: &[u8] = b"security.selinux\0";

/// The most that the kernel lets an attribute's value, or a list of names, have.
const MAX_XATTR: usize = 64 << 10;

pub(super) fn scan(root: &Path, options: TreeOptions) -> Tree {
    let mut tree = Tree::default();
    let mut inodes = BTreeMap::<(u64, u64), Vec<Vec<u8>>>::new();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let full = full_path(root, &path);
        let meta = fs::symlink_metadata(&full).unwrap_or_else(|e| fail("stat", &full, &e));
        if meta.is_dir() {
            pending.extend(children(&full, &path));
        } else if meta.nlink() > 1 && !options.no_links {
            inodes.entry((meta.dev(), meta.ino())).or_default().push(path.clone());
        }
        if !(path.is_empty() && options.no_root) {
            tree.nodes.insert(path, node(&full, &meta, options));
        }
    }
    for paths in inodes.into_values().filter(|paths| paths.len() > 1) {
        let first = paths.iter().min().cloned();
        for path in &paths {
            if let Some(node) = tree.nodes.get_mut(path) {
                node.link.clone_from(&first);
            }
        }
    }
    tree
}

fn full_path(root: &Path, path: &[u8]) -> std::path::PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(std::ffi::OsStr::from_bytes(path)) }
}

fn children(full: &Path, path: &[u8]) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(full).unwrap_or_else(|e| fail("list", full, &e));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap_or_else(|e| fail("list", full, &e)).file_name();
    let below = |name: std::ffi::OsString| {
        let parent = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        [parent, name.into_vec()].concat()
    };
    entries.map(name).map(below).collect()
}

fn node(full: &Path, meta: &Metadata, options: TreeOptions) -> Node {
    let no_mtime = options.no_mtimes || (options.no_directory_mtimes && meta.is_dir());
    let nanos = if options.whole_seconds { 0 } else { meta.mtime_nsec() };
    Node {
        kind: kind(full, meta),
        mode: (!options.no_modes && !meta.is_symlink()).then_some(meta.mode() & 0o7777),
        owner: (!options.no_owners).then(|| (meta.uid(), meta.gid())),
        mtime: (!no_mtime).then(|| (meta.mtime(), nanos)),
        xattrs: (!options.no_xattrs).then(|| xattrs(full)),
        link: None,
    }
}

fn kind(full: &Path, meta: &Metadata) -> Kind {
    let file_type = meta.file_type();
    let (major, minor) = (major(meta.rdev()), minor(meta.rdev()));
    if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_file() {
        Kind::File { size: meta.len(), sha256: sha256(full) }
    } else if file_type.is_symlink() {
        let target = fs::read_link(full).unwrap_or_else(|e| fail("read the link", full, &e));
        Kind::Symlink { target: target.into_os_string().into_vec() }
    } else if file_type.is_char_device() {
        Kind::CharDevice { major, minor }
    } else if file_type.is_block_device() {
        Kind::BlockDevice { major, minor }
    } else if file_type.is_fifo() {
        Kind::Fifo
    } else {
        Kind::Socket
    }
}

fn sha256(full: &Path) -> String {
    let mut file = File::open(full).unwrap_or_else(|e| fail("open", full, &e));
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).unwrap_or_else(|e| fail("read", full, &e)) {
            0 => return hex::encode(hash.finalize()),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn xattrs(full: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut buffer = vec![0; MAX_XATTR];
    let length = match llistxattr(full, &mut buffer[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(e) => fail("list the xattrs of", full, &e),
    };
    if length == 0 {
        return BTreeMap::new();
    }
    let names = buffer[..length].to_vec();
    let value = |name: &[u8]| {
        let c_name = CStr::from_bytes_with_nul(name).unwrap_or_else(|e| fail("read the xattrs of", full, &e));
        let length = lgetxattr(full, c_name, &mut buffer[..]).unwrap_or_else(|e| fail("read an xattr of", full, &e));
        (c_name.to_bytes().to_vec(), buffer[..length].to_vec())
    };
    names.split_inclusive(|b| *b == 0).filter(|name| *name != LABEL).map(value).collect()
}

fn fail(action: &str, path: &Path, error: &dyn fmt::Display) -> ! {
    #[expect(clippy::panic, reason = "a tree that cannot be read fails the test")]
    {
        panic!("cannot {action} {}: {error}", path.display())
    }
}
