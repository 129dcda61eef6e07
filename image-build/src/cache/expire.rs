//! Expiry: which records a policy drops, least recently used first.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use image_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CacheKey, IngredientKind, Journal, Record, RecordStore};
use crate::error::Result;

/// How long it is remembered that a record was expired.
const REMEMBERED: Duration = Duration::from_secs(180 * 86_400);

/// What is kept. Without a limit everything is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiryPolicy {
    /// Records that served within this time.
    pub max_age: Option<Duration>,
    /// This many records.
    pub max_count: Option<u64>,
    /// This many bytes of the blobs that records name, each blob counted once.
    pub max_bytes: Option<u64>,
}

impl ExpiryPolicy {
    /// With a limit for the time since a record last served.
    #[must_use]
    pub fn with_max_age(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }

    /// With a limit for the number of records.
    #[must_use]
    pub fn with_max_count(self, count: u64) -> Self {
        Self { max_count: Some(count), ..self }
    }

    /// With a limit for the size of the blobs that records name, in bytes.
    #[must_use]
    pub fn with_max_bytes(self, bytes: u64) -> Self {
        Self { max_bytes: Some(bytes), ..self }
    }
}

/// Whether things are done or only told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RunMode {
    /// Done.
    #[default]
    Real,
    /// Only told: nothing is changed.
    Dry,
}

/// Why a record is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExpiryReason {
    /// It did not serve for longer than the policy allows.
    #[non_exhaustive]
    Age {
        /// When it last served.
        used: Timestamp,
    },
    /// As many as the policy allows were used later.
    #[non_exhaustive]
    Count {
        /// How many are kept.
        limit: u64,
    },
    /// The blobs of those that were used later, and its own, are more than the policy allows.
    #[non_exhaustive]
    Bytes {
        /// How many bytes are kept.
        limit: u64,
    },
}

/// A record that was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExpiredRecord {
    /// Its key.
    pub key: CacheKey,
    /// The instruction or command that it is the result of, where the recipe has one.
    pub instruction: Option<String>,
    /// Why.
    #[serde(flatten)]
    pub reason: ExpiryReason,
}

/// What was dropped and what was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Expiry {
    /// The records dropped, least recently used first.
    pub expired: Vec<ExpiredRecord>,
    /// How many records are kept.
    pub kept: u64,
    /// The size of the blobs that these name, in bytes, each blob counted once.
    pub kept_bytes: u64,
}

impl fmt::Display for ExpiryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age { used } => write!(f, "last used {used}"),
            Self::Count { limit } => write!(f, "{limit} records were used later"),
            Self::Bytes { limit } => write!(f, "those used later leave no room below {limit} bytes"),
        }
    }
}

/// Drops the records that a policy does not keep, and notes in the journal that they were expired now.
///
/// Records go least recently used first, until age, count and bytes are within the limits. Blobs are not removed: they
/// are the caller's, and [`blobs`](super::blobs()) says which are still named.
///
/// # Errors
/// Where the store or the journal cannot be read or written.
pub fn expire<S: RecordStore + Journal + ?Sized>(
    store: &S,
    policy: &ExpiryPolicy,
    mode: RunMode,
    now: Timestamp,
) -> Result<Expiry> {
    let mut records = Vec::new();
    store.for_each(&mut |record| {
        records.push(Candidate::new(&record));
        Ok(())
    })?;
    let expiry = choose(records, policy, now);
    if mode == RunMode::Real {
        for expired in &expiry.expired {
            store.remove(&expired.key)?;
            store.put_expired(&expired.key, now)?;
        }
        store.forget_expired(before(now, REMEMBERED))?;
    }
    Ok(expiry)
}

/// What a policy asks of a record.
struct Candidate {
    used: Timestamp,
    created: Timestamp,
    key: CacheKey,
    instruction: Option<String>,
    blobs: Vec<(Digest, u64)>,
}

impl Candidate {
    fn new(record: &Record) -> Self {
        let instruction = record.recipe.ingredients().iter().find(|part| part.kind == IngredientKind::Instruction);
        Self {
            used: record.used,
            created: record.created,
            key: record.recipe.key(),
            instruction: instruction.and_then(|part| part.text.clone()),
            blobs: record.descriptors().map(|blob| (blob.digest.clone(), blob.size)).collect(),
        }
    }
}

