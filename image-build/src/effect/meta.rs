//! Instructions that change the image's configuration and no file.

use std::time::Duration;

use image_core::{ContainerConfig, Healthcheck};

use super::signal;
use crate::{
    dockerfile::{self, Command, CommandLine, Dockerfile, HealthcheckTest, KeyValues, Spanned},
    env::Env,
    error::Result,
    expand::Expander,
};

/// The shell of instructions in shell form, until a SHELL says otherwise.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The most ports of one EXPOSE: every one of a protocol.
const MAX_PORTS: usize = 65_536;

/// What instructions without files change.
pub(crate) struct MetaState<'a> {
    /// Where the instruction stands, for errors.
    pub(crate) dockerfile: &'a Dockerfile,
    /// The configuration that containers of the image get.
    pub(crate) config: &'a mut ContainerConfig,
    /// The variables that later instructions of the stage see.
    pub(crate) env: &'a mut Env,
    /// Whether this stage has a CMD of its own so far.
    pub(crate) own_cmd: &'a mut bool,
}

/// What an instruction of this kind leaves in the history.
pub(crate) enum Change {
    /// This line.
    Line(String),
    /// Nothing.
    Silent,
}

/// Carries out an instruction; `None` for one that is none of these.
///
/// # Spec
/// Dockerfile reference; the lines of the history are those of BuildKit.
pub(crate) fn apply(command: &Command, state: &mut MetaState<'_>, expand: &mut Expander<'_>) -> Result<Option<Change>> {
    let config = &mut *state.config;
    Ok(Some(Change::Line(match command {
        Command::Env(pairs) => {
            let pairs = expand_pairs(pairs, expand)?;
            for (key, value) in &pairs {
                state.env.set(&**key, &**value);
                set_env(&mut config.env, key, value);
            }
            format!("ENV {}", joined(&pairs))
        }
        Command::Label(pairs) => {
            let pairs = expand_pairs(pairs, expand)?;
            config.labels.extend(pairs.iter().cloned());
            format!("LABEL {}", joined(&pairs))
        }
        Command::User(user) => {
            config.user = expand.word(user)?;
            format!("USER {}", config.user)
        }
        Command::Expose(ports) => {
            let mut added = Vec::new();
            for port in ports {
                for word in expand.words(port)? {
                    let ports = super::ports::parse(&word);
                    added.extend(ports.map_err(|reason| state.dockerfile.fault(port.span, reason))?);
                    if added.len() > MAX_PORTS {
                        let reason = format!("more than {MAX_PORTS} ports in one instruction");
                        return Err(state.dockerfile.fault(port.span, reason));
                    }
                }
            }
            let line = format!("EXPOSE [{}]", added.join(" "));
            config.exposed_ports.extend(added.into_iter().map(|port| (port, Default::default())));
            line
        }
        Command::Volume(paths) => {
            let paths = volumes(state.dockerfile, paths, expand)?;
            let line = format!("VOLUME [{}]", paths.join(" "));
            config.volumes.extend(paths.into_iter().map(|path| (path, Default::default())));
            line
        }
        Command::Stopsignal(word) => {
            let signal = expand.word(word)?;
            if !signal::is_known(&signal) {
                return Err(state.dockerfile.fault(word.span, format!("invalid signal {signal:?}")));
            }
            let line = format!("STOPSIGNAL {signal}");
            config.stop_signal = Some(signal);
            line
        }
        Command::Shell(words) => {
            let words: Vec<String> = words.iter().map(|word| word.value.clone()).collect();
            let line = format!("SHELL [{}]", words.join(" "));
            config.shell = Some(words);
            line
        }
        Command::Cmd(line) => {
            let args = arguments(line, config.shell.as_deref());
            let line = format!("CMD {}", quoted(&args));
            config.cmd = Some(args);
            config.args_escaped = Some(true);
            *state.own_cmd = true;
            line
        }
        Command::Entrypoint(line) => {
            let args = arguments(line, config.shell.as_deref());
            let line = format!("ENTRYPOINT {}", quoted(&args));
            config.entrypoint = Some(args);
            if !*state.own_cmd {
                config.cmd = None;
            }
            line
        }
        Command::Healthcheck(check) => {
            let check = healthcheck(check);
            let line = format!("HEALTHCHECK {}", go_healthcheck(&check));
            config.healthcheck = Some(check);
            line
        }
        Command::Onbuild(onbuild) => {
            config.on_build.push(onbuild.expression.clone());
            return Ok(Some(Change::Silent));
        }
        Command::Maintainer(name) => format!("MAINTAINER {}", name.value),
        _ => return Ok(None),
    })))
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

/// Sets a variable in its place, or behind the others.
fn set_env(env: &mut Vec<String>, key: &str, value: &str) {
    let line = format!("{key}={value}");
    match env.iter_mut().find(|line| line.split_once('=').is_some_and(|(name, _)| name == key)) {
        Some(place) => *place = line,
        None => env.push(line),
    }
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
