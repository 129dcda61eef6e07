//! Recipes: everything that goes into a step.

use image_core::Digest;
use serde::{Deserialize, Serialize};

use super::key::CacheKey;

/// The longest text that an ingredient keeps for explanations, in bytes; its digest covers all of it.
const MAX_TEXT: usize = 4096;

/// What an ingredient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IngredientKind {
    /// The instruction or command itself.
    Instruction,
    /// What the step builds upon.
    Parent,
    /// An image from outside.
    BaseImage,
    /// A build argument.
    Argument,
    /// A variable of the environment.
    Environment,
    /// The content of files.
    Content,
    /// The platform that is built for.
    Platform,
    /// A choice of how to build.
    Setting,
    /// The version of a tool.
    Tool,
    /// Something mounted while the work is done.
    Mount,
}

impl IngredientKind {
    /// The name under which the kind enters a key. Never changed.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::Parent => "parent",
            Self::BaseImage => "base-image",
            Self::Argument => "argument",
            Self::Environment => "environment",
            Self::Content => "content",
            Self::Platform => "platform",
            Self::Setting => "setting",
            Self::Tool => "tool",
            Self::Mount => "mount",
        }
    }
}

/// One thing that goes into a step: which, and the digest of its value.
///
/// Two are equal where kind, name and digest are; the text that shows the value does not count, as it does not in a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ingredient {
    /// What it is.
    pub kind: IngredientKind,
    /// Which one of its kind.
    pub name: String,
    /// The digest of its value.
    pub digest: Digest,
    /// The value, where it is a short text; for explanations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl PartialEq for Ingredient {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.name, &self.digest) == (other.kind, &other.name, &other.digest)
    }
}

impl Eq for Ingredient {}

/// Everything that goes into a step, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipe {
    ingredients: Vec<Ingredient>,
}

impl Recipe {
    /// A recipe of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more ingredient whose value is a text.
    #[must_use]
    pub fn with_text(self, kind: IngredientKind, name: &str, text: &str) -> Self {
        let shown = (text.len() <= MAX_TEXT).then(|| text.to_owned());
        self.with(kind, name, Digest::sha256_of(text.as_bytes()), shown)
    }

    /// With one more ingredient whose value has this digest.
    #[must_use]
    pub fn with_digest(self, kind: IngredientKind, name: &str, digest: Digest) -> Self {
        self.with(kind, name, digest, None)
    }

    fn with(mut self, kind: IngredientKind, name: &str, digest: Digest, text: Option<String>) -> Self {
        self.ingredients.push(Ingredient { kind, name: name.into(), digest, text });
        self
    }

    /// The ingredients, in order.
    #[must_use]
    pub fn ingredients(&self) -> &[Ingredient] {
        &self.ingredients
    }

    /// The same recipe without the texts that only explanations read. Its key is the same.
    #[must_use]
    pub fn without_texts(mut self) -> Self {
        self.ingredients.iter_mut().for_each(|ingredient| ingredient.text = None);
        self
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> CacheKey {
        CacheKey::of(self)
    }
}
