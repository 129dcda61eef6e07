//! Instructions that change the image's configuration and no file.

use std::time::Duration;

use image_core::Healthcheck;

use super::signal;
use crate::{
    dockerfile::{self, Command, CommandLine, Dockerfile, HealthcheckTest, KeyValues, Spanned},
    error::Result,
    expand::Expander,
    solve::StageState,
};

/// The shell of instructions in shell form, until a SHELL says otherwise.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The most ports of one EXPOSE: every one of a protocol.
const MAX_PORTS: usize = 65_536;

/// What an instruction changes that changes the configuration alone.
#[derive(Debug)]
pub(crate) enum Change {
    Env(Vec<(String, String)>),
    Labels(Vec<(String, String)>),
    User(String),
    Ports(Vec<String>),
    Volumes(Vec<String>),
    StopSignal(String),
    Shell(Vec<String>),
    Cmd(Vec<String>),
    Entrypoint(Vec<String>),
    Healthcheck(Healthcheck),
    Trigger(String),
    Author(String),
}

/// What an instruction of this kind leaves in the history.
pub(crate) enum Line {
    /// This line.
    Text(String),
    /// Nothing.
    Silent,
}

/// Reads an instruction in a stage with this shell; `None` for one that is none of these.
///
/// # Spec
/// Dockerfile reference.
pub(crate) fn read(
    command: &Command,
    dockerfile: &Dockerfile,
    shell: Option<&[String]>,
    expand: &mut Expander<'_>,
) -> Result<Option<Change>> {
    Ok(Some(match command {
        Command::Env(pairs) => Change::Env(expand_pairs(pairs, expand)?),
        Command::Label(pairs) => Change::Labels(expand_pairs(pairs, expand)?),
        Command::User(user) => Change::User(expand.word(user)?),
        Command::Expose(words) => Change::Ports(ports(dockerfile, words, expand)?),
        Command::Volume(paths) => Change::Volumes(volumes(dockerfile, paths, expand)?),
        Command::Stopsignal(word) => {
            let signal = expand.word(word)?;
            if !signal::is_known(&signal) {
                return Err(dockerfile.fault(word.span, format!("invalid signal {signal:?}")));
            }
            Change::StopSignal(signal)
        }
        Command::Shell(words) => Change::Shell(words.iter().map(|word| word.value.clone()).collect()),
        Command::Cmd(line) => Change::Cmd(arguments(line, shell)),
        Command::Entrypoint(line) => Change::Entrypoint(arguments(line, shell)),
        Command::Healthcheck(check) => Change::Healthcheck(healthcheck(check)),
        Command::Onbuild(onbuild) => Change::Trigger(onbuild.expression.clone()),
        Command::Maintainer(name) => Change::Author(name.value.clone()),
        _ => return Ok(None),
    }))
}

impl Change {
    /// The line of the history, as BuildKit writes it.
    pub(crate) fn line(&self) -> Line {
        Line::Text(match self {
            Self::Env(pairs) => format!("ENV {}", joined(pairs)),
            Self::Labels(pairs) => format!("LABEL {}", joined(pairs)),
            Self::User(user) => format!("USER {user}"),
            Self::Ports(ports) => format!("EXPOSE [{}]", ports.join(" ")),
            Self::Volumes(paths) => format!("VOLUME [{}]", paths.join(" ")),
            Self::StopSignal(signal) => format!("STOPSIGNAL {signal}"),
            Self::Shell(words) => format!("SHELL [{}]", words.join(" ")),
            Self::Cmd(args) => format!("CMD {}", quoted(args)),
            Self::Entrypoint(args) => format!("ENTRYPOINT {}", quoted(args)),
            Self::Healthcheck(check) => format!("HEALTHCHECK {}", go_healthcheck(check)),
            Self::Trigger(_) => return Line::Silent,
            Self::Author(name) => format!("MAINTAINER {name}"),
        })
    }

    /// Changes the configuration of a stage, and what its instructions see. `own_cmd` is whether it has a CMD of its own
    /// so far: an ENTRYPOINT drops that of the base.
    pub(crate) fn apply(self, state: &mut StageState, own_cmd: &mut bool) -> Result<()> {
        let config = &mut state.config;
        match self {
            Self::Env(pairs) => pairs.into_iter().try_for_each(|(name, value)| {
                config.set_variable(&name, &value)?;
                state.env.set(name, value);
                Ok(())
            }),
            Self::Labels(pairs) => pairs.into_iter().try_for_each(|(name, value)| config.set_label(&name, value)),
            Self::User(user) => config.set_user(user),
            Self::Ports(ports) => ports.into_iter().try_for_each(|port| config.add_port(port)),
            Self::Volumes(paths) => paths.into_iter().try_for_each(|path| config.add_volume(path)),
            Self::StopSignal(signal) => config.set_stop_signal(signal),
            Self::Shell(words) => config.set_shell(words),
            Self::Cmd(args) => {
                *own_cmd = true;
                config.set_args_escaped()?;
                config.set_cmd(Some(args))
            }
            Self::Entrypoint(args) => {
                if !*own_cmd {
                    config.set_cmd(None)?;
                }
                config.set_entrypoint(args)
            }
            Self::Healthcheck(check) => config.set_healthcheck(check),
            Self::Trigger(instruction) => config.add_trigger(instruction),
            Self::Author(name) => {
                config.set_author(name);
                Ok(())
            }
        }
    }
}

