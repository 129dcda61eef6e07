//! Work on several threads: a stream read ahead, items looked at side by side, and trees.

mod explore;
mod map;
mod read_ahead;

pub use self::{
    explore::{Visit, explore},
    map::{map, threads},
    read_ahead::read_ahead,
};
