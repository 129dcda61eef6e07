//! The variables that the instructions of a stage see, with what names them.

use std::ops::Deref;

use image_core::Digest;

use super::facts::Facts;
use crate::env::Env;

/// The variables that the instructions of a stage see: those of the configuration and of ARG.
///
/// They are read as what they are, and changed by methods, so that what names them follows.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageEnv {
    env: Env,
    facts: Facts,
}

impl Deref for StageEnv {
    type Target = Env;

    fn deref(&self) -> &Env {
        &self.env
    }
}

impl StageEnv {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        let line = [name.as_bytes(), value.as_bytes()].map(<[u8]>::to_vec);
        let place = self.env.put(name, value);
        self.facts.set(&[&place.to_le_bytes()], &[&line[0], &line[1]]);
    }

    /// Says that a variable is known though it has no value: its use is no mistake.
    pub(crate) fn declare(&mut self, name: impl Into<String>) {
        self.env.declare(name);
    }

    /// What names those that have a value, in their order.
    pub(super) fn identity(&self) -> Digest {
        self.facts.digest()
    }
}
