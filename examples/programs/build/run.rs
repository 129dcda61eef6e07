//! Options about the commands of RUN.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use clap::Args;
use examples::Result;
use image_build::exec::{Executor, Exit, Network, OciOptions, OciRuntime, RunOptions, RunSpec, Secret, Security};
use image_core::Ctx;

/// The largest secret, in bytes, as with other builders.
const MAX_SECRET: u64 = 500 << 10;

#[derive(Debug, Args)]
pub(crate) struct CommandOptions {
    /// The network of RUN, and the most that a Dockerfile may ask for: none, user (through pasta or slirp4netns), or host.
    #[arg(long, value_name = "NETWORK", default_value = "none")]
    network: Network,
    /// The most that RUN --security may ask for: sandbox, or insecure, which is all that this user may do.
    #[arg(long, value_name = "SECURITY", default_value = "sandbox")]
    security: Security,
    /// What runs commands: runc, crun, youki, or a path [default: whichever is found]
    #[arg(long, value_name = "RUNTIME")]
    runtime: Option<PathBuf>,
    /// A secret for RUN --mount=type=secret, out of a file or a variable; may be given several times.
    #[arg(long, value_name = "id=ID,src=FILE|env=NAME", value_parser = Source::parse)]
    secret: Vec<Source>,
    /// An agent's socket for RUN --mount=type=ssh [default of SOCKET: $SSH_AUTH_SOCK]
    #[arg(long, value_name = "ID[=SOCKET]")]
    ssh: Vec<String>,
}

/// Where a secret comes from.
#[derive(Debug, Clone)]
struct Source {
    id: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Variable(String),
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        let (mut id, mut place) = (None, None);
        for field in text.split(',') {
            match field.split_once('=') {
                Some(("id", name)) => id = Some(name.to_owned()),
                Some(("src" | "source", file)) => place = Some(Place::File(file.into())),
                Some(("env", name)) => place = Some(Place::Variable(name.into())),
                Some(("type", "file" | "env")) => {}
                _ => return Err(format!("{field:?} is no part of a secret: write id=ID,src=FILE or id=ID,env=NAME")),
            }
        }
        match (id, place) {
            (Some(id), Some(place)) if !id.is_empty() => Ok(Self { id, place }),
            _ => Err("write id=ID,src=FILE or id=ID,env=NAME".into()),
        }
    }

    fn read(&self) -> Result<Secret> {
        let failed = |error: &dyn std::fmt::Display| format!("secret {}: {error}", self.id).into();
        match &self.place {
            Place::Variable(name) => {
                variable(name).map(|value| Secret::new(value.into_bytes())).map_err(|e| failed(&e))
            }
            Place::File(path) => {
                let cannot = |what: &dyn std::fmt::Display| failed(&format!("cannot read {}: {what}", path.display()));
                let file = std::fs::File::open(path).map_err(|e| cannot(&e))?;
                let mut bytes = Vec::new();
                file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(|e| cannot(&e))?;
                if bytes.len() as u64 > MAX_SECRET {
                    return Err(cannot(&"it is larger than 500 KiB"));
                }
                Ok(Secret::new(bytes))
            }
        }
    }
}

impl CommandOptions {
    pub(crate) fn options(&self) -> Result<RunOptions> {
        let mut options = RunOptions::default().with_network(self.network).with_security(self.security);
        for source in &self.secret {
            options = options.with_secret(&source.id, source.read()?);
        }
        for agent in &self.ssh {
            options = match agent.split_once('=') {
                Some((id, socket)) => options.with_agent(id, socket),
                None => {
                    let socket =
                        variable("SSH_AUTH_SOCK").map_err(|e| format!("--ssh {agent}: {e}: write ID=SOCKET"))?;
                    options.with_agent(agent, socket)
                }
            };
        }
        Ok(options)
    }

    /// What runs commands, below this directory.
    pub(crate) fn executor(&self, directory: &Path) -> OnDemand {
        let options =
            self.runtime.iter().fold(OciOptions::default(), OciOptions::with_runtime).with_security(self.security);
        OnDemand { directory: directory.to_owned(), options, runtime: OnceLock::new() }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program reads the variables that its user names")]
fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| match e {
        std::env::VarError::NotPresent => format!("the environment has no variable {name}"),
        std::env::VarError::NotUnicode(_) => format!("the environment's variable {name} is not UTF-8"),
    })
}

/// A runtime that is looked for when there is a command to run: most builds have none.
pub(crate) struct OnDemand {
    directory: PathBuf,
    options: OciOptions,
    runtime: OnceLock<OciRuntime>,
}

impl Executor for OnDemand {
    fn run(&self, spec: &RunSpec, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> image_build::Result<Exit> {
        let runtime = match self.runtime.get() {
            Some(runtime) => runtime,
            None => {
                let opened = OciRuntime::open(&self.directory, &self.options)?;
                self.runtime.get_or_init(|| opened)
            }
        };
        runtime.run(spec, output, ctx)
    }
}
