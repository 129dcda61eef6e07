//! The control groups of a run.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result};

/// How long it is waited for processes to end.
const PAUSE: Duration = Duration::from_millis(10);

/// How deep groups within a group are looked for.
const MAX_DEPTH: usize = 16;

/// Removes the groups of a name, in all hierarchies, with the processes that are in them.
///
/// The runtime removes them itself when it ends well. Where it was killed, this does.
pub(super) fn remove(name: &str, deadline: Instant) -> Result<()> {
    for mount in mounts().map_err(|e| Error::io("read", "/proc/self/mountinfo", e))? {
        let group = mount.join(name);
        while group.exists() {
            match remove_tree(&group, MAX_DEPTH) {
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => thread::sleep(PAUSE),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                result => result.map_err(|e| Error::io("remove", &group, e))?,
            }
        }
    }
    Ok(())
}

/// Whether the machine has both versions of control groups, with controllers in the second: crun refuses that.
pub(super) fn is_hybrid() -> bool {
    let controllers = Path::new("/sys/fs/cgroup/unified/cgroup.controllers");
    File::open(controllers).is_ok_and(|file| BufReader::new(file).lines().next().is_some())
}

/// Where control groups are mounted.
///
/// # Spec
/// proc(5), `/proc/[pid]/mountinfo`: the fifth field is the mount point, and the type follows a lone hyphen.
fn mounts() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in BufReader::new(File::open("/proc/self/mountinfo")?).lines() {
        let line = line?;
        let Some((mount, kind)) = line.split_once(" - ") else { continue };
        if kind.starts_with("cgroup ") || kind.starts_with("cgroup2 ") {
            found.extend(mount.split(' ').nth(4).map(PathBuf::from));
        }
    }
    Ok(found)
}

fn remove_tree(group: &Path, depth: usize) -> io::Result<()> {
    if depth > 0 {
        for entry in fs::read_dir(group)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                remove_tree(&entry.path(), depth - 1)?;
            }
        }
    }
    match fs::remove_dir(group) {
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
            kill_all(group)?;
            Err(e)
        }
        result => result,
    }
}

fn kill_all(group: &Path) -> io::Result<()> {
    for line in BufReader::new(File::open(group.join("cgroup.procs"))?).lines() {
        // 0 stands for processes of another namespace.
        if let Some(pid) = line?.parse().ok().and_then(Pid::from_raw) {
            // One that has ended meanwhile is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}
