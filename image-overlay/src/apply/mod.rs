//! Applying one layer to a root file system, as a plain tree or as a layer of overlayfs.
//!
//! - `place`: one entry: parents, what stands in the way, the node itself.
//! - `hard_link`: another name of a file.
//! - `fill`: a file's content, written on a thread of its own.
//! - `attributes`: its owner, mode and extended attributes.
//! - `hide`: whiteouts, and the rule of what they hide.
//! - `brought`: what this layer brought, which whiteouts spare.
//! - `dirs`: the directories that are being worked in, and their times.
//! - `overlay`: what is different where the lower layers are kept apart, for overlayfs to merge.
//! - `beneath`: one entry where the upper layers are there already; `veil`: what these hide.
//! - `keys`: names and paths in few bytes, for `brought` and `veil`.

mod attributes;
mod beneath;
mod brought;
mod dirs;
mod fault;
mod fill;
mod hard_link;
mod hide;
mod keys;
mod options;
mod overlay;
mod place;
mod veil;

use std::{io::Read, os::fd::AsFd};

use image_core::{
    Ctx, Timestamp,
    observer::{NoticeKind, Outcome, Task, TaskKind},
};

pub use self::options::{ApplyOptions, DevicePolicy, DirLinks, Ownership, PathFilter, Strictness, XattrPolicy};
pub(crate) use self::veil::Veil;
use self::{
    brought::{Brought, Form, Origin},
    dirs::Dirs,
    fault::{Doing, Fault},
    fill::Filler,
    overlay::Overlay,
};
use crate::{
    entry::Entry,
    error::{Error, Result},
    oddity::Oddity,
    path::LayerPath,
    root::{Node, Root, Status, chmod, chown, is_empty_dir, own, remove_xattr, set_mtime},
    tar::{TarEntry, TarReader},
    whiteout::Whiteout,
};

/// The time of a directory that no layer names.
const IMPLIED_MTIME: Timestamp = Timestamp::UNIX_EPOCH;
/// The mode of a directory that no layer names.
const IMPLIED_MODE: u32 = 0o755;
/// How many bytes are written between two looks at the cancel token.
const STRIDE: u64 = 1 << 20;
/// How many entries are told to the observer at once.
const BATCH: u64 = 256;

/// What a layer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Entries, markers among them.
    pub entries: u64,
    /// Bytes of files' content, without holes.
    pub content_bytes: u64,
    /// Bytes that count against [`Limits::image_bytes`](crate::Limits::image_bytes): of the stream, or of the files with
    /// their holes, whichever are more.
    pub counted_bytes: u64,
}

/// Applies one layer, a plain tar stream, to a root file system, and reads the stream to its end.
///
/// Entries are laid over what is there; whiteouts take away what was there before this layer, wherever in
/// the stream they stand. A directory over a directory keeps what is in it and gets the entry's
/// attributes; anything else replaces what is there. Missing parents are made with mode 0755, of root, at
/// time 0; a parent that is a symbolic link is followed inside the root, and one that is a file makes
/// way for a directory. Where a path stands twice in the layer, the later entry wins, with a notice.
///
/// Attributes are set to the letter: the umask, set-group-id directories and default access lists of
/// directories have no part in them. Directories that gain or lose children keep their time unless
/// the layer has an entry for them.
///
/// Memory grows with the directories that the layer changes, and by some twenty bytes with each entry that it lays into a
/// directory of a lower layer, which a marker further on must spare; not with what the base layer has.
///
/// Nothing is ever written, read or linked outside `root`. On an error the layer is applied in part.
///
/// # Errors
/// [`Error::is_corrupt`] for a layer that breaks a rule of its format or of its meaning,
/// [`Error::Entry`] where the system refuses something, both naming the entry;
/// [`Error::is_cancelled`]; errors of `layer`.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Applying Changesets and § Whiteouts.
pub fn apply_layer(layer: impl Read, root: &Root, options: &ApplyOptions, ctx: &Ctx) -> Result<Applied> {
    let task = ctx.begin(TaskKind::Extract, "layer", None);
    let applied = apply_stream(layer, Target::Plain(root), options, &mut Told::above(options), &task, ctx);
    let applied = applied.map_err(|stop| stop.error)?;
    task.end(Outcome::Done);
    Ok(applied)
}

