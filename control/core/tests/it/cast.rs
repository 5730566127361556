//! Who plays in the stories: releases `a` to `d`, each at its own address, and the commands that people give.

use std::time::Duration;

use swap_core::{
    Address, Block, CanaryPlan, CloseExperiment, Event, ExperimentArm, GateId, HoldCommand, Limits,
    Methods, OnFail, OnQuiet, OperationId, ProbeId, Promote, Release, ReleaseId, Rollback, Share,
    Smoke, Stage, StartExperiment, Strategy, Verdict,
};

/// Limits with a different number for each, so that a mix-up shows.
pub(crate) const LIMITS: Limits = Limits {
    boot: Duration::from_secs(60),
    drain: Duration::from_secs(25),
    drain_held: Duration::from_secs(5),
    max_wait: Duration::from_secs(30),
    previews: false,
    affinity: Duration::ZERO,
};

/// The same, and somebody may see a staged release beforehand.
pub(crate) const SEEN: Limits = Limits {
    previews: true,
    ..LIMITS
};

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn operation(id: &str) -> OperationId {
    id.parse().unwrap()
}

pub(crate) fn id(release: &str) -> ReleaseId {
    release.parse().unwrap()
}

/// `a` listens on port 3001, `b` on 3002, and so on.
pub(crate) fn address(release: &str) -> Address {
    let port = 3001 + u16::from(release.as_bytes()[0] - b'a');
    format!("127.0.0.1:{port}").parse().unwrap()
}

pub(crate) fn elsewhere() -> Address {
    "127.0.0.1:4000".parse().unwrap()
}

pub(crate) fn release(release: &str) -> Release {
    Release {
        id: id(release),
        instances: vec![address(release)],
    }
}

pub(crate) fn overlap(operation_id: &str, release: &str) -> Promote {
    Promote {
        operation: operation(operation_id),
        release: id(release),
        instances: vec![address(release)],
        strategy: Strategy::Overlap,
        boot: None,
        drain: None,
        hold: None,
        if_current: None,
        if_generation: None,
        command: false,
        canary: None,
        reason: None,
        by: "uid 0".to_owned(),
    }
}

pub(crate) fn share(per_cent: u32) -> Share {
    Share::millionths(per_cent * 10_000)
}

/// 5, 50, 100 %, a minute each; then five minutes more.
pub(crate) fn plan() -> CanaryPlan {
    CanaryPlan {
        steps: [5, 50, 100].map(share).to_vec(),
        step_time: seconds(60),
        watch: seconds(300),
        on_fail: OnFail::Rollback,
        on_quiet: OnQuiet::Wait,
        smoke: Vec::new(),
        gates: Vec::new(),
    }
}

/// The same, with smoke tests.
pub(crate) fn smoked_plan() -> CanaryPlan {
    CanaryPlan {
        smoke: vec![smoke()],
        ..plan()
    }
}

pub(crate) fn smoke() -> Smoke {
    Smoke {
        path: "/up".to_owned(),
        status: 200,
        text: None,
    }
}

pub(crate) fn canary(operation_id: &str, release: &str, plan: CanaryPlan) -> Promote {
    Promote {
        strategy: Strategy::Canary,
        canary: Some(plan),
        ..overlap(operation_id, release)
    }
}

pub(crate) fn promote_canary(operation_id: &str, release: &str) -> Event {
    Event::Promote(canary(operation_id, release, plan()))
}

pub(crate) fn judged(operation_id: &str, round: u64, verdict: Verdict, why: &str) -> Event {
    Event::Judged {
        operation: operation(operation_id),
        round,
        verdict,
        why: why.to_owned(),
    }
}

pub(crate) fn smoked(operation_id: &str, round: u64, result: Result<(), &str>) -> Event {
    Event::Smoked {
        operation: operation(operation_id),
        round,
        result: result.map_err(str::to_owned),
    }
}

pub(crate) fn pause() -> Event {
    Event::Pause {
        by: "uid 0".to_owned(),
    }
}

pub(crate) fn advance() -> Event {
    Event::Advance {
        by: "uid 0".to_owned(),
    }
}

