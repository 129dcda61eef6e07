//! Directory trees: made from literals, read back whole, and compared so that a person sees the difference.
//!
//! ```
//! use test_support::{Tree, TreeBuilder, TreeOptions, temp_dir};
//! let (left, right) = (temp_dir(), temp_dir());
//! TreeBuilder::new().dir("a", 0o755).file("a/b", b"one", 0o644).write_to(left.path());
//! TreeBuilder::new().dir("a", 0o755).file("a/b", b"one", 0o600).write_to(right.path());
//! let options = TreeOptions::default().without_directory_mtimes();
//! let diff = Tree::scan_with(left.path(), options).diff(&Tree::scan_with(right.path(), options));
//! assert_eq!(diff, ["a/b: mode 0644, not 0600"]);
//! ```

mod build;
mod node;
mod options;
mod scan;

use std::{collections::BTreeMap, fmt, path::Path};

pub use build::TreeBuilder;
pub use node::{Kind, Node};
pub use options::TreeOptions;

/// How many differences [`Tree::assert_same`] shows.
const SHOWN: usize = 50;

/// Everything about a directory tree that two tools could differ in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl Tree {
    /// Reads the tree below a directory, with all that [`TreeOptions::default`] takes in.
    ///
    /// # Panics
    /// Where anything of it cannot be read.
    #[must_use]
    pub fn scan(root: &Path) -> Self {
        Self::scan_with(root, TreeOptions::default())
    }

    /// Reads the tree below a directory.
    ///
    /// # Panics
    /// As [`Tree::scan`].
    #[must_use]
    pub fn scan_with(root: &Path, options: TreeOptions) -> Self {
        scan::scan(root, options)
    }

    /// What stands at a path relative to the root; the root's own path is empty.
    #[must_use]
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&Node> {
        self.nodes.get(path.as_ref())
    }

    /// All paths and what stands there, in bytewise order, the root first.
    pub fn nodes(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.nodes.iter().map(|(path, node)| (&**path, node))
    }

    /// How this tree differs from another, one line for each difference in the order of paths.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Vec<String> {
        let mut lines = BTreeMap::<_, Vec<String>>::new();
        for (path, node) in &self.nodes {
            lines.insert(
                path,
                match other.nodes.get(path) {
                    None => vec![format!("{}: not in the other: {node}", shown(path))],
                    Some(theirs) => {
                        node.diff(theirs).into_iter().map(|what| format!("{}: {what}", shown(path))).collect()
                    }
                },
            );
        }
        for (path, node) in &other.nodes {
            lines.entry(path).or_insert_with(|| vec![format!("{}: only in the other: {node}", shown(path))]);
        }
        lines.into_values().flatten().collect()
    }

    /// Checks that two trees are the same.
    ///
    /// # Panics
    /// Where they are not, with the first differences.
    pub fn assert_same(&self, other: &Self) {
        let diff = self.diff(other);
        let more = diff.len().saturating_sub(SHOWN);
        let lines = diff.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(diff.is_empty(), "the trees differ:\n{lines}\n({more} more)");
    }
}

impl fmt::Display for Tree {
    /// One line for each node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|(path, node)| writeln!(f, "{}: {node}", shown(path)))
    }
}

/// A path as text: `/` for the root, and what is not printable ASCII escaped.
fn shown(path: &[u8]) -> String {
    if path.is_empty() { "/".to_owned() } else { path.escape_ascii().to_string() }
}
