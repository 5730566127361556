//! Effects, answers and states as short phrases, so that a story and a table can be read.

use swap_core::{
    Answer, App, Effect, Ending, Methods, Outcome, Release, RolloutStage, Slice, Split, Step,
    Underway,
};

/// The effects of a step, in order.
pub(crate) fn effects(step: &Step) -> Vec<String> {
    step.effects.iter().map(effect).collect()
}

pub(crate) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Hold { cause, methods } => {
            let cause = format!("{cause:?}").to_lowercase();
            format!("hold {} ({cause})", whom(*methods))
        }
        Effect::Publish {
            generation,
            gate,
            live,
        } => {
            let live = live.as_ref().map_or("nothing".to_owned(), who);
            format!("publish {generation}: {live} behind gate {gate}")
        }
        Effect::Split {
            generation,
            split: None,
        } => format!("publish {generation}: nothing beside it"),
        Effect::Split {
            generation,
            split: Some(split),
        } => format!("publish {generation}: {}", beside(split)),
        Effect::Smoke {
            operation,
            round,
            release,
            tests,
        } => {
            let tests: Vec<_> = tests.iter().map(|test| test.path.as_str()).collect();
            format!(
                "smoke {operation}.{round}: {} at {}",
                tests.join(","),
                who(release)
            )
        }
        Effect::Close {
            gate,
            methods,
            tunnels_too,
        } => {
            let tunnels = if *tunnels_too { " and tunnels" } else { "" };
            format!("close gate {gate} for {}{tunnels}", whom(*methods))
        }
        Effect::Cut { gate } => format!("cut gate {gate}"),
        Effect::Release => "release".to_owned(),
        Effect::GiveUp => "give up".to_owned(),
        Effect::Probe {
            probe,
            release,
            recover: false,
        } => format!("probe {probe}: {}", who(release)),
        Effect::Probe {
            probe,
            release,
            recover: true,
        } => format!("probe {probe}: is {} back", who(release)),
        Effect::StopProbe { probe } => format!("stop probe {probe}"),
        Effect::RunCommand { operation } => format!("run {operation}'s command"),
        Effect::Progress { operation, phase } => format!("{operation} is {phase}"),
        Effect::Finish(ending) => finish(ending),
    }
}

/// `beside it b behind gate 2; p.1 draws canary 0..5 b, control 95..100 live; staff b, opt-in`
fn beside(split: &Split) -> String {
    let releases: Vec<_> = split
        .beside
        .iter()
        .map(|beside| format!("{} behind gate {}", who(&beside.release), beside.gate))
        .collect();
    let release = |beside: Option<usize>| match beside {
        Some(beside) => who(&split.beside[beside].release),
        None => "live".to_owned(),
    };
    let slice = |slice: &Slice| {
        let (arm, from, to) = (&slice.arm, slice.from, slice.to);
        format!("{arm} {from}..{to} {}", release(slice.beside))
    };
    let slices: Vec<_> = split.slices.iter().map(slice).collect();
    let mut words = format!("beside it {}", releases.join(", "));
    words += &format!(
        "; {}.{} draws {}",
        split.key,
        split.round,
        match slices.as_slice() {
            [] => "nobody".to_owned(),
            slices => slices.join(", "),
        }
    );
    if split.fallback.is_some() {
        words += &format!("; what is not found {}", release(split.fallback));
    }
    if split.preview.is_some() {
        words += &format!("; staff {}", release(split.preview));
    }
    if split.opt_in {
        words += ", opt-in";
    }
    words
}

fn finish(ending: &Ending) -> String {
    let outcome = match ending.outcome {
        Outcome::Done => "done",
        Outcome::AlreadyLive => "already live",
        Outcome::Failed => "failed",
        Outcome::Aborted => "aborted",
        Outcome::RolledBack => "rolled back",
        Outcome::Interrupted => "interrupted",
    };
    match &ending.why {
        Some(why) => format!("{} ends {outcome}: {why}", ending.operation),
        None => format!("{} ends {outcome}", ending.operation),
    }
}

/// A release; with its port where that is not its own.
fn who(release: &Release) -> String {
    if *release == crate::cast::release(release.id.as_str()) {
        return release.id.to_string();
    }
    let at: Vec<_> = release.instances.iter().map(ToString::to_string).collect();
    format!("{} at {}", release.id, at.join(","))
}

fn whom(methods: Methods) -> String {
    match methods {
        Methods::ALL => "all".to_owned(),
        Methods::WRITES => "writes".to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Begun(operation) => format!("begun {operation}"),
        Answer::Known(operation) => format!("known {operation}"),
        Answer::Done(said) => format!("done: {said}"),
        Answer::Refused(refusal) => format!("refused: {refusal}"),
    }
}

/// Where an app stands: `steady, live b` or `holding (swap), live a, next b, p1 runs`.
pub(crate) fn state(app: &App) -> String {
    let mut words = format!("{:?}", app.phase()).to_lowercase();
    if let Some((cause, methods)) = app.hold() {
        let cause = format!("{cause:?}").to_lowercase();
        words += &format!(" ({cause} holds {})", whom(methods));
    }
    if let Some(live) = app.live() {
        words += &format!(", live {}", who(live));
    }
    if let Some((next, _)) = app.next() {
        words += &format!(", next {}", who(next));
    }
    if let Some(rollout) = app.rollout() {
        words += &progress(rollout);
    }
    if let Some(experiment) = app.experiment() {
        words += &format!(", experiment {} is on", experiment.name);
    }
    if let Some(running) = app.running() {
        words += &format!(", {} runs", running.operation);
    }
    words
}

fn progress(rollout: Underway<'_>) -> String {
    let stage = match rollout.going.stage {
        RolloutStage::Smoking => "smoking".to_owned(),
        RolloutStage::Step(_) => format!("at {} %", rollout.going.share()),
        RolloutStage::SmokingAll => "smoking at 100 %".to_owned(),
        RolloutStage::Watching => "watching".to_owned(),
    };
    match &rollout.going.paused {
        Some(why) => format!(" {stage} ({why})"),
        None => format!(" {stage}"),
    }
}

/// What there is beside a live release and an operation: for seeing that a search has come by.
pub(crate) fn seen(app: &App) -> Vec<String> {
    let rollout = app.rollout().map(|rollout| {
        let paused = if rollout.going.paused.is_some() {
            ", paused"
        } else {
            ""
        };
        format!("{:?}{paused}", rollout.going.stage)
    });
    let experiment = app.experiment().map(|_| "experiment".to_owned());
    let is_alone = rollout.is_none() && experiment.is_none() && app.split().is_some();
    let preview = is_alone.then(|| "preview".to_owned());
    rollout
        .into_iter()
        .chain(experiment)
        .chain(preview)
        .collect()
}
