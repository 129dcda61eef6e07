//! The files of layers and of contexts.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
};

use image_core::{BlobStore, Ctx, Timestamp};
use image_overlay::{Entry, EntryKind, LayerPath, LayerWriter, Metadata, PackOptions, PackedLayer, TarWriter};

use crate::{
    Result,
    numbers::{Numbers, content},
};

/// A layer's entries with their content, in canonical order.
pub type Files = Vec<(Entry, Vec<u8>)>;

/// How many directories are in one package.
const PACKAGE: u32 = 16;

fn metadata(mode: u32) -> Metadata {
    Metadata::new(mode).with_mtime(Timestamp::from_seconds(1_700_000_000))
}

/// The directory of a package.
pub(crate) fn package(seed: u64, number: u32) -> Result<LayerPath> {
    Ok(LayerPath::parse(format!("pkg{seed:03}-{number:03}").as_bytes())?)
}

/// Packages of directories, of sixteen files and a link each.
///
/// # Errors
/// None: the paths are short.
pub fn files(seed: u64, directories: u32) -> Result<Files> {
    let mut numbers = Numbers::of_seed(seed);
    let mut files = Vec::new();
    for number in 0..directories {
        let above = package(seed, number / PACKAGE)?;
        if number.is_multiple_of(PACKAGE) {
            files.push((Entry::new(above.clone(), EntryKind::Directory, metadata(0o755)), Vec::new()));
        }
        directory(&above.join(format!("dir{:02}", number % PACKAGE).as_bytes())?, &mut numbers, &mut files)?;
    }
    Ok(files)
}

/// The first directory of a package again, with other content.
pub(crate) fn replaced(seed: u64, number: u32, numbers: &mut Numbers) -> Result<Files> {
    let above = package(seed, number)?;
    let mut files = vec![(Entry::new(above.clone(), EntryKind::Directory, metadata(0o755)), Vec::new())];
    directory(&above.join(b"dir00")?, numbers, &mut files)?;
    Ok(files)
}

fn directory(path: &LayerPath, numbers: &mut Numbers, files: &mut Files) -> Result<()> {
    files.push((Entry::new(path.clone(), EntryKind::Directory, metadata(0o755)), Vec::new()));
    for number in 0..16 {
        let size = numbers.size();
        let content = content(numbers, size);
        let kind = EntryKind::File { size: content.len() as u64 };
        let path = path.join(format!("file{number:02}").as_bytes())?;
        files.push((Entry::new(path, kind, metadata(0o644)), content));
    }
    let link = EntryKind::Symlink { target: b"file00".to_vec() };
    files.push((Entry::new(path.join(b"link")?, link, metadata(0o777)), Vec::new()));
    Ok(())
}

/// So many files of a few bytes each, a hundred in a directory: for what counts files.
///
/// # Errors
/// None: the paths are short.
pub fn few(count: u32) -> Result<Files> {
    let mut files = Vec::new();
    for number in 0..count {
        let directory = LayerPath::parse(format!("dir{:05}", number / 100).as_bytes())?;
        if number.is_multiple_of(100) {
            files.push((Entry::new(directory.clone(), EntryKind::Directory, metadata(0o755)), Vec::new()));
        }
        let content = format!("content of {number}\n").into_bytes();
        let kind = EntryKind::File { size: content.len() as u64 };
        let path = directory.join(format!("file{:02}", number % 100).as_bytes())?;
        files.push((Entry::new(path, kind, metadata(0o644)), content));
    }
    Ok(files)
}

/// The size of all files, in bytes.
#[must_use]
pub fn total(files: &Files) -> u64 {
    files.iter().map(|(_, content)| content.len() as u64).sum()
}

/// The files as a plain tar.
///
/// # Errors
/// Those of the writer.
pub fn tar(files: &Files) -> Result<Vec<u8>> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, content) in files {
        writer.append(entry, &mut content.as_slice())?;
    }
    Ok(writer.finish()?)
}

/// The files as a layer in a store.
///
/// # Errors
/// Those of the writer.
pub fn pack(files: &Files, store: &dyn BlobStore, options: PackOptions, ctx: &Ctx) -> Result<PackedLayer> {
    let mut writer = LayerWriter::new(store, options)?;
    for (entry, content) in files {
        writer.append(entry.clone(), &mut content.as_slice(), ctx)?;
    }
    Ok(writer.finish()?)
}

/// Writes the files below a directory.
///
/// # Errors
/// The system's.
pub fn write_to(directory: &Path, files: &Files) -> Result<()> {
    for (entry, content) in files {
        let path = directory.join(OsStr::from_bytes(entry.path.as_bytes()));
        match &entry.kind {
            EntryKind::Directory => fs::create_dir_all(&path)?,
            EntryKind::Symlink { target } => symlink(std::str::from_utf8(target)?, &path)?,
            _ => fs::write(&path, content)?,
        }
    }
    Ok(())
}
