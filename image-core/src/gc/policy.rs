//! Which roots are dropped.

use std::time::Duration;

use super::{
    GcOptions, Reason, Root,
    graph::{Graph, Marks},
};
use crate::{clock::Timestamp, ctx::Ctx, error::Result};

/// Decides by age and by size which roots go, by their number; the least recently used first. `base` is what is kept in
/// any case, and `is_follower` says which roots are attached to something.
pub(super) fn decide(
    roots: &[Root],
    is_follower: &[bool],
    graph: &mut Graph<'_>,
    base: Marks,
    options: &GcOptions,
    ctx: &Ctx,
) -> Result<Vec<(usize, Reason)>> {
    // Newest first; what was used at the same time by name, so that equal stores are collected equally.
    let mut order: Vec<(usize, &Root)> = roots.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.last_used.cmp(&a.last_used).then_with(|| a.name.cmp(&b.name)));
    let since = options.keep_for.map(|time| earlier(ctx.now(), time));
    let mut scale = Scale { marks: base.clone(), base, limit: options.keep_bytes, is_full: false };
    let mut reasons: Vec<Option<Reason>> = vec![None; roots.len()];
    for (number, root) in &order {
        ctx.check()?;
        if is_follower.get(*number) == Some(&false)
            && let Some(reason) = reasons.get_mut(*number)
        {
            *reason = match since {
                Some(since) if root.last_used < since => Some(Reason::Unused { since }),
                _ => scale.add(root, graph)?,
            };
        }
    }
    for (number, root) in &order {
        if is_follower.get(*number) == Some(&true)
            && !graph.is_marked(&scale.marks, &root.target.digest)
            && let (Some(reason), Some(subject)) = (reasons.get_mut(*number), &root.only_with)
        {
            *reason = Some(Reason::Orphaned { subject: subject.clone() });
        }
    }
    order.reverse();
    Ok(order.into_iter().filter_map(|(number, _)| Some((number, reasons.get_mut(number)?.take()?))).collect())
}

/// Marks what is needed by roots that are all kept, whatever they are about.
pub(super) fn mark_all(roots: &[Root], graph: &mut Graph<'_>, ctx: &Ctx) -> Result<Marks> {
    let mut marks = Marks::default();
    for root in roots {
        ctx.check()?;
        graph.mark(&mut marks, &root.target)?;
    }
    Ok(marks)
}

/// Attaches those roots that are about something in the store to that; says which.
pub(super) fn attach(roots: &[Root], graph: &mut Graph<'_>) -> Result<Vec<bool>> {
    roots
        .iter()
        .map(|root| match &root.only_with {
            Some(subject) if graph.is_there(subject)? => graph.attach(subject, &root.target).map(|()| true),
            _ => Ok(false),
        })
        .collect()
}

/// Roots, one by one, against a limit on the bytes of them all.
struct Scale {
    base: Marks,
    marks: Marks,
    limit: Option<u64>,
    /// Whether there was one too many.
    is_full: bool,
}

impl Scale {
    /// Adds a root, or says why there is no room for it.
    fn add(&mut self, root: &Root, graph: &mut Graph<'_>) -> Result<Option<Reason>> {
        let Some(limit) = self.limit else {
            graph.mark(&mut self.marks, &root.target)?;
            return Ok(None);
        };
        let alone = graph.mark(&mut self.base, &root.target)?;
        let needed = self.base.bytes;
        self.base.undo(alone);
        if needed > limit {
            return Ok(Some(Reason::TooLarge { needed, limit }));
        }
        let change = graph.mark(&mut self.marks, &root.target)?;
        let needed = self.marks.bytes;
        if !self.is_full && needed <= limit {
            return Ok(None);
        }
        self.marks.undo(change);
        self.is_full = true;
        Ok(Some(Reason::OverLimit { needed, limit }))
    }
}

/// A time before another, to the second.
pub(super) fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let seconds = time.seconds().saturating_sub(i64::try_from(by.as_secs()).unwrap_or(i64::MAX));
    Timestamp::new(seconds, time.nanoseconds()).unwrap_or(time)
}