/// Applies one layer, a plain tar stream, to an empty directory, in the form that overlayfs keeps on disk: as a
/// lowerdir or upperdir over `lowers`, base layer first, which are in the same form.
///
/// Mounted together, `lowers` and `upper` show the tree that [`apply_layer`] makes of the tree that `lowers` show. So the
/// entries are treated as they are there, hard links to files of lower layers and paths through links of lower layers
/// among them; what they depend on is copied to `upper`. `lowers` are read and never written; they must not
/// change meanwhile, and must have been written without `redirect_dir` and `metacopy`.
///
/// Extended attributes of the layer that overlayfs would obey are kept under names that it does not, as overlayfs itself
/// does, with a notice.
///
/// # Errors
/// As [`apply_layer`]; besides, a character device 0:0 in the layer is refused, since it would be a
/// whiteout, and so is an `upper` that is not empty, [`Error::Destination`].
///
/// # Spec
/// Linux, Documentation/filesystems/overlayfs.rst, § whiteouts and opaque directories, § Nesting overlayfs mounts.
pub fn apply_overlay_layer(
    layer: impl Read,
    upper: &Root,
    lowers: &[Root],
    options: &ApplyOptions,
    ctx: &Ctx,
) -> Result<Applied> {
    let task = ctx.begin(TaskKind::Extract, "layer", None);
    let target = Target::Overlay { upper, lowers };
    let applied = apply_stream(layer, target, options, &mut Told::above(options), &task, ctx);
    let applied = applied.map_err(|stop| stop.error)?;
    task.end(Outcome::Done);
    Ok(applied)
}

/// What a layer is applied to.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// A tree that has the lower layers in it.
    Plain(&'a Root),
    /// A tree that has the upper layers in it, which were applied like this one.
    Beneath { root: &'a Root, veil: &'a mut Veil },
    /// An empty directory, over lower layers in directories of their own.
    Overlay { upper: &'a Root, lowers: &'a [Root] },
}

/// What there is to know of the layers before: what the observer need not hear again, and how large they are.
#[derive(Debug, Default)]
pub(crate) struct Told {
    ownership: bool,
    xattrs: bool,
    /// Something was left out that hard links may name.
    left_out: bool,
    /// Bytes of the layers so far that count against the limits.
    pub(crate) bytes: u64,
}

impl Told {
    /// Nothing but what the caller says of the layers below.
    pub(crate) fn above(options: &ApplyOptions) -> Self {
        Self { bytes: options.bytes_below, ..Self::default() }
    }
}

/// Applies one layer as part of `task`. After an error the tree is of no use.
pub(crate) fn apply_stream(
    layer: impl Read,
    target: Target<'_>,
    options: &ApplyOptions,
    told: &mut Told,
    task: &Task<'_>,
    ctx: &Ctx,
) -> Result<Applied, Stop> {
    Applier::new(target, options, told, task, ctx)?.run(layer)
}

/// Why a layer was not applied to its end.
pub(crate) struct Stop {
    pub(crate) error: Error,
    /// Whether it cannot be applied below upper layers, but in their order.
    pub(crate) is_unordered: bool,
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self { error: error.into(), is_unordered: false }
    }
}

/// Gives the root the attributes that it has unless a layer says otherwise.
pub(crate) fn prepare_root(root: &Root, options: &ApplyOptions) -> Result<()> {
    let prepare = || {
        let node = Node::open(own(root)?)?;
        match &options.ownership {
            Ownership::AsIs => chown(&node, 0, 0)?,
            Ownership::Mapped(maps) => {
                let root = (maps.users.outside(0), maps.groups.outside(0));
                let (Some(uid), Some(gid)) = root else { return Err(rustix::io::Errno::OVERFLOW) };
                chown(&node, uid, gid)?;
            }
            Ownership::Current | Ownership::Recorded => {}
        }
        for acl in [&b"system.posix_acl_access"[..], b"system.posix_acl_default"] {
            remove_xattr(&node, acl)?;
        }
        chmod(&node, 0o755)?;
        set_mtime(&node, Timestamp::UNIX_EPOCH)
    };
    prepare().map_err(|e| Error::io("set the attributes of", "/", e.into()))
}

fn marker_of(path: &LayerPath) -> Result<Option<Whiteout>, Fault> {
    Whiteout::classify(path).map_err(|error| match error {
        Error::InvalidPath { reason, .. } => Fault::invalid(reason),
        other => other.into(),
    })
}

/// Applies the entries of one layer.
struct Applier<'a> {
    dirs: Dirs<'a>,
    brought: Brought,
    filler: Filler,
    /// What there is to know where the lower layers are kept apart.
    overlay: Option<Overlay<'a>>,
    /// What upper layers say, where they were applied before.
    veil: Option<&'a mut Veil>,
    options: &'a ApplyOptions,
    told: &'a mut Told,
    task: &'a Task<'a>,
    ctx: &'a Ctx,
    applied: Applied,
    /// What of `applied` the observer knows.
    reported: Applied,
}

