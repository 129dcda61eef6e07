//! The variables of a stage.

use std::collections::{BTreeSet, HashMap};

/// Variables in the order in which they were first set.
///
/// ```
/// use image_build::Env;
/// let mut env = Env::default();
/// env.set("PATH", "/bin");
/// env.set("HOME", "/root");
/// env.set("PATH", "/usr/bin:/bin");
/// assert_eq!(env.get("PATH"), Some("/usr/bin:/bin"));
/// assert_eq!(env.to_config(), ["PATH=/usr/bin:/bin", "HOME=/root"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Env {
    entries: Vec<(String, String)>,
    positions: HashMap<String, usize>,
    declared: BTreeSet<String>,
}

impl PartialEq for Env {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.declared == other.declared
    }
}

impl Eq for Env {}

impl Env {
    /// The variables of an image's configuration, each `NAME=value`; one without `=` has an
    /// empty value, and of two of one name the later counts.
    pub fn from_config(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut env = Self::default();
        for entry in entries {
            let entry = entry.as_ref();
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            env.set(name, value);
        }
        env
    }

    /// The variables as an image's configuration has them, each `NAME=value`.
    #[must_use]
    pub fn to_config(&self) -> Vec<String> {
        self.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Sets a variable; one that is set keeps its place.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.put(name.into(), value.into());
    }

    /// Sets a variable, and gives its place among all.
    pub(crate) fn put(&mut self, name: String, value: String) -> usize {
        let position = *self.positions.entry(name.clone()).or_insert(self.entries.len());
        match self.entries.get_mut(position) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
        position
    }

    /// Says that a variable is known though it has no value, as after `ARG NAME`: its use is
    /// no mistake.
    pub fn declare(&mut self, name: impl Into<String>) {
        self.declared.insert(name.into());
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let position = self.positions.get(name)?;
        self.entries.get(*position).map(|(_, value)| value.as_str())
    }

    /// Whether a variable is set, or declared without a value.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.positions.contains_key(name) || self.declared.contains(name)
    }

    /// Names and values in the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The number of variables that are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Env {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        pairs.into_iter().for_each(|(name, value)| self.set(name, value));
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut env = Self::default();
        env.extend(pairs);
        env
    }
}
