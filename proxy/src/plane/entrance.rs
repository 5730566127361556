//! One app as the plane keeps it: what is in the table, and what is not. Its releases are the live one, those beside it, and
//! those behind a closed gate that are not empty yet; each is found by its gate, wherever it is.

use std::sync::Arc;
use std::time::Duration;

use holdfast_control::plane::Traffic;
use swap_core::{GateId, Release, ReleaseId};
use swap_gate::Classes;

use super::words::{bounds, hold_counts};
use crate::clock;
use crate::counters::{PerWorker, ReleaseCells};
use crate::release::{Instance, LiveRelease};
use crate::split::Split;
use crate::table::{App, Settings};

/// An app, with what of it is not in the table.
pub(super) struct Entrance {
    pub(super) app: Arc<App>,
    /// Closed gates that are not empty yet, or are about to be closed.
    draining: Vec<Draining>,
    /// Those who were live last stand last.
    series: Vec<Series>,
    /// Requests that ran when the door was shut: where the pace of the release starts.
    pub(super) running_before: u32,
    /// The control plane has said nothing of this app yet: its door is shut until it does.
    pub(super) unheard_of: bool,
    workers: usize,
}

struct Draining {
    live: Arc<LiveRelease>,
    since: Duration,
}

/// Counters of a release that is live, was live last, is beside the live one, or drains.
struct Series {
    release: ReleaseId,
    cells: Arc<PerWorker<ReleaseCells>>,
    has_been_live: bool,
}

/// One app, as the metrics see it.
pub(crate) struct Survey {
    pub(crate) app: Arc<App>,
    pub(crate) releases: Vec<(ReleaseId, Arc<PerWorker<ReleaseCells>>)>,
}

impl Entrance {
    pub(super) fn new(app: App, workers: usize) -> Self {
        Self {
            app: Arc::new(app),
            draining: Vec::new(),
            series: Vec::new(),
            running_before: 0,
            unheard_of: true,
            workers,
        }
    }

    pub(super) fn with_settings(mut self, settings: &Arc<Settings>) -> Self {
        self.app.door.set_bounds(bounds(&settings.config.hold));
        let canary = &settings.config.canary;
        let again =
            |split: &Arc<Split>| Arc::new(split.with_settings(canary, self.workers, clock::now()));
        let split = self.app.split.as_ref().map(again);
        self.change(|app| App {
            settings: settings.clone(),
            split,
            ..app
        });
        self
    }

    /// The same app with another live release: what is beside it already under this gate, or a new one. The old one goes to
    /// those that drain, where `close` finds it.
    pub(super) fn set_live(&mut self, gate: GateId, live: Option<Release>) {
        let live = live.map(|release| {
            let live = self.release_behind(gate, release);
            self.becomes_live(&live.release.id);
            live
        });
        let old = self.app.live.clone();
        self.change(|app| App {
            live,
            epoch: app.epoch + 1,
            ..app
        });
        self.leave(old);
        self.forget_releases();
    }

    /// The same app with these beside the live release.
    pub(super) fn set_split(&mut self, split: Option<swap_core::Split>) {
        let split = split.map(|said| {
            let releases = said.beside.iter();
            let releases = releases
                .map(|beside| self.release_behind(beside.gate, beside.release.clone()))
                .collect();
            let canary = &self.app.settings.config.canary;
            let before = self.app.split.as_deref();
            let now = clock::now();
            Arc::new(Split::new(
                said,
                releases,
                canary,
                self.workers,
                before,
                now,
            ))
        });
        let old = self.app.split.clone();
        self.change(|app| App { split, ..app });
        let left = old.iter().flat_map(|split| split.releases.iter().cloned());
        self.leave(left);
        self.forget_releases();
    }

    fn change(&mut self, change: impl FnOnce(App) -> App) {
        let App {
            name,
            settings,
            door,
            live,
            epoch,
            split,
            counters,
        } = &*self.app;
        self.app = Arc::new(change(App {
            name: name.clone(),
            settings: settings.clone(),
            door: door.clone(),
            live: live.clone(),
            epoch: *epoch,
            split: split.clone(),
            counters: counters.clone(),
        }));
    }

    /// Whoever is behind this gate already, with connections and counters, or else a new one.
    fn release_behind(&mut self, gate: GateId, release: Release) -> Arc<LiveRelease> {
        let known = self.in_table().find(|known| known.gate_id == gate).cloned();
        known.unwrap_or_else(|| {
            let cells = self.cells_of(&release.id);
            Arc::new(LiveRelease::new(release, gate, self.workers, cells))
        })
    }

