//! A small world around one app: a data plane, a prober, a journal, somebody who gives commands, and time.
//!
//! It carries effects out as the real ones would and checks after each step what must hold (FAULTS: I3, I5, I6, I8, I9).
//! It only knows what can be seen from outside; the machine's own assertions come on top.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swap_core::{
    Answer, App, Cause, Effect, Ending, Event, GateId, Generation, Limits, Methods, Moment,
    OperationId, Outcome, ProbeId, Release, Saved, Step, Strategy, step,
};

use crate::cast::{hold_methods, holding, overlap, rollback, seconds, unjournalled};

/// Short limits, so that few moments matter.
pub(crate) const LIMITS: Limits = Limits {
    boot: seconds(3),
    drain: seconds(3),
    drain_held: seconds(2),
    max_wait: seconds(4),
};

/// A short time.
const TICK: Duration = seconds(1);

/// What may happen in a world at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// Who may be promoted.
    pub(crate) releases: &'static [&'static str],
    /// Promotes with strategy hold: without, with a COMMAND.
    pub(crate) commands: &'static [bool],
    /// Holds by command.
    pub(crate) holds: &'static [Methods],
    pub(crate) stages: bool,
    /// Releases go down.
    pub(crate) down: bool,
    pub(crate) crash: bool,
    /// Things happen between deadlines.
    pub(crate) ticks: bool,
    /// The journal fails.
    pub(crate) unjournalled: bool,
    /// Nobody holds while so many closed gates have something behind them.
    pub(crate) gates_max: usize,
}

/// After so long a data plane has ended what it was told to cut.
const CUT: Duration = seconds(5);

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Promote {
        release: &'static str,
        strategy: Strategy,
        command: bool,
    },
    Stage(&'static str),
    Unstage(&'static str),
    Hold(Methods),
    Resume,
    Rollback,
    Abort,
    /// The COMMAND ends, or swapctl is gone.
    CommandEnds {
        ok: bool,
    },
    ProbePasses(ProbeId),
    /// The data plane answers the oldest question about this gate.
    GateEmpties(GateId),
    DoorOpens,
    /// The data plane finds nobody at the live release, and shuts the door by itself.
    GoesDown,
    /// The machine hears of it.
    DownIsTold,
    /// The next deadline comes.
    TimePasses,
    /// Some time passes, less than to the next deadline.
    Tick,
    /// The process is killed, and started again.
    Crash,
    /// This happens, but what it changes cannot be journalled.
    Unjournalled(Box<Action>),
}

impl Action {
    /// Whether somebody says it and is answered.
    pub(crate) fn is_command(&self) -> bool {
        match self {
            Self::Promote { .. }
            | Self::Stage(_)
            | Self::Unstage(_)
            | Self::Hold(_)
            | Self::Resume
            | Self::Rollback
            | Self::Abort => true,
            Self::CommandEnds { .. }
            | Self::ProbePasses(_)
            | Self::GateEmpties(_)
            | Self::DoorOpens
            | Self::GoesDown
            | Self::DownIsTold
            | Self::TimePasses
            | Self::Tick
            | Self::Crash
            | Self::Unjournalled(_) => false,
        }
    }
}

/// What was promised and is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

/// Spoils what the machine wants done: to see that the world notices.
pub(crate) type Mischief = fn(&mut Vec<Effect>);

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) now: Moment,
    /// What a restart would find.
    pub(crate) disk: Saved,
    pub(crate) plane: Plane,
    /// Rounds of probes that run.
    pub(crate) probes: BTreeMap<ProbeId, Release>,
    /// Whose COMMAND runs.
    pub(crate) command: Option<OperationId>,
    /// How operations have ended in the last step.
    pub(crate) ended: Vec<(String, Outcome)>,
    /// What is under way, and who served when it began.
    pub(crate) begun: Option<(OperationId, Option<Release>)>,
    operations: u32,
    mischief: Mischief,
}

