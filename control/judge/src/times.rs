//! How long requests took: a histogram with buckets that grow with the time.
//!
//! Sixteen buckets for each power of two of microseconds, so none is wider than a sixteenth of its bound (6.25 %).
//! Below 64 µs is one bucket, from 134 s on another. The data plane keeps its counters in the same layout.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Sixteen parts of each power of two.
const PARTS_BITS: u32 = 4;
/// From 2^6 = 64 µs …
const FIRST_BITS: u32 = 6;
/// … to 2^27 µs = 134 s.
const LAST_BITS: u32 = 27;
/// What a bucket's number is less than its exponent and part, written one after the other.
const OFFSET: usize = ((FIRST_BITS as usize) << PARTS_BITS) - 1;

/// How many buckets there are.
pub const BUCKETS: usize = ((LAST_BITS - FIRST_BITS) as usize) * (1 << PARTS_BITS) + 2;

/// The bucket of a time in microseconds. A few integer instructions without a branch.
#[inline]
pub const fn bucket(us: u64) -> usize {
    // One part below the first bound: everything faster falls into bucket 0.
    const FLOOR: u64 = (1 << FIRST_BITS) - 2;
    const CEILING: u64 = 1 << LAST_BITS;
    let us = if us < FLOOR { FLOOR } else { us };
    let us = if us > CEILING { CEILING } else { us };
    let exponent = u64::BITS - 1 - us.leading_zeros();
    // The leading one is the part's seventeenth value, and adds one to the exponent: it is taken off again.
    let part = (us >> (exponent - PARTS_BITS)) as usize - (1 << PARTS_BITS);
    ((exponent as usize) << PARTS_BITS) + part - OFFSET
}

/// The shortest time in microseconds that belongs to a bucket. Past the last bucket: no time is so long.
pub const fn bound(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    if bucket >= BUCKETS {
        return u64::MAX;
    }
    let place = bucket + OFFSET;
    let exponent = place >> PARTS_BITS;
    let part = place & ((1 << PARTS_BITS) - 1);
    (((1 << PARTS_BITS) + part) as u64) << (exponent - PARTS_BITS as usize)
}

/// Times, counted by [`bucket`]. Written down, it is a row of `[bucket, count]` without the empty ones.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(usize, u64)>", into = "Vec<(usize, u64)>")]
pub struct Times {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
}

impl Times {
    /// Counts this time once more.
    pub fn record(&mut self, us: u64) {
        self.add(bucket(us), 1);
    }

    /// Counts a bucket so many times more. A bucket that does not exist is the last one.
    pub fn add(&mut self, bucket: usize, count: u64) {
        // So no sum of some of them is ever too large.
        let count = count.min(u64::MAX - self.total);
        self.counts[bucket.min(BUCKETS - 1)] += count;
        self.total += count;
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What was counted in each bucket.
    pub fn counts(&self) -> &[u64; BUCKETS] {
        &self.counts
    }

    /// About the time in microseconds that this part of all took at most: the middle of its bucket. None without times.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let bucket = self.bucket_of(part)?;
        let (low, high) = (bound(bucket), bound(bucket + 1));
        Some(if high == u64::MAX {
            low
        } else {
            low.midpoint(high)
        })
    }

    /// The bucket in which the quantile lies. None without times.
    pub(crate) fn bucket_of(&self, part: f64) -> Option<usize> {
        let rank = ((part * self.total as f64).ceil() as u64).clamp(1, self.total.max(1));
        let mut below = 0;
        // One power of two after the other, then the parts of the one that has it.
        for (octave, counts) in self.counts.chunks(1 << PARTS_BITS).enumerate() {
            let inside: u64 = counts.iter().sum();
            if below + inside >= rank {
                let part = counts.iter().position(|count| {
                    below += count;
                    below >= rank
                });
                return part.map(|part| (octave << PARTS_BITS) + part);
            }
            below += inside;
        }
        None
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
            total: 0,
        }
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.counts.iter().enumerate();
        f.debug_map()
            .entries(all.filter(|(_, count)| **count > 0))
            .finish()
    }
}

impl From<Vec<(usize, u64)>> for Times {
    fn from(row: Vec<(usize, u64)>) -> Self {
        row.into_iter().collect()
    }
}

impl From<Times> for Vec<(usize, u64)> {
    fn from(times: Times) -> Self {
        let all = times.counts.into_iter().enumerate();
        all.filter(|(_, count)| *count > 0).collect()
    }
}

impl FromIterator<(usize, u64)> for Times {
    fn from_iter<I: IntoIterator<Item = (usize, u64)>>(row: I) -> Self {
        let mut times = Self::default();
        row.into_iter()
            .for_each(|(bucket, count)| times.add(bucket, count));
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_begins_its_bucket() {
        for place in 1..BUCKETS {
            assert_eq!(bucket(bound(place)), place);
            assert_eq!(bucket(bound(place) - 1), place - 1);
        }
        assert_eq!(
            (bucket(0), bucket(63), bucket(u64::MAX)),
            (0, 0, BUCKETS - 1)
        );
    }

    #[test]
    fn no_bucket_between_100_us_and_100_s_is_wider_than_a_sixteenth() {
        let within = bucket(100)..=bucket(100_000_000);
        for place in within {
            let (low, high) = (bound(place), bound(place + 1));
            assert!((high - low) * 16 <= low, "{low}..{high}");
        }
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let mut times = Times::default();
        assert_eq!(times.quantile(0.5), None);
        (1..=100).for_each(|ms| times.record(ms * 1000));
        assert_eq!(times.bucket_of(0.5), Some(bucket(50_000)));
        assert_eq!(times.bucket_of(0.99), Some(bucket(99_000)));
        assert_eq!(times.bucket_of(1.0), Some(bucket(100_000)));
        assert_eq!(times.bucket_of(0.0), Some(bucket(1_000)));
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        let mut times = Times::default();
        for us in [0, 5_000, 5_000, u64::MAX] {
            times.record(us);
        }
        let text = serde_json::to_string(&times).unwrap();
        assert_eq!(text, "[[0,1],[100,2],[337,1]]");
        assert_eq!(serde_json::from_str::<Times>(&text).unwrap(), times);
    }
}