/// Experiment `x`, with these arms: name, release, weight in per cent.
pub(crate) fn experiment(operation_id: &str, arms: &[(&str, &str, u32)]) -> Event {
    let arm = |(name, release, weight): &(&str, &str, u32)| ExperimentArm {
        name: name.parse().unwrap(),
        release: id(release),
        weight: share(*weight),
    };
    Event::StartExperiment(StartExperiment {
        operation: operation(operation_id),
        name: "x".parse().unwrap(),
        arms: arms.iter().map(arm).collect(),
        by: "uid 0".to_owned(),
    })
}

pub(crate) fn close_experiment(operation_id: &str, winner: Option<&str>) -> Event {
    Event::CloseExperiment(CloseExperiment {
        operation: operation(operation_id),
        name: "x".parse().unwrap(),
        winner: winner.map(|winner| winner.parse().unwrap()),
        by: "uid 0".to_owned(),
    })
}

pub(crate) fn holding(operation_id: &str, release: &str) -> Promote {
    Promote {
        strategy: Strategy::Hold,
        ..overlap(operation_id, release)
    }
}

pub(crate) fn promote(operation_id: &str, release: &str) -> Event {
    Event::Promote(overlap(operation_id, release))
}

pub(crate) fn promote_by_id(operation_id: &str, release: &str) -> Event {
    Event::Promote(Promote {
        instances: Vec::new(),
        ..overlap(operation_id, release)
    })
}

pub(crate) fn promote_holding(operation_id: &str, release: &str) -> Event {
    Event::Promote(holding(operation_id, release))
}

pub(crate) fn promote_with_command(operation_id: &str, release: &str) -> Event {
    Event::Promote(Promote {
        command: true,
        ..holding(operation_id, release)
    })
}

pub(crate) fn rollback(operation_id: &str) -> Event {
    rollback_to(operation_id, None)
}

pub(crate) fn rollback_to(operation_id: &str, release: Option<&str>) -> Event {
    Event::Rollback(Rollback {
        operation: operation(operation_id),
        release: release.map(id),
        if_generation: None,
        reason: None,
        by: "uid 0".to_owned(),
    })
}

pub(crate) fn stage(operation_id: &str, release: &str) -> Event {
    Event::Stage(Stage {
        operation: operation(operation_id),
        release: id(release),
        instances: vec![address(release)],
        boot: None,
        by: "uid 0".to_owned(),
    })
}

pub(crate) fn unstage(release: &str) -> Event {
    Event::Unstage {
        release: id(release),
    }
}

pub(crate) fn hold(operation_id: &str) -> Event {
    hold_methods(operation_id, Methods::ALL)
}

pub(crate) fn hold_methods(operation_id: &str, methods: Methods) -> Event {
    Event::Hold(HoldCommand {
        operation: operation(operation_id),
        methods,
        timeout: None,
        reason: None,
        by: "uid 0".to_owned(),
    })
}

pub(crate) fn block(reason: &str) -> Event {
    Event::Block(Block {
        reason: reason.to_owned(),
        by: "uid 0".to_owned(),
    })
}

pub(crate) fn probe_passed(probe: u64) -> Event {
    Event::ProbePassed {
        probe: ProbeId(probe),
    }
}

pub(crate) fn probe_failed(probe: u64, why: &str) -> Event {
    Event::ProbeFailed {
        probe: ProbeId(probe),
        why: why.to_owned(),
    }
}

pub(crate) fn gate_empty(gate: u64) -> Event {
    Event::GateEmpty { gate: GateId(gate) }
}

pub(crate) fn live_down(gate: u64) -> Event {
    Event::LiveDown { gate: GateId(gate) }
}

pub(crate) fn command_ended(operation_id: &str, result: Result<(), &str>) -> Event {
    Event::CommandEnded {
        operation: operation(operation_id),
        result: result.map_err(str::to_owned),
    }
}

/// The step for `event` could not be journalled.
pub(crate) fn unjournalled(event: Event) -> Event {
    Event::JournalFailed {
        why: "disk full".to_owned(),
        event: Box::new(event),
    }
}
