//! Values by path.

use super::{NodeId, nodes::Nodes};
use crate::path::LayerPath;

/// Values by path, in canonical order: that in which [`LayerWriter`](crate::LayerWriter) takes entries.
///
/// A path costs its last component: many long ones take little memory.
///
/// ```
/// use image_overlay::{LayerPath, PathMap};
/// let mut sizes = PathMap::new();
/// for (path, size) in [("usr-merged", 1), ("usr/bin", 2), ("usr", 3)] {
///     sizes.insert(&LayerPath::parse(path.as_bytes())?, size);
/// }
/// let paths: Vec<String> = sizes.iter().map(|(path, _)| path.to_string()).collect();
/// assert_eq!(paths, ["/usr", "/usr/bin", "/usr-merged"]);
/// # Ok::<(), image_overlay::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PathMap<T> {
    nodes: Nodes<Option<T>>,
}

impl<T> Default for PathMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PathMap<T> {
    /// Without values.
    #[must_use]
    pub fn new() -> Self {
        Self { nodes: Nodes::of(None) }
    }

    /// The value at exactly this path.
    #[must_use]
    pub fn get(&self, path: &LayerPath) -> Option<&T> {
        self.nodes[self.find(path)?].value.as_ref()
    }

    /// All values with their paths, a directory before what is in it, and that in bytewise order of names.
    pub fn iter(&self) -> impl Iterator<Item = (LayerPath, &T)> {
        self.nodes.walk(NodeId(0)).filter_map(|id| Some((self.nodes.path(id), self.nodes[id].value.as_ref()?)))
    }

    /// All values, in the order of their paths.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.nodes.walk(NodeId(0)).filter_map(|id| self.nodes[id].value.as_ref())
    }

    fn find(&self, path: &LayerPath) -> Option<NodeId> {
        path.components().try_fold(NodeId(0), |node, name| Some(self.nodes.place(node, name).ok()?.1))
    }
}

impl<T: Clone> PathMap<T> {
    /// Puts a value at a path, in place of what is there. What is below it stays.
    pub fn insert(&mut self, path: &LayerPath, value: T) {
        let mut node = NodeId(0);
        for name in path.components() {
            let place = self.nodes.place(node, name);
            node = match place {
                Ok((_, child)) => child,
                Err(_) => self.nodes.add(node, name, place, None),
            };
        }
        self.nodes.get_mut(node).value = Some(value);
    }

    /// Takes everything below a path away, but not what is at it.
    pub fn remove_below(&mut self, path: &LayerPath) {
        if let Some(node) = self.find(path) {
            self.nodes.clear(node);
        }
    }
}
