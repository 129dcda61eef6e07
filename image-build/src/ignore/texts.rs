//! Many texts, all of which are compared at once.

use std::iter;

/// Texts with the rules that hold them, as a tree of bytes: texts that begin alike share their beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    /// The first is the root, where every text begins.
    nodes: Vec<Node>,
}

/// One byte of texts. Nodes are small, and point at each other by number: a list of many patterns has many of them.
#[derive(Debug, Clone, Default)]
struct Node {
    byte: u8,
    /// One of the nodes that may follow; 0, as no node leads to the root, is none.
    child: usize,
    /// The next of those that may stand here instead.
    sibling: usize,
    /// The rules with the text that ends here, in order.
    rules: Vec<usize>,
}

impl Texts {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a rule, which is behind all others, with its text.
    pub(super) fn push<'a>(&mut self, text: impl Iterator<Item = &'a u8>, rule: usize) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut here = 0;
        for byte in text {
            here = match self.child(here, *byte) {
                Some(child) => child,
                None => {
                    let (new, sibling) = (self.nodes.len(), self.nodes[here].child);
                    self.nodes.push(Node { byte: *byte, sibling, ..Node::default() });
                    self.nodes[here].child = new;
                    new
                }
            };
        }
        self.nodes[here].rules.push(rule);
    }

    /// The texts that these bytes begin with.
    pub(super) fn beginning<'a>(&self, mut bytes: impl Iterator<Item = &'a u8>) -> impl Iterator<Item = usize> {
        let mut here = 0;
        let nodes = iter::from_fn(move || {
            here = self.child(here, *bytes.next()?)?;
            Some(here)
        });
        nodes.filter(|node| !self.rules(*node).is_empty())
    }

    /// The rules with a text.
    pub(super) fn rules(&self, text: usize) -> &[usize] {
        self.nodes.get(text).map_or(&[], |node| &node.rules)
    }

    /// The node behind one more byte.
    fn child(&self, node: usize, byte: u8) -> Option<usize> {
        let mut child = self.nodes.get(node)?.child;
        while child != 0 {
            let node = self.nodes.get(child)?;
            if node.byte == byte {
                return Some(child);
            }
            child = node.sibling;
        }
        None
    }
}