/// The data plane.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) generation: Generation,
    pub(crate) gate: GateId,
    pub(crate) live: Option<Release>,
    pub(crate) door: PlaneDoor,
    /// Requests came back unsent from the release behind this gate; nobody has heard of it yet.
    pub(crate) down: Option<GateId>,
    /// Gates that were left open; more than the current one is a mistake.
    open: BTreeSet<GateId>,
    /// Closed gates that are not known to be empty.
    pub(crate) closed: BTreeMap<GateId, ClosedGate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlaneDoor {
    Open,
    Shut(Cause, Methods),
    GivenUp,
    Releasing,
}

#[derive(Clone, Debug)]
pub(crate) struct ClosedGate {
    /// Whose requests may still run.
    running: Methods,
    /// Questions that are not answered, oldest first.
    pub(crate) asked: Vec<Methods>,
    cut: Option<Moment>,
}

/// What is remembered of the moment before a step, to judge it by.
struct Before {
    live: Option<Release>,
    swapped: bool,
    /// The round of probes that has just passed, and whose.
    passed: Option<(ProbeId, Release)>,
    journal_failed: bool,
    restarted: bool,
}

impl World {
    /// An app whose journal tells `saved`, and a machine whose wishes are spoilt by `mischief`.
    pub(crate) fn spoilt(saved: Saved, mischief: Mischief) -> Result<Self, Broken> {
        let now = Moment::after_origin(seconds(100));
        let restored = App::restore(saved, LIMITS, now);
        let plane = Plane {
            generation: Generation(0),
            gate: GateId(0),
            live: None,
            door: PlaneDoor::Open,
            down: None,
            open: BTreeSet::new(),
            closed: BTreeMap::new(),
        };
        let mut world = Self {
            disk: restored.app.saved(),
            app: restored.app.clone(),
            now,
            plane,
            probes: BTreeMap::new(),
            command: None,
            ended: Vec::new(),
            begun: None,
            operations: 0,
            mischief,
        };
        world.carry_out(restored, &Before::restart(None))?;
        Ok(world)
    }

    /// The world after `action`.
    pub(crate) fn after(&self, action: &Action) -> Result<Self, Broken> {
        let mut world = self.clone();
        world.ended.clear();
        match action {
            Action::Crash => world.crash()?,
            Action::Unjournalled(action) => world.fail_to_journal(action)?,
            Action::Promote { .. }
            | Action::Stage(_)
            | Action::Unstage(_)
            | Action::Hold(_)
            | Action::Resume
            | Action::Rollback
            | Action::Abort
            | Action::CommandEnds { .. }
            | Action::ProbePasses(_)
            | Action::GateEmpties(_)
            | Action::DoorOpens
            | Action::GoesDown
            | Action::DownIsTold
            | Action::Tick
            | Action::TimePasses => {
                if let Some(event) = world.event(action) {
                    world.feed(event)?;
                }
            }
        }
        world.plane.forget_cut(world.now);
        Ok(world)
    }

    /// All that may happen now. (What changes something saved may be `Unjournalled`, too.)
    pub(crate) fn possible(&self, scope: &Scope) -> Vec<Action> {
        let mut actions = self.commands(scope);
        actions.extend(self.probes.keys().copied().map(Action::ProbePasses));
        actions.extend(self.plane.answers().map(Action::GateEmpties));
        if self.plane.door == PlaneDoor::Releasing {
            actions.push(Action::DoorOpens);
        }
        if self.plane.down.is_some() {
            actions.push(Action::DownIsTold);
        } else if scope.down && self.plane.live.is_some() && self.plane.door.lets_some_in() {
            actions.push(Action::GoesDown);
        }
        if let Some(deadline) = self.app.deadline() {
            if scope.ticks && deadline > self.now + TICK {
                actions.push(Action::Tick);
            }
            actions.push(Action::TimePasses);
        }
        if self.command.is_some() {
            actions.push(Action::CommandEnds { ok: true });
            actions.push(Action::CommandEnds { ok: false });
        }
        if scope.crash {
            actions.push(Action::Crash);
        }
        actions
    }

