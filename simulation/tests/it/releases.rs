//! Which releases there are, and at which addresses. Two may share an address, as where only one copy can run.

use std::path::Path;

use simulation::dice::Dice;
use swap_core::{Address, Release};

use crate::instance::INSTANCES;

/// The releases of one run.
pub(crate) struct Releases(Vec<(Release, Vec<usize>)>);

impl Releases {
    pub(crate) fn draw(dice: &Dice, directory: &Path) -> Self {
        let one = |number: u64| {
            let mut instances: Vec<usize> = (0..dice.within(1..=2))
                .map(|_| usize::try_from(dice.within(0..=INSTANCES as u64 - 1)).unwrap_or(0))
                .collect();
            instances.dedup();
            let address = |at: &usize| Address::Unix(directory.join(at.to_string()));
            let release = Release {
                id: format!("r{number}").parse().expect("an id"),
                instances: instances.iter().map(address).collect(),
            };
            (release, instances)
        };
        Self((0..4).map(one).collect())
    }

    pub(crate) fn release(&self, number: usize) -> &Release {
        &self.0[number].0
    }

    pub(crate) fn instances(&self, number: usize) -> &[usize] {
        &self.0[number].1
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether this release has this instance.
    pub(crate) fn has(&self, id: &str, instance: usize) -> bool {
        self.0
            .iter()
            .any(|(release, of)| release.id.as_str() == id && of.contains(&instance))
    }

    /// The instances that a release has as it was promoted.
    pub(crate) fn of(&self, release: &Release) -> Vec<usize> {
        let addresses = release.instances.iter();
        let numbers = addresses.filter_map(|address| match address {
            Address::Unix(path) => path.file_name()?.to_str()?.parse().ok(),
            Address::Tcp(_) => None,
        });
        numbers.collect()
    }
}
