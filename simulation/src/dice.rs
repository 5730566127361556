//! Every choice of a run, from its seed.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;

/// Choices, one after the other. Cheap to clone: all clones draw from the same row.
#[derive(Clone, Debug)]
pub struct Dice(Arc<Mutex<Rng>>);

impl Dice {
    /// The choices of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Rng::with_seed(seed))))
    }

    fn with<R>(&self, draw: impl FnOnce(&mut Rng) -> R) -> R {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One of these numbers.
    pub fn within(&self, range: RangeInclusive<u64>) -> u64 {
        self.with(|rng| rng.u64(range))
    }

    /// True so often in a thousand.
    pub fn often(&self, in_a_thousand: u32) -> bool {
        self.with(|rng| rng.u32(0..1000)) < in_a_thousand
    }

    /// One of these, each as often as its weight says. None, if there is no weight.
    pub fn weigh<T: Copy>(&self, choices: &[(u32, T)]) -> Option<T> {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        if total == 0 {
            return None;
        }
        let mut drawn = self.with(|rng| rng.u32(0..total));
        let chosen = choices.iter().find(|(weight, _)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        chosen.map(|(_, choice)| *choice)
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, choices: &'a [T]) -> Option<&'a T> {
        let last = choices.len().checked_sub(1)?;
        choices.get(self.with(|rng| rng.usize(0..=last)))
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_has_the_same_choices() {
        let row = |seed| {
            let dice = Dice::new(seed);
            (0..100)
                .map(move |_| dice.within(0..=9))
                .collect::<Vec<_>>()
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
    }

    #[test]
    fn what_weighs_nothing_is_never_chosen() {
        let dice = Dice::new(1);
        for _ in 0..1000 {
            assert_ne!(dice.weigh(&[(1, 'a'), (0, 'b'), (3, 'c')]), Some('b'));
        }
        assert_eq!(dice.weigh(&[(0, 'a')]), None);
    }
}
