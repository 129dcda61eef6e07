//! The flags of instructions: `COPY --from=build`.

use crate::{
    error::{Result, excerpt},
    suggest::nearest,
};

use super::{line::Fragment, span::Spanned};

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

/// The words before an instruction's arguments that begin with `--`.
///
/// Each flag that the instruction knows is taken out by name; [`FlagWords::finish`] refuses
/// what is left.
pub(super) struct FlagWords<'a> {
    instruction: &'static str,
    words: Vec<FlagWord<'a>>,
    known: Vec<&'static str>,
}

struct FlagWord<'a> {
    /// The flag as written up to the `=`.
    written: Fragment<'a>,
    /// Its name without quotes and escapes.
    name: String,
    /// What stands behind the `=`, without quotes and escapes.
    value: Option<Spanned<String>>,
}

impl<'a> FlagWords<'a> {
    /// Takes the flags off the front of an instruction's words.
    ///
    /// # Spec
    /// Dockerfile reference, § Format; a bare `--` ends the flags.
    pub(super) fn split(instruction: &'static str, text: Fragment<'a>, escape: char) -> (Self, Fragment<'a>) {
        let mut words = Vec::new();
        let mut rest = text.trim();
        while rest.as_str().starts_with("--") {
            let (end, plain) = unquoted(rest.as_str(), escape);
            let word = rest.slice(0..end);
            rest = rest.slice(end..rest.as_str().len()).trim();
            if plain == "--" {
                break;
            }
            let (name, value) = match plain.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (plain.as_str(), None),
            };
            let (written, raw) = word.split_once('=').unwrap_or((word, word));
            let value = value.map(|value| raw.spanned(value.to_owned()));
            let name = name.trim_start_matches("--").to_owned();
            words.push(FlagWord { written, name, value });
        }
        (Self { instruction, words, known: Vec::new() }, rest)
    }

    fn take(&mut self, name: &'static str) -> Vec<FlagWord<'a>> {
        self.known.push(name);
        self.words.extract_if(.., |word| word.name == name).collect()
    }

    fn take_one(&mut self, name: &'static str) -> Result<Option<FlagWord<'a>>> {
        let mut words = self.take(name).into_iter();
        let first = words.next();
        match words.next() {
            Some(second) => Err(second.written.fault(format!("flag --{name} is given twice"))),
            None => Ok(first),
        }
    }

    /// The value of a flag; an empty one is as none.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<Spanned<String>>> {
        let value = self.take_one(name)?.map(FlagWord::text).transpose()?;
        Ok(value.filter(|value| !value.value.is_empty()))
    }

    /// The values of a flag that may be given many times.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<Spanned<String>>> {
        self.take(name).into_iter().map(FlagWord::text).collect()
    }

    /// The value of a flag that is on when it stands alone.
    pub(super) fn truth(&mut self, name: &'static str) -> Result<Option<Spanned<bool>>> {
        let Some(word) = self.take_one(name)? else { return Ok(None) };
        let Some(value) = word.value else { return Ok(Some(word.written.spanned(true))) };
        match value.value.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(Spanned::new(true, value.span))),
            "false" => Ok(Some(Spanned::new(false, value.span))),
            _ => Err(word
                .written
                .fault(format!("flag --{name} is either true or false, not {:?}", excerpt(&value.value, 64)))),
        }
    }

    /// Refuses the flags that nobody has taken.
    pub(super) fn finish(self) -> Result<()> {
        let Some(word) = self.words.first() else { return Ok(()) };
        let meant = nearest(&word.name, self.known.iter().copied()).map(|name| format!("--{name}"));
        let mut reason = format!("unknown flag --{} for {}", excerpt(&word.name, 64), self.instruction);
        match self.known.as_slice() {
            _ if meant.is_some() => {}
            [] => reason.push_str(", which has none"),
            known => reason.push_str(&format!(", which has --{}", known.join(", --"))),
        }
        Err(word.written.fault_like(reason, meant))
    }
}

impl FlagWord<'_> {
    fn text(self) -> Result<Spanned<String>> {
        self.value.ok_or_else(|| self.written.fault(format!("flag --{} needs a value", self.name)))
    }
}

/// The end of the first word, and the word without quotes and escapes.
fn unquoted(text: &str, escape: char) -> (usize, String) {
    let mut word = String::new();
    let mut open = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match open {
            None if c.is_whitespace() => return (at, word),
            None if c == '"' || c == '\'' => open = Some(c),
            Some(quote) if c == quote => open = None,
            _ if c == escape => word.extend(chars.next().map(|(_, c)| c)),
            _ => word.push(c),
        }
    }
    (text.len(), word)
}

impl CopyFlags {
    pub(super) fn take(mut flags: FlagWords<'_>) -> Result<Self> {
        let taken = Self {
            from: flags.text("from")?,
            chown: flags.text("chown")?,
            chmod: flags.text("chmod")?,
            link: flags.truth("link")?,
            parents: flags.truth("parents")?,
            exclude: flags.texts("exclude")?,
        };
        flags.finish().map(|()| taken)
    }
}

impl AddFlags {
    pub(super) fn take(mut flags: FlagWords<'_>) -> Result<Self> {
        let taken = Self {
            chown: flags.text("chown")?,
            chmod: flags.text("chmod")?,
            link: flags.truth("link")?,
            checksum: flags.text("checksum")?,
            keep_git_dir: flags.truth("keep-git-dir")?,
            unpack: flags.truth("unpack")?,
            exclude: flags.texts("exclude")?,
        };
        flags.finish().map(|()| taken)
    }
}

impl RunFlags {
    pub(super) fn take(mut flags: FlagWords<'_>) -> Result<Self> {
        let taken =
            Self { mounts: flags.texts("mount")?, network: flags.text("network")?, security: flags.text("security")? };
        flags.finish().map(|()| taken)
    }
}
