//! What the commands of a build may have.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Limits, Network, Secret, Security};

/// What the commands of a build have, what a Dockerfile may ask for, and what only the caller knows.
///
/// ```
/// use image_build::exec::{Network, RunOptions, Secret};
/// let options = RunOptions::default().with_network(Network::User).with_secret("token", Secret::new(*b"1234"));
/// assert_eq!(options.allowed(), Network::User);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// The network of commands that ask for none.
    pub network: Network,
    /// The most of a network that a command may ask for, where that is more than all have.
    pub allowed_network: Network,
    /// The most that a command may be allowed, if it asks for it.
    pub security: Security,
    /// What each command may use of the machine.
    pub limits: Limits,
    /// Secrets by their names, for `--mount=type=secret`.
    pub secrets: BTreeMap<String, Secret>,
    /// The sockets of agents by their names, for `--mount=type=ssh`; that of a mount which names none is `default`.
    pub agents: BTreeMap<String, PathBuf>,
}

impl RunOptions {
    /// With this network for commands that ask for none.
    #[must_use]
    pub fn with_network(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// With commands that may ask for this network, and for less.
    #[must_use]
    pub fn with_allowed_network(self, allowed_network: Network) -> Self {
        Self { allowed_network, ..self }
    }

    /// With commands that may ask to be allowed this much.
    #[must_use]
    pub fn with_security(self, security: Security) -> Self {
        Self { security, ..self }
    }

    /// With each command within these limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// With a secret.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.secrets.insert(name.into(), value);
        self
    }

    /// With an agent's socket.
    #[must_use]
    pub fn with_agent(mut self, name: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        self.agents.insert(name.into(), socket.into());
        self
    }

    /// The most of a network that a command may have.
    #[must_use]
    pub fn allowed(&self) -> Network {
        self.network.max(self.allowed_network)
    }
}
