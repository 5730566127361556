//! How fast a released queue empties.
//!
//! A new release must not meet all held requests at once, and the door must open again in bounded time, whatever the
//! app does and however many arrive meanwhile. So every pace grows with time by a factor, not by a step.

use std::time::Duration;

use super::ease::Ease;
use super::{Place, Rate};

/// How often a window grows by itself.
const GROWTH_EVERY: Duration = Duration::from_millis(100);
/// The same while the app answers ever slower. More would not help it; but the door must open some time.
const GROWTH_UNEASY: Duration = Duration::from_secs(1);
/// How soon after another call [`Queue::pace`](super::Queue::pace) may ask to be called.
pub(super) const TICK_MIN: Duration = Duration::from_millis(5);
/// How much of what a late tick has missed is caught up.
const CATCH_UP: Duration = Duration::from_millis(100);
/// A rate doubles at most so often; by then it is beyond what a machine can take.
const DOUBLINGS_MAX: u32 = 24;

/// The pace of one release.
#[derive(Debug)]
pub(super) enum Pace {
    /// So many may be under way.
    Window(Window),
    /// One after the other, at a rate.
    Metronome(Metronome),
}

impl Pace {
    /// `running_before`: what the old release had under way. `behind`: where those stand who came after the release.
    pub(super) fn new(rate: Rate, running_before: u32, behind: Place, now: Duration) -> Self {
        match rate {
            Rate::Auto => Self::Window(Window {
                size: running_before.max(1) as usize,
                under_way: 0,
                grown: now,
                ease: Ease::default(),
            }),
            Rate::PerSecond(rate) => Self::Metronome(Metronome {
                rate: rate.max(1),
                due: now,
                behind,
                behind_since: None,
            }),
        }
    }

    /// Takes a turn for whoever stands at `head`, if it is time.
    pub(super) fn take_turn(&mut self, head: Place, now: Duration) -> bool {
        match self {
            Self::Window(window) => window.take_turn(now),
            Self::Metronome(metronome) => metronome.take_turn(head, now),
        }
    }

    /// The app has begun to answer one that was let go so long ago.
    pub(super) fn answered(&mut self, took: Duration) {
        match self {
            Self::Window(window) => window.answered(took),
            Self::Metronome(_) => {}
        }
    }

    /// One that went on has ended.
    pub(super) fn ended(&mut self) {
        match self {
            Self::Window(window) => window.under_way -= 1,
            Self::Metronome(_) => {}
        }
    }

    /// One whose turn had come was gone: somebody else may have it.
    pub(super) fn turn_unused(&mut self, now: Duration) {
        match self {
            Self::Window(window) => window.under_way -= 1,
            Self::Metronome(metronome) => metronome.turn_unused(now),
        }
    }

    /// When to look again, if nothing else happens.
    pub(super) fn next_look(&self, now: Duration) -> Duration {
        match self {
            Self::Window(window) => (window.grown + window.growth_every())
                .saturating_sub(now)
                .max(TICK_MIN),
            Self::Metronome(metronome) => metronome.due.saturating_sub(now).max(TICK_MIN),
        }
    }
}

/// Concurrency, as TCP's slow start has it: an answer lets one more go besides the one that takes its place. As in TCP
/// Vegas, it does so only while the app is at ease: one that has eight threads answers no sooner for a ninth request.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    under_way: usize,
    grown: Duration,
    ease: Ease,
}

impl Window {
    fn take_turn(&mut self, now: Duration) -> bool {
        // One step, however late: after a pause of the process the app may need its time as well.
        if now.saturating_sub(self.grown) >= self.growth_every() {
            self.size = self.size.saturating_add((self.size / 4).max(1));
            self.grown = now;
        }
        let free = self.under_way < self.size;
        self.under_way += usize::from(free);
        free
    }

    fn answered(&mut self, took: Duration) {
        self.ease.answered(took);
        self.size = self.size.saturating_add(usize::from(self.ease.is()));
    }

    fn growth_every(&self) -> Duration {
        if self.ease.is() {
            GROWTH_EVERY
        } else {
            GROWTH_UNEASY
        }
    }
}

/// One turn each interval. `due` is when the next one may be; it lags behind by no more than [`CATCH_UP`].
#[derive(Debug)]
pub(super) struct Metronome {
    rate: u32,
    due: Duration,
    behind: Place,
    behind_since: Option<Duration>,
}

impl Metronome {
    fn take_turn(&mut self, head: Place, now: Duration) -> bool {
        if head >= self.behind {
            self.behind_since.get_or_insert(now);
        }
        if now < self.due {
            return false;
        }
        self.due = self.due.max(now.saturating_sub(CATCH_UP)) + self.interval(now);
        true
    }

    fn turn_unused(&mut self, now: Duration) {
        self.due = self.due.saturating_sub(self.interval(now));
    }

    fn interval(&self, now: Duration) -> Duration {
        let behind_for = self
            .behind_since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let doublings = behind_for.as_secs().min(u64::from(DOUBLINGS_MAX)) as u32;
        let rate = u64::from(self.rate) << doublings;
        Duration::from_nanos((1_000_000_000 / rate).max(1))
    }
}
