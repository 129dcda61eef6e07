//! The shell script that prepares a run inside its namespaces and then becomes the runtime.
//!
//! It does what needs the privilege of the run's user namespace or belongs into its mount namespace: a file
//! system in memory for all that may not come to the disk, owners, the network. What it puts there comes by its
//! standard input, so that no secret is an argument either.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use super::{
    machine::{Flavour, Machine},
    network::UserNetwork,
};
use crate::exec::Owner;

/// Steps of a script, each with its arguments quoted.
#[derive(Debug)]
pub(super) struct Script {
    text: Vec<u8>,
    /// What the script reads.
    input: Vec<u8>,
}

impl Script {
    fn empty() -> Self {
        let mut script = Self { text: Vec::new(), input: Vec::new() };
        script.line("set -eu");
        script.line("umask 022");
        script
    }

    /// Makes a directory: at once with its owner and permissions, and with what is in `seed`, or not at all.
    pub(super) fn making(path: &Path, owner: Owner, seed: Option<&Path>) -> OsString {
        let mut script = Self::empty();
        let fresh = path.with_extension("new");
        script.step([OsStr::new("rm"), "-rf".as_ref(), "--".as_ref(), fresh.as_os_str()], "");
        script.step([OsStr::new("mkdir"), "--".as_ref(), fresh.as_os_str()], "");
        if let Some(seed) = seed {
            script.step(
                [OsStr::new("cp"), "-a".as_ref(), "--".as_ref(), seed.join(".").as_os_str(), fresh.as_os_str()],
                "",
            );
        }
        script.own(fresh.as_os_str(), owner);
        script.step([OsStr::new("mv"), "-T".as_ref(), "--".as_ref(), fresh.as_os_str(), path.as_os_str()], "");
        OsString::from_vec(script.text)
    }

    /// Removes a directory, whichever of the user's ids own what is in it.
    pub(super) fn removing(path: &Path) -> OsString {
        let mut script = Self::empty();
        script.step(
            [OsStr::new("rm"), "-rf".as_ref(), "--one-file-system".as_ref(), "--".as_ref(), path.as_os_str()],
            "",
        );
        OsString::from_vec(script.text)
    }

    /// Begins in the directory of the run, with what complains to a file of it.
    pub(super) fn new(machine: &Machine) -> Self {
        let mut script = Self::empty();
        script.line("exec 3>&2 2>setup");
        // The shell itself opens it, and /proc still is that of the machine.
        script.line("read -r pid rest </proc/self/stat");
        script.line("echo \"$pid\" >pid");
        script.line("mount -t proc -o nosuid,nodev,noexec proc /proc");
        script.line("mount -t tmpfs -o mode=0700,nosuid,nodev tmpfs private");
        if machine.hides_cgroups() {
            script.line("mount -t tmpfs -o ro,nosuid,nodev,noexec tmpfs /sys/fs/cgroup");
        }
        script
    }

    /// Puts a file into the private directory.
    pub(super) fn file(&mut self, name: &str, content: &[u8], owner: Owner) {
        self.input.extend_from_slice(content);
        self.step(["head", "-c", &content.len().to_string()], &format!(" >private/{name}"));
        self.own(Path::new("private").join(name).as_os_str(), owner);
    }

    /// Gives a file its owner and permissions, as the run's user namespace counts them.
    pub(super) fn own(&mut self, path: &OsStr, owner: Owner) {
        self.chown(path, owner);
        self.step([OsStr::new("chmod"), format!("{:04o}", owner.mode).as_ref(), path], "");
    }

    /// Keeps devices in a directory from being opened through it.
    pub(super) fn without_devices(&mut self, path: &Path) {
        self.step([OsStr::new("mount"), "--bind".as_ref(), path.as_os_str(), path.as_os_str()], "");
        self.step([OsStr::new("mount"), "-o".as_ref(), "remount,bind,nodev".as_ref(), path.as_os_str()], "");
    }

    /// Makes a network namespace at `private/netns`, and the way out of it.
    pub(super) fn network(&mut self, network: &UserNetwork) {
        self.line(": >private/netns");
        self.step([OsStr::new("unshare"), "--net=private/netns".as_ref(), "true".as_ref()], "");
        for line in network.steps() {
            self.line(line);
        }
    }

    /// Ends by becoming the runtime; gives the script and what it reads.
    pub(super) fn finish(&mut self, machine: &Machine, name: &str) -> (OsString, Vec<u8>) {
        let mut words: Vec<&OsStr> = vec!["exec".as_ref(), machine.runtime().as_os_str()];
        words.extend(["--root", "state", "--log", "../log", "--log-format", "json"].map(OsStr::new));
        if machine.flavour() == Flavour::Crun && !machine.has_cgroups() {
            words.push("--cgroup-manager=disabled".as_ref());
        }
        words.extend(["run", "--bundle", ".", name].map(OsStr::new));
        self.line(": >ready");
        self.line("cd private");
        self.step(words, " </dev/null 2>&3 3>&-");
        (OsString::from_vec(std::mem::take(&mut self.text)), std::mem::take(&mut self.input))
    }

    fn chown(&mut self, path: &OsStr, owner: Owner) {
        if (owner.uid, owner.gid) != (0, 0) {
            self.step([OsStr::new("chown"), format!("{}:{}", owner.uid, owner.gid).as_ref(), path], "");
        }
    }

    fn line(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
        self.text.push(b'\n');
    }

    fn step<W: AsRef<OsStr>>(&mut self, words: impl IntoIterator<Item = W>, rest: &str) {
        for word in words {
            self.text.extend(quote(word.as_ref().as_bytes()));
            self.text.push(b' ');
        }
        self.line(rest);
    }
}

/// One word of a shell, whatever its bytes are.
fn quote(word: &[u8]) -> Vec<u8> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:=".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) {
        return word.to_vec();
    }
    let mut quoted = vec![b'\''];
    for &byte in word {
        if byte == b'\'' { quoted.extend_from_slice(b"'\\''") } else { quoted.push(byte) }
    }
    quoted.push(b'\'');
    quoted
}
