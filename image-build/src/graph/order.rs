//! Which stages a build needs, and in what order.

use super::{Stage, find_by_name};
use crate::{dockerfile::Dockerfile, error::Result, suggest};

/// The number of the stage that is asked for; without a name the last.
pub(super) fn target(dockerfile: &Dockerfile, stages: &[Stage<'_>], target: Option<&str>) -> Result<usize> {
    let last = stages.len().saturating_sub(1);
    let Some(target) = target else { return Ok(last) };
    if let Some(number) = find_by_name(stages, target) {
        return Ok(number);
    }
    if let Some(number) = target.parse().ok().filter(|number| *number < stages.len()) {
        return Ok(number);
    }
    let names = stages.iter().filter_map(|stage| stage.name);
    let suggestion = suggest::nearest(target, names.clone()).map(String::from);
    let known: Vec<&str> = names.collect();
    let reason = match known.as_slice() {
        [] => format!("no stage is named {target:?}: the file's stages have no names, only the numbers 0 to {last}"),
        known => format!("no stage is named {target:?}: there are {}", known.join(", ")),
    };
    let span = stages.last().map(|stage| stage.from.span).unwrap_or_default();
    Err(dockerfile.fault_like(span, reason, suggestion))
}

/// The stages that `target` needs, each behind those that it needs. No recursion: the file decides the depth.
pub(super) fn order(stages: &[Stage<'_>], target: usize) -> Result<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; stages.len()];
    let mut order = Vec::new();
    let mut todo = vec![target];
    while let Some(&at) = todo.last() {
        marks[at] = match marks[at] {
            Mark::New => {
                let mut dependencies: Vec<usize> = stages[at].dependencies().collect();
                dependencies.reverse();
                for dependency in dependencies {
                    match marks[dependency] {
                        Mark::Done => {}
                        Mark::New if dependency != at => todo.push(dependency),
                        _ => return Err(cycle(stages, at, dependency)),
                    }
                }
                Mark::Open
            }
            Mark::Open => {
                todo.pop();
                order.push(at);
                Mark::Done
            }
            Mark::Done => {
                todo.pop();
                Mark::Done
            }
        };
    }
    Ok(order)
}

fn cycle(stages: &[Stage<'_>], at: usize, dependency: usize) -> crate::Error {
    let (needs, needed) = (stages[at].label(), stages[dependency].label());
    let reason = if at == dependency {
        format!("stage {needs} copies from itself")
    } else {
        format!("stages {needs} and {needed} need each other: a cycle cannot be built")
    };
    let step = stages[at].reason_for(dependency);
    step.file.fault(step.instruction.span, reason)
}
