//! From an instruction's words to its meaning.

use std::iter::Peekable;

use crate::{
    error::{Result, excerpt},
    suggest::nearest,
};

use super::{
    duration,
    flag::{AddFlags, CopyFlags, FlagWords, RunFlags},
    heredoc::Heredoc,
    instruction::{
        Add, ArgDeclaration, Command, CommandLine, Copy, FromImage, Healthcheck, HealthcheckTest, KeyValue, KeyValues,
        Run,
    },
    json::{self, Array},
    line::{BLANKS, Fragment},
    span::Spanned,
};

/// The words of an instruction, with what is needed to read them.
pub(super) struct Words<'a> {
    /// The instruction's name in upper case.
    pub(super) name: &'static str,
    /// The name as written.
    pub(super) keyword: Fragment<'a>,
    pub(super) flags: FlagWords<'a>,
    /// What stands behind the flags, trimmed.
    pub(super) arguments: Fragment<'a>,
    /// The arguments where they are a JSON array.
    pub(super) array: Option<Vec<Spanned<String>>>,
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) escape: char,
}

/// The strings of a JSON array; nothing where the text is none.
pub(super) fn array(text: Fragment<'_>) -> Result<Option<Vec<Spanned<String>>>> {
    if !text.as_str().starts_with('[') {
        return Ok(None);
    }
    match json::array(text.as_str()) {
        Array::Strings(strings) => {
            Ok(Some(strings.into_iter().map(|(range, value)| text.slice(range).spanned(value)).collect()))
        }
        Array::Mixed(at) => {
            let (element, _) = text.slice(at..text.as_str().len()).cut(|c| c == ',' || c == ']');
            Err(element.trim().fault("the elements of a JSON array must be strings"))
        }
        Array::Invalid => Ok(None),
    }
}

