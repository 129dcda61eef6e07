//! Work on several threads: a stream read ahead, items looked at side by side, and what is found while it is looked at.

mod explore;
mod map;
mod read_ahead;
mod todo;

pub use self::{
    explore::{Visit, explore},
    map::{map, threads},
    read_ahead::read_ahead,
    todo::{Todo, Turn},
};
