//! What must hold after every step, whatever happened. Checked in release builds too: a machine that is wrong must stop
//! commands, before it harms traffic.

use crate::{
    Answer, App, Effect, GateId, Generation, Share, Split, Step, door::Door, rollout::Rollout,
    work::Work,
};

/// Asserts that `step` may follow `before`. `publishes` is false where nothing may be published.
pub(crate) fn check(before: &App, step: &Step, publishes: bool) {
    numbers_grow(before, step);
    if before.live != step.app.live {
        new_live_is_published_and_released(step);
    }
    assert!(
        publishes || before.generation == step.app.generation,
        "published without a journal"
    );
    if let Some(Answer::Refused(refusal)) = &step.answer {
        let unchanged = *before == step.app && step.effects.is_empty();
        assert!(unchanged, "refused ({refusal}), yet changed");
    }
    state_is_sound(&step.app);
}

/// The gates in the published table, effect by effect.
struct Published {
    live: GateId,
    beside: Vec<GateId>,
    /// The last one that was given to anybody.
    last: GateId,
}

impl Published {
    fn of(app: &App) -> Self {
        Self {
            live: app.gates.current,
            beside: beside(app.split.as_ref()),
            last: app.gates.last,
        }
    }

    /// It is new, or was beside the live release.
    fn place_live(&mut self, gate: GateId) {
        let is_sound = gate > self.last || self.beside.contains(&gate);
        assert!(is_sound, "gate {gate} was used twice");
        self.live = gate;
        self.last = self.last.max(gate);
    }

    fn place_beside(&mut self, split: Option<&Split>) {
        let gates = beside(split);
        for gate in &gates {
            let is_sound = *gate > self.last || self.beside.contains(gate);
            assert!(is_sound, "gate {gate} was used twice");
        }
        self.last = gates.iter().copied().fold(self.last, GateId::max);
        self.beside = gates;
    }

    fn has(&self, gate: GateId) -> bool {
        gate == self.live || self.beside.contains(&gate)
    }
}

fn beside(split: Option<&Split>) -> Vec<GateId> {
    let beside = split.into_iter().flat_map(|split| &split.beside);
    beside.map(|beside| beside.gate).collect()
}

/// I8: generations only grow, one at a time, and every one of them is published. No gate is used twice, and only one that
/// a published table has replaced is ever closed.
fn numbers_grow(before: &App, step: &Step) {
    let mut generation = before.generation;
    let mut published = Published::of(before);
    let mut next = |number: Generation| {
        assert!(number == generation.next(), "a number was used twice");
        generation = number;
    };
    for effect in &step.effects {
        match effect {
            Effect::Publish {
                generation, gate, ..
            } => {
                next(*generation);
                published.place_live(*gate);
            }
            Effect::Split { generation, split } => {
                next(*generation);
                published.place_beside(split.as_ref());
            }
            Effect::Close { gate, .. } | Effect::Cut { gate } => assert!(
                !published.has(*gate) && *gate <= published.last,
                "gate {gate} was closed while it was published"
            ),
            Effect::Hold { .. }
            | Effect::Release
            | Effect::GiveUp
            | Effect::Probe { .. }
            | Effect::StopProbe { .. }
            | Effect::Smoke { .. }
            | Effect::RunCommand { .. }
            | Effect::Progress { .. }
            | Effect::Finish(_) => {}
        }
    }
    let after = Published::of(&step.app);
    assert!(
        step.app.generation == generation
            && after.live == published.live
            && after.beside == published.beside
            && after.last == published.last,
        "a publish is missing"
    );
}

/// I10: there is a live release for ever after the first one; and whoever waits at the door goes to it.
fn new_live_is_published_and_released(step: &Step) {
    assert!(step.app.live.is_some(), "a live release was lost");
    let publish = step.effects.iter().rposition(
        |effect| matches!(effect, Effect::Publish { live, .. } if *live == step.app.live),
    );
    let release = step
        .effects
        .iter()
        .rposition(|effect| *effect == Effect::Release);
    assert!(
        publish.is_some() && publish < release,
        "a new live release was not published, then released"
    );
}

fn state_is_sound(app: &App) {
    let swapping = matches!(app.door, Door::Swapping { .. });
    let holds = match app.work {
        Work::Quieting(_) | Work::Commanding(_) | Work::HoldBooting(_) | Work::Returning(_) => true,
        Work::Idle
        | Work::Staging(_)
        | Work::Booting(_)
        | Work::Rollout(_)
        | Work::Withdrawing(_)
        | Work::Reopening(_)
        | Work::Draining(_)
        | Work::HoldQuieting(_) => false,
    };
    assert_eq!(
        swapping,
        holds && app.live.is_some(),
        "the door is a swap's exactly while one holds"
    );
    assert_eq!(
        app.door == Door::Empty,
        app.live.is_none(),
        "an app without a release is empty"
    );
    let is_paused = app.work.rollout().is_some_and(Rollout::is_paused);
    let steady = (matches!(app.work, Work::Idle) || is_paused)
        && matches!(app.door, Door::Empty | Door::Open | Door::GivenUp { .. });
    assert!(
        steady || app.deadline().is_some(),
        "a state without a deadline"
    );
    assert!(
        app.gates.closed().all(|gate| !Published::of(app).has(gate)),
        "a published gate is closed"
    );
    split_is_sound(app);
}

/// A rollout has its split, and no other has; an empty app has none. Nobody is drawn twice, or for a release that is not
/// there.
fn split_is_sound(app: &App) {
    let Some(split) = &app.split else {
        assert!(app.work.rollout().is_none(), "a canary is not published");
        return;
    };
    assert!(app.live.is_some(), "a split without a live release");
    if let Some(rollout) = app.work.rollout() {
        let is_its_own =
            split.key == rollout.op.id().as_str() && split.round == rollout.going.round;
        assert!(is_its_own, "another split than the canary's is published");
    }
    let is_there = |beside: usize| beside < split.beside.len();
    let mut end = Share::NONE;
    for slice in &split.slices {
        let in_order = end <= slice.from && slice.from <= slice.to && slice.to <= Share::ALL;
        assert!(in_order, "clients are drawn twice");
        end = slice.to;
    }
    let drawn = split.slices.iter().filter_map(|slice| slice.beside);
    assert!(
        drawn.chain(split.preview).all(is_there),
        "clients are drawn for a release that is not there"
    );
}
