//! Measuring one curve after the other.

use std::{
    io::{Write, stdout},
    time::{Duration, Instant},
};

use benches::{Result, is_quick};
use rustix::time::{ClockId, clock_gettime};

/// How much more than twice the time is still taken for twice: noise, a logarithm, and caches that become too small.
const NOISE: f64 = 1.15;

/// How long measurements of one input are repeated.
const ENOUGH: Duration = Duration::from_secs(2);

/// What was found so far.
pub(crate) struct Growth {
    filters: Vec<String>,
    is_quick: bool,
    measured: usize,
    /// Curves that grew faster than their input.
    faster: Vec<String>,
}

/// The least time of several runs, in seconds.
#[derive(Clone, Copy)]
struct Point {
    count: u64,
    wall: f64,
    processor: f64,
}

impl Growth {
    pub(crate) fn from_arguments() -> Self {
        let filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
        Self { filters, is_quick: is_quick(), measured: 0, faster: Vec::new() }
    }

    /// Measures `run` on what `prepare` makes for a sixteenth, an eighth and so on of `most`, and for `most`. What `run` gives is
    /// dropped without being measured.
    pub(crate) fn curve<I, T>(
        &mut self,
        name: &str,
        unit: &str,
        most: u64,
        mut prepare: impl FnMut(u64) -> Result<I>,
        mut run: impl FnMut(&I) -> Result<T>,
    ) -> Result<()> {
        if !self.filters.is_empty() && !self.filters.iter().any(|filter| name.contains(filter)) {
            return Ok(());
        }
        let most = if self.is_quick { (most / 16).max(16) } else { most };
        let mut out = stdout().lock();
        writeln!(out, "{name}")?;
        let mut points = Vec::<Point>::new();
        for count in [most / 16, most / 8, most / 4, most / 2, most] {
            let input = prepare(count)?;
            let point = measure(count, || run(&input), if self.is_quick { 1 } else { 3 })?;
            let before = points.last();
            let times = before.map_or(String::new(), |before| format!("x{:.2}", point.wall / before.wall));
            let mark =
                if before.is_some_and(|before| point.is_more_than_twice(before)) { "  MORE THAN TWICE" } else { "" };
            let (wall, processor, each) = (point.wall, point.processor, point.wall * 1e6 / count as f64);
            writeln!(
                out,
                "{count:>11} {unit:<13} {wall:>9.4} s {processor:>9.4} s of processors {each:>9.2} µs each {times:>6}{mark}"
            )?;
            points.push(point);
        }
        self.judge(name, &points, &mut out)
    }

    /// From the first to the last: what lies between is noisier.
    fn judge(&mut self, name: &str, points: &[Point], out: &mut impl Write) -> Result<()> {
        self.measured += 1;
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
        let inputs = (last.count as f64 / first.count as f64).ln();
        let exponent = |of: fn(&Point) -> f64| (of(last) / of(first)).ln() / inputs;
        let (wall, processor) = (exponent(|point| point.wall), exponent(|point| point.processor));
        // Twice the time for twice the input is a power of 1.
        let is_faster = wall.min(processor) > 1.0 + NOISE.log2();
        writeln!(out, "  time grows as the input to the power of {wall:.2}, processor time of {processor:.2}\n")?;
        if is_faster {
            self.faster.push(format!("{name}: {wall:.2}"));
        }
        Ok(())
    }

    pub(crate) fn summary(&self) -> Result<()> {
        let mut out = stdout().lock();
        if self.faster.is_empty() {
            writeln!(out, "{} curves; none grows faster than its input", self.measured)?;
        } else {
            writeln!(out, "{} curves; these grow faster than their input, with the power:", self.measured)?;
            self.faster.iter().try_for_each(|name| writeln!(out, "  {name}"))?;
        }
        Ok(())
    }
}

impl Point {
    /// Others on the machine lengthen the one or the other, hardly both.
    fn is_more_than_twice(&self, before: &Self) -> bool {
        let limit = 2.0 * NOISE;
        self.wall > limit * before.wall && self.processor > limit * before.processor
    }
}

fn measure<T>(count: u64, mut run: impl FnMut() -> Result<T>, times: usize) -> Result<Point> {
    let mut least = Point { count, wall: f64::MAX, processor: f64::MAX };
    let begun = Instant::now();
    for _ in 0..times {
        let (started, processor) = (Instant::now(), processor_time());
        let made = run()?;
        least.wall = least.wall.min(started.elapsed().as_secs_f64());
        least.processor = least.processor.min(processor_time() - processor);
        drop(made);
        if begun.elapsed() > ENOUGH {
            break;
        }
    }
    Ok(least)
}

/// Of all threads, in seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
