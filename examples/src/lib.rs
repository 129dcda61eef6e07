//! What the example programs share: names of images and trees, progress, output and errors.
//!
//! The programs are in `programs/`; what they do is done by the libraries.

pub mod about;
pub mod cache;
pub mod file;
pub mod made;
pub mod name;
pub mod progress;
#[cfg(any(test, doctest))]
mod readme;
pub mod run;
pub mod sample;
pub mod text;
pub mod tree;

pub use about::About;
pub use cache::Cache;
pub use file::NewFile;
pub use made::print_made;
pub use name::ImageName;
pub use progress::ProgressMode;
pub use run::{Program, Result, run};
pub use tree::Tree;
