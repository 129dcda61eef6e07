//! Names in directories, each with a value: what trees are made of.

use std::{iter, ops::Index, sync::Arc};

use super::{
    NodeId,
    children::{Children, Position},
    chunked::CHUNK,
    index,
};
use crate::path::LayerPath;

/// A name, what it is in, and what is in it.
#[derive(Debug, Clone)]
pub(super) struct Node<T> {
    pub(super) parent: NodeId,
    pub(super) value: T,
    children: Option<Box<Children>>,
}

/// All names that a tree ever had. The first is its root, which has none. As with
/// [`Chunked`](super::chunked::Chunked), copies share what neither changed.
#[derive(Debug, Clone)]
pub(super) struct Nodes<T> {
    chunks: Vec<Arc<Chunk<T>>>,
}

#[derive(Debug, Clone)]
struct Chunk<T> {
    nodes: Vec<Node<T>>,
    /// The names, one behind the other.
    names: Vec<u8>,
    /// Where each name ends.
    ends: Vec<usize>,
}

/// Where a name stands, and which it is; else where it belongs.
pub(super) type Place = Result<(Position, NodeId), Position>;

impl<T> Nodes<T> {
    /// A root with this value.
    pub(super) fn of(root: T) -> Self {
        let root = Node { parent: NodeId(0), value: root, children: None };
        Self { chunks: vec![Arc::new(Chunk { nodes: vec![root], names: Vec::new(), ends: vec![0] })] }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.nodes.len())
    }

    pub(super) fn name(&self, id: NodeId) -> &[u8] {
        let (chunk, place) = (&self.chunks[id.index() / CHUNK], id.index() % CHUNK);
        let start = place.checked_sub(1).map_or(0, |before| chunk.ends[before]);
        &chunk.names[start..chunk.ends[place]]
    }

    /// The path of a name from the root.
    pub(super) fn path(&self, id: NodeId) -> LayerPath {
        let mut names = Vec::new();
        let mut node = id;
        while node != NodeId(0) {
            names.push(self.name(node));
            node = self[node].parent;
        }
        LayerPath::of_names(names.into_iter().rev())
    }

    /// Where a name stands in a directory, or belongs.
    pub(super) fn place(&self, parent: NodeId, name: &[u8]) -> Place {
        match &self[parent].children {
            Some(children) => children.find(|child| self.name(child).cmp(name)),
            None => Err(Position::default()),
        }
    }

    /// The names in a directory, in order.
    pub(super) fn children(&self, id: NodeId) -> impl DoubleEndedIterator<Item = NodeId> {
        self[id].children.iter().flat_map(|children| children.iter())
    }

    /// All names below and including one, a directory before its children, children by name.
    pub(super) fn walk(&self, start: NodeId) -> impl Iterator<Item = NodeId> {
        let mut todo = vec![start];
        iter::from_fn(move || {
            let id = todo.pop()?;
            todo.extend(self.children(id).rev());
            Some(id)
        })
    }
}

impl<T: Clone> Nodes<T> {
    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Node<T> {
        &mut Arc::make_mut(&mut self.chunks[id.index() / CHUNK]).nodes[id.index() % CHUNK]
    }

    /// Adds a name at its place, instead of what stands there.
    pub(super) fn add(&mut self, parent: NodeId, name: &[u8], place: Place, value: T) -> NodeId {
        let id = NodeId(index(self.len()));
        self.push(name, Node { parent, value, children: None });
        let children = self.get_mut(parent).children.get_or_insert_default();
        match place {
            Ok((place, _)) => children.replace(place, id),
            Err(place) => children.insert(place, id),
        }
        id
    }

    fn push(&mut self, name: &[u8], node: Node<T>) {
        if self.len().is_multiple_of(CHUNK) {
            let (nodes, ends) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
            self.chunks.push(Arc::new(Chunk { nodes, names: Vec::new(), ends }));
        }
        if let Some(chunk) = self.chunks.last_mut().map(Arc::make_mut) {
            chunk.names.extend_from_slice(name);
            chunk.ends.push(chunk.names.len());
            chunk.nodes.push(node);
        }
    }

    /// Takes the name away that stands where this one does, and all below it.
    pub(super) fn remove(&mut self, id: NodeId) {
        let parent = self[id].parent;
        if let Ok((place, _)) = self.place(parent, self.name(id))
            && let Some(children) = &mut self.get_mut(parent).children
        {
            children.remove(place);
        }
    }

    /// Takes all names in a directory away.
    pub(super) fn clear(&mut self, id: NodeId) {
        self.get_mut(id).children = None;
    }
}

impl<T> Index<NodeId> for Nodes<T> {
    type Output = Node<T>;

    fn index(&self, id: NodeId) -> &Node<T> {
        &self.chunks[id.index() / CHUNK].nodes[id.index() % CHUNK]
    }
}
