//! Nothing is shared.
//!
//! The standard library can neither clone files nor tell whether somebody else may write to one, without which a second
//! name is not safe.

use std::fs::File;

use super::Shared;
use crate::{
    blob::fs::{options::Sharing, temporary::Temporary},
    error::Result,
};

impl Temporary {
    /// Gives the content of another file to this one, which is empty, without copying it; `None` where that cannot be
    /// done.
    pub(in crate::blob::fs) fn share(&self, _other: &File, _prefix: &str, _sharing: Sharing) -> Result<Option<Shared>> {
        Ok(None)
    }
}