    /// Whoever of these is no longer in the table drains.
    fn leave(&mut self, left: impl IntoIterator<Item = Arc<LiveRelease>>) {
        let since = clock::now();
        for live in left {
            if !self.all().any(|known| known.uid == live.uid) {
                self.draining.push(Draining { live, since });
            }
        }
    }

    fn cells_of(&mut self, release: &ReleaseId) -> Arc<PerWorker<ReleaseCells>> {
        let known = self.series.iter().find(|known| known.release == *release);
        match known {
            Some(known) => known.cells.clone(),
            None => {
                let cells = Arc::new(PerWorker::new(self.workers));
                let series = Series {
                    release: release.clone(),
                    cells: cells.clone(),
                    has_been_live: false,
                };
                self.series.insert(0, series);
                cells
            }
        }
    }

    fn becomes_live(&mut self, release: &ReleaseId) {
        let at = self
            .series
            .iter()
            .position(|known| known.release == *release);
        if let Some(at) = at {
            let series = self.series.remove(at);
            self.series.push(Series {
                has_been_live: true,
                ..series
            });
        }
    }

    /// Those that are in the table.
    fn in_table(&self) -> impl Iterator<Item = &Arc<LiveRelease>> {
        let live = self.app.live.as_ref();
        let uid = live.map(|live| live.uid);
        let beside = self.app.split.iter().flat_map(|split| &split.releases);
        // The release that is becoming the live one is both for a while.
        live.into_iter()
            .chain(beside.filter(move |beside| Some(beside.uid) != uid))
    }

    /// All of them, each once.
    fn all(&self) -> impl Iterator<Item = &Arc<LiveRelease>> {
        let draining = self.draining.iter().map(|draining| &draining.live);
        self.in_table().chain(draining)
    }

    pub(super) fn find(&self, gate: GateId) -> Option<Arc<LiveRelease>> {
        self.all().find(|live| live.gate_id == gate).cloned()
    }

    pub(super) fn running(&self) -> u64 {
        self.all().map(|live| live.gate.running(Classes::ALL)).sum()
    }

