//! What a program chooses about a RUN.

use super::line::Words;
use crate::{
    dockerfile::RunFlags,
    exec::{Access, CacheSharing, Network, Security},
};

/// What [`ImageSteps::run_with`](super::ImageSteps::run_with) is told besides.
///
/// # Spec
/// Dockerfile reference, § RUN --mount, § RUN --network and § RUN --security.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandOptions {
    /// What is mounted while the command runs.
    pub mounts: Vec<CommandMount>,
    /// The network, where it is not the one that all commands of the build have.
    pub network: Option<Network>,
    /// How much the command is allowed.
    pub security: Security,
}

impl CommandOptions {
    /// With this mounted.
    #[must_use]
    pub fn with_mount(mut self, mount: CommandMount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// With this network: none, or the machine's. Another one is the build's to choose.
    #[must_use]
    pub fn with_network(self, network: Network) -> Self {
        Self { network: Some(network), ..self }
    }

    /// With this much allowed.
    #[must_use]
    pub fn with_security(self, security: Security) -> Self {
        Self { security, ..self }
    }

    pub(super) fn flags(self, words: &mut Words) -> RunFlags {
        let mounts = self.mounts.into_iter().map(|mount| mount.line());
        let mounts = mounts.filter_map(|line| words.flag("mount", Some(line))).collect();
        let network = self.network.map(|network| match network {
            Network::None => "none",
            Network::Host => "host",
            Network::User => "default",
        });
        let security = (self.security == Security::Insecure).then_some("insecure");
        RunFlags {
            mounts,
            network: words.flag("network", network.map(String::from)),
            security: words.flag("security", security.map(String::from)),
        }
    }
}

/// Something that is mounted while a command runs.
///
/// ```
/// use image_build::{CommandMount, CommandOptions, ImageSteps};
/// let options = CommandOptions::default()
///     .with_mount(CommandMount::cache("/root/.cache"))
///     .with_mount(CommandMount::secret("token").with_env("TOKEN"))
///     .with_mount(CommandMount::bind("src", "/src"));
/// let steps = ImageSteps::from_image("debian:12").run_with(["make", "-C", "/src"], options);
/// # steps.finish()?;
/// # Ok::<(), image_build::Error>(())
/// ```
///
/// # Spec
/// Dockerfile reference, § RUN --mount: each method is a key of that name, with its default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is mounted where it is given to a command"]
pub struct CommandMount {
    fields: Vec<(&'static str, String)>,
}

impl CommandMount {
    /// Files of the context, or of what [`CommandMount::with_from`] names; they may be read.
    pub fn bind(source: impl Into<String>, target: impl Into<String>) -> Self {
        Self::new("bind").with("source", source).with("target", target)
    }

    /// A directory that is kept for later commands; it may be written.
    pub fn cache(target: impl Into<String>) -> Self {
        Self::new("cache").with("target", target)
    }

    /// An empty directory in memory.
    pub fn tmpfs(target: impl Into<String>) -> Self {
        Self::new("tmpfs").with("target", target)
    }

    /// A secret of the build's options, in a file below `/run/secrets`.
    pub fn secret(id: impl Into<String>) -> Self {
        Self::new("secret").with("id", id)
    }

    /// The socket of an agent of the build's options.
    pub fn ssh() -> Self {
        Self::new("ssh")
    }

    fn new(kind: &'static str) -> Self {
        Self { fields: vec![("type", kind.to_owned())] }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.fields.retain(|(known, _)| *known != key);
        self.fields.push((key, value.into()));
        self
    }

    /// From a stage, a named context or an image.
    pub fn with_from(self, from: impl Into<String>) -> Self {
        self.with("from", from)
    }

    /// From this path of what [`CommandMount::with_from`] names, for a cache that is new.
    pub fn with_source(self, source: impl Into<String>) -> Self {
        self.with("source", source)
    }

    /// At this path.
    pub fn with_target(self, target: impl Into<String>) -> Self {
        self.with("target", target)
    }

    /// Under this name: that of a cache or an agent.
    pub fn with_id(self, id: impl Into<String>) -> Self {
        self.with("id", id)
    }

    /// A secret as this variable, and not as a file.
    pub fn with_env(self, name: impl Into<String>) -> Self {
        self.with("env", name)
    }

    /// A secret or an agent without which the command cannot run.
    pub fn with_required(self) -> Self {
        self.with("required", "true")
    }

    /// Written or only read by the command.
    pub fn with_access(self, access: Access) -> Self {
        self.with("readonly", (access == Access::ReadOnly).to_string())
    }

    /// A cache that others may use so at the same time.
    pub fn with_sharing(self, sharing: CacheSharing) -> Self {
        self.with(
            "sharing",
            match sharing {
                CacheSharing::Shared => "shared",
                CacheSharing::Private => "private",
                CacheSharing::Locked => "locked",
            },
        )
    }

    /// Owned by these.
    pub fn with_owner(self, uid: u32, gid: u32) -> Self {
        self.with("uid", uid.to_string()).with("gid", gid.to_string())
    }

    /// With these permissions.
    pub fn with_mode(self, mode: u32) -> Self {
        self.with("mode", format!("{mode:o}"))
    }

    /// Of at most this size, in bytes.
    pub fn with_size(self, bytes: u64) -> Self {
        self.with("size", bytes.to_string())
    }

    /// The value of the flag: fields between commas, each in quotes where its value holds what parts them.
    ///
    /// # Spec
    /// RFC 4180, § 2, 5 to 7.
    fn line(self) -> String {
        let field = |(key, value): &(&str, String)| {
            if value.contains([',', '"', '\n', '\r']) {
                format!("\"{key}={}\"", value.replace('"', "\"\""))
            } else {
                format!("{key}={value}")
            }
        };
        self.fields.iter().map(field).collect::<Vec<_>>().join(",")
    }
}
