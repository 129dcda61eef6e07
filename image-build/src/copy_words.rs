//! COPY and ADD with their variables expanded.

use std::{collections::BTreeMap, sync::Arc};

use image_core::Digest;

use crate::{
    cache::{IngredientKind, Recipe},
    dockerfile::{Add, Copy, Dockerfile, Heredoc, Span, Spanned, Warning},
    effect::{inline::Inline, mode::ModeChange, select::Choice, workdir},
    env::Env,
    error::Result,
    expand::Expander,
    fetch::Address,
    ignore::Ignore,
};

/// What the ingredients are called that are given files, before the file's name.
pub(crate) const INLINE: &str = "here-document ";

/// A COPY or ADD with all its words expanded.
pub(crate) struct CopyWords {
    name: &'static str,
    pub(crate) sources: Vec<String>,
    /// Where they stand.
    pub(crate) spans: Vec<Span>,
    pub(crate) inline: Vec<Inline>,
    /// As it is written, with its variables expanded.
    pub(crate) written: String,
    /// From the root.
    pub(crate) destination: String,
    pub(crate) chown: Option<String>,
    pub(crate) chmod: Option<Chmod>,
    /// `--link`: the layer is made as if nothing were there before.
    pub(crate) link: bool,
    exclude: Vec<String>,
    pub(crate) choice: Choice,
    /// What only ADD has.
    pub(crate) add: AddWords,
    /// The variables in them.
    pub(crate) variables: BTreeMap<String, Option<String>>,
    pub(crate) warnings: Vec<Warning>,
}

/// What only ADD has.
#[derive(Default)]
pub(crate) struct AddWords {
    /// Whether archives of the context are unpacked.
    pub(crate) unpack_local: bool,
    /// Whether archives that are downloaded are.
    pub(crate) unpack_remote: bool,
    /// The sources that are addresses, by their position.
    pub(crate) addresses: BTreeMap<usize, Address>,
}

/// A `--chmod`: as it is written, and what it means.
pub(crate) struct Chmod {
    written: String,
    pub(crate) change: ModeChange,
}

/// Expands the words of one instruction.
struct Words<'a> {
    file: &'a Dockerfile,
    expander: Expander<'a>,
}

impl<'a> Words<'a> {
    fn new(file: &'a Dockerfile, env: &'a Env) -> Self {
        Self { file, expander: Expander::new(file, env) }
    }

    fn optional(&mut self, word: Option<&Spanned<String>>) -> Result<Option<String>> {
        word.map(|word| self.expander.word(word)).transpose()
    }

    fn all(&mut self, words: &[Spanned<String>]) -> Result<Vec<String>> {
        words.iter().map(|word| self.expander.word(word)).collect()
    }

    fn chmod(&mut self, word: Option<&Spanned<String>>) -> Result<Option<Chmod>> {
        let Some(word) = word else { return Ok(None) };
        let written = self.expander.word(word)?;
        let change = ModeChange::parse(&written).map_err(|reason| self.file.fault(word.span, reason))?;
        Ok(Some(Chmod { written, change }))
    }

    fn exclude(&mut self, words: &[Spanned<String>]) -> Result<(Vec<String>, Ignore)> {
        let (written, mut ignore) = (self.all(words)?, Ignore::default());
        for (word, text) in words.iter().zip(&written) {
            let fault = |reason| self.file.fault(word.span, format!("invalid pattern {text:?}: {reason}"));
            ignore.push(text.as_bytes()).map_err(fault)?;
        }
        Ok((written, ignore))
    }

    fn inline(&mut self, heredocs: &[Heredoc]) -> Result<Vec<Inline>> {
        let inline = |heredoc: &Heredoc| {
            let body = self.expander.heredoc(heredoc)?;
            Ok(Inline { name: heredoc.name.clone(), body: body.into_bytes().into() })
        };
        heredocs.iter().map(inline).collect()
    }

    fn addresses(&mut self, add: &Add, sources: &[String]) -> Result<BTreeMap<usize, Address>> {
        let flags = &add.flags;
        let checksum = self.optional(flags.checksum.as_ref())?;
        let keep_git_dir = flags.keep_git_dir.as_ref().map(|flag| flag.value);
        let mut addresses = BTreeMap::new();
        for (position, (word, source)) in add.sources.iter().zip(sources).enumerate() {
            let address = Address::parse(source, keep_git_dir);
            if let Some(address) = address.map_err(|reason| self.file.fault(word.span, reason))? {
                addresses.insert(position, address);
            }
        }
        if let (Some(flag), Some(checksum)) = (&flags.checksum, checksum) {
            let only = addresses.values_mut().next().filter(|_| sources.len() == 1);
            let address = only.ok_or_else(|| {
                self.file.fault(flag.span, "--checksum is for one source, which is an address: http, https or git")
            })?;
            address.expect(&checksum).map_err(|reason| self.file.fault(flag.span, reason))?;
        }
        Ok(addresses)
    }
}

fn is_on(flag: Option<&Spanned<bool>>) -> bool {
    flag.is_some_and(|flag| flag.value)
}

