//! The layers below the one being applied, as one tree. They are read and never written.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::FileType,
    io::{Errno, Result},
};

use crate::{
    overlayfs::{OPAQUE, OverlayXattrs, is_whiteout},
    root::{Root, Status, get_xattr, open_dir},
};

/// A directory of the lower layers: its forms in those that have it and whose form counts, the topmost first.
#[derive(Debug, Default)]
pub(super) struct LowerDir<'a> {
    forms: Vec<Form<'a>>,
}

#[derive(Debug)]
struct Form<'a> {
    /// Which layer has it; the base layer is 0.
    layer: usize,
    handle: Handle<'a>,
}

#[derive(Debug)]
enum Handle<'a> {
    Root(&'a Root),
    Dir(OwnedFd),
}

impl AsFd for Form<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.handle {
            Handle::Root(root) => root.as_fd(),
            Handle::Dir(fd) => fd.as_fd(),
        }
    }
}

/// What lower layers have at a name.
#[derive(Debug)]
pub(super) enum Lower<'a> {
    Nothing,
    Directory(LowerDir<'a>),
    /// Anything else; it is in this form of the directory.
    Other {
        form: usize,
        status: Status,
    },
}

impl<'a> LowerDir<'a> {
    /// The root of these layers, base layer first.
    pub(super) fn root(layers: &'a [Root]) -> Self {
        let form = |(layer, root)| Form { layer, handle: Handle::Root(root) };
        Self { forms: layers.iter().enumerate().map(form).rev().collect() }
    }

    /// Whether no layer has it.
    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The directory that decides over its attributes, and over what is in this form.
    pub(super) fn form(&self, index: usize) -> Result<BorrowedFd<'_>> {
        self.forms.get(index).map(AsFd::as_fd).ok_or(Errno::STALE)
    }

    /// Which layer has this form; the base layer is 0.
    pub(super) fn layer(&self, form: usize) -> Result<usize> {
        self.forms.get(form).map(|form| form.layer).ok_or(Errno::STALE)
    }

    /// What is at a name: that of the topmost layer which has it, merged with those below as long as all are directories.
    pub(super) fn look(&self, name: &[u8], xattrs: OverlayXattrs) -> Result<Lower<'a>> {
        let mut forms = Vec::new();
        for (index, form) in self.forms.iter().enumerate() {
            let dir = form.as_fd();
            let Some(status) = Status::at(dir, name)? else { continue };
            if status.kind != FileType::Directory {
                if forms.is_empty() && !is_whiteout(&status) {
                    return Ok(Lower::Other { form: index, status });
                }
                break;
            }
            forms.push(Form { layer: form.layer, handle: Handle::Dir(open_dir(dir, name)?) });
            if is_opaque(dir, name, xattrs)? {
                break;
            }
        }
        Ok(if forms.is_empty() { Lower::Nothing } else { Lower::Directory(Self { forms }) })
    }

    /// Whether there is a directory at a name.
    pub(super) fn has_directory(&self, name: &[u8], xattrs: OverlayXattrs) -> Result<bool> {
        Ok(matches!(self.look(name, xattrs)?, Lower::Directory(_)))
    }
}

/// Whether the directory with this name hides those below it.
pub(super) fn is_opaque(dir: BorrowedFd<'_>, name: &[u8], xattrs: OverlayXattrs) -> Result<bool> {
    let mut value = [0; 2];
    match get_xattr(dir, name, xattrs.opaque(), &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(OPAQUE)),
        // A value of another length is no command.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(other) => Err(other),
    }
}
