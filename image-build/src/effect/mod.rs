//! What the kinds of build steps do.

pub(crate) mod archive;
#[cfg(target_os = "linux")]
pub(crate) mod bind;
pub(crate) mod copy;
pub(crate) mod digest;
pub(crate) mod inline;
pub(crate) mod meta;
pub(crate) mod mode;
pub(crate) mod owner;
pub(crate) mod part;
pub(crate) mod place;
mod ports;
#[cfg(target_os = "linux")]
pub(crate) mod run;
pub(crate) mod select;
mod signal;
pub(crate) mod user;
pub(crate) mod workdir;