impl Words<'_> {
    /// All instructions but ONBUILD, whose trigger is an instruction itself.
    pub(super) fn command(self) -> Result<Command> {
        match self.name {
            "ADD" => self.add(),
            "ARG" => self.arg(),
            "CMD" => self.command_line().map(Command::Cmd),
            "COPY" => self.copy(),
            "ENTRYPOINT" => self.command_line().map(Command::Entrypoint),
            "ENV" => self.key_values().map(Command::Env),
            "EXPOSE" => self.list().map(Command::Expose),
            "FROM" => self.from(),
            "HEALTHCHECK" => self.healthcheck(),
            "LABEL" => self.key_values().map(Command::Label),
            "MAINTAINER" => self.line().map(Command::Maintainer),
            "RUN" => self.run(),
            "SHELL" => self.shell(),
            "STOPSIGNAL" => self.line().map(Command::Stopsignal),
            "USER" => self.line().map(Command::User),
            "VOLUME" => self.volume(),
            _ => self.line().map(Command::Workdir),
        }
    }

    /// Refuses an instruction without arguments.
    pub(super) fn required(&self) -> Result<()> {
        if self.arguments.is_empty() {
            return Err(self.keyword.fault(format!("{} requires at least one argument", self.name)));
        }
        Ok(())
    }

    /// The whole line as one argument.
    fn line(self) -> Result<Spanned<String>> {
        self.flags.finish()?;
        if self.arguments.is_empty() {
            return Err(self.keyword.fault(format!("{} requires exactly one argument", self.name)));
        }
        Ok(self.arguments.text())
    }

    /// The words between blanks, or the strings of the array.
    fn list(mut self) -> Result<Vec<Spanned<String>>> {
        self.required()?;
        self.flags.finish()?;
        let words = self.array.take().unwrap_or_else(|| self.arguments.words().map(Fragment::text).collect());
        if words.is_empty() {
            return Err(self.keyword.fault(format!("{} requires at least one argument", self.name)));
        }
        Ok(words)
    }

    fn command_line(self) -> Result<CommandLine> {
        self.flags.finish()?;
        Ok(self.array.map_or_else(|| CommandLine::Shell(self.arguments.text()), CommandLine::Exec))
    }

    fn run(mut self) -> Result<Command> {
        let heredocs = std::mem::take(&mut self.heredocs);
        let flags = RunFlags::take(self.flags)?;
        one_of(&self.keyword, flags.network.as_ref(), "--network", &["default", "host", "none"])?;
        one_of(&self.keyword, flags.security.as_ref(), "--security", &["sandbox", "insecure"])?;
        let command = self.array.map_or_else(|| CommandLine::Shell(self.arguments.text()), CommandLine::Exec);
        Ok(Command::Run(Run { flags, command, heredocs }))
    }

    fn shell(self) -> Result<Command> {
        self.required()?;
        self.flags.finish()?;
        match self.array {
            Some(words) if !words.is_empty() => Ok(Command::Shell(words)),
            Some(_) => Err(self.arguments.fault("SHELL requires at least one argument")),
            None => Err(self.arguments.fault("SHELL requires a JSON array of strings")),
        }
    }

    fn volume(self) -> Result<Command> {
        let keyword = self.keyword;
        let mut volumes = self.list()?;
        for volume in &mut volumes {
            let trimmed = volume.value.trim();
            if trimmed.is_empty() {
                return Err(keyword.source().fault(volume.span, "the path of a volume cannot be empty"));
            }
            if trimmed.len() != volume.value.len() {
                volume.value = trimmed.to_owned();
            }
        }
        Ok(Command::Volume(volumes))
    }

    fn add(mut self) -> Result<Command> {
        let files = self.files()?;
        let flags = AddFlags::take(self.flags)?;
        let Files { sources, heredocs, destination } = files;
        Ok(Command::Add(Add { flags, sources, heredocs, destination }))
    }

    fn copy(mut self) -> Result<Command> {
        let files = self.files()?;
        let flags = CopyFlags::take(self.flags)?;
        let Files { sources, heredocs, destination } = files;
        Ok(Command::Copy(Copy { flags, sources, heredocs, contents: Vec::new(), destination }))
    }

    fn files(&mut self) -> Result<Files> {
        let heredocs = std::mem::take(&mut self.heredocs);
        let mut words = self.array.take().unwrap_or_else(|| self.arguments.words().map(Fragment::text).collect());
        let (name, keyword) = (self.name, self.keyword);
        let destination = words.pop().filter(|_| !words.is_empty()).ok_or_else(|| {
            keyword.fault(format!("{name} requires at least two arguments, a source and a destination"))
        })?;
        let fault = |span, reason: String| Err(keyword.source().fault(span, reason));
        if heredocs.last().is_some_and(|last| last.span.end > destination.span.start) {
            return fault(destination.span, format!("the destination of {name} cannot be a here-document"));
        }
        let mut expected = heredocs.iter().peekable();
        words.retain(|word| !is_next(&mut expected, word));
        if let Some(odd) = expected.next() {
            return fault(odd.span, format!("the delimiter of a here-document of {name} cannot hold blanks"));
        }
        // The delimiter becomes the name of a file.
        if let Some(odd) = heredocs.iter().find(|h| h.name.contains('/') || matches!(h.name.as_str(), "." | "..")) {
            return fault(odd.span, format!("the delimiter of a here-document of {name} cannot be a path"));
        }
        Ok(Files { sources: words, heredocs, destination })
    }

    fn arg(self) -> Result<Command> {
        self.required()?;
        self.flags.finish()?;
        let declare = |word: Fragment<'_>| {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default.text())),
                None => (word, None),
            };
            if name.is_empty() {
                return Err(word.fault("an ARG cannot have an empty name"));
            }
            Ok(ArgDeclaration { name: name.text(), default })
        };
        let words = self.arguments.quoted_words(self.escape);
        Ok(Command::Arg(words.into_iter().map(declare).collect::<Result<_>>()?))
    }

    fn key_values(self) -> Result<KeyValues> {
        self.required()?;
        self.flags.finish()?;
        let name = self.name;
        let words = self.arguments.quoted_words(self.escape);
        if words.first().is_none_or(|word| !word.as_str().contains('=')) {
            let (key, value) = self.arguments.cut(|c| BLANKS.contains(&c));
            if value.is_empty() {
                return Err(key.fault(format!("{name} requires a value: {name} key=value")));
            }
            let pairs = vec![KeyValue { key: key.text(), value: value.text() }];
            return Ok(KeyValues { pairs, legacy: true });
        }
        let pair = |word: Fragment<'_>| {
            let Some((key, value)) = word.split_once('=') else {
                let text = excerpt(word.as_str(), 64);
                return Err(word.fault(format!("no = in {text:?}: {name} takes key=value")));
            };
            if key.is_empty() {
                return Err(word.fault(format!("the names of {name} cannot be empty")));
            }
            Ok(KeyValue { key: key.text(), value: value.text() })
        };
        Ok(KeyValues { pairs: words.into_iter().map(pair).collect::<Result<_>>()?, legacy: false })
    }

    fn from(mut self) -> Result<Command> {
        let platform = self.flags.text("platform")?;
        self.flags.finish()?;
        let mut words = self.arguments.words();
        let image = words.next().ok_or_else(|| self.keyword.fault("FROM requires the name of an image"))?.text();
        let alias = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some(keyword), Some(alias), None) if keyword.as_str().eq_ignore_ascii_case("as") => {
                Some(self::alias(alias)?)
            }
            (Some(word), ..) => return Err(word.fault("FROM takes one image, or an image, AS and a name")),
        };
        Ok(Command::From(FromImage { image, alias, platform }))
    }

    fn healthcheck(mut self) -> Result<Command> {
        self.required()?;
        let mut duration = |name| {
            let value = self.flags.text(name)?;
            let parse = |text: Spanned<String>| {
                duration::parse(&text.value)
                    .and_then(|time| {
                        let short = !time.is_zero() && time.as_millis() == 0;
                        if short { Err("a duration cannot be less than 1ms") } else { Ok(time) }
                    })
                    .map_err(|reason| {
                        let value = excerpt(&text.value, 64);
                        self.keyword
                            .source()
                            .fault(text.span, format!("invalid value {value:?} for --{name}: {reason}"))
                    })
            };
            value.map(parse).transpose()
        };
        let interval = duration("interval")?;
        let timeout = duration("timeout")?;
        let start_period = duration("start-period")?;
        let start_interval = duration("start-interval")?;
        let retries = self.flags.text("retries")?.map(|text| retries(&self.keyword, &text)).transpose()?;
        self.flags.finish()?;
        let (kind, rest) = self.arguments.cut(char::is_whitespace);
        match kind.as_str().to_ascii_uppercase().as_str() {
            "NONE" if rest.is_empty() => Ok(Command::Healthcheck(Healthcheck::None)),
            "NONE" => Err(rest.fault("HEALTHCHECK NONE takes no arguments")),
            "CMD" => {
                let command = match array(rest)? {
                    Some(words) => CommandLine::Exec(words),
                    None => CommandLine::Shell(rest.text()),
                };
                if rest.is_empty() || command == CommandLine::Exec(Vec::new()) {
                    return Err(kind.fault("HEALTHCHECK CMD requires a command"));
                }
                let test = HealthcheckTest { command, interval, timeout, start_period, start_interval, retries };
                Ok(Command::Healthcheck(Healthcheck::Check(test)))
            }
            other => {
                let reason = format!("unknown kind {:?} of HEALTHCHECK: it is CMD or NONE", excerpt(other, 64));
                Err(kind.fault_like(reason, nearest(other, ["CMD", "NONE"]).map(str::to_owned)))
            }
        }
    }
}

