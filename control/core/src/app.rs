//! An app's state, and the one function that changes it.

use crate::{
    Answer, Block, Cause, Effect, Event, Experiment, GateId, Generation, Going, Limits, Methods,
    Moment, OperationId, ProbeId, Refusal, Release, Running, Saved, Split, Verdict,
    door::{CommandHold, Door},
    gates::Gates,
    invariants,
    turn::Turn,
    warm::Warm,
    work::Work,
};

/// What an event makes of an app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "the effects have to be carried out, in order"]
pub struct Step {
    /// The app afterwards. If its [`App::saved`] differs from before, that is journalled before any effect.
    pub app: App,
    /// What must be done, in this order.
    pub effects: Vec<Effect>,
    /// What the command is told; none if the event was no command.
    pub answer: Option<Answer>,
}

/// Where an app stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No release yet; requests wait.
    Empty,
    /// Nothing under way. (Also when a hold has given up: nobody waits then.)
    Steady,
    /// A release is being probed; the old one serves.
    Booting,
    /// Requests wait for a command, a swap, or the live release to come back.
    Holding,
    /// A canary has a share of the clients, or gives it back.
    Canary,
    /// Swapped; the old release drains.
    Draining,
}

/// One app.
///
/// Its state has three parts that change for their own reasons: the *door* (may requests enter), the *work* (the one
/// operation under way) and the *gates* (what still runs behind closed ones). Each part bounds itself: whatever is not
/// steady has a deadline, so an app finds back to a steady state by time alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct App {
    pub(crate) limits: Limits,
    pub(crate) generation: Generation,
    pub(crate) live: Option<Release>,
    pub(crate) previous: Option<Release>,
    pub(crate) staged: Vec<Release>,
    pub(crate) blocked: Option<Block>,
    pub(crate) experiment: Option<Experiment>,
    pub(crate) split: Option<Split>,
    pub(crate) warm: Option<Warm>,
    pub(crate) ended: Vec<OperationId>,
    pub(crate) gates: Gates,
    pub(crate) door: Door,
    pub(crate) work: Work,
    pub(crate) last_probe: ProbeId,
}

/// What `event` makes of `app` at `now`.
///
/// An event that does not concern the app in its state (late, doubled, of an older gate or round) changes nothing.
///
/// # Panics
///
/// Never, unless this machine itself is wrong: its invariants are asserted after each step, in release builds too.
pub fn step(app: &App, event: Event, now: Moment) -> Step {
    let publishes = !matches!(event, Event::JournalFailed { .. });
    let mut turn = Turn::new(app.clone(), now);
    let answer = turn.take(event);
    turn.work(Work::settle);
    let step = turn.end(answer);
    invariants::check(app, &step, publishes);
    step
}

impl Turn {
    /// Hands the event to whom it concerns; an answer is for commands.
    fn take(&mut self, event: Event) -> Option<Answer> {
        match event {
            Event::Promote(ask) => return Some(answer(self.promote(ask))),
            Event::Rollback(ask) => return Some(answer(self.rollback(ask))),
            Event::Abort => return Some(answer(self.abort())),
            Event::Stage(ask) => return Some(answer(self.stage(ask))),
            Event::Unstage { release } => return Some(answer(self.unstage(&release))),
            Event::Hold(ask) => return Some(answer(self.hold(ask))),
            Event::Resume => return Some(answer(self.resume())),
            Event::Block(block) => return Some(self.block(block)),
            Event::Unblock => return Some(self.unblock()),
            Event::Pause { by } => return Some(answer(self.pause(&by))),
            Event::Advance { by } => return Some(answer(self.advance(&by))),
            Event::StartExperiment(ask) => return Some(answer(self.start_experiment(ask))),
            Event::CloseExperiment(ask) => return Some(answer(self.close_experiment(ask))),
            Event::Judged {
                operation,
                round,
                verdict,
                why,
            } => self.work(|work, turn| work.judged(&operation, round, verdict, why, turn)),
            Event::Smoked {
                operation,
                round,
                result,
            } => self.work(|work, turn| work.smoked(&operation, round, result, turn)),
            Event::CommandEnded { operation, result } => {
                self.work(|work, turn| work.command_ended(&operation, result, turn));
            }
            Event::ProbePassed { probe } => {
                self.work(|work, turn| work.probe_passed(probe, turn));
                self.door(|door, turn| door.probe_passed(probe, turn));
            }
            Event::ProbeFailed { probe, why } => {
                self.work(|work, _| work.probe_failed(probe, why));
            }
            Event::GateEmpty { gate } => self.gate_empty(gate),
            Event::DoorOpen => self.door(|door, _| door.emptied()),
            Event::LiveDown { gate } => self.door(|door, turn| door.live_down(gate, turn)),
            Event::JournalFailed { why, event } => self.journal_failed(why, *event),
            Event::DeadlinePassed => {
                self.late();
                self.look_beside();
            }
        }
        None
    }

    /// Everything that is due is done. The work comes first: it may decide what becomes of the door and the gates.
    fn late(&mut self) {
        self.work(Work::late);
        self.door(Door::late);
        self.gates_late();
        self.warm_late();
    }

