//! References: the names people give images, `registry/repository:tag@digest`.
//!
//! - `grammar`: what each part may look like.
//! - `name`: registry and repository, and the short forms that stand for Docker Hub.
//! - `parts`: [`Reference`], all of it.

mod grammar;
mod name;
mod parts;

pub use parts::Reference;
