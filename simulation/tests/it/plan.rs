//! What is drawn once for a run: how often what happens in it. Each run has some kinds of trouble and not others, so that
//! none hides behind another.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_config::{App, Canary, Hold, Probe, ResumeRate, Timeouts, Upstream};
use simulation::dice::Dice;
use simulation::disk::Rates;
use swap_core::{AppName, Release};

use crate::client::Habits;
use crate::instance::{Manners, Mode};
use crate::orders::Verb;

/// What happens in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// So many clients come.
    Clients(u32),
    Say(Verb),
    Become(Mode),
    /// An instance boots: it is not ready for a while, and then is.
    Boot,
    Kill,
    PowerLoss,
    Reload,
    ClockJumps,
    /// The journal is lent to a process that does not stay.
    FailedUpgrade,
    Nothing,
}

/// How often what happens.
pub(crate) struct Plan {
    pub(crate) actions: Vec<(u32, Action)>,
    pub(crate) disk: Rates,
    pub(crate) manners: Manners,
    pub(crate) habits: Habits,
    pub(crate) first: Option<usize>,
    pub(crate) pause_ms: u64,
    /// The longest that a record takes.
    pub(crate) journal_ms: u64,
}

impl Plan {
    pub(crate) fn draw(dice: &Dice) -> Self {
        let mut actions = Self::usual(dice);
        // Trouble of each kind is there in half of all runs.
        let troubles = [
            (2, Action::Become(Mode::Down)),
            (2, Action::Become(Mode::Booting)),
            (2, Action::Become(Mode::Flapping)),
            (1, Action::Become(Mode::Failing)),
            (1, Action::Become(Mode::Hanging)),
            (2, Action::Kill),
            (2, Action::PowerLoss),
            (1, Action::FailedUpgrade),
        ];
        actions.extend(troubles.into_iter().filter(|_| dice.often(500)));
        let rate = |most: u64| {
            if dice.often(500) {
                dice.within(1..=most) as u32
            } else {
                0
            }
        };
        Self {
            actions,
            disk: Rates {
                write: rate(100),
                sync: rate(100),
                names: rate(100),
                power: rate(30),
                lies: false,
            },
            manners: Manners {
                breaks_off: rate(100),
                resets: rate(150),
                slow: rate(150),
                closes: rate(500),
            },
            habits: Habits {
                leave: rate(300),
                slow: rate(300),
                post: dice.within(100..=600) as u32,
                http2: rate(500),
                put_is_post: false,
            },
            first: dice.often(800).then_some(0),
            pause_ms: dice.within(20..=800),
            journal_ms: dice.within(0..=30),
        }
    }

    fn usual(dice: &Dice) -> Vec<(u32, Action)> {
        let mut actions = vec![
            (8, Action::Clients(1)),
            (6, Action::Clients(3)),
            (2, Action::Clients(12)),
            (3, Action::Boot),
            (2, Action::Become(Mode::Up)),
            (1, Action::Reload),
            (1, Action::ClockJumps),
            (2, Action::Nothing),
        ];
        let verbs = [
            (4, Verb::Overlap),
            (4, Verb::Hold),
            (2, Verb::HoldWithCommand),
            (2, Verb::Rollback),
            (2, Verb::Abort),
            (2, Verb::HoldAll),
            (1, Verb::HoldWrites),
            (2, Verb::Resume),
            (1, Verb::Block),
            (1, Verb::Unblock),
            (1, Verb::Stage),
            (1, Verb::PromoteStaged),
            (1, Verb::Unstage),
        ];
        let verbs = verbs.into_iter().filter(|_| dice.often(700));
        actions.extend(verbs.map(|(weight, verb)| (weight, Action::Say(verb))));
        actions
    }
}

/// An app's settings, with limits that are met now and then.
pub(crate) fn settings(dice: &Dice, first: Option<&Release>) -> BTreeMap<AppName, App> {
    let tight = dice.often(300);
    let app = App {
        hosts: Vec::new(),
        paths: vec!["/".into()],
        strip_prefix: false,
        release_header: Some("x-release".into()),
        release: first.cloned(),
        upstream: Upstream::default(),
        probe: Probe {
            path: "/up".into(),
            grpc: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            passes: if dice.often(300) { 3 } else { 1 },
        },
        hold: Hold {
            max_requests: if tight { 8 } else { 1000 },
            max_bytes: if tight { 64 << 10 } else { 16 << 20 },
            max_wait: Duration::from_secs(if tight { 5 } else { 20 }),
            max_share: 0.5,
            when_down: dice.often(800),
            resume_rate: ResumeRate::Auto,
            answer_probes: true,
        },
        timeouts: Timeouts {
            boot: Duration::from_secs(dice.within(2..=20)),
            drain: Duration::from_secs(dice.within(1..=10)),
            drain_held: Duration::from_secs(dice.within(1..=3)),
            connect: Duration::from_secs(2),
            response: Duration::from_secs(30),
        },
        canary: Canary::default(),
        cohorts: Vec::new(),
        affinity: Duration::ZERO,
    };
    let name = "web".parse().expect("a name");
    BTreeMap::from([(name, app)])
}
