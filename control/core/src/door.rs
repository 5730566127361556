//! The door of an app, as the core believes it to be. The data plane's own queue has the last word; whatever it did by
//! itself meanwhile, the next effect puts both in step again.

use std::time::Duration;

use crate::{Cause, Effect, GateId, Methods, Moment, ProbeId, SavedHold, turn::Turn};

/// Whether requests may enter, and if not, why and until when.
///
/// ```text
///              hold                       resume, timeout, or a swap
///  Open ────────────────────► Commanded ─────────────────────────────► Releasing ── DoorOpen, or time ──► Open
///  Open, Releasing ── LiveDown ──► Down ── it is back, or a swap ────► Releasing
///                                   │ max_wait
///                                   ▼
///                                GivenUp ── it is back, or a swap ───► Releasing
///  Open, Commanded, Down, GivenUp, Releasing
///     ── promote --strategy hold ──► Swapping ── swapped, or back ───► Releasing
///                                   │ the old release is not back in time
///                                   ▼
///                                  Down
///  Empty ── first promote ───────────────────────────────────────────► Releasing
/// ```
///
/// A command's hold goes on *under* a swap's or an outage's: where those would release, `Commanded` follows unless its
/// time is over. (A swap that succeeds ends it.)
///
/// `Empty` and `GivenUp` have no deadline: nobody waits there for longer than his own limit, which the data plane keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    /// There is no release yet: all requests wait until there is, each for `max_wait` at most.
    Empty,
    /// Requests enter.
    Open,
    /// Somebody said `hold`.
    Commanded(CommandHold),
    /// A swap holds. Its own deadline bounds this.
    Swapping {
        since: Moment,
        under: Option<CommandHold>,
    },
    /// The live release cannot be reached; it is probed.
    Down {
        since: Moment,
        until: Moment,
        probe: ProbeId,
        under: Option<CommandHold>,
    },
    /// It could not be reached for too long; it is still probed.
    GivenUp {
        probe: ProbeId,
        under: Option<CommandHold>,
    },
    /// Those who waited go, in order; those who come queue behind them.
    Releasing { until: Moment },
}

/// A hold by command, on the door or below a cause that shuts it tighter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CommandHold {
    pub(crate) methods: Methods,
    pub(crate) timeout: Duration,
    pub(crate) since: Moment,
}

impl CommandHold {
    fn until(&self) -> Moment {
        self.since + self.timeout
    }

    fn over(&self, now: Moment) -> bool {
        self.until() <= now
    }

    pub(crate) fn saved(&self) -> SavedHold {
        SavedHold {
            methods: self.methods,
            timeout: self.timeout,
        }
    }
}

impl Door {
    /// Why it is shut, and for whom.
    pub(crate) fn hold(&self) -> Option<(Cause, Methods)> {
        match self {
            Self::Open | Self::Releasing { .. } => None,
            Self::Empty => Some((Cause::Empty, Methods::ALL)),
            Self::Commanded(command) => Some((Cause::Command, command.methods)),
            Self::Swapping { .. } => Some((Cause::Swap, Methods::ALL)),
            Self::Down { .. } | Self::GivenUp { .. } => Some((Cause::Down, Methods::ALL)),
        }
    }

    /// The command's hold, on the door or under another cause.
    pub(crate) fn command(&self) -> Option<&CommandHold> {
        match self {
            Self::Commanded(command) => Some(command),
            Self::Swapping { under, .. }
            | Self::Down { under, .. }
            | Self::GivenUp { under, .. } => under.as_ref(),
            Self::Empty | Self::Open | Self::Releasing { .. } => None,
        }
    }

    /// Since when requests wait.
    pub(crate) fn since(&self) -> Option<Moment> {
        match self {
            Self::Commanded(CommandHold { since, .. })
            | Self::Swapping { since, .. }
            | Self::Down { since, .. } => Some(*since),
            Self::Empty | Self::Open | Self::GivenUp { .. } | Self::Releasing { .. } => None,
        }
    }

    /// Whether those who waited are still going.
    pub(crate) fn is_releasing(&self) -> bool {
        match self {
            Self::Releasing { .. } => true,
            Self::Empty
            | Self::Open
            | Self::Commanded(_)
            | Self::Swapping { .. }
            | Self::Down { .. }
            | Self::GivenUp { .. } => false,
        }
    }

    /// When it must change by itself.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let command = self.command().map(CommandHold::until);
        let own = match self {
            Self::Down { until, .. } | Self::Releasing { until } => Some(*until),
            Self::Empty
            | Self::Open
            | Self::Commanded(_)
            | Self::Swapping { .. }
            | Self::GivenUp { .. } => None,
        };
        own.into_iter().chain(command).min()
    }

    /// The round of probes that waits for the live release to come back.
    fn recovery(&self) -> Option<ProbeId> {
        match self {
            Self::Down { probe, .. } | Self::GivenUp { probe, .. } => Some(*probe),
            Self::Empty
            | Self::Open
            | Self::Commanded(_)
            | Self::Swapping { .. }
            | Self::Releasing { .. } => None,
        }
    }
}

