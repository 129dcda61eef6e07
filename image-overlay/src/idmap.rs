//! Ranges of user and group ids that stand for others.

use crate::error::{Error, Result};

/// How ids of an image become ids of the machine: one map for users, one for groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct IdMaps {
    /// For users.
    pub users: IdMap,
    /// For groups.
    pub groups: IdMap,
}

impl IdMaps {
    /// These two.
    #[must_use]
    pub fn new(users: IdMap, groups: IdMap) -> Self {
        Self { users, groups }
    }
}

/// Ranges of ids in an image, and the ranges of the machine that stand for them, as in `/proc/PID/uid_map`.
///
/// ```
/// use image_overlay::{IdMap, IdRange};
/// let map = IdMap::new([IdRange::new(0, 1000, 1), IdRange::new(1, 100_000, 65_535)])?;
/// assert_eq!((map.outside(0), map.outside(33)), (Some(1000), Some(100_032)));
/// assert_eq!(map.outside(70_000), None);
/// # Ok::<(), image_overlay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct IdMap(Vec<IdRange>);

/// So many ids in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IdRange {
    /// The first in the image.
    pub inside: u32,
    /// The first on the machine.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl IdRange {
    /// `count` ids from `inside` on, which are those from `outside` on to the machine.
    #[must_use]
    pub const fn new(inside: u32, outside: u32, count: u32) -> Self {
        Self { inside, outside, count }
    }
}

impl IdMap {
    /// A map of these ranges.
    ///
    /// # Errors
    /// [`Error::InvalidIdMap`] where ranges overlap, on either side, or go beyond the largest id, 4294967294.
    pub fn new(ranges: impl IntoIterator<Item = IdRange>) -> Result<Self> {
        let ranges: Vec<_> = ranges.into_iter().filter(|range| range.count > 0).collect();
        for side in [|range: &IdRange| range.inside, |range: &IdRange| range.outside] {
            let mut sorted: Vec<_> = ranges.iter().map(|range| (u64::from(side(range)), range)).collect();
            sorted.sort_by_key(|(first, _)| *first);
            let mut free = 0;
            for (first, &range) in sorted {
                let end = first + u64::from(range.count);
                if first < free || end > u64::from(u32::MAX) {
                    return Err(Error::InvalidIdMap { range });
                }
                free = end;
            }
        }
        Ok(Self(ranges))
    }

    /// The id on the machine that stands for one of the image; `None` where none does.
    #[must_use]
    pub fn outside(&self, id: u32) -> Option<u32> {
        let range = self.0.iter().find(|range| id >= range.inside && id - range.inside < range.count)?;
        Some(range.outside + (id - range.inside))
    }
}
