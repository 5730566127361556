//! Which release was to get requests when.

use std::collections::HashMap;

use crate::clock::Moment;

/// Which release was to get requests when. A release that is not named here may get them at any time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reigns {
    by_release: HashMap<String, Vec<Reign>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Reign {
    from: Moment,
    until: Option<Moment>,
}

impl Reigns {
    /// From now on this release may get requests.
    pub fn begin(&mut self, release: &str) {
        self.begin_at(release, Moment::now());
    }

    /// As [`Reigns::begin`], at another time. A release that reigns already goes on.
    pub fn begin_at(&mut self, release: &str, from: Moment) {
        let reigns = self.by_release.entry(release.to_owned()).or_default();
        if reigns.last().is_none_or(|last| last.until.is_some()) {
            let until = None;
            reigns.push(Reign { from, until });
        }
    }

    /// From now on no request must reach this release.
    pub fn end(&mut self, release: &str) {
        self.end_at(release, Moment::now());
    }

    /// As [`Reigns::end`], at another time.
    pub fn end_at(&mut self, release: &str, until: Moment) {
        let reigns = self.by_release.entry(release.to_owned()).or_default();
        if let Some(last) = reigns.last_mut() {
            last.until.get_or_insert(until);
        }
    }

    /// This release is to get no request at all.
    pub fn never(&mut self, release: &str) {
        self.by_release.entry(release.to_owned()).or_default();
    }

    /// Whether this release may get a request at this instant.
    pub fn allow(&self, release: &str, at: Moment) -> bool {
        let Some(reigns) = self.by_release.get(release) else {
            return true;
        };
        reigns
            .iter()
            .any(|it| it.from <= at && it.until.is_none_or(|until| at <= until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_reigns_from_its_beginning_to_its_end_and_may_come_back() {
        let at = Moment::from_micros;
        let mut reigns = Reigns::default();
        reigns.begin_at("a", at(10));
        reigns.end_at("a", at(20));
        reigns.end_at("a", at(25));
        reigns.begin_at("a", at(30));
        let allowed: Vec<u64> = (0..40)
            .step_by(5)
            .filter(|it| reigns.allow("a", at(*it)))
            .collect();
        assert_eq!(allowed, [10, 15, 20, 30, 35]);
        assert!(reigns.allow("b", at(0)));
    }
}