    /// What somebody may say.
    fn commands(&self, scope: &Scope) -> Vec<Action> {
        let mut actions = vec![Action::Abort];
        let crowded = self.plane.closed.len() >= scope.gates_max;
        for &release in scope.releases {
            let promote = |strategy, command| Action::Promote {
                release,
                strategy,
                command,
            };
            if scope.stages {
                actions.extend([Action::Stage(release), Action::Unstage(release)]);
            }
            actions.push(promote(Strategy::Overlap, false));
            if !crowded {
                let commands = scope.commands.iter();
                actions.extend(commands.map(|command| promote(Strategy::Hold, *command)));
            }
        }
        if !scope.holds.is_empty() {
            actions.push(Action::Resume);
        }
        if !crowded {
            actions.push(Action::Rollback);
            actions.extend(scope.holds.iter().copied().map(Action::Hold));
        }
        actions
    }

    /// What the machine hears when this happens, if it hears of it. The world around it changes here.
    fn event(&mut self, action: &Action) -> Option<Event> {
        Some(match action {
            Action::Promote {
                release,
                strategy,
                command,
            } => {
                let id = self.next_operation();
                let ask = match strategy {
                    Strategy::Overlap => overlap(&id, release),
                    Strategy::Hold => holding(&id, release),
                };
                Event::Promote(swap_core::Promote {
                    command: *command,
                    ..ask
                })
            }
            Action::Stage(release) => crate::cast::stage(&self.next_operation(), release),
            Action::Unstage(release) => crate::cast::unstage(release),
            Action::Hold(methods) => hold_methods(&self.next_operation(), *methods),
            Action::Resume => Event::Resume,
            Action::Rollback => rollback(&self.next_operation()),
            Action::Abort => Event::Abort,
            Action::CommandEnds { ok } => {
                let operation = self.command.take().or_else(|| self.operation())?;
                let result = if *ok {
                    Ok(())
                } else {
                    Err("exit 1".to_owned())
                };
                Event::CommandEnded { operation, result }
            }
            Action::ProbePasses(probe) => Event::ProbePassed { probe: *probe },
            Action::GateEmpties(gate) => {
                self.plane.answer(*gate);
                Event::GateEmpty { gate: *gate }
            }
            Action::DoorOpens => {
                self.plane.door = PlaneDoor::Open;
                Event::DoorOpen
            }
            Action::GoesDown => {
                self.plane.door = PlaneDoor::Shut(Cause::Down, Methods::ALL);
                self.plane.down = Some(self.plane.gate);
                return None;
            }
            Action::DownIsTold => Event::LiveDown {
                gate: self.plane.down.take()?,
            },
            Action::TimePasses => {
                self.now = self.now.max(self.app.deadline().unwrap_or(self.now));
                Event::DeadlinePassed
            }
            Action::Tick => {
                self.now = self.now + TICK;
                return None;
            }
            Action::Crash | Action::Unjournalled(_) => return None,
        })
    }

    fn next_operation(&mut self) -> String {
        self.operations += 1;
        format!("o{}", self.operations)
    }

    pub(crate) fn operation(&self) -> Option<OperationId> {
        self.begun.as_ref().map(|(operation, _)| operation.clone())
    }

    /// Somebody says this, and is answered.
    pub(crate) fn tell(&mut self, event: Event) -> Result<Answer, Broken> {
        let answer = step(&self.app, event.clone(), self.now).answer;
        self.feed(event)?;
        answer.ok_or(Broken("a command was not answered".to_owned()))
    }

    fn feed(&mut self, event: Event) -> Result<(), Broken> {
        let before = self.before(&event);
        let step = step(&self.app, event, self.now);
        let saved = step.app.saved();
        if saved != self.app.saved() {
            self.disk = saved;
        }
        self.app = step.app.clone();
        self.carry_out(step, &before)
    }

    /// The step is thrown away; what follows is not journalled either.
    fn fail_to_journal(&mut self, action: &Action) -> Result<(), Broken> {
        let Some(event) = self.event(action) else {
            return Ok(());
        };
        let before = Before {
            journal_failed: true,
            ..self.before(&event)
        };
        let step = step(&self.app, unjournalled(event), self.now);
        self.app = step.app.clone();
        self.carry_out(step, &before)
    }

