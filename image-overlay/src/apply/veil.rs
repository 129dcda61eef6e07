//! What upper layers have already said, where a layer is applied below them.
//!
//! Of a path the uppermost layer that says anything about it decides. Where layers are applied from the top down, what is in
//! the tree already is what upper layers put there: no entry of a lower one replaces it. What cannot be seen in the tree is kept here: which
//! paths markers hide, and which directories have the attributes of an entry.
//!
//! That holds for layers whose paths mean the same in every layer. They do not where a path of an upper layer leads through a symbolic
//! link of a lower one; whether it does is known only when the lower one comes. So it is noted which directories an upper layer takes for
//! granted, without an entry of its own: a lower one must have a directory there, or nothing. Whatever is otherwise is
//! [`Fault::Unordered`], and the image is unpacked from its lowest layer up.

use std::collections::{HashMap, HashSet};

use super::{
    fault::Fault,
    keys::{Key, Keys},
};
use crate::{path::LayerPath, root::FileId, whiteout::Whiteout};

/// How much is kept at most, of some fifty bytes each: layers that hide more are laid one over the other.
const MOST: usize = 500_000;

/// What the layers above the one at hand have said, and what of this one has to be known beside the tree.
///
/// Memory grows with the directories of the image and the markers of its layers, and with the entries of the layer at hand that
/// are hidden, up to a bound.
#[derive(Debug, Default)]
pub(crate) struct Veil {
    keys: Keys,
    /// How many layers were finished: the layer at hand has this number, and those below it have higher ones.
    layer: usize,
    /// Paths that are hidden with all that is below them, by the layer of this number, and of several by the lowest.
    paths: HashMap<Key, usize>,
    /// Directories whose content is hidden, likewise.
    contents: HashMap<Key, usize>,
    /// Directories that were taken for granted, by the layer of this number, and of several by the lowest.
    expected: HashMap<Key, usize>,
    /// The directories of the tree that have the attributes of an entry.
    named: HashSet<FileId>,
    /// What the markers of the layer at hand hide of lower ones.
    markers: Vec<(Key, Hides)>,
    /// Directories for which the layer at hand has an entry.
    directories: HashSet<Key>,
    /// What else the layer at hand has that upper layers hide.
    hidden: HashSet<Key>,
    entered: Option<Entered>,
}

/// The directory last entered.
#[derive(Debug)]
struct Entered {
    path: LayerPath,
    /// Whether all that lower layers have in it is hidden.
    is_hidden: bool,
    /// The last directory on the way that is not, until it was made.
    shown: Option<LayerPath>,
}

#[derive(Debug, Clone, Copy)]
enum Hides {
    Path,
    Content,
}

impl Veil {
    /// Goes on to the next lower layer.
    pub(crate) fn next_layer(&mut self) {
        for (key, hides) in std::mem::take(&mut self.markers) {
            let marked = match hides {
                Hides::Path => &mut self.paths,
                Hides::Content => &mut self.contents,
            };
            marked.insert(key, self.layer);
        }
        self.directories.clear();
        self.hidden.clear();
        self.entered = None;
        self.layer += 1;
    }

    /// Enters the directory that an entry or what a marker names stands in; tells whether upper layers hide all that is in it.
    pub(super) fn enter(&mut self, directory: &LayerPath) -> Result<bool, Fault> {
        if let Some(last) = &self.entered
            && last.path == *directory
        {
            return Ok(last.is_hidden);
        }
        let path = directory.as_bytes();
        // Where the part of the path ends that is shown, where not all of what is in the directory is.
        let mut shown = self.contents.contains_key(&self.keys.of_root()).then_some(0);
        let mut above = 0;
        for (key, end) in self.keys.on_the_way(path) {
            if self.hidden.contains(&key) {
                return Err(Fault::Unordered);
            }
            if !self.directories.contains(&key) {
                self.expected.insert(key, self.layer);
            }
            let here = || self.contents.contains_key(&key).then_some(end);
            shown = shown.or_else(|| if self.paths.contains_key(&key) { Some(above) } else { here() });
            above = end;
        }
        self.check()?;
        let is_hidden = shown.is_some();
        let shown =
            shown.and_then(|end| path.get(..end)).map(|path| LayerPath::of_names(path.split(|byte| *byte == b'/')));
        self.entered = Some(Entered { path: directory.clone(), is_hidden, shown });
        Ok(is_hidden)
    }