impl<'a> Applier<'a> {
    fn new(
        target: Target<'a>,
        options: &'a ApplyOptions,
        told: &'a mut Told,
        task: &'a Task<'a>,
        ctx: &'a Ctx,
    ) -> Result<Self> {
        let failed = |e: rustix::io::Errno| Error::io("read", "/", e.into());
        let (root, form) = match &target {
            Target::Plain(root) | Target::Beneath { root, .. } => (*root, Form::Plain),
            Target::Overlay { upper, .. } => (*upper, Form::Overlay),
        };
        let is_empty = is_empty_dir(root.as_fd()).map_err(failed)?;
        let (overlay, veil, fresh) = match target {
            Target::Plain(_) => (None, None, is_empty),
            Target::Beneath { veil, .. } => (None, Some(veil), is_empty),
            Target::Overlay { .. } if !is_empty => {
                return Err(Error::Destination { path: "/".into(), reason: "it is not empty" });
            }
            Target::Overlay { upper, lowers } => {
                overlay::prepare_root(upper, lowers.last(), options)?;
                (Some(Overlay::new(upper, lowers, options)), None, lowers.is_empty())
            }
        };
        let mut brought = Brought::new(form);
        let id = Status::of(root).map_err(failed)?.id;
        brought.set_origin(id, Origin { fresh, ours: fresh, named: false });
        let dirs = Dirs::new(root, !options.ownership.is_given());
        let (applied, reported) = Default::default();
        let filler = Filler::default();
        Ok(Self { dirs, brought, filler, overlay, veil, options, told, task, ctx, applied, reported })
    }

    /// Applies the entries of a stream, and reads it to its end.
    fn run(mut self, layer: impl Read) -> Result<Applied, Stop> {
        let mut reader = TarReader::after(self.told.bytes, layer, &self.options.limits);
        while let Some(mut entry) = reader.next_entry()? {
            self.ctx.check()?;
            if let Err(fault) = self.apply(&mut entry) {
                let is_unordered = matches!(fault, Fault::Unordered);
                return Err(Stop { error: fault.of_entry(entry.number(), &entry.entry().path), is_unordered });
            }
        }
        reader.drain()?;
        self.told.bytes = self.told.bytes.saturating_add(reader.bytes());
        Ok(Applied { counted_bytes: reader.bytes(), ..self.finish()? })
    }

    fn apply<R: Read>(&mut self, entry: &mut TarEntry<'_, R>) -> Result<(), Fault> {
        let Entry { path, kind, .. } = entry.entry();
        let marker = marker_of(path)?;
        if !self.passes(marker.as_ref().and_then(Whiteout::subject).unwrap_or(path)) {
            self.told.left_out = true;
            self.notice(NoticeKind::Skipped, path, "the filter leaves it out");
        } else if let Some(marker) = marker {
            if let Some(oddity) = marker.oddity(kind) {
                self.odd(oddity, path)?;
            }
            if self.veil.is_some() { self.hide_beneath(&marker)? } else { self.hide(&marker)? }
        } else if self.veil.is_some() {
            self.place_beneath(entry)?;
        } else {
            self.place(entry)?;
        }
        self.applied.entries += 1;
        if self.applied.entries - self.reported.entries >= BATCH {
            self.report();
        }
        Ok(())
    }

    /// Closes what is open, with the attributes that it should have.
    fn finish(mut self) -> Result<Applied> {
        self.filler.finish()?;
        let restored = self.bring_up_names().doing("link what lower layers have");
        restored.map_err(|fault| fault.of_entry(self.applied.entries, &LayerPath::root()))?;
        self.dirs.close_but(None).map_err(|e| Error::io("restore the time of a directory in", "/", e.into()))?;
        self.report();
        Ok(self.applied)
    }

    /// Counts content that was written, and looks at the cancel token now and then.
    fn wrote(&mut self, bytes: usize) -> Result<(), Fault> {
        self.applied.content_bytes += bytes as u64;
        if self.applied.content_bytes - self.reported.content_bytes >= STRIDE {
            self.report();
            self.ctx.check()?;
        }
        Ok(())
    }

    fn report(&mut self) {
        let bytes = self.applied.content_bytes - self.reported.content_bytes;
        self.task.advance(bytes, self.applied.entries - self.reported.entries);
        self.reported = self.applied;
    }

    fn passes(&self, path: &LayerPath) -> bool {
        self.options.filter.as_ref().is_none_or(|filter| filter.passes(path))
    }

    /// Tells of what is odd, or fails for it.
    fn odd(&self, oddity: Oddity, path: &LayerPath) -> Result<(), Fault> {
        if self.veil.is_some() {
            return Err(Fault::Unordered);
        }
        if self.options.strictness == Strictness::Strict {
            return Err(Fault::Odd(oddity));
        }
        self.notice(oddity.notice_kind(), path, &oddity.to_string());
        Ok(())
    }

    fn notice(&self, kind: NoticeKind, path: &LayerPath, message: &str) {
        self.ctx.notice(kind, &path.to_string(), message);
    }
}