    fn crash(&mut self) -> Result<(), Broken> {
        let live = self.disk.live.clone();
        let unfinished = self.disk.running.clone();
        let restored = App::restore(self.disk.clone(), LIMITS, self.now);
        self.app = restored.app.clone();
        self.disk = restored.app.saved();
        self.probes.clear();
        self.command = None;
        self.begun = unfinished.map(|running| (running.operation, live.clone()));
        self.plane.restart();
        must(
            self.app.live() == live.as_ref(),
            "another release came back",
        )?;
        self.carry_out(restored, &Before::restart(live))
    }

    fn before(&self, event: &Event) -> Before {
        let passed = match event {
            Event::ProbePassed { probe } => {
                let release = self.probes.get(probe).cloned();
                release.map(|release| (*probe, release))
            }
            _ => None,
        };
        Before {
            live: self.app.live().cloned(),
            swapped: self.app.running().is_some_and(|running| running.swapped),
            passed,
            journal_failed: false,
            restarted: false,
        }
    }
}

impl Before {
    fn restart(live: Option<Release>) -> Self {
        Self {
            live,
            swapped: false,
            passed: None,
            journal_failed: false,
            restarted: true,
        }
    }

    /// Whether this may be published: it serves already, or has just passed its probe.
    fn allows(&self, live: Option<&Release>) -> bool {
        let passed = self.passed.as_ref().map(|(_, release)| release);
        self.restarted || live == self.live.as_ref() || live == passed
    }
}

/// Carrying out, and checking each effect as it is carried out.
impl World {
    fn carry_out(&mut self, mut made: Step, before: &Before) -> Result<(), Broken> {
        (self.mischief)(&mut made.effects);
        let mut effects = made.effects.iter();
        let ends = |effect: &Effect, operation: &OperationId| matches!(effect, Effect::Finish(ending) if ending.operation == *operation);
        if let Some(Answer::Begun(operation)) = made.answer
            && !made.effects.iter().any(|effect| ends(effect, &operation))
        {
            if self.begun.is_some() {
                must(before.swapped, "two operations run at once")?;
                // A rollback ends the swap whose drain it leaves before it begins.
                effects
                    .next()
                    .map_or(Ok(()), |effect| self.carry_out_one(effect, before))?;
            }
            must(self.begun.is_none(), "an operation was forgotten")?;
            self.begun = Some((operation, before.live.clone()));
        }
        for effect in effects {
            self.carry_out_one(effect, before)?;
        }
        if let Some((probe, _)) = &before.passed {
            self.probes.remove(probe);
        }
        self.check(before)
    }

    fn carry_out_one(&mut self, effect: &Effect, before: &Before) -> Result<(), Broken> {
        match effect {
            Effect::Hold { cause, methods } => {
                self.plane.door = PlaneDoor::Shut(*cause, *methods);
                Ok(())
            }
            Effect::Publish {
                generation,
                gate,
                live,
            } => {
                must(
                    before.allows(live.as_ref()),
                    "a release that has not passed its probe got live",
                )?;
                self.plane.publish(*generation, *gate, live.clone())
            }
            Effect::Close { gate, methods, .. } => {
                let shut = self.plane.door.shuts(*methods);
                let replaced = self.plane.live != before.live;
                let again = self.plane.closed.contains_key(gate);
                must(
                    shut || replaced || again,
                    "a gate was closed while its door was open",
                )?;
                self.plane.close(*gate, *methods)
            }
            Effect::Cut { gate } => {
                let closed = self.plane.closed.get_mut(gate);
                let closed = closed.ok_or(Broken("cut a gate that is not closed".to_owned()))?;
                closed.cut = Some(self.now);
                Ok(())
            }
            Effect::Release => {
                self.plane.door = PlaneDoor::Releasing;
                Ok(())
            }
            Effect::GiveUp => {
                self.plane.door = PlaneDoor::GivenUp;
                Ok(())
            }
            Effect::Probe { probe, release, .. } => {
                let doubled = self.probes.insert(*probe, release.clone());
                must(doubled.is_none(), "a round's number was used twice")
            }
            Effect::StopProbe { probe } => {
                let stopped = self.probes.remove(probe);
                must(stopped.is_some(), "a round was stopped that did not run")
            }
            Effect::RunCommand { operation } => {
                self.command = Some(operation.clone());
                must(
                    self.plane.quiet(Methods::ALL),
                    "the COMMAND runs beside requests on the old release",
                )
            }
            Effect::Progress { operation, .. } => must(
                self.operation().as_ref() == Some(operation),
                "progress of something that is not under way",
            ),
            Effect::Finish(ending) => self.finish(ending, before),
        }
    }

