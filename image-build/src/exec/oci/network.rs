//! The way out of a network namespace without privilege: pasta or slirp4netns.

use std::{fs::File, io::Read, path::Path};

use super::machine::Machine;
use crate::error::{Error, Result};

/// The most that is read of `/etc/resolv.conf`, in bytes.
const MAX_RESOLV_CONF: u64 = 64 << 10;

/// A program that passes packets on, with what the shell does to start it.
#[derive(Debug)]
pub(super) struct UserNetwork {
    steps: Vec<String>,
    /// Which name server the run asks.
    name_server: &'static str,
}

impl UserNetwork {
    /// The one that works: pasta without privilege, where it keeps itself in; as root slirp4netns first, which gives
    /// up its rights then.
    pub(super) fn find(machine: &Machine) -> Result<Self> {
        let (pasta, slirp) = (machine.has("pasta"), machine.has("slirp4netns"));
        match (pasta, slirp, machine.is_rootless()) {
            (true, _, true) | (true, false, _) => Ok(Self::pasta(machine.is_rootless())),
            (_, true, _) => Ok(Self::slirp4netns()),
            (false, false, _) => Err(Error::CannotRun {
                reason: "a user-mode network needs pasta or slirp4netns: install one, or take --network=host or none"
                    .into(),
            }),
        }
    }

    /// What the shell does, in the directory of the run, once `private/netns` is a network namespace.
    pub(super) fn steps(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(String::as_str)
    }

    /// It goes to the background when the network is there. No port is passed on in either direction.
    fn pasta(is_rootless: bool) -> Self {
        let runas = if is_rootless { "" } else { " --runas 0" };
        let name_server = "169.254.1.1";
        let command = format!(
            "pasta --config-net --quiet --no-map-gw -t none -u none -T none -U none{runas} --dns-forward {name_server} \
             --netns-only --netns \"$PWD/private/netns\" --log-file \"$PWD/private/pasta.log\" \
             </dev/null >/dev/null 3>&- || {{ cat private/pasta.log >&2; exit 1; }}"
        );
        Self { steps: vec![command], name_server }
    }

    /// It says when the network is there.
    fn slirp4netns() -> Self {
        let steps = [
            "mkfifo private/ready",
            "slirp4netns --configure --mtu=65520 --disable-host-loopback --netns-type=path --ready-fd=4 \
             private/netns tap0 </dev/null >private/slirp.log 2>&1 3>&- 4>private/ready &",
            "[ \"$(head -c 1 private/ready)\" = 1 ] || { cat private/slirp.log >&2; exit 1; }",
        ];
        Self { steps: steps.map(str::to_owned).into(), name_server: "10.0.2.3" }
    }

    /// The `/etc/resolv.conf` of a run with this network.
    pub(super) fn resolv_conf(&self) -> Vec<u8> {
        format!("nameserver {}\n", self.name_server).into_bytes()
    }
}

/// The `/etc/resolv.conf` of this machine; empty where there is none.
pub(super) fn host_resolv_conf() -> Vec<u8> {
    let mut text = Vec::new();
    let read =
        File::open(Path::new("/etc/resolv.conf")).and_then(|file| file.take(MAX_RESOLV_CONF).read_to_end(&mut text));
    if read.is_ok() { text } else { Vec::new() }
}
