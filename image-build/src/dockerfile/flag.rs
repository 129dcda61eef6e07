//! The flags of instructions: `COPY --from=build`.

use super::span::Spanned;

/// The flags of `COPY`; values may name variables, but for `--from`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CopyFlags {
    /// `--from`: a stage, its number, or an image.
    pub from: Option<Spanned<String>>,
    /// `--chown`: owner and group.
    pub chown: Option<Spanned<String>>,
    /// `--chmod`: the mode.
    pub chmod: Option<Spanned<String>>,
    /// `--link`: independent of what is there before.
    pub link: Option<Spanned<bool>>,
    /// `--parents`: keeps the directories of the source paths.
    pub parents: Option<Spanned<bool>>,
    /// `--exclude`, any number of times: patterns of what is not copied.
    pub exclude: Vec<Spanned<String>>,
}

/// The flags of `ADD`; values may name variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AddFlags {
    /// `--chown`: owner and group.
    pub chown: Option<Spanned<String>>,
    /// `--chmod`: the mode.
    pub chmod: Option<Spanned<String>>,
    /// `--link`: independent of what is there before.
    pub link: Option<Spanned<bool>>,
    /// `--checksum`: the digest or commit that a remote source must have.
    pub checksum: Option<Spanned<String>>,
    /// `--keep-git-dir`: keeps the `.git` of a repository.
    pub keep_git_dir: Option<Spanned<bool>>,
    /// `--unpack`: whether archives are unpacked; without it only local ones are.
    pub unpack: Option<Spanned<bool>>,
    /// `--exclude`, any number of times: patterns of what is not added.
    pub exclude: Vec<Spanned<String>>,
}

/// The flags of `RUN`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunFlags {
    /// `--mount`, any number of times.
    pub mounts: Vec<Spanned<String>>,
    /// `--network`
    pub network: Option<Spanned<String>>,
    /// `--security`
    pub security: Option<Spanned<String>>,
}