fn spans(words: &[Spanned<String>]) -> Vec<Span> {
    words.iter().map(|word| word.span).collect()
}

impl CopyWords {
    pub(crate) fn of_copy(copy: &Copy, file: &Dockerfile, env: &Env, working_dir: &str) -> Result<Self> {
        let mut words = Words::new(file, env);
        let sources = words.all(&copy.sources)?;
        for (word, source) in copy.sources.iter().zip(&sources) {
            if let Ok(Some(_)) = Address::parse(source, None) {
                return Err(file.fault(word.span, "COPY does not fetch: use ADD for an address"));
            }
        }
        let given =
            copy.contents.iter().map(|file| Inline { name: file.name.clone(), body: Arc::clone(&file.content) });
        let (exclude, ignore) = words.exclude(&copy.flags.exclude)?;
        let choice = Choice { parents: is_on(copy.flags.parents.as_ref()), exclude: ignore };
        let (chown, chmod) = (words.optional(copy.flags.chown.as_ref())?, words.chmod(copy.flags.chmod.as_ref())?);
        let written = words.expander.word(&copy.destination)?;
        Ok(Self {
            name: "COPY",
            sources,
            spans: spans(&copy.sources),
            inline: words.inline(&copy.heredocs)?.into_iter().chain(given).collect(),
            destination: workdir::absolute(working_dir, &written, true),
            written,
            chown,
            chmod,
            link: is_on(copy.flags.link.as_ref()),
            exclude,
            choice,
            add: AddWords::default(),
            variables: words.expander.variables().clone(),
            warnings: words.expander.warnings().to_vec(),
        })
    }

    pub(crate) fn of_add(add: &Add, file: &Dockerfile, env: &Env, working_dir: &str) -> Result<Self> {
        let mut words = Words::new(file, env);
        let sources = words.all(&add.sources)?;
        let addresses = words.addresses(add, &sources)?;
        let (exclude, ignore) = words.exclude(&add.flags.exclude)?;
        let (chown, chmod) = (words.optional(add.flags.chown.as_ref())?, words.chmod(add.flags.chmod.as_ref())?);
        let written = words.expander.word(&add.destination)?;
        let unpack = add.flags.unpack.as_ref().map(|flag| flag.value);
        Ok(Self {
            name: "ADD",
            sources,
            spans: spans(&add.sources),
            inline: words.inline(&add.heredocs)?,
            destination: workdir::absolute(working_dir, &written, true),
            written,
            chown,
            chmod,
            link: is_on(add.flags.link.as_ref()),
            exclude,
            choice: Choice { parents: false, exclude: ignore },
            add: AddWords { unpack_local: unpack.unwrap_or(true), unpack_remote: unpack.unwrap_or(false), addresses },
            variables: words.expander.variables().clone(),
            warnings: words.expander.warnings().to_vec(),
        })
    }

    /// What the instruction does, in a warning.
    pub(crate) fn verb(&self) -> &'static str {
        if self.name == "ADD" { "Add" } else { "Copy" }
    }

    /// The sources that are paths, each with its position.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (usize, &str)> {
        let sources = self.sources.iter().map(String::as_str).enumerate();
        sources.filter(|(position, _)| !self.add.addresses.contains_key(position))
    }

    /// The instruction with this destination, as BuildKit writes it into the history.
    pub(crate) fn line(&self, destination: &str) -> String {
        let mut words = vec![self.name.to_owned()];
        words.extend(self.choice.parents.then(|| String::from("--parents")));
        words.extend(self.chown.iter().map(|owner| format!("--chown={owner}")));
        words.extend(self.chmod.iter().map(|chmod| format!("--chmod={}", chmod.written)));
        words.extend(self.sources.iter().cloned());
        words.extend(self.inline.iter().map(|file| format!("<<{}", file.name)));
        words.push(destination.to_owned());
        words.join(" ")
    }

    /// Adds the words that the line does not tell apart or does not have.
    pub(crate) fn ingredients(&self, recipe: Recipe, files: &Digest) -> Recipe {
        const SETTING: IngredientKind = IngredientKind::Setting;
        // The words once more, each on its own: a name may hold the space between two.
        let mut recipe = recipe
            .with_text(SETTING, "destination", &self.destination)
            .with_text(SETTING, "owner", self.chown.as_deref().unwrap_or_default())
            .with_digest(IngredientKind::Content, "files", files.clone());
        for file in &self.inline {
            let name = format!("{INLINE}{}", file.name);
            recipe = recipe.with_digest(IngredientKind::Content, &name, file.digest());
        }
        for pattern in &self.exclude {
            recipe = recipe.with_text(SETTING, "exclude", pattern);
        }
        if self.link {
            recipe = recipe.with_text(SETTING, "link", "true");
        }
        if self.name == "ADD" {
            let unpack = match (self.add.unpack_local, self.add.unpack_remote) {
                (true, true) => "all",
                (true, false) => "local",
                _ => "none",
            };
            recipe = recipe.with_text(SETTING, "unpack", unpack);
        }
        recipe
    }
}
