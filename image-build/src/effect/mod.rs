//! What the kinds of build steps do.

pub(crate) mod archive;
pub(crate) mod copy;
pub(crate) mod inline;
pub(crate) mod meta;
pub(crate) mod mode;
pub(crate) mod owner;
pub(crate) mod part;
pub(crate) mod place;
mod ports;
pub(crate) mod select;
mod signal;
pub(crate) mod workdir;
