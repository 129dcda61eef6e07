//! Running the command of a RUN: the seam to what runs it, and what it is given.
//!
//! - [`RunSpec`]: the command, its root file system, and all that it sees besides; [`Mount`]s, a [`Secret`].
//! - [`RunOptions`]: what the commands of a build have, and may ask for.
//! - [`Exit`]: how it ended, and the last of what it wrote.
//! - `OciRuntime` (feature `oci-runtime`, Linux): runs commands by runc, crun or youki; `CacheMounts`: the directories
//!   that its runs leave for later runs.

#[cfg(feature = "conformance")]
pub mod conformance;
mod exit;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod oci;
mod options;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
mod output;
mod spec;

use std::sync::Arc;

use image_core::Ctx;

pub use exit::Exit;
#[cfg(all(target_os = "linux", feature = "oci-runtime"))]
pub use oci::{CacheMount, CacheMounts, OciOptions, OciRuntime};
pub use options::RunOptions;
pub use spec::{Access, CacheSharing, Limits, Mount, MountKind, Network, Owner, RunSpec, Secret, Security, User};

use crate::error::Result;

/// Runs commands in root file systems.
///
/// A run is over when this returns: no process, mount or file of it is left but for what the command itself wrote
/// to its root file system and to mounts that may be written. Several runs may be under way at once, on
/// different root file systems.
pub trait Executor: Send + Sync {
    /// Runs one command to its end. `output` is given all that it writes, a line at a time and with the line's end;
    /// a very long line comes in parts. Lines of standard output and standard error may come in another order than
    /// they were written in.
    ///
    /// That the command fails is no error here: [`Exit::into_result`] makes one of it.
    ///
    /// # Errors
    /// Where the command cannot be started; [`Error::is_unsupported`](crate::Error::is_unsupported) where this
    /// machine or implementation cannot do what the specification asks, and
    /// [`Error::is_cancelled`](crate::Error::is_cancelled). What the root file system holds then is of no use.
    fn run(&self, spec: &RunSpec, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> Result<Exit>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<E: Executor + ?Sized> Executor for $pointer {
            fn run(&self, spec: &RunSpec, output: &mut dyn FnMut(&[u8]), ctx: &Ctx) -> Result<Exit> {
                (**self).run(spec, output, ctx)
            }
        }
    )+};
}

forward!(&E, Box<E>, Arc<E>);
