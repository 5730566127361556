//! The gates of an app: the one in use, and the closed ones behind which requests may still run. (Those in use beside it
//! are in the split.)
//!
//! A gate is closed whenever a door shuts, a release takes over, or one beside it leaves; requests that are behind it run on. Those of an
//! aborted hold belong to the release that still serves and may take their time; those of a release that was replaced
//! have a deadline. Before a release counts as ended, *every* closed gate must be empty, or cut. A gate leaves this list
//! for good: it is never named again.

use std::time::Duration;

use crate::{Effect, GateId, Methods, Moment, turn::Turn};

/// How long requests that were cut may take to be counted before nobody waits for them any more.
pub(crate) const CUT_GRACE: Duration = Duration::from_secs(5);

/// So many closed gates may have something behind them before holds are refused; each failed hold adds one.
pub(crate) const CLOSED_MAX: usize = 32;

/// An app's gates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gates {
    /// That of the live release.
    pub(crate) current: GateId,
    /// The last one that was given to anybody.
    pub(crate) last: GateId,
    closed: Vec<Closed>,
}

/// A closed gate that is not known to be empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Closed {
    gate: GateId,
    /// Whose end the data plane was last asked to report. It is asked for more only once it has answered, so that
    /// an answer is never taken for that to another question.
    asked: Methods,
    /// Whose requests are known to have ended.
    quiet: Methods,
    fate: Fate,
}

/// What becomes of the requests behind a closed gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    /// Their release serves on: they may run as long as they like.
    Serving,
    /// A hold waits for them. If it is called off, they are `Serving` again.
    Quieting { until: Moment },
    /// Their release was replaced, or is not beside the live one any more.
    Draining { until: Moment },
    /// They were cut and are being counted.
    Cut { until: Moment },
}

impl Gates {
    pub(crate) fn new(last: GateId) -> Self {
        Self {
            current: last,
            last,
            closed: Vec::new(),
        }
    }

    /// One that was never used.
    pub(crate) fn fresh(&mut self) -> GateId {
        self.last = self.last.next();
        self.last
    }

    /// Whether nothing runs behind any closed gate, or what did was cut and had its time.
    pub(crate) fn empty(&self) -> bool {
        self.closed.is_empty()
    }

    /// Whether nothing runs on a release that serves nobody any more, or what did was cut and had its time.
    pub(crate) fn drained(&self) -> bool {
        self.closed.iter().all(|closed| match closed.fate {
            Fate::Serving => true,
            Fate::Quieting { .. } | Fate::Draining { .. } | Fate::Cut { .. } => false,
        })
    }

    /// Whether no request of the classes that `methods` belong to runs behind any closed gate.
    pub(crate) fn quiet(&self, methods: Methods) -> bool {
        self.closed
            .iter()
            .all(|closed| closed.quiet.covers(methods.classes()))
    }

    /// Whether another hold would leave too many gates open to question.
    pub(crate) fn full(&self) -> bool {
        self.closed.len() >= CLOSED_MAX
    }

    /// When the next one is due.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.closed
            .iter()
            .filter_map(|closed| closed.fate.until())
            .min()
    }

    /// The closed gates, oldest first.
    pub(crate) fn closed(&self) -> impl Iterator<Item = GateId> {
        self.closed.iter().map(|closed| closed.gate)
    }

    /// A hold waits until everything behind closed gates has ended. What drains already has no longer than the rest.
    pub(crate) fn quieten(&mut self, until: Moment) {
        for closed in &mut self.closed {
            match &mut closed.fate {
                Fate::Serving => closed.fate = Fate::Quieting { until },
                Fate::Draining { until: known } => *known = until.min(*known),
                Fate::Quieting { .. } | Fate::Cut { .. } => {}
            }
        }
    }

    /// The hold was called off: what has not been cut may run on.
    pub(crate) fn call_off(&mut self) {
        for closed in &mut self.closed {
            if let Fate::Quieting { .. } = closed.fate {
                closed.fate = Fate::Serving;
            }
        }
    }

    /// The release behind them was replaced.
    pub(crate) fn drain(&mut self, until: Moment) {
        for closed in &mut self.closed {
            match closed.fate {
                Fate::Serving | Fate::Quieting { .. } => closed.fate = Fate::Draining { until },
                Fate::Draining { .. } | Fate::Cut { .. } => {}
            }
        }
    }
}