/// What happens to it.
impl Door {
    /// Somebody says `hold`. On a door that is shut tighter, the hold goes on underneath.
    pub(crate) fn shut_by_command(self, command: CommandHold, turn: &mut Turn) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Open | Self::Releasing { .. } | Self::Commanded(_) => command.shut(turn),
            Self::Swapping { since, .. } => Self::Swapping {
                since,
                under: Some(command),
            },
            Self::Down {
                since,
                until,
                probe,
                ..
            } => Self::Down {
                since,
                until,
                probe,
                under: Some(command),
            },
            Self::GivenUp { probe, .. } => Self::GivenUp {
                probe,
                under: Some(command),
            },
        }
    }

    /// A swap shuts it for everybody. It waits for the new release now, so the old one is not waited for.
    pub(crate) fn shut_by_swap(self, turn: &mut Turn) -> Self {
        if let Some(probe) = self.recovery() {
            turn.emit(Effect::StopProbe { probe });
        }
        turn.emit(Effect::Hold {
            cause: Cause::Swap,
            methods: Methods::ALL,
        });
        Self::Swapping {
            since: self.since().unwrap_or(turn.now),
            under: self.into_command(),
        }
    }

    /// The live release cannot be reached. `gate` tells whether it is still that one, and not one that was replaced.
    pub(crate) fn live_down(self, gate: GateId, turn: &mut Turn) -> Self {
        let Some(live) = turn.app.live.clone() else {
            return self;
        };
        if gate != turn.app.gates.current {
            return self;
        }
        match self {
            Self::Open | Self::Releasing { .. } => {
                let probe = turn.probe(live, true);
                Self::down(turn.now, probe, None, turn)
            }
            Self::Commanded(command) if command.methods != Methods::ALL => {
                let probe = turn.probe(live, true);
                Self::down(turn.now, probe, Some(command), turn)
            }
            // Shut already, and not for those who still pass.
            Self::Empty
            | Self::Commanded(_)
            | Self::Swapping { .. }
            | Self::Down { .. }
            | Self::GivenUp { .. } => self,
        }
    }

    /// A swap failed, and the release that was live before is not back in time: it is waited for as if it had gone down
    /// when the swap began to hold.
    pub(crate) fn not_back(self, probe: ProbeId, turn: &mut Turn) -> Self {
        let since = self.since().unwrap_or(turn.now);
        Self::down(since, probe, self.into_command(), turn)
    }

    /// This round of probes has passed: if it was the one for the live release, that is back.
    pub(crate) fn probe_passed(self, probe: ProbeId, turn: &mut Turn) -> Self {
        if self.recovery() == Some(probe) {
            self.put_back(turn)
        } else {
            self
        }
    }

    /// Nothing but a command's hold keeps it shut any more.
    pub(crate) fn put_back(self, turn: &mut Turn) -> Self {
        match self.into_command() {
            Some(command) if !command.over(turn.now) => command.shut(turn),
            Some(_) | None => Self::release(turn),
        }
    }

    /// A swap has succeeded: everybody goes to the new release, whatever they waited for.
    pub(crate) fn swapped(self, turn: &mut Turn) -> Self {
        if let Some(probe) = self.recovery() {
            turn.emit(Effect::StopProbe { probe });
        }
        Self::release(turn)
    }

    /// The command's hold ends; other causes go on.
    pub(crate) fn end_command(self, turn: &mut Turn) -> Self {
        match self {
            Self::Commanded(_) => Self::release(turn),
            Self::Swapping { since, .. } => Self::Swapping { since, under: None },
            Self::Down {
                since,
                until,
                probe,
                ..
            } => Self::Down {
                since,
                until,
                probe,
                under: None,
            },
            Self::GivenUp { probe, .. } => Self::GivenUp { probe, under: None },
            Self::Empty | Self::Open | Self::Releasing { .. } => self,
        }
    }

    /// The queue behind a released door is empty.
    pub(crate) fn emptied(self) -> Self {
        match self {
            Self::Releasing { .. } => Self::Open,
            Self::Empty
            | Self::Open
            | Self::Commanded(_)
            | Self::Swapping { .. }
            | Self::Down { .. }
            | Self::GivenUp { .. } => self,
        }
    }

    /// What is due is done: a command's hold first, then the door's own deadline.
    pub(crate) fn late(self, turn: &mut Turn) -> Self {
        let now = turn.now;
        let is_over = self.command().is_some_and(|command| command.over(now));
        let door = if is_over {
            self.end_command(turn)
        } else {
            self
        };
        match door {
            Self::Down {
                until,
                probe,
                under,
                ..
            } if until <= now => {
                turn.emit(Effect::GiveUp);
                Self::GivenUp { probe, under }
            }
            Self::Releasing { until } if until <= now => Self::Open,
            Self::Empty
            | Self::Open
            | Self::Commanded(_)
            | Self::Swapping { .. }
            | Self::Down { .. }
            | Self::GivenUp { .. }
            | Self::Releasing { .. } => door,
        }
    }

    fn down(since: Moment, probe: ProbeId, under: Option<CommandHold>, turn: &mut Turn) -> Self {
        turn.emit(Effect::Hold {
            cause: Cause::Down,
            methods: Methods::ALL,
        });
        Self::Down {
            since,
            until: since + turn.app.limits.max_wait,
            probe,
            under,
        }
    }

    fn release(turn: &mut Turn) -> Self {
        turn.emit(Effect::Release);
        Self::Releasing {
            until: turn.now + turn.app.limits.max_wait,
        }
    }

    fn into_command(self) -> Option<CommandHold> {
        match self {
            Self::Commanded(command) => Some(command),
            Self::Swapping { under, .. }
            | Self::Down { under, .. }
            | Self::GivenUp { under, .. } => under,
            Self::Empty | Self::Open | Self::Releasing { .. } => None,
        }
    }
}

impl CommandHold {
    /// Shuts the door for this hold.
    pub(crate) fn shut(self, turn: &mut Turn) -> Door {
        turn.emit(Effect::Hold {
            cause: Cause::Command,
            methods: self.methods,
        });
        Door::Commanded(self)
    }
}