fn ports(dockerfile: &Dockerfile, words: &[Spanned<String>], expand: &mut Expander<'_>) -> Result<Vec<String>> {
    let mut ports = Vec::new();
    for port in words {
        for word in expand.words(port)? {
            let added = super::ports::parse(&word);
            ports.extend(added.map_err(|reason| dockerfile.fault(port.span, reason))?);
            if ports.len() > MAX_PORTS {
                let reason = format!("more than {MAX_PORTS} ports in one instruction");
                return Err(dockerfile.fault(port.span, reason));
            }
        }
    }
    Ok(ports)
}

fn volumes(dockerfile: &Dockerfile, words: &[Spanned<String>], expand: &mut Expander<'_>) -> Result<Vec<String>> {
    let volume = |word: &Spanned<String>| match expand.word(word)? {
        path if path.is_empty() => Err(dockerfile.fault(word.span, "the path of a volume is empty")),
        path => Ok(path),
    };
    words.iter().map(volume).collect()
}

/// All values are expanded with the environment before the instruction.
fn expand_pairs(pairs: &KeyValues, expand: &mut Expander<'_>) -> Result<Vec<(String, String)>> {
    pairs.pairs.iter().map(|pair| Ok((expand.word(&pair.key)?, expand.word(&pair.value)?))).collect()
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// The arguments that a command stands for: itself in exec form, the shell's in shell form.
pub(crate) fn arguments(line: &CommandLine, shell: Option<&[String]>) -> Vec<String> {
    match line {
        CommandLine::Exec(args) => args.iter().map(|arg| arg.value.clone()).collect(),
        CommandLine::Shell(text) => shell_arguments(text.value.clone(), shell),
    }
}

/// The arguments of the shell that runs a text.
pub(crate) fn shell_arguments(text: String, shell: Option<&[String]>) -> Vec<String> {
    let mut args = shell.map_or_else(|| DEFAULT_SHELL.map(String::from).to_vec(), <[String]>::to_vec);
    args.push(text);
    args
}

fn healthcheck(check: &dockerfile::Healthcheck) -> Healthcheck {
    let mut out = Healthcheck::default();
    let dockerfile::Healthcheck::Check(check) = check else {
        out.test = vec!["NONE".into()];
        return out;
    };
    out.test = test(check);
    out.interval = nanoseconds(check.interval);
    out.timeout = nanoseconds(check.timeout);
    out.start_period = nanoseconds(check.start_period);
    out.start_interval = nanoseconds(check.start_interval);
    out.retries = check.retries.map_or(0, i64::from);
    out
}

/// `CMD-SHELL` leaves the choice of the shell to whoever runs the check.
fn test(check: &HealthcheckTest) -> Vec<String> {
    match &check.command {
        CommandLine::Shell(text) => vec!["CMD-SHELL".into(), text.value.clone()],
        CommandLine::Exec(args) => {
            std::iter::once("CMD".into()).chain(args.iter().map(|arg| arg.value.clone())).collect()
        }
    }
}

fn nanoseconds(duration: Option<Duration>) -> i64 {
    duration.map_or(0, |duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// A list as Go's `%q` prints it: `["a" "b"]`.
fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| go_quote(word)).collect();
    format!("[{}]", words.join(" "))
}

/// A string as Go's `%q` prints it.
fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A healthcheck as Go's `%+v` prints the struct that Docker keeps it in.
fn go_healthcheck(check: &Healthcheck) -> String {
    let [interval, timeout, start_period, start_interval] =
        [check.interval, check.timeout, check.start_period, check.start_interval].map(go_duration);
    format!(
        "{{Test:[{}] Interval:{interval} Timeout:{timeout} StartPeriod:{start_period} StartInterval:{start_interval} Retries:{}}}",
        check.test.join(" "),
        check.retries
    )
}

/// A time in nanoseconds as Go prints a duration: `1h0m30s`, `1.5s`, `100ms`.
fn go_duration(nanoseconds: i64) -> String {
    let fraction = |value: u64, unit: u64| {
        let text = format!("{}.{:0width$}", value / unit, value % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let total = nanoseconds.unsigned_abs();
    match total {
        0 => "0s".into(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(total, 1_000_000)),
        _ => {
            let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
            let seconds = format!("{}s", fraction(rest, 1_000_000_000));
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}