    /// A step was thrown away, and the operation that made it with it. What was observed has been, whatever the journal
    /// says: it counts for the rest. (But for verdicts: those are on the operation, and are asked for again.)
    fn journal_failed(&mut self, why: String, event: Event) {
        self.work(|work, turn| work.journal_failed(why, turn));
        let is_verdict = matches!(event, Event::Judged { .. } | Event::Smoked { .. });
        if event == Event::DeadlinePassed {
            self.warm_again();
            self.late(); // and publish nothing
        } else if !event.is_command() && !is_verdict {
            self.take(event);
        }
    }
}

fn answer(result: Result<Answer, Refusal>) -> Answer {
    result.unwrap_or_else(Answer::Refused)
}

impl App {
    /// What of it outlives the process. Whenever a step changed it, it is journalled, durably, before the step's effects
    /// are carried out. If that fails, the step is thrown away: a command is refused, any other event is followed by
    /// [`Event::JournalFailed`].
    pub fn saved(&self) -> Saved {
        Saved {
            generation: self.generation,
            gate: self.gates.last,
            live: self.live.clone(),
            previous: self.previous.clone(),
            staged: self.staged.clone(),
            blocked: self.blocked.clone(),
            hold: self.door.command().map(CommandHold::saved),
            experiment: self.experiment.clone(),
            rollout: self.work.rollout().map(|rollout| rollout.going.clone()),
            withdrawn: self.work.withdrawn().cloned(),
            running: self.running().cloned(),
            ended: self.ended.clone(),
        }
    }

    /// When [`Event::DeadlinePassed`] is due, if nothing happens before; at once, if it has passed already. Asked again
    /// after every step.
    pub fn deadline(&self) -> Option<Moment> {
        let parts = [
            self.work.deadline(),
            self.door.deadline(),
            self.gates.deadline(),
            self.warm_until(),
        ];
        parts.into_iter().flatten().min()
    }

    /// Sets the limits for whatever begins from now on; deadlines that run already stay. Whether a staged release may be
    /// seen changes with the next [`Event::DeadlinePassed`].
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Another process has published this app for a while, in tables up to this one: their numbers are used up.
    pub fn skip(&mut self, used: Generation) {
        self.generation = self.generation.max(used);
    }
}

/// Views, for `status`.
impl App {
    /// Who serves.
    pub fn live(&self) -> Option<&Release> {
        self.live.as_ref()
    }

    /// Who is to serve, and by which operation, until it does.
    pub fn next(&self) -> Option<(&Release, &OperationId)> {
        self.work.next()
    }

    /// Why the last probe of the operation under way failed, in words.
    pub fn probe_failure(&self) -> Option<&str> {
        self.work.round().and_then(|round| round.failure.as_deref())
    }

    /// Who served before.
    pub fn previous(&self) -> Option<&Release> {
        self.previous.as_ref()
    }

    /// Ready, without traffic.
    pub fn staged(&self) -> &[Release] {
        &self.staged
    }

    /// Whether promotes are refused.
    pub fn blocked(&self) -> Option<&Block> {
        self.blocked.as_ref()
    }

    /// The operation under way.
    pub fn running(&self) -> Option<&Running> {
        self.work.running()
    }

    /// The canary, and how far it has come.
    pub fn rollout(&self) -> Option<Underway<'_>> {
        self.work.rollout().map(|rollout| Underway {
            operation: rollout.op.id(),
            going: &rollout.going,
            since: rollout.since,
            due: rollout.since + rollout.going.least(),
            until: rollout.until,
            said: (rollout.said.as_ref()).map(|(verdict, why)| (*verdict, why.as_str())),
        })
    }

    /// The experiment that is on.
    pub fn experiment(&self) -> Option<&Experiment> {
        self.experiment.as_ref()
    }

    /// What is published beside the live release.
    pub fn split(&self) -> Option<&Split> {
        self.split.as_ref()
    }

    /// Why the door is shut, and for whom; none while it is open or releasing.
    pub fn hold(&self) -> Option<(Cause, Methods)> {
        self.door.hold()
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self.work {
            Work::Idle => match self.door {
                Door::Empty => Phase::Empty,
                Door::Open | Door::GivenUp { .. } | Door::Releasing { .. } => Phase::Steady,
                Door::Commanded(_) | Door::Swapping { .. } | Door::Down { .. } => Phase::Holding,
            },
            Work::Staging(_) | Work::Booting(_) => Phase::Booting,
            Work::Quieting(_)
            | Work::Commanding(_)
            | Work::HoldBooting(_)
            | Work::Returning(_)
            | Work::Reopening(_)
            | Work::HoldQuieting(_) => Phase::Holding,
            Work::Rollout(_) | Work::Withdrawing(_) => Phase::Canary,
            Work::Draining(_) => Phase::Draining,
        }
    }

    /// Number of the published table.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The gate behind which the live release serves.
    pub fn gate(&self) -> GateId {
        self.gates.current
    }
}

/// A canary that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Underway<'a> {
    /// Which operation it is.
    pub operation: &'a OperationId,
    /// What it goes through, and how far it has come.
    pub going: &'a Going,
    /// When the present stage began.
    pub since: Moment,
    /// From when on a pass takes it to the next stage.
    pub due: Moment,
    /// When all of it has had its time. It does not count while the rollout is paused, nor during smoke tests.
    pub until: Moment,
    /// What the judge has said last of the present stage.
    pub said: Option<(Verdict, &'a str)>,
}
