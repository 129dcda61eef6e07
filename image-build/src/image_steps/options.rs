//! What a program chooses about a COPY or ADD.

use crate::dockerfile::{AddFlags, CopyFlags};

use super::line::Words;

/// What [`ImageSteps::copy_with`](super::ImageSteps::copy_with) and
/// [`ImageSteps::file_with`](super::ImageSteps::file_with) are told besides.
///
/// # Spec
/// Dockerfile reference, § COPY: each is a flag of that name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Where from: a stage by its name or number, a named context, or an image. The build context where it is `None`.
    pub from: Option<String>,
    /// Whose the copies are: `user[:group]`, by numbers or by names of the image. Root's where it is `None`.
    pub chown: Option<String>,
    /// Their mode: octal, as `0755`, or symbolic, as `u=rwX,go=rX`. Their own where it is `None`.
    pub chmod: Option<String>,
    /// Whether the layer is made as if nothing were there before.
    pub link: bool,
    /// Whether the directories of the sources' paths are kept.
    pub parents: bool,
    /// Patterns of what is not copied.
    pub exclude: Vec<String>,
}

impl CopyOptions {
    /// From a stage, by its name or number, a named context or an image.
    #[must_use]
    pub fn with_from(self, from: impl Into<String>) -> Self {
        Self { from: Some(from.into()), ..self }
    }

    /// Owned by this `user[:group]`.
    #[must_use]
    pub fn with_chown(self, owner: impl Into<String>) -> Self {
        Self { chown: Some(owner.into()), ..self }
    }

    /// Of this mode, octal or symbolic.
    #[must_use]
    pub fn with_chmod(self, mode: impl Into<String>) -> Self {
        Self { chmod: Some(mode.into()), ..self }
    }

    /// As a layer that does not depend on those below, so that another base below it changes nothing.
    #[must_use]
    pub fn with_link(self) -> Self {
        Self { link: true, ..self }
    }

    /// With the directories of the sources' paths.
    #[must_use]
    pub fn with_parents(self) -> Self {
        Self { parents: true, ..self }
    }

    /// Without what this pattern matches.
    #[must_use]
    pub fn with_exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    pub(super) fn flags(self, words: &mut Words) -> CopyFlags {
        CopyFlags {
            from: words.flag("from", self.from),
            chown: words.flag("chown", self.chown),
            chmod: words.flag("chmod", self.chmod),
            link: words.switch("link", self.link),
            parents: words.switch("parents", self.parents),
            exclude: self.exclude.into_iter().filter_map(|pattern| words.flag("exclude", Some(pattern))).collect(),
        }
    }
}

/// What [`ImageSteps::add_with`](super::ImageSteps::add_with) is told besides.
///
/// # Spec
/// Dockerfile reference, § ADD: each is a flag of that name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddOptions {
    /// Whose the files are: `user[:group]`, by numbers or by names of the image. Root's where it is `None`.
    pub chown: Option<String>,
    /// Their mode, octal or symbolic; not of what is in an archive.
    pub chmod: Option<String>,
    /// The digest of the file at an address, or the commit of a repository.
    pub checksum: Option<String>,
    /// Whether archives are unpacked; where it is `None`, those of the context are and others are not.
    pub unpack: Option<bool>,
    /// Patterns of what is not added.
    pub exclude: Vec<String>,
}

impl AddOptions {
    /// Owned by this `user[:group]`.
    #[must_use]
    pub fn with_chown(self, owner: impl Into<String>) -> Self {
        Self { chown: Some(owner.into()), ..self }
    }

    /// Of this mode, octal or symbolic.
    #[must_use]
    pub fn with_chmod(self, mode: impl Into<String>) -> Self {
        Self { chmod: Some(mode.into()), ..self }
    }

    /// Of this digest, or of this commit.
    #[must_use]
    pub fn with_checksum(self, checksum: impl Into<String>) -> Self {
        Self { checksum: Some(checksum.into()), ..self }
    }

    /// With all archives unpacked, those from addresses too.
    #[must_use]
    pub fn with_unpack(self) -> Self {
        Self { unpack: Some(true), ..self }
    }

    /// With archives as they are.
    #[must_use]
    pub fn without_unpack(self) -> Self {
        Self { unpack: Some(false), ..self }
    }

    /// Without what this pattern matches.
    #[must_use]
    pub fn with_exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    pub(super) fn flags(self, words: &mut Words) -> AddFlags {
        AddFlags {
            chown: words.flag("chown", self.chown),
            chmod: words.flag("chmod", self.chmod),
            link: None,
            checksum: words.flag("checksum", self.checksum),
            keep_git_dir: None,
            unpack: self.unpack.and_then(|unpack| words.truth("unpack", unpack)),
            exclude: self.exclude.into_iter().filter_map(|pattern| words.flag("exclude", Some(pattern))).collect(),
        }
    }
}
