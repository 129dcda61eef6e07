//! Options that the libraries do not carry out yet.

use clap::Args;
use examples::Result;

/// Accepted, so that a user hears what the matter is, and not shown in the help.
#[derive(Debug, Args)]
pub(crate) struct Later {
    #[arg(long, hide = true, value_name = "id=ID,src=FILE")]
    secret: Vec<String>,
    #[arg(long, hide = true, value_name = "none|host|user")]
    network: Option<String>,
    #[arg(long, hide = true, value_name = "runc|crun|PATH")]
    runtime: Option<String>,
}

impl Later {
    /// Says which option is not carried out yet.
    pub(crate) fn refuse(&self) -> Result<()> {
        let given = [
            ("--secret", !self.secret.is_empty()),
            ("--network", self.network.is_some()),
            ("--runtime", self.runtime.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(format!("{option} is not supported yet").into()),
            None => Ok(()),
        }
    }
}
