//! An admission: a held request that was let go. While it lives it takes part in the pace of the release.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::state::Pass;
use super::{Arrived, CameBack, Place, Queue};

/// The right of a held request to go on. Dropping it says that the request has ended, however it did.
#[must_use = "dropping an admission says that its request has ended"]
pub struct Admission<C: Copy> {
    queue: Arc<Queue<C>>,
    place: Place,
    pass: Pass,
    /// Whether the queue has forgotten it.
    over: bool,
}

impl<C: Copy> Admission<C> {
    pub(super) fn new(queue: &Arc<Queue<C>>, place: Place, pass: Pass) -> Self {
        let queue = queue.clone();
        Self {
            queue,
            place,
            pass,
            over: false,
        }
    }

    /// Whether the door has been shut again since this turn came: then the request must not enter a gate any more, but
    /// [`Admission::wait_again`]. One load. As with [`Queue::shut_for`], read the table first, then this, then enter
    /// the table's gate; so nobody slips behind the gate that was published after the hold.
    pub fn is_called_off(&self) -> bool {
        self.queue.hint.shuts() != self.pass.shuts()
    }

    /// Back to its old place, with its old deadline. `Pass` if the door is not shut for its method now.
    pub fn wait_again(mut self, now: Duration) -> Arrived<C> {
        self.over = true;
        let (place, pass) = (self.place, self.pass);
        let word = self
            .queue
            .change_at(now, |state, after| state.wait_again(place, pass, after));
        self.queue.answer(word)
    }

    /// The app's answer has begun: one more may be under way at a time, if it came about as fast as the others. Only the
    /// first call counts.
    pub fn answered(&mut self, now: Duration) {
        if std::mem::replace(&mut self.pass.answered, true) {
            return;
        }
        let pass = self.pass;
        self.queue.change_at(now, |state, _| state.answered(pass));
    }

    /// The request could not be sent: nobody behind the gate number `epoch` can be reached. As
    /// [`Queue::come_back`], but it returns to its old place with its old deadline, also if the hold has given up.
    pub fn come_back(mut self, cause: C, epoch: u64, now: Duration) -> CameBack<C> {
        self.over = true;
        let (place, pass) = (self.place, self.pass);
        let (word, shut) = self.queue.change_at(now, |state, after| {
            state.readmit(cause, epoch, place, pass, after)
        });
        CameBack {
            arrived: self.queue.answer(word),
            shut,
        }
    }

    /// When it began to wait, for the first time.
    pub fn arrived(&self) -> Duration {
        self.pass.stay.arrived
    }

    /// How long it has been since then: what `X-Held-Ms` says, if asked when the turn has come.
    pub fn waited(&self, now: Duration) -> Duration {
        now.saturating_sub(self.arrived())
    }

    /// Where it stood.
    pub fn place(&self) -> Place {
        self.place
    }
}

impl<C: Copy> Drop for Admission<C> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let pass = self.pass;
        self.queue.change(|state, _| state.ended(pass));
    }
}

impl<C: Copy> fmt::Debug for Admission<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("place", &self.place)
            .field("pass", &self.pass)
            .finish_non_exhaustive()
    }
}