fn choose(mut records: Vec<Candidate>, policy: &ExpiryPolicy, now: Timestamp) -> Expiry {
    // Most recently used first; the key decides where times are equal.
    records.sort_by(|a, b| (b.used, b.created, &b.key).cmp(&(a.used, a.created, &a.key)));
    let oldest = policy.max_age.map(|age| before(now, age));
    let mut expiry = Expiry::default();
    let mut blobs = HashSet::new();
    let mut verdict = None;
    for record in records {
        let own: HashMap<&Digest, u64> = record
            .blobs
            .iter()
            .filter(|(digest, _)| !blobs.contains(digest))
            .map(|(digest, size)| (digest, *size))
            .collect();
        let bytes = own.values().fold(expiry.kept_bytes, |sum, size| sum.saturating_add(*size));
        // Once one has to go, so has everything that was used before it.
        let over = match verdict {
            Some(over) => Some(over),
            None if policy.max_count.is_some_and(|limit| expiry.kept >= limit) => {
                policy.max_count.map(|limit| ExpiryReason::Count { limit })
            }
            None => policy.max_bytes.filter(|limit| bytes > *limit).map(|limit| ExpiryReason::Bytes { limit }),
        };
        verdict = over;
        let aged = oldest.filter(|oldest| record.used < *oldest).map(|_| ExpiryReason::Age { used: record.used });
        match aged.or(over) {
            Some(reason) => {
                let Candidate { key, instruction, .. } = record;
                expiry.expired.push(ExpiredRecord { key, instruction, reason });
            }
            None => {
                expiry.kept += 1;
                expiry.kept_bytes = bytes;
                blobs.extend(record.blobs.into_iter().map(|(digest, _)| digest));
            }
        }
    }
    expiry.expired.reverse();
    expiry
}

/// So long before a time.
fn before(now: Timestamp, span: Duration) -> Timestamp {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Timestamp::new(now.seconds().saturating_sub(seconds), now.nanoseconds()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: u8, used: i64, blob: Option<(u8, u64)>) -> Candidate {
        let key = super::super::Recipe::new().with_text(IngredientKind::Setting, &name.to_string(), "").key();
        let blobs = blob.map(|(blob, size)| (Digest::sha256_of(&[blob]), size)).into_iter().collect();
        let (used, created) = (Timestamp::from_seconds(used), Timestamp::UNIX_EPOCH);
        Candidate { used, created, key, instruction: Some(name.to_string()), blobs }
    }

    /// Four records, of which two share a blob; those that go, least recently used first.
    fn check(policy: ExpiryPolicy, expected: &[(&str, &str)], kept: (u64, u64)) {
        let records = vec![
            candidate(1, 100, Some((1, 10))),
            candidate(2, 400, Some((2, 20))),
            candidate(3, 300, None),
            candidate(4, 200, Some((2, 20))),
        ];
        let expiry = choose(records, &policy, Timestamp::from_seconds(500));
        let said: Vec<_> =
            expiry.expired.iter().map(|e| (e.instruction.clone().unwrap(), e.reason.to_string())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect();
        assert_eq!(said, expected, "{policy:?}");
        assert_eq!((expiry.kept, expiry.kept_bytes), kept, "{policy:?}");
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let policy = ExpiryPolicy::default();
        let (count, bytes) = ("2 records were used later", "those used later leave no room below 25 bytes");
        let (first, fourth) = ("last used 1970-01-01T00:01:40Z", "last used 1970-01-01T00:03:20Z");
        check(policy, &[], (4, 30));
        check(policy.with_max_age(Duration::from_secs(300)), &[("1", first)], (3, 20));
        check(policy.with_max_age(Duration::from_secs(299)), &[("1", first), ("4", fourth)], (2, 20));
        check(policy.with_max_count(2), &[("1", count), ("4", count)], (2, 20));
        check(policy.with_max_count(4), &[], (4, 30));
        check(policy.with_max_bytes(25), &[("1", bytes)], (3, 20));
        check(policy.with_max_bytes(30), &[], (4, 30));
        let none = "those used later leave no room below 0 bytes";
        check(policy.with_max_bytes(0), &[("1", none), ("4", none), ("3", none), ("2", none)], (0, 0));
        let both = policy.with_max_count(2).with_max_age(Duration::from_secs(350));
        check(both, &[("1", first), ("4", count)], (2, 20));
    }
}
