//! Jobs on several threads, each behind those that it needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use image_core::{CancelToken, Ctx};

use crate::error::{Error, Result};

/// The results of jobs, by their numbers.
pub(super) type Results<T> = BTreeMap<usize, Arc<T>>;

/// Does jobs on up to `threads` threads, each when those that it needs are done, which come before it; of those that can be
/// done the first comes first. Gives the results of the jobs in `kept`; any other is dropped once no job needs it.
///
/// Where jobs fail, the error is that of the first of them, by number and not by time, as if there were one thread: a
/// job that fails stops those behind it alone, since what is before it may fail as well.
pub(super) fn run<T: Send + Sync>(
    needs: &[BTreeSet<usize>],
    kept: &[usize],
    threads: usize,
    ctx: &Ctx,
    work: impl Fn(usize, Results<T>, &Ctx) -> Result<T> + Sync,
) -> Result<Results<T>> {
    let schedule = Schedule::new(needs, kept, ctx);
    let worker = || {
        while let Some(mut job) = schedule.next() {
            job.result = Some(work(job.number, std::mem::take(&mut job.needs), &job.ctx));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(needs.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let jobs = schedule.jobs.into_inner().unwrap_or_else(PoisonError::into_inner);
    match jobs.failure {
        Some((_, error)) => Err(error),
        None => Ok(jobs.results),
    }
}

/// What is to be done, under way, and done.
struct Schedule<'a, T> {
    needs: &'a [BTreeSet<usize>],
    ctx: &'a Ctx,
    jobs: Mutex<Jobs<T>>,
    changed: Condvar,
}

struct Jobs<T> {
    /// Those that can be begun.
    ready: BTreeSet<usize>,
    /// How many that each needs are not done.
    missing: Vec<usize>,
    /// How many want the result of each.
    wanted: Vec<usize>,
    /// The results that are wanted.
    results: Results<T>,
    /// What stops those that are under way.
    running: BTreeMap<usize, CancelToken>,
    /// The first that failed.
    failure: Option<(usize, Error)>,
    /// Whether a thread was lost.
    broken: bool,
}

impl<'a, T> Schedule<'a, T> {
    fn new(needs: &'a [BTreeSet<usize>], kept: &[usize], ctx: &'a Ctx) -> Self {
        let mut wanted = vec![0; needs.len()];
        needs.iter().flatten().chain(kept).for_each(|job| wanted[*job] += 1);
        let jobs = Jobs {
            ready: (0..needs.len()).filter(|job| needs[*job].is_empty()).collect(),
            missing: needs.iter().map(BTreeSet::len).collect(),
            wanted,
            results: BTreeMap::new(),
            running: BTreeMap::new(),
            failure: None,
            broken: false,
        };
        Self { needs, ctx, jobs: Mutex::new(jobs), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs<T>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job that can be begun; `None` where there is none and none will come.
    fn next(&self) -> Option<Job<'_, 'a, T>> {
        let mut jobs = self.lock();
        loop {
            if let Some(number) = jobs.begin() {
                let cancel = self.ctx.cancel_token().child();
                jobs.running.insert(number, cancel.clone());
                let wanted = |need: &usize| jobs.results.get(need).map(|result| (*need, Arc::clone(result)));
                let needs = self.needs[number].iter().filter_map(wanted).collect();
                let ctx = self.ctx.clone().with_cancel(cancel);
                return Some(Job { schedule: self, number, needs, ctx, result: None });
            }
            if jobs.running.is_empty() || jobs.broken {
                return None;
            }
            jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes what came of a job; nothing where its thread is being lost.
    fn finish(&self, number: usize, result: Option<Result<T>>) {
        let mut jobs = self.lock();
        jobs.running.remove(&number);
        match result {
            None => jobs.broken = true,
            Some(Ok(result)) => {
                if jobs.wanted[number] > 0 {
                    jobs.results.insert(number, Arc::new(result));
                }
                for later in (0..self.needs.len()).filter(|later| self.needs[*later].contains(&number)) {
                    jobs.missing[later] -= 1;
                    if jobs.missing[later] == 0 {
                        jobs.ready.insert(later);
                    }
                }
            }
            Some(Err(error)) => jobs.fail(number, error),
        }
        for need in &self.needs[number] {
            jobs.wanted[*need] -= 1;
            if jobs.wanted[*need] == 0 {
                jobs.results.remove(need);
            }
        }
        drop(jobs);
        self.changed.notify_all();
    }
}

impl<T> Jobs<T> {
    /// Takes the next job that can be begun.
    fn begin(&mut self) -> Option<usize> {
        let failed = self.failure.as_ref().map_or(usize::MAX, |(number, _)| *number);
        self.ready.first().filter(|job| **job < failed && !self.broken)?;
        self.ready.pop_first()
    }

    /// Notes that a job failed, and stops those behind it.
    fn fail(&mut self, number: usize, error: Error) {
        self.running.range(number..).for_each(|(_, cancel)| cancel.cancel());
        if self.failure.as_ref().is_none_or(|(first, _)| number < *first) {
            self.failure = Some((number, error));
        }
    }
}

/// A job that a thread has taken.
struct Job<'s, 'a, T> {
    schedule: &'s Schedule<'a, T>,
    number: usize,
    needs: Results<T>,
    ctx: Ctx,
    result: Option<Result<T>>,
}

impl<T> Drop for Job<'_, '_, T> {
    fn drop(&mut self) {
        self.schedule.finish(self.number, self.result.take());
    }
}
