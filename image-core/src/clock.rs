//! Time as an argument.

use std::{fmt, str::FromStr, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, excerpt};

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, and the nanoseconds on top.
///
/// Times before 1970 have negative seconds; the nanoseconds always count forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self { seconds: 0, nanoseconds: 0 };

    /// A time of whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// A time to the nanosecond; `None` where `nanoseconds` is a second or more.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < 1_000_000_000 { Some(Self { seconds, nanoseconds }) } else { None }
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`Timestamp::seconds`], below 1,000,000,000.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// The same time without its fraction of a second.
    #[must_use]
    pub const fn truncated(self) -> Self {
        Self::from_seconds(self.seconds)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let seconds = |d: std::time::Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self { seconds: seconds(after), nanoseconds: after.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                match before.subsec_nanos() {
                    0 => Self { seconds: -seconds(before), nanoseconds: 0 },
                    nanos => Self { seconds: -seconds(before) - 1, nanoseconds: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many digits of the fraction as it needs, as Go writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i32::try_from(self.nanoseconds).unwrap_or(0);
        match jiff::Timestamp::new(self.seconds, nanos) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "@{}.{:09}", self.seconds, self.nanoseconds),
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads RFC 3339 with any offset.
    fn from_str(text: &str) -> Result<Self, Error> {
        let reason = "times are written as RFC 3339 has them: 2024-05-06T07:08:09Z";
        let invalid = |_| Error::InvalidTimestamp { input: excerpt(text), reason };
        let time: jiff::Timestamp = text.parse().map_err(invalid)?;
        // Not by way of the system's time, which is coarser on Windows.
        let nanoseconds = time.as_nanosecond();
        let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok();
        let fraction = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok();
        let time = seconds.zip(fraction).and_then(|(seconds, fraction)| Self::new(seconds, fraction));
        time.ok_or_else(|| Error::InvalidTimestamp { input: excerpt(text), reason })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Tells the time. Libraries ask this, never the machine.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
        SystemTime::now().into()
    }
}

/// A clock that stands still, for tests and reproducible builds.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixedClock(Timestamp);

impl FixedClock {
    /// A clock that always says `time`.
    #[must_use]
    pub const fn new(time: Timestamp) -> Self {
        Self(time)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