impl Fate {
    fn until(self) -> Option<Moment> {
        match self {
            Self::Serving => None,
            Self::Quieting { until } | Self::Draining { until } | Self::Cut { until } => {
                Some(until)
            }
        }
    }
}

impl Turn {
    /// Publishes what is live behind this gate, then closes the one before. In this order, always: a request that finds
    /// a gate closed knows that a newer table exists.
    pub(crate) fn change_gate(&mut self, gate: GateId, methods: Methods, tunnels_too: bool) {
        let old = self.app.gates.current;
        self.publish_behind(gate);
        self.close(old, methods, tunnels_too, Fate::Serving);
    }

    /// The door has shut: whatever is published goes behind fresh gates, and what runs behind those before is waited for,
    /// on the live release as on those beside it. It may run on on the live one if the hold is called off; on the others
    /// it has until `drain` from now.
    pub(crate) fn change_gates(&mut self, methods: Methods, tunnels_too: bool, drain: Duration) {
        let fresh = self.app.gates.fresh();
        self.change_gate(fresh, methods, tunnels_too);
        let until = self.now + drain;
        for gate in self.change_gates_beside() {
            self.close(gate, methods, tunnels_too, Fate::Draining { until });
        }
    }

    /// Closes the gate of a release that is not beside the live one any more.
    pub(crate) fn close_drained(&mut self, gate: GateId, drain: Duration) {
        let until = self.now + drain;
        self.close(gate, Methods::ALL, false, Fate::Draining { until });
    }

    fn close(&mut self, gate: GateId, methods: Methods, tunnels_too: bool, fate: Fate) {
        self.emit(Effect::Close {
            gate,
            methods,
            tunnels_too,
        });
        self.app.gates.closed.push(Closed {
            gate,
            asked: methods,
            quiet: Methods::NONE,
            fate,
        });
    }

    /// Ends the tunnels behind gates that were closed earlier and spared them.
    pub(crate) fn close_tunnels(&mut self) {
        let whole = |closed: &&Closed| closed.asked == Methods::ALL;
        let gates: Vec<_> = self.app.gates.closed.iter().filter(whole).collect();
        let closes: Vec<_> = gates
            .into_iter()
            .map(|closed| Effect::Close {
                gate: closed.gate,
                methods: Methods::ALL,
                tunnels_too: true,
            })
            .collect();
        self.effects.extend(closes);
    }

    /// The data plane says that those it was asked about have ended.
    pub(crate) fn gate_empty(&mut self, gate: GateId) {
        let closed = &mut self.app.gates.closed;
        let Some(at) = closed.iter().position(|closed| closed.gate == gate) else {
            return;
        };
        let is_cut = matches!(closed[at].fate, Fate::Cut { .. });
        if is_cut || closed[at].asked.classes() == Methods::ALL {
            closed.remove(at);
            return;
        }
        closed[at].quiet = closed[at].asked.classes();
        closed[at].asked = Methods::ALL;
        self.emit(Effect::Close {
            gate,
            methods: Methods::ALL,
            tunnels_too: false,
        });
    }

    /// Cuts what has drained for long enough, and forgets what was cut long enough ago.
    pub(crate) fn gates_late(&mut self) {
        let now = self.now;
        let mut cut = Vec::new();
        self.app.gates.closed.retain_mut(|closed| {
            if closed.fate.until().is_none_or(|until| until > now) {
                return true;
            }
            match closed.fate {
                Fate::Serving | Fate::Cut { .. } => false,
                Fate::Quieting { .. } | Fate::Draining { .. } => {
                    let until = now + CUT_GRACE;
                    closed.fate = Fate::Cut { until };
                    cut.push(Effect::Cut { gate: closed.gate });
                    true
                }
            }
        });
        self.effects.extend(cut);
    }
}
