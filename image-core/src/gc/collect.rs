//! A collection from beginning to end.

use std::collections::HashMap;

use super::{
    Collected, Dropped, GcOptions, Root, Roots,
    graph::{Graph, Marks},
    policy,
};
use crate::{
    blob::{
        FsBlobStore,
        fs::{Protected, Resident},
    },
    clock::Timestamp,
    ctx::Ctx,
    digest::Digest,
    error::Result,
    observer::{Outcome, TaskKind},
};

/// Removes what no root needs, after dropping the roots that `options` does not keep: see the [module](super).
///
/// Nothing is removed before all is known that is needed; then roots are forgotten, then blobs removed. Whatever ends
/// it early, no root points at what is not there.
///
/// # Errors
/// [`crate::Error::is_corrupt`] where a document that is needed is not what its name says, so that what it needs is
/// not known: set it aside, or take the name away; [`crate::Error::is_unsupported`] on a file system without locks;
/// [`crate::Error::is_cancelled`]; errors of the roots and the operating system.
pub fn collect(store: &FsBlobStore, roots: &[&dyn Roots], options: &GcOptions, ctx: &Ctx) -> Result<Collected> {
    let task = ctx.begin(TaskKind::Collect, "blobs", None);
    let ingests = if options.is_dry_run { 0 } else { store.clean_stale_ingests()? };
    let residents = store.residents()?;
    let sizes: HashMap<&Digest, u64> = residents.iter().map(|blob| (&blob.digest, blob.size)).collect();
    // What was renewed after this is spared.
    let young = if options.grace.is_zero() { None } else { Some(policy::earlier(ctx.now(), options.grace)) };
    let mut graph = Graph::new(store, &sizes);
    let plan = Plan { store, roots, residents: &residents, young, options, ctx };
    let (dropped, kept) = plan.drop_roots(&mut graph)?;
    let mut collected = Collected { dropped, ingests, is_dry_run: options.is_dry_run, ..Collected::default() };
    if options.is_dry_run {
        let protected = mark_protected(&store.sweep()?.protected()?, &mut graph)?;
        plan.account(&mut graph, &protected, &kept, &mut collected, |blob| Ok(!plan.is_young(blob.modified)))?;
    } else {
        plan.sweep(&mut graph, &mut collected)?;
    }
    task.end(Outcome::Done);
    Ok(collected)
}

struct Plan<'a> {
    store: &'a FsBlobStore,
    roots: &'a [&'a dyn Roots],
    residents: &'a [Resident],
    young: Option<Timestamp>,
    options: &'a GcOptions,
    ctx: &'a Ctx,
}

impl Plan<'_> {
    fn is_young(&self, modified: Timestamp) -> bool {
        self.young.is_some_and(|young| modified > young)
    }

    /// Decides which roots go, and forgets them; gives these, and those that stay.
    fn drop_roots(&self, graph: &mut Graph<'_>) -> Result<(Vec<Dropped>, Vec<Root>)> {
        let (mut roots, mut place) = (Vec::new(), Vec::new());
        for (number, owner) in self.roots.iter().enumerate() {
            roots.extend(owner.roots()?);
            place.resize(roots.len(), number);
        }
        let is_follower = policy::attach(&roots, graph)?;
        let mut base = mark_protected(&self.store.sweep()?.protected()?, graph)?;
        for blob in self.residents.iter().filter(|blob| self.is_young(blob.modified)) {
            graph.mark_blob(&mut base, &blob.digest)?;
        }
        let decided = policy::decide(&roots, &is_follower, graph, base, self.options, self.ctx)?;
        let mut gone = vec![false; roots.len()];
        for (number, owner) in self.roots.iter().enumerate() {
            let going: Vec<usize> =
                decided.iter().map(|(root, _)| *root).filter(|root| place.get(*root) == Some(&number)).collect();
            for root in self.forget(*owner, &roots, going)? {
                if let Some(gone) = gone.get_mut(root) {
                    *gone = true;
                }
            }
        }
        let is_gone = |root: usize| gone.get(root) == Some(&true);
        let dropped = decided.into_iter().filter(|(root, _)| is_gone(*root));
        let dropped = dropped.filter_map(|(root, reason)| Some(Dropped::new(roots.get(root)?, reason))).collect();
        let kept = roots.iter().enumerate().filter(|(root, _)| !is_gone(*root)).map(|(_, root)| root.clone()).collect();
        Ok((dropped, kept))
    }

    /// Has roots forgotten by whom they belong to; gives those that are gone.
    fn forget(&self, owner: &dyn Roots, roots: &[Root], going: Vec<usize>) -> Result<Vec<usize>> {
        if going.is_empty() || self.options.is_dry_run {
            return Ok(going);
        }
        let asked: Vec<Root> = going.iter().filter_map(|root| roots.get(*root).cloned()).collect();
        let forgotten = owner.forget(&asked)?;
        Ok(going.into_iter().filter(|root| roots.get(*root).is_some_and(|root| forgotten.contains(root))).collect())
    }

    /// Removes what nothing needs, now that nobody else can store or rely on anything.
    fn sweep(&self, graph: &mut Graph<'_>, collected: &mut Collected) -> Result<()> {
        let sweep = self.store.sweep()?;
        // Leases before roots: what a lease no longer protects has a name by then.
        let protected = mark_protected(&sweep.protected()?, graph)?;
        let roots: Vec<Vec<Root>> = self.roots.iter().map(|owner| owner.roots()).collect::<Result<_>>()?;
        let roots: Vec<Root> = roots.into_iter().flatten().collect();
        self.account(graph, &protected, &roots, collected, |blob| {
            self.ctx.check()?;
            sweep.remove(&blob.digest, |modified| self.is_young(modified))
        })
    }

    /// Has `remove` take away each blob that neither the roots need nor a lease protects, unless it says that the blob
    /// stays; counts.
    fn account(
        &self,
        graph: &mut Graph<'_>,
        protected: &Marks,
        roots: &[Root],
        collected: &mut Collected,
        remove: impl Fn(&Resident) -> Result<bool>,
    ) -> Result<()> {
        let needed = policy::mark_all(roots, graph, self.ctx)?;
        for blob @ Resident { digest, size, .. } in self.residents {
            let is_needed = graph.is_marked(&needed, digest);
            if !is_needed && !graph.is_marked(protected, digest) && remove(blob)? {
                collected.removed += 1;
                collected.freed = collected.freed.saturating_add(*size);
                continue;
            }
            collected.kept += 1;
            collected.kept_bytes = collected.kept_bytes.saturating_add(*size);
            if !is_needed {
                collected.spared += 1;
                collected.spared_bytes = collected.spared_bytes.saturating_add(*size);
            }
        }
        Ok(())
    }
}

fn mark_protected(protected: &[Protected], graph: &mut Graph<'_>) -> Result<Marks> {
    let mut marks = Marks::default();
    for protected in protected {
        match protected {
            Protected::Blob(digest) => graph.mark_blob(&mut marks, digest)?,
            Protected::Root(root) => drop(graph.mark(&mut marks, root)?),
        }
    }
    Ok(marks)
}