    fn finish(&mut self, ending: &Ending, before: &Before) -> Result<(), Broken> {
        self.ended.push((ending.verb.clone(), ending.outcome));
        let Some((_, live_at_start)) = self
            .begun
            .take_if(|(operation, _)| *operation == ending.operation)
        else {
            let at_once = ending.outcome == Outcome::AlreadyLive;
            return must(at_once, "something ended that was not under way");
        };
        self.command
            .take_if(|operation| *operation == ending.operation);
        let live = self.plane.live.clone();
        match ending.outcome {
            Outcome::Done => self.finish_done(ending, before),
            Outcome::AlreadyLive => must(live == live_at_start, "live changed"),
            Outcome::Failed | Outcome::Aborted | Outcome::Interrupted => must(
                before.swapped || live == live_at_start,
                "I5: it failed, yet another release serves",
            ),
        }
    }

    fn finish_done(&self, ending: &Ending, before: &Before) -> Result<(), Broken> {
        if before.journal_failed || before.restarted {
            return must(
                self.disk.live == self.plane.live,
                "I5: done, but a crash would undo it",
            );
        }
        match ending.verb.as_str() {
            "promote" | "rollback" => {
                let serves = |release: &Option<Release>| {
                    release.as_ref().map(|release| &release.id) == ending.to.as_ref()
                };
                must(serves(&self.plane.live), "I5: done, but it does not serve")?;
                must(
                    serves(&self.disk.live),
                    "I5: done, but a crash would undo it",
                )?;
                must(
                    self.plane.quiet(Methods::ALL),
                    "I9: done, but requests run on the old release",
                )
            }
            "hold" => {
                let held = self.disk.hold.as_ref().map(|hold| hold.methods);
                let held = held.ok_or(Broken("done, but a crash would end the hold".to_owned()))?;
                must(
                    self.plane.quiet(held),
                    "done, but requests of held methods run",
                )
            }
            "stage" => must(
                self.disk
                    .staged
                    .iter()
                    .any(|release| Some(&release.id) == ending.to.as_ref()),
                "done, but a crash would unstage it",
            ),
            other => must(false, &format!("{other} is no verb")),
        }
    }

    /// What must hold whenever a step has been carried out.
    fn check(&self, before: &Before) -> Result<(), Broken> {
        let live = self.app.live();
        must(
            self.plane.live.as_ref() == live,
            "I3: the table is another one",
        )?;
        must(
            self.disk.live.as_ref() == live,
            "I5: a crash would change who serves",
        )?;
        must(
            self.disk.generation == self.plane.generation && self.disk.gate == self.plane.gate,
            "I8: a number could be used again after a crash",
        )?;
        must(
            before.live.is_none() || live.is_some(),
            "I10: nobody serves any more",
        )?;
        must(
            self.operation().as_ref() == self.app.running().map(|running| &running.operation),
            "an operation ended without a word, or began without one",
        )?;
        let gates: Vec<_> = self.plane.open.iter().copied().collect();
        must(
            gates == [self.plane.gate] || live.is_none(),
            "a replaced gate is still open",
        )?;
        self.check_door()?;
        self.check_probes()?;
        self.check_deadline()
    }

    fn check_door(&self) -> Result<(), Broken> {
        if self.plane.down.is_some() {
            return Ok(());
        }
        let agrees = match (self.app.hold(), self.plane.door) {
            (None, PlaneDoor::Open | PlaneDoor::Releasing) => true,
            (Some((cause, methods)), PlaneDoor::Shut(is, shut)) => cause == is && methods == shut,
            (Some((cause, _)), PlaneDoor::GivenUp) => cause == Cause::Down,
            (Some(_), PlaneDoor::Open | PlaneDoor::Releasing)
            | (None, PlaneDoor::Shut(..) | PlaneDoor::GivenUp) => false,
        };
        must(agrees, "the door is not as the machine believes")
    }