/// What COPY and ADD take from where to where.
struct Files {
    sources: Vec<Spanned<String>>,
    heredocs: Vec<Heredoc>,
    destination: Spanned<String>,
}

/// Whether a word is the delimiter of the next here-document.
fn is_next<'a>(heredocs: &mut Peekable<impl Iterator<Item = &'a Heredoc>>, word: &Spanned<String>) -> bool {
    heredocs.next_if(|heredoc| heredoc.span == word.span).is_some()
}

fn one_of(at: &Fragment<'_>, value: Option<&Spanned<String>>, flag: &str, known: &[&'static str]) -> Result<()> {
    match value {
        Some(value) if !known.contains(&value.as_str()) => {
            let reason =
                format!("invalid value {:?} for {flag}: it is {}", excerpt(&value.value, 64), known.join(" or "));
            let meant = nearest(&value.value, known.iter().copied()).map(str::to_owned);
            Err(at.source().fault_like(value.span, reason, meant))
        }
        _ => Ok(()),
    }
}

fn retries(at: &Fragment<'_>, text: &Spanned<String>) -> Result<u32> {
    let number = text.value.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok());
    let value = excerpt(&text.value, 64);
    number.ok_or_else(|| {
        at.source().fault(text.span, format!("invalid value {value:?} for --retries: not a number from 0"))
    })
}

/// The name of a stage in lower case; `None` where it is not `[a-z][a-z0-9-_.]*`, whatever the case it is written in.
pub(crate) fn stage_name(written: &str) -> Option<String> {
    let name = written.to_lowercase();
    let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
    valid.then_some(name)
}

/// What is wrong with a name that is none of a stage.
pub(crate) fn invalid_stage_name(written: &str) -> String {
    let name = excerpt(written, 64);
    format!("invalid name {name:?} of a stage: it begins with a letter and holds letters, digits, '-', '_' and '.'")
}

fn alias(word: Fragment<'_>) -> Result<Spanned<String>> {
    match stage_name(word.as_str()) {
        Some(name) => Ok(word.spanned(name)),
        None => Err(word.fault(invalid_stage_name(word.as_str()))),
    }
}
