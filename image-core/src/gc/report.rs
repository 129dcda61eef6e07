//! What a collection did, and why.

use std::fmt;

use serde::Serialize;

use super::Root;
use crate::{clock::Timestamp, digest::Digest};

/// What was dropped, removed and kept; after a dry run, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Collected {
    /// The roots that were dropped, the least recently used first.
    pub dropped: Vec<Dropped>,
    /// How many blobs were removed.
    pub removed: u64,
    /// Their size, in bytes.
    pub freed: u64,
    /// How many blobs are kept.
    pub kept: u64,
    /// Their size, in bytes.
    pub kept_bytes: u64,
    /// How many of those no root needs: leases or the grace period protect them.
    pub spared: u64,
    /// Their size, in bytes.
    pub spared_bytes: u64,
    /// How many unfinished blobs of dead processes were removed.
    pub ingests: u64,
    /// Whether nothing was changed.
    pub is_dry_run: bool,
}

/// A root that was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Dropped {
    /// Its name.
    pub name: String,
    /// What it pointed at.
    pub digest: Digest,
    /// When it was last used.
    pub last_used: Timestamp,
    /// Why it was dropped.
    #[serde(flatten)]
    pub reason: Reason,
}

/// Why a root was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Reason {
    /// It was not used for too long.
    #[error("not used since {since}")]
    #[non_exhaustive]
    Unused {
        /// Until when it might have been used.
        since: Timestamp,
    },
    /// With it, and all that was used later, there would be too many bytes.
    #[error("with what was used later it needs {needed} bytes, {limit} may be kept")]
    #[non_exhaustive]
    OverLimit {
        /// How many bytes it, and all that was used later, needs.
        needed: u64,
        /// How many may be kept.
        limit: u64,
    },
    /// It is too large, whatever else is dropped.
    #[error("it alone needs {needed} bytes, {limit} may be kept")]
    #[non_exhaustive]
    TooLarge {
        /// How many bytes it needs, with what cannot be dropped.
        needed: u64,
        /// How many may be kept.
        limit: u64,
    },
    /// It is about something that is not kept.
    #[error("it is about {subject}, which nothing needs")]
    #[non_exhaustive]
    Orphaned {
        /// What it is about.
        subject: Digest,
    },
}

impl Dropped {
    pub(super) fn new(root: &Root, reason: Reason) -> Self {
        Self { name: root.name.clone(), digest: root.target.digest.clone(), last_used: root.last_used, reason }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, last used {}): {}", self.name, self.digest, self.last_used.truncated(), self.reason)
    }
}