    /// The instances of all releases that may be asked.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.in_table().flat_map(|live| &*live.instances)
    }

    /// It has drained.
    pub(super) fn forget(&mut self, uid: u64) {
        self.draining.retain(|draining| draining.live.uid != uid);
        self.forget_releases();
    }

    /// Keeps the counters of the live release, of the one before, of those beside it, and of those that drain.
    fn forget_releases(&mut self) {
        let been_live = self.series.iter().filter(|series| series.has_been_live);
        let mut too_old = been_live.count().saturating_sub(2);
        let used: Vec<_> = self.all().map(|live| live.release.id.clone()).collect();
        self.series.retain(|series| {
            let is_last = series.has_been_live && too_old == 0;
            if series.has_been_live {
                too_old = too_old.saturating_sub(1);
            }
            is_last || used.contains(&series.release)
        });
    }

    pub(super) fn survey(&self) -> Survey {
        let series = self.series.iter();
        Survey {
            app: self.app.clone(),
            releases: series
                .map(|series| (series.release.clone(), series.cells.clone()))
                .collect(),
        }
    }

    pub(super) fn traffic(&self) -> Traffic {
        let now = clock::now();
        let counters = &self.app.counters;
        Traffic {
            requests: counters.sum(|cells| cells.requests.read()),
            in_flight: self.running(),
            instances: self
                .app
                .live
                .iter()
                .flat_map(|live| &*live.instances)
                .map(|instance| {
                    (
                        instance.address.clone(),
                        instance.is_up(now),
                        instance.in_flight_total(),
                    )
                })
                .collect(),
            hold: hold_counts(&self.app.door),
            retried: counters.sum(|cells| cells.retried.read()),
            drained: counters.sum(|cells| cells.drained.read()),
            cut: counters.sum(|cells| cells.cut.read()),
            lost: counters.lost(),
            draining: self
                .draining
                .iter()
                .map(|Draining { live, since }| {
                    (
                        live.release.clone(),
                        live.gate.running(Classes::ALL),
                        now.saturating_sub(*since),
                    )
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use swap_core::{Address, Beside};
    use swap_gate::{Bounds, Rate};

    use super::*;
    use crate::table::Door;
    use crate::testing::app_settings;

    fn entrance() -> Entrance {
        let config = app_settings();
        let bounds = Bounds {
            max_requests: 10,
            max_bytes: 1000,
            max_wait: Duration::from_secs(1),
            max_per_client: 10,
            rate: Rate::Auto,
        };
        let app = App {
            name: "web".parse().unwrap(),
            settings: Arc::new(Settings::open(&config).unwrap()),
            door: Door::new(bounds, || {}),
            live: None,
            epoch: 0,
            split: None,
            counters: Arc::new(PerWorker::new(1)),
        };
        Entrance::new(app, 1)
    }

    fn release(id: &str) -> Release {
        let instance: Address = "127.0.0.1:3001".parse().unwrap();
        Release {
            id: id.parse().unwrap(),
            instances: vec![instance],
        }
    }

    /// These beside the live one, behind these gates.
    fn split(beside: &[(&str, u64)]) -> Option<swap_core::Split> {
        let beside = beside.iter().map(|(id, gate)| Beside {
            gate: GateId(*gate),
            release: release(id),
        });
        Some(swap_core::Split {
            key: "key".to_owned(),
            round: 0,
            beside: beside.collect(),
            slices: Vec::new(),
            preview: Some(0),
            opt_in: false,
            fallback: None,
            least: Duration::ZERO,
        })
    }

    fn uid(entrance: &Entrance, gate: u64) -> Option<u64> {
        entrance.find(GateId(gate)).map(|live| live.uid)
    }

    fn series(entrance: &Entrance) -> Vec<String> {
        let survey = entrance.survey().releases;
        let mut ids: Vec<_> = survey.iter().map(|(id, _)| id.to_string()).collect();
        ids.sort();
        ids
    }

    #[test]
    fn who_stays_beside_is_who_it_was_and_who_leaves_drains() {
        let mut entrance = entrance();
        entrance.set_live(GateId(1), Some(release("one")));
        entrance.set_split(split(&[("two", 2), ("three", 3)]));
        let (two, three) = (uid(&entrance, 2), uid(&entrance, 3));
        entrance.set_split(split(&[("three", 3), ("four", 4)]));
        assert_eq!((uid(&entrance, 2), uid(&entrance, 3)), (two, three));
        let draining = entrance.traffic().draining;
        assert_eq!(draining.len(), 1);
        assert_eq!(draining[0].0.id.as_str(), "two");
        entrance.forget(two.unwrap());
        assert_eq!(uid(&entrance, 2), None);
    }

    #[test]
    fn who_becomes_the_live_one_is_who_it_was_and_is_there_once() {
        let mut entrance = entrance();
        entrance.set_live(GateId(1), Some(release("one")));
        entrance.set_split(split(&[("two", 2)]));
        let two = uid(&entrance, 2);
        entrance.set_live(GateId(2), Some(release("two")));
        assert!(entrance.app.split.is_some(), "it is left as it is");
        assert_eq!(
            entrance.all().count(),
            2,
            "and the one before, which drains"
        );
        entrance.set_split(None);
        assert_eq!(uid(&entrance, 2), two);
        let draining = entrance.traffic().draining;
        assert_eq!(draining.len(), 1);
        assert_eq!(draining[0].0.id.as_str(), "one");
    }

    #[test]
    fn counters_are_there_for_the_live_release_the_one_before_those_beside_and_those_that_drain() {
        let mut entrance = entrance();
        entrance.set_live(GateId(1), Some(release("one")));
        entrance.forget(uid(&entrance, 1).unwrap());
        entrance.set_live(GateId(2), Some(release("two")));
        entrance.forget(uid(&entrance, 1).unwrap());
        entrance.set_split(split(&[("three", 3)]));
        assert_eq!(series(&entrance), ["one", "three", "two"]);
        let three = uid(&entrance, 3).unwrap();
        entrance.set_split(None);
        assert_eq!(series(&entrance), ["one", "three", "two"], "it drains");
        entrance.forget(three);
        assert_eq!(series(&entrance), ["one", "two"], "rolled back");
        entrance.set_split(split(&[("four", 4)]));
        entrance.set_live(GateId(4), Some(release("four")));
        entrance.forget(uid(&entrance, 2).unwrap());
        entrance.set_split(None);
        assert_eq!(series(&entrance), ["four", "two"], "promoted");
    }

    #[test]
    fn all_instances_that_may_be_asked_are_marked() {
        let mut entrance = entrance();
        entrance.set_live(GateId(1), Some(release("one")));
        entrance.set_split(split(&[("two", 2)]));
        assert_eq!(entrance.instances().count(), 2);
    }
}
