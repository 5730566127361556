//! Places: the order in which requests are let go.

/// A place in the queue, of this hold or an earlier one. Smaller goes first; it never changes, wherever its request is
/// meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The arrival's number; for one that came back, the last number given before the hold began.
    number: u64,
    /// Zero for an arrival; else its number among those who came back.
    back: u64,
}

impl Place {
    /// The place of arrival `number`.
    pub(super) const fn arrival(number: u64) -> Self {
        Self { number, back: 0 }
    }

    /// The place of the `back`-th request (from 1) that came back through a door that let it pass, in the hold whose
    /// first arrival has the number `first`: before everybody who arrived in this hold, after everybody who waited in
    /// an earlier one.
    pub(super) const fn returned(first: u64, back: u64) -> Self {
        Self {
            number: first - 1,
            back,
        }
    }

    /// The number of the arrival, which grows by one with each; for one that passed an open door and came back, the
    /// number of the last arrival before this hold.
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// Gives places out. Numbers are never given twice, and never start anew.
#[derive(Debug)]
pub(super) struct Numbers {
    next: u64,
    back: u64,
    /// The first number of this hold.
    first: u64,
}

impl Numbers {
    pub(super) const fn new() -> Self {
        // From 1, so that there is a number before the first one.
        Self {
            next: 1,
            back: 0,
            first: 1,
        }
    }

    pub(super) const fn begin_hold(&mut self) {
        self.first = self.next;
    }

    pub(super) const fn arrival(&mut self) -> Place {
        self.next += 1;
        Place::arrival(self.next - 1)
    }

    pub(super) const fn returned(&mut self) -> Place {
        self.back += 1;
        Place::returned(self.first, self.back)
    }

    /// Everybody who arrived in this hold stands here or behind; those who came back stand before.
    pub(super) const fn first_of_hold(&self) -> Place {
        Place::arrival(self.first)
    }

    /// Everybody who arrives from now on stands here or behind.
    pub(super) const fn next_arrival(&self) -> Place {
        Place::arrival(self.next)
    }
}
