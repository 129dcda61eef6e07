//! `index.json`: the images of a layout.

use image_core::{Document, Error as CoreError, ImageIndex};

use crate::{
    error::{Error, Result},
    layout::OciLayout,
};

/// The name of the file.
pub(crate) const INDEX: &str = "index.json";

/// The largest `index.json` that is read or written, in bytes.
pub const MAX_INDEX_SIZE: u64 = 8 << 20;

impl OciLayout {
    /// Reads `index.json`.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where it is missing or no index; [`CoreError::LimitExceeded`] where it is larger
    /// than [`MAX_INDEX_SIZE`].
    ///
    /// # Spec
    /// OCI image-spec 1.1, image-layout.md, § index.json file.
    pub fn index(&self) -> Result<Document<ImageIndex>> {
        let dir = self.dir();
        let Some(bytes) = dir.read(INDEX, MAX_INDEX_SIZE)? else {
            return Err(Error::NotALayout { path: dir.path().to_owned(), reason: "it has no file index.json" });
        };
        Ok(Document::parse(bytes, &dir.path_of(INDEX).display().to_string())?)
    }

    /// Changes `index.json`: reads it, lets `change` edit it, and puts the result in its place, all under
    /// the layout's lock, so that of changes made at once by several processes none is lost.
    ///
    /// Readers, and whoever comes after a crash, see it as it was or as it became. Blobs that can be seen before it is put in
    /// place are durable by then, whoever stored them by this crate. What this crate has no name for is kept. Nothing is
    /// written where `change` fails or changes nothing.
    ///
    /// # Errors
    /// Those of `change` and of [`OciLayout::index`]; [`Error::is_denied`] where the layout is read-only;
    /// [`CoreError::LimitExceeded`] where the index would become larger than can be read again.
    pub fn update_index<T>(&self, change: impl FnOnce(&mut ImageIndex) -> Result<T>) -> Result<T> {
        let lock = self.dir().lock()?;
        let before = Document::new(self.index()?.into_value())?;
        let unchanged = before.bytes().clone();
        let mut index = before.into_value();
        let result = change(&mut index)?;
        let after = Document::new(index)?;
        if after.bytes().len() as u64 > MAX_INDEX_SIZE {
            let what = format!("{} after the change, in bytes", self.dir().path_of(INDEX).display());
            return Err(CoreError::limit(what, MAX_INDEX_SIZE).into());
        }
        if *after.bytes() != unchanged {
            // What others stored a moment ago and we found may be named now.
            self.blobs().sync()?;
            lock.replace(INDEX, after.bytes())?;
        }
        Ok(result)
    }
}
