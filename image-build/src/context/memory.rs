//! A build context in memory.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
    sync::Arc,
};

use image_core::{Ctx, hasher::Sha256};
use image_overlay::{Entry, EntryKind, LayerPath, Metadata};

use super::given::{ContextSource, SourceEntry};
use crate::error::Result;

/// Files in memory, as a context.
///
/// ```
/// use image_build::{BuildContext, Dockerfile, Ignore, MemoryContext};
/// let files = MemoryContext::new()
///     .with_file("Dockerfile", "FROM scratch\nCOPY app /\n")?
///     .with_file("app", "#!/bin/sh\n")?;
/// let dockerfile = Dockerfile::open_in(&files, "Dockerfile")?;
/// let context = BuildContext::from_source(files, Ignore::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryContext {
    files: BTreeMap<LayerPath, (Entry, Arc<[u8]>)>,
}

impl MemoryContext {
    /// A context without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a file of mode 0644 in directories of mode 0755.
    ///
    /// # Errors
    /// A path that is none: with `..`, or a NUL byte.
    pub fn with_file(self, path: &str, content: impl Into<Vec<u8>>) -> Result<Self> {
        let path = LayerPath::parse(path.as_bytes())?;
        Ok(self.with_entry(Entry::new(path, EntryKind::File { size: 0 }, Metadata::new(0o644)), content))
    }

    /// With whatever it is, in place of what has its path now; `content` is that of a regular file.
    #[must_use]
    pub fn with_entry(mut self, mut entry: Entry, content: impl Into<Vec<u8>>) -> Self {
        let content: Arc<[u8]> = content.into().into();
        if let EntryKind::File { size } = &mut entry.kind {
            *size = content.len() as u64;
        }
        self.files.insert(entry.path.clone(), (entry, content));
        self
    }
}

impl ContextSource for MemoryContext {
    fn name(&self) -> String {
        "files in memory".into()
    }

    fn list(&self, found: &mut dyn FnMut(SourceEntry) -> Result<()>, ctx: &Ctx) -> Result<()> {
        let is_link = |entry: &Entry| matches!(entry.kind, EntryKind::HardLink { .. });
        let (links, files): (Vec<_>, Vec<_>) = self.files.values().partition(|(entry, _)| is_link(entry));
        for (entry, content) in files.into_iter().chain(links) {
            ctx.check()?;
            let file = SourceEntry::new(entry.clone());
            found(match entry.kind {
                EntryKind::File { .. } => file.with_sha256(sha256(content)),
                _ => file,
            })?;
        }
        Ok(())
    }

    fn open(&self, path: &LayerPath) -> Result<Option<Box<dyn Read + Send>>> {
        let mut file = self.files.get(path);
        if let Some((Entry { kind: EntryKind::HardLink { target }, .. }, _)) = file {
            file = self.files.get(target);
        }
        let Some((Entry { kind: EntryKind::File { .. }, .. }, content)) = file else { return Ok(None) };
        Ok(Some(Box::new(Cursor::new(Arc::clone(content)))))
    }
}

fn sha256(content: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::default();
    hasher.update(content);
    hasher.finish()
}
