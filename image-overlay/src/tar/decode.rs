//! From a header and what was said before it to what an entry is.

use std::borrow::Cow;

use image_core::Timestamp;

use super::{
    failure::Failure,
    header::{Fault, Header},
    pax::Extensions,
};
use crate::{
    entry::{EntryKind, Metadata},
    error::Error,
    path::{LayerPath, escape},
};

/// The longest target of a symbolic link that Linux takes, in bytes.
pub(super) const MAX_TARGET: usize = 4095;

/// The name that counts, of all that an archive may give.
pub(super) fn name<'a>(header: &'a Header, extensions: &mut Extensions) -> Cow<'a, [u8]> {
    match (extensions.take_path(), header.prefix()) {
        (Some(name), _) => name.into(),
        (None, b"") => header.name().into(),
        (None, prefix) => [prefix, b"/", header.name()].concat().into(),
    }
}

/// The path that a name stands for.
pub(super) fn path(name: &[u8]) -> Result<LayerPath, Failure> {
    LayerPath::parse(name).map_err(|error| match error {
        Error::InvalidPath { reason, .. } => reason.into(),
        other => other.into(),
    })
}

pub(super) fn metadata(header: &Header, extensions: &mut Extensions) -> Result<Metadata, Failure> {
    let id = |said: Option<u64>, stored: Result<u64, Fault>, fault: Fault| {
        let id = said.map_or(stored, Ok)?;
        u32::try_from(id).ok().filter(|id| *id <= Metadata::MAX_ID).ok_or(fault)
    };
    let uid = id(extensions.uid, header.uid(), "its uid is not a number from 0 to 4294967294")?;
    let gid = id(extensions.gid, header.gid(), "its gid is not a number from 0 to 4294967294")?;
    let mtime = match extensions.mtime {
        Some(mtime) => mtime,
        None => Timestamp::from_seconds(header.mtime()?),
    };
    let mut metadata = Metadata::new(header.mode()?).with_owner(uid, gid).with_mtime(mtime);
    metadata.xattrs = extensions.take_xattrs();
    Ok(metadata)
}

/// Whether the entry is a regular file. Before POSIX, a slash at the end of the name made it a directory.
pub(super) fn is_file(header: &Header, name: &[u8]) -> bool {
    match header.kind() {
        0 => !name.ends_with(b"/"),
        kind => matches!(kind, b'0' | b'7' | b'S'),
    }
}

/// The kind of an entry that is no regular file.
pub(super) fn kind(header: &Header, extensions: &mut Extensions) -> Result<EntryKind, Failure> {
    if !extensions.sparse.is_empty() {
        return Err("it is sparse and no regular file".into());
    }
    let mut target = || extensions.take_link_path().unwrap_or_else(|| header.link_name().to_vec());
    Ok(match header.kind() {
        b'1' => EntryKind::HardLink { target: hard_link_target(&target())? },
        b'2' => match target() {
            target if target.is_empty() => return Err("it is a symbolic link without a target".into()),
            target if target.len() > MAX_TARGET => {
                return Err(Failure::Limit("bytes of a symbolic link's target", MAX_TARGET as u64));
            }
            target => EntryKind::Symlink { target },
        },
        b'3' => header.device().map(|(major, minor)| EntryKind::CharDevice { major, minor })?,
        b'4' => header.device().map(|(major, minor)| EntryKind::BlockDevice { major, minor })?,
        0 | b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => return Err(Failure::Unsupported(format!("its type `{}`", escape(&[other])))),
    })
}

fn hard_link_target(name: &[u8]) -> Result<LayerPath, Failure> {
    match path(name) {
        Ok(target) if target.is_root() => Err("it is a hard link to nothing or to the root".into()),
        Err(Failure::Fault(reason)) => Err(Failure::Fault(format!("its target {}: {reason}", escape(name)).into())),
        result => result,
    }
}
