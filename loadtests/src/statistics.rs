//! What can be said of a few noisy figures.

/// So often rounds are drawn anew for an interval.
const DRAWS: usize = 5_000;

/// The one in the middle, or the mean of the two there. None of nothing.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
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

/// The least that so large a share is not above. None of nothing.
pub(crate) fn quantile(figures: &[f64], share: f64) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

/// Between what the median lies in 95 of 100 redrawn sets. None of nothing.
pub(crate) fn interval(figures: &[f64], seed: u64) -> Option<(f64, f64)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut medians = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let draw = |_| random.choice(figures).copied();
        let drawn: Vec<f64> = (0..figures.len()).filter_map(draw).collect();
        medians.push(median(&drawn)?);
    }
    Some((quantile(&medians, 0.025)?, quantile(&medians, 0.975)?))
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
    fn a_quantile_is_one_of_the_figures() {
        let figures: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(quantile(&figures, 0.99), Some(198.0));
        assert_eq!(quantile(&figures, 1.0), Some(200.0));
        assert_eq!(quantile(&figures, 0.0), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn an_interval_has_the_median_within_and_is_the_same_for_the_same_seed() {
        let figures = [1.0, 1.1, 0.9, 1.05, 7.0];
        let (low, high) = interval(&figures, 3).unwrap();
        assert!(low <= 1.05 && 1.05 <= high);
        assert_eq!(interval(&figures, 3), Some((low, high)));
        assert_eq!(interval(&[], 3), None);
    }
}
