//! Cache keys.

use std::fmt;

use image_core::{Digest, hasher::Hasher};
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;

/// What every key begins with. The number counts up when equal recipes would give other results.
const DOMAIN: &[u8] = b"image-build cache key v1\0";

/// The name of a recipe: equal if and only if the recipes are, on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheKey(Digest);

impl CacheKey {
    /// The key of a recipe: SHA-256 over a domain tag and the ingredients in order, every part
    /// with its length before it (64 bits, little-endian), so that no two lists encode alike.
    pub(super) fn of(recipe: &Recipe) -> Self {
        let mut hasher = Hasher::sha256();
        hasher.update(DOMAIN);
        hasher.update(&(recipe.ingredients().len() as u64).to_le_bytes());
        for ingredient in recipe.ingredients() {
            for part in [ingredient.kind.tag(), &ingredient.name, &ingredient.digest.to_string()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        Self(hasher.finish())
    }

    /// The digest.
    #[must_use]
    pub fn as_digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
