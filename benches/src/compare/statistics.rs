//! What can be said of a few noisy figures: medians, spread, and how sure a ratio is.

use serde::{Deserialize, Serialize};

/// So often rounds are drawn anew for an interval.
const DRAWS: usize = 2_000;

/// Figures of the rounds, in short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// How many times as much one takes as the other, by their medians, and between what it lies in 95 of 100 redrawn rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ratio {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Summary {
    /// None without figures.
    pub(super) fn of(figures: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(figures)?,
            min: figures.iter().copied().reduce(f64::min)?,
            max: figures.iter().copied().reduce(f64::max)?,
        })
    }
}

/// The one in the middle, or the mean of the two there.
pub(super) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 {
        upper
    } else {
        (sorted[middle - 1] + upper) / 2.0
    })
}

/// Of `ours` to `theirs`. Round by round they belong together: both met the same noise.
pub(super) fn ratio(ours: &[f64], theirs: &[f64], seed: u64) -> Option<Ratio> {
    let rounds = ours.len().min(theirs.len());
    let value = median(&ours[..rounds])? / median(&theirs[..rounds])?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut drawn = Vec::with_capacity(DRAWS);
    let (mut a, mut b) = (vec![0.0; rounds], vec![0.0; rounds]);
    for _ in 0..DRAWS {
        for place in 0..rounds {
            let round = random.usize(..rounds);
            (a[place], b[place]) = (ours[round], theirs[round]);
        }
        drawn.push(median(&a)? / median(&b)?);
    }
    drawn.sort_by(f64::total_cmp);
    let at = |share: f64| drawn[((DRAWS - 1) as f64 * share).round() as usize];
    Some(Ratio {
        value,
        low: at(0.025),
        high: at(0.975),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_bad_round_moves_the_spread_and_not_the_median() {
        let summary = Summary::of(&[10.0, 11.0, 10.5, 99.0, 10.2]).unwrap();
        assert_eq!(
            (summary.median, summary.min, summary.max),
            (10.5, 10.0, 99.0)
        );
    }

    #[test]
    fn an_interval_has_the_ratio_within_and_is_narrow_where_rounds_agree() {
        let ours = [20.0, 20.2, 19.9, 20.1, 20.0];
        let sure = ratio(&ours, &[10.0, 10.1, 9.95, 10.0, 10.05], 1).unwrap();
        assert!((sure.value - 2.0).abs() < 0.01, "{sure:?}");
        assert!(sure.low <= sure.value && sure.value <= sure.high);
        assert!(sure.high - sure.low < 0.1, "{sure:?}");
        let unsure = ratio(&ours, &[5.0, 10.0, 20.0, 8.0, 14.0], 1).unwrap();
        assert!(unsure.high - unsure.low > 0.5, "{unsure:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let (a, b) = ([1.0, 2.0, 3.0], [2.0, 2.0, 5.0]);
        assert_eq!(ratio(&a, &b, 9), ratio(&a, &b, 9));
    }
}
