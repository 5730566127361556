//! What is done next: drawn like cards, so that everything comes up, and nothing in an order that anybody chose.

use std::fmt;

use holdfast_load::app::NeverReady;

/// Something that is done, or happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Deed {
    /// A promote with this strategy.
    Promote(Strategy),
    /// A promote, and back again.
    Rollback,
    /// A promote of a release that never gets ready.
    Fail(Strategy, Never),
    /// A promote that is aborted.
    Abort(Strategy),
    /// A promote with strategy hold, whose command fails.
    FailingCommand,
    /// Requests wait by command; some clients leave; an upgrade is refused.
    Hold,
    /// The same with writes only, until it ends by itself.
    HoldWrites,
    /// The app is killed, and comes back.
    Crash,
    /// The app is told to stop, and comes back.
    Restart,
    /// Another configuration.
    Reload,
    /// One that is wrong.
    WrongReload,
    /// Another process.
    Upgrade,
    /// An upgrade to a program that will not do.
    WrongUpgrade,
}

/// `--strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Strategy {
    Overlap,
    Hold,
}

/// How a release never gets ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Never {
    Refuses,
    Hangs,
    Errs,
}

const ALL: [Deed; 19] = [
    Deed::Promote(Strategy::Overlap),
    Deed::Promote(Strategy::Overlap),
    Deed::Promote(Strategy::Hold),
    Deed::Promote(Strategy::Hold),
    Deed::Rollback,
    Deed::Fail(Strategy::Overlap, Never::Refuses),
    Deed::Fail(Strategy::Overlap, Never::Hangs),
    Deed::Fail(Strategy::Hold, Never::Errs),
    Deed::Abort(Strategy::Overlap),
    Deed::Abort(Strategy::Hold),
    Deed::FailingCommand,
    Deed::Hold,
    Deed::HoldWrites,
    Deed::Crash,
    Deed::Restart,
    Deed::Reload,
    Deed::WrongReload,
    Deed::Upgrade,
    Deed::WrongUpgrade,
];

/// All deeds, in random order, again and again. A hold is the first: the shortest soak has some who waited.
pub(super) struct Deck {
    random: fastrand::Rng,
    left: Vec<Deed>,
}

impl Deck {
    pub(super) fn new(seed: u64) -> Self {
        let mut deck = Self {
            random: fastrand::Rng::with_seed(seed),
            left: Vec::new(),
        };
        deck.shuffle();
        deck.left.sort_by_key(|deed| *deed == Deed::Hold);
        deck
    }

    /// The next one. `upgrades`: whether the process may be replaced.
    pub(super) fn draw(&mut self, upgrades: bool) -> Deed {
        loop {
            if self.left.is_empty() {
                self.shuffle();
            }
            match self.left.pop() {
                Some(Deed::Upgrade) if !upgrades => {}
                Some(deed) => return deed,
                None => {}
            }
        }
    }

    fn shuffle(&mut self) {
        self.left = ALL.to_vec();
        self.random.shuffle(&mut self.left);
    }
}

impl Strategy {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Hold => "hold",
        }
    }
}

impl Never {
    pub(super) fn how(self) -> NeverReady {
        match self {
            Self::Refuses => NeverReady::Refuse,
            Self::Hangs => NeverReady::Hang,
            Self::Errs => NeverReady::Error,
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promote(strategy) => write!(f, "promote, {}", strategy.word()),
            Self::Rollback => f.write_str("promote and rollback"),
            Self::Fail(strategy, never) => {
                write!(
                    f,
                    "never ready ({}), {}",
                    never.how().word(),
                    strategy.word()
                )
            }
            Self::Abort(strategy) => write!(f, "abort, {}", strategy.word()),
            Self::FailingCommand => f.write_str("command that fails"),
            Self::Hold => f.write_str("hold"),
            Self::HoldWrites => f.write_str("hold of writes"),
            Self::Crash => f.write_str("app killed"),
            Self::Restart => f.write_str("app restarted"),
            Self::Reload => f.write_str("reload"),
            Self::WrongReload => f.write_str("wrong reload"),
            Self::Upgrade => f.write_str("upgrade"),
            Self::WrongUpgrade => f.write_str("wrong upgrade"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_everything_comes_up() {
        let draw = |seed: u64| {
            let mut deck = Deck::new(seed);
            (0..ALL.len()).map(|_| deck.draw(true)).collect::<Vec<_>>()
        };
        let (first, again) = (draw(7), draw(7));
        assert_eq!(first, again);
        assert_ne!(first, draw(8));
        let mut sorted = [first, ALL.to_vec()];
        sorted.iter_mut().for_each(|it| it.sort_unstable());
        assert_eq!(sorted[0], sorted[1]);
    }

    #[test]
    fn a_hold_is_first_and_what_follows_is_not_always_the_same() {
        let two = |seed: u64| {
            let mut deck = Deck::new(seed);
            (deck.draw(true), deck.draw(true))
        };
        assert!((0..100).all(|seed| two(seed).0 == Deed::Hold));
        assert!((1..100).any(|seed| two(seed).1 != two(0).1));
    }

    #[test]
    fn where_there_are_no_upgrades_none_is_drawn() {
        let mut deck = Deck::new(1);
        assert!((0..100).all(|_| deck.draw(false) != Deed::Upgrade));
    }
}
