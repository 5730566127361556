//! The queue at an app's door: who passes, who waits, whose turn it is.
//!
//! One per app, shared by all workers. An open door costs a request one atomic load; only while the door is shut is
//! there a lock, and under it nothing but a few tree operations ([`state`]). What is decided under the lock is the
//! truth; the atomic is a hint that is corrected by [`Queue::arrive`].
//!
//! It wakes in the order of the places. It must never wake a task, call out or drop foreign code under its lock, never
//! hold more than its [`Bounds`], never leave anybody waiting behind an open door.

mod admission;
mod arrival;
mod bounds;
mod counts;
mod ease;
mod hint;
mod line;
mod pace;
mod place;
mod room;
mod state;
mod ticket;
mod unseen;
mod wakes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use admission::Admission;
pub use arrival::{Arrival, Arrived, CameBack, Reason};
pub use bounds::{Bounds, Rate, TICKET_OVERHEAD_BYTES};
pub use counts::{Counts, Shed};
pub use place::Place;
pub use room::Room;
pub use ticket::{Expired, Ticket, Turn};

use crate::sync::Lock;
use hint::Hint;
use state::{After, State, Word};
use wakes::Wakes;

/// The door of one app and the requests that wait at it. `C` is the cause of a hold; the queue only hands it on.
///
/// Every `now` is a time since one origin, the same for all calls.
pub struct Queue<C: Copy> {
    state: Lock<State<C>>,
    /// What may be known of the state without its lock.
    hint: Hint,
    wakes: Wakes,
    on_open: Box<dyn Fn() + Send + Sync>,
}

impl<C: Copy> Queue<C> {
    /// An open door. `on_open` is called, outside of the lock, each time a released queue has become empty and the door
    /// is open again. It may come late (somebody may have shut the door since): look at [`Queue::counts`].
    pub fn new(bounds: Bounds, on_open: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Lock::new(State::new(bounds)),
            hint: Hint::new(),
            wakes: Wakes::new(),
            on_open: Box::new(on_open),
        })
    }

    /// Other bounds for whoever arrives from now on. Nobody who waits is sent away, no deadline changes; the rate
    /// applies from the next release on.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.change(|state, _| state.set_bounds(bounds));
    }

    /// The bits of the methods that must not pass now, as a hint: 0 is an open door. One load.
    ///
    /// Read the table first, then this, then enter the table's gate. Whoever reads an outdated 0 then finds the gate
    /// closed, and finds the door shut when it tries again; an outdated bit is corrected by [`Queue::arrive`].
    pub fn shut_for(&self) -> u16 {
        self.hint.shut_for()
    }

    /// The number of the gate that requests enter from now on: to be called at each publish, after it. Numbers grow; a
    /// smaller one changes nothing.
    pub fn set_epoch(&self, epoch: u64) {
        self.change(|state, _| state.set_epoch(epoch));
    }

    /// Shuts the door for these methods. When this returns, [`Queue::arrive`] lets none of them pass.
    ///
    /// An open door begins a new hold: its number is one more and its counters are zero. At a door that is shut
    /// already (held, releasing, given up) only cause and methods change: a release stops, arrivals are held again.
    /// Those who wait keep waiting, even if their method is not held any more. Those who were let go but have not entered
    /// a gate yet must look at [`Admission::is_called_off`].
    pub fn hold(&self, cause: C, methods: u16, now: Duration) {
        self.change_at(now, |state, _| state.hold(cause, methods));
    }

    /// What a request must do.
    pub fn arrive(self: &Arc<Self>, arrival: Arrival, now: Duration) -> Arrived<C> {
        let word = self.change_at(now, |state, _| state.arrive(arrival));
        self.answer(word)
    }

    /// An unsent request, which an open door had let pass, comes back: nobody behind the gate number `epoch` can be
    /// reached.
    ///
    /// If requests still enter that gate, the door is shut (for all methods, with this cause) unless it is shut for
    /// this request's method already; a release stops. If they enter a newer one, the door stays as it is. Where the
    /// door lets it, the request may pass: reload the table and try again. Else it waits at the front: before everybody
    /// who arrived in this hold, in order among those who came back. Its share does not matter, and if the hold is full
    /// the youngest make way: at most 64 for one, and nobody if that is not enough (then it is refused itself). They are
    /// told so, and count as shed, not as held.
    pub fn come_back(
        self: &Arc<Self>,
        cause: C,
        epoch: u64,
        arrival: Arrival,
        now: Duration,
    ) -> CameBack<C> {
        let (word, shut) = self.change_at(now, |state, after| {
            state.come_back(cause, epoch, arrival, after)
        });
        CameBack {
            arrived: self.answer(word),
            shut,
        }
    }

    /// Lets those who wait go, in order, at the pace of [`Bounds::rate`]; `running_before` is how many requests the old
    /// release had under way. Arrivals queue behind until nobody waits; then the door is open (at once if nobody does)
    /// and `on_open` is called. Call [`Queue::pace`] next. A door that is being released already goes on as it was.
    pub fn release(&self, running_before: u32, now: Duration) {
        self.change_at(now, |state, after| state.release(running_before, after));
    }

    /// Lets go whoever may by now, and says after what time to call again; `None` once nothing is being released.
    /// Calling more often, or from several places, does no harm. Being late slows the release.
    pub fn pace(&self, now: Duration) -> Option<Duration> {
        self.change_at(now, |state, after| {
            state.settle(after);
            state.next_look()
        })
    }

    /// Refuses arrivals of the held methods from now on; those who wait run into their limit. Means nothing unless the
    /// door is held.
    pub fn give_up(&self, now: Duration) {
        self.change_at(now, |state, _| state.give_up());
    }

    /// The current hold, or the last one.
    ///
    /// # Panics
    ///
    /// If the sum of [`Counts`] does not hold: then the queue has lost a request.
    pub fn counts(&self, now: Duration) -> Counts<C> {
        let counts = {
            let mut state = self.state.lock();
            state.tell(now);
            state.counts()
        };
        counts.assert_nobody_is_lost();
        counts
    }

    fn answer(self: &Arc<Self>, word: Word) -> Arrived<C> {
        match word {
            Word::Pass => Arrived::Pass,
            Word::Wait(place, stay) => Arrived::Wait(Ticket::new(self.clone(), place, stay)),
            Word::Shed(reason) => Arrived::Shed(reason),
        }
    }

    fn change_at<R>(&self, now: Duration, act: impl FnOnce(&mut State<C>, &mut After) -> R) -> R {
        self.change(|state, after| {
            state.tell(now);
            act(state, after)
        })
    }

    /// The one way to change the state: what follows from a change is done here, so that nobody can forget it.
    fn change<R>(&self, act: impl FnOnce(&mut State<C>, &mut After) -> R) -> R {
        let mut after = After::default();
        let mut state = self.state.lock();
        let result = act(&mut state, &mut after);
        state.settle(&mut after);
        self.hint.show(state.shut_for(), state.shuts());
        let somebody = !after.woken.is_empty();
        if somebody {
            self.wakes.add(after.woken);
        }
        drop(state);
        if somebody {
            self.wakes.deliver();
        }
        if after.opened {
            (self.on_open)();
        }
        result
    }
}

impl<C: Copy + fmt::Debug> fmt::Debug for Queue<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.state.lock().counts();
        f.debug_struct("Queue")
            .field("counts", &counts)
            .finish_non_exhaustive()
    }
}