    fn check_probes(&self) -> Result<(), Broken> {
        let waits = matches!(self.app.hold(), Some((Cause::Down, _)));
        let most = usize::from(waits) + usize::from(self.app.running().is_some());
        must(self.probes.len() <= most, "a round of probes was forgotten")?;
        must(
            !waits || !self.probes.is_empty(),
            "nobody looks whether it is back",
        )
    }

    /// I6: whoever waits, waits for a moment that comes.
    fn check_deadline(&self) -> Result<(), Broken> {
        let waits = match self.plane.door {
            PlaneDoor::Shut(cause, _) => cause != Cause::Empty && self.plane.down.is_none(),
            PlaneDoor::Open | PlaneDoor::GivenUp | PlaneDoor::Releasing => false,
        };
        let unsteady = waits || self.app.running().is_some();
        must(
            !unsteady || self.app.deadline().is_some(),
            "I6: it waits for ever",
        )
    }
}

impl Plane {
    fn publish(
        &mut self,
        generation: Generation,
        gate: GateId,
        live: Option<Release>,
    ) -> Result<(), Broken> {
        must(
            generation > self.generation,
            "I8: a generation was used twice",
        )?;
        must(gate > self.gate, "a gate was opened again")?;
        if live.is_some() {
            self.open.insert(gate);
        }
        (self.generation, self.gate, self.live) = (generation, gate, live);
        Ok(())
    }

    fn close(&mut self, gate: GateId, methods: Methods) -> Result<(), Broken> {
        must(
            gate < self.gate,
            "a gate was closed before its table was replaced",
        )?;
        let was_open = self.open.remove(&gate);
        if !was_open && !self.closed.contains_key(&gate) {
            return must(false, "a gate was closed that was never open, or is empty");
        }
        let closed = self.closed.entry(gate).or_insert(ClosedGate {
            running: Methods::ALL,
            asked: Vec::new(),
            cut: None,
        });
        if closed.asked.last() != Some(&methods) {
            closed.asked.push(methods);
        }
        Ok(())
    }

    /// Those about whom was asked first have ended.
    fn answer(&mut self, gate: GateId) {
        let Some(closed) = self.closed.get_mut(&gate) else {
            return;
        };
        if !closed.asked.is_empty() {
            let ended = closed.asked.remove(0).classes().bits();
            closed.running = Methods::from_bits(closed.running.bits() & !ended);
        }
        if closed.running == Methods::NONE || closed.cut.is_some() {
            self.closed.remove(&gate);
        }
    }

    /// Gates about which something may be reported.
    fn answers(&self) -> impl Iterator<Item = GateId> {
        let open = |gate: &ClosedGate| !gate.asked.is_empty() || gate.cut.is_some();
        let gates = self.closed.iter().filter(move |(_, gate)| open(gate));
        gates.map(|(gate, _)| *gate)
    }

    /// What was cut some time ago has ended.
    fn forget_cut(&mut self, now: Moment) {
        self.closed
            .retain(|_, gate| gate.cut.is_none_or(|cut| now - cut < CUT));
    }

    fn restart(&mut self) {
        self.open.clear();
        self.closed.clear();
        self.door = PlaneDoor::Open;
        self.down = None;
    }

    /// Whether no request of these classes runs behind a closed gate, but those that were cut.
    fn quiet(&self, methods: Methods) -> bool {
        let mut waited_for = self.closed.values().filter(|closed| closed.cut.is_none());
        waited_for.all(|closed| !closed.running.meets(methods.classes()))
    }
}

impl PlaneDoor {
    /// Whether somebody passes who could notice that the live release is away.
    fn lets_some_in(self) -> bool {
        match self {
            Self::Open | Self::Releasing => true,
            Self::Shut(_, methods) => methods != Methods::ALL,
            Self::GivenUp => false,
        }
    }

    fn shuts(self, methods: Methods) -> bool {
        match self {
            Self::Shut(_, shut) => shut.covers(methods),
            Self::GivenUp => true,
            Self::Open | Self::Releasing => false,
        }
    }
}

fn must(holds: bool, otherwise: &str) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err(Broken(otherwise.to_owned()))
    }
}