    /// The last directory that is shown on the way to what was entered, where that is hidden: entries imply it. Each is told once.
    pub(super) fn shown(&mut self) -> Option<LayerPath> {
        self.entered.as_mut()?.shown.take()
    }

    /// Notes that upper layers have something else in the place of the directory last entered, or of one above it.
    pub(super) fn is_covered(&mut self) {
        if let Some(entered) = &mut self.entered {
            entered.is_hidden = true;
        }
    }

    /// Takes note of the entry of a directory; tells whether a marker of an upper layer hides it.
    pub(super) fn directory(&mut self, path: &[u8]) -> Result<bool, Fault> {
        let key = self.keys.of_path(path);
        if self.hidden.contains(&key) || !self.directories.insert(key) {
            return Err(Fault::Unordered);
        }
        self.check()?;
        // Upper layers find the directory that they took for granted.
        if self.expected.get(&key).is_some_and(|by| *by < self.layer) {
            self.expected.remove(&key);
        }
        Ok(self.paths.contains_key(&key))
    }

    /// Takes note of the entry of something else; tells whether a marker of an upper layer hides it.
    pub(super) fn leaf(&mut self, path: &[u8]) -> Result<bool, Fault> {
        let key = self.keys.of_path(path);
        // Unless a layer in between hides it.
        let is_met = |by: &usize| self.lowest_that_hides(path).is_some_and(|hides| hides > *by);
        if self.directories.contains(&key) || self.expected.get(&key).is_some_and(|by| !is_met(by)) {
            return Err(Fault::Unordered);
        }
        Ok(self.paths.contains_key(&key))
    }

    /// Notes that upper layers hide an entry that is no directory.
    pub(super) fn hide(&mut self, path: &[u8]) -> Result<(), Fault> {
        let key = self.keys.of_path(path);
        if self.hidden.insert(key) { self.check() } else { Err(Fault::Unordered) }
    }

    /// Whether the layer at hand has this entry, which is no directory, and upper layers hide it.
    pub(super) fn hides(&self, path: &[u8]) -> bool {
        self.hidden.contains(&self.keys.of_path(path))
    }

    /// Hides what lower layers have, by a marker of the layer at hand.
    pub(super) fn mark(&mut self, marker: &Whiteout) -> Result<(), Fault> {
        match marker {
            Whiteout::Plain { target } => self.cover(target),
            Whiteout::Opaque { dir } => self.markers.push((self.keys.of_path(dir.as_bytes()), Hides::Content)),
            Whiteout::Reserved => {}
        }
        self.check()
    }

    /// Hides what lower layers have at this path.
    pub(super) fn cover(&mut self, path: &LayerPath) {
        self.markers.push((self.keys.of_path(path.as_bytes()), Hides::Path));
    }

    /// Whether a directory of the tree has the attributes of an entry.
    pub(super) fn is_named(&self, directory: FileId) -> bool {
        self.named.contains(&directory)
    }

    /// Notes that it has them.
    pub(super) fn name(&mut self, directory: FileId) {
        self.named.insert(directory);
    }

    /// Whether there is room for more.
    fn check(&self) -> Result<(), Fault> {
        let Self { paths, contents, expected, named, markers, directories, hidden, .. } = self;
        let above = paths.len() + contents.len() + expected.len() + named.len();
        let here = markers.len() + directories.len() + hidden.len();
        if above + here < MOST { Ok(()) } else { Err(Fault::Unordered) }
    }

    /// Which of the layers that hide a path is the lowest.
    fn lowest_that_hides(&self, path: &[u8]) -> Option<usize> {
        let mut lowest = self.contents.get(&self.keys.of_root()).copied();
        for (key, end) in self.keys.on_the_way(path) {
            lowest = lowest.max(self.paths.get(&key).copied());
            if end < path.len() {
                lowest = lowest.max(self.contents.get(&key).copied());
            }
        }
        lowest
    }
}
