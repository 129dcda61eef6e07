//! How far a piece of work is, in words.

use std::time::{Duration, Instant};

use image_core::observer::TaskKind;
use indicatif::HumanDuration;

use crate::text::{printable, short_size};

/// Work that takes no longer is not spoken of.
pub(super) const SHORT: Duration = Duration::from_millis(500);
/// How many letters of a digest tell it from others.
const DIGEST_LETTERS: usize = 12;

/// A task that has begun.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) kind: TaskKind,
    pub(super) label: String,
    pub(super) since: Instant,
    /// When a line was last printed about it.
    pub(super) told: Instant,
    bytes: u64,
    items: u64,
    total: Option<u64>,
    /// Why it is carried out.
    pub(super) because: Vec<String>,
}

impl Running {
    pub(super) fn new(kind: TaskKind, label: &str, total: Option<u64>) -> Self {
        let now = Instant::now();
        let (label, total) = (printable(label), total.filter(|total| *total > 0));
        Self { kind, label, since: now, told: now, bytes: 0, items: 0, total, because: Vec::new() }
    }

    pub(super) fn advance(&mut self, bytes: u64, items: u64) {
        self.bytes += bytes;
        self.items += items;
    }

    /// Whether it is told how much there is to do.
    pub(super) fn has_total(&self) -> bool {
        self.total.is_some()
    }

    /// What is being done, how far it is, how fast it goes, and how long it will take if it goes on like that.
    pub(super) fn status(&self) -> String {
        self.status_after(self.since.elapsed())
    }

    fn status_after(&self, elapsed: Duration) -> String {
        let mut parts = Vec::new();
        match self.total {
            Some(total) => parts.push(format!("{} of {}", short_size(self.bytes.min(total)), short_size(total))),
            None if self.bytes > 0 => parts.push(short_size(self.bytes)),
            None => {}
        }
        parts.extend(self.items());
        parts.extend(self.rate(elapsed));
        if let Some(left) = self.left(elapsed) {
            parts.push(format!("{} left", HumanDuration(left)));
        }
        if parts.is_empty() { self.title() } else { format!("{}: {}", self.title(), parts.join(", ")) }
    }

    /// What was done, and how fast.
    pub(super) fn summary(&self) -> String {
        self.summary_after(self.since.elapsed())
    }

    fn summary_after(&self, elapsed: Duration) -> String {
        let mut parts = Vec::new();
        if self.bytes > 0 {
            parts.push(short_size(self.bytes));
        }
        parts.extend(self.items());
        let done = if parts.is_empty() { String::new() } else { format!("{} ", parts.join(", ")) };
        let rate = self.rate(elapsed).map(|rate| format!(", {rate}")).unwrap_or_default();
        format!("{}: {done}in {:.1} s{rate}", self.title(), elapsed.as_secs_f64())
    }

    fn title(&self) -> String {
        let what = match self.kind {
            TaskKind::Copy => "copy ",
            TaskKind::Verify => "verify ",
            TaskKind::Index => "read ",
            TaskKind::Compare => "compare ",
            TaskKind::Extract => "extract ",
            TaskKind::Pack => "pack ",
            TaskKind::Collect => "collect ",
            _ => "",
        };
        let digest = self.label.split_once(':').filter(|(_, hex)| hex.len() >= 64);
        match digest.and_then(|(algorithm, hex)| Some((algorithm, hex.get(..DIGEST_LETTERS)?))) {
            Some((algorithm, hex)) => format!("{what}{algorithm}:{hex}"),
            None => format!("{what}{}", self.label),
        }
    }

    fn items(&self) -> Option<String> {
        (self.items > 0).then(|| format!("{} item{}", self.items, if self.items == 1 { "" } else { "s" }))
    }

    fn rate(&self, elapsed: Duration) -> Option<String> {
        let seconds = elapsed.as_secs_f64();
        let per_second = |done: u64| done as f64 / seconds;
        match (self.bytes, self.items) {
            _ if elapsed < SHORT => None,
            (0, 0) => None,
            (0, items) => Some(format!("{:.0}/s", per_second(items))),
            (bytes, _) => Some(format!("{}/s", short_size(whole(per_second(bytes))))),
        }
    }

    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let left = self.total?.checked_sub(self.bytes)?;
        if self.bytes == 0 || elapsed < SHORT {
            return None;
        }
        Some(Duration::from_secs_f64((left as f64 / self.bytes as f64 * elapsed.as_secs_f64()).min(1e9)))
    }
}

/// A number without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and is for a person"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(kind: TaskKind, label: &str, total: Option<u64>, bytes: u64, items: u64) -> Running {
        let mut running = Running::new(kind, label, total);
        running.advance(bytes, items);
        running
    }

    #[test]
    fn what_is_known_is_told() {
        let ten = Duration::from_secs(10);
        let check = |running: Running, status: &str, summary: &str| {
            assert_eq!((running.status_after(ten), running.summary_after(ten)), (status.into(), summary.into()));
        };
        check(running(TaskKind::Pack, "layer", None, 0, 0), "pack layer", "pack layer: in 10.0 s");
        check(
            running(TaskKind::Verify, "blobs", Some(40 << 20), 10 << 20, 7),
            "verify blobs: 10.00 MiB of 40.00 MiB, 7 items, 1.00 MiB/s, 30 seconds left",
            "verify blobs: 10.00 MiB, 7 items in 10.0 s, 1.00 MiB/s",
        );
        let digest = format!("sha256:{}", "ab".repeat(32));
        check(
            running(TaskKind::Extract, &digest, None, 10 << 20, 1),
            "extract sha256:abababababab: 10.00 MiB, 1 item, 1.00 MiB/s",
            "extract sha256:abababababab: 10.00 MiB, 1 item in 10.0 s, 1.00 MiB/s",
        );
        check(
            running(TaskKind::Fingerprint, "list a\u{1b}", None, 0, 50),
            "list a\\u{1b}: 50 items, 5/s",
            "list a\\u{1b}: 50 items in 10.0 s, 5/s",
        );
    }

    #[test]
    fn nothing_is_made_of_no_time_and_more_than_all() {
        let running = running(TaskKind::Copy, "x", Some(5), 9, 0);
        assert_eq!(running.status_after(Duration::ZERO), "copy x: 5 B of 5 B");
        assert!(running.left(Duration::from_secs(9)).is_none());
    }
}
