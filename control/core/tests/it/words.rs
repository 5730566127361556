//! Effects, answers and states as short phrases, so that a story and a table can be read.

use swap_core::{Answer, App, Effect, Ending, Methods, Outcome, Release, Step};

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

fn finish(ending: &Ending) -> String {
    let outcome = match ending.outcome {
        Outcome::Done => "done",
        Outcome::AlreadyLive => "already live",
        Outcome::Failed => "failed",
        Outcome::Aborted => "aborted",
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
    if let Some(running) = app.running() {
        words += &format!(", {} runs", running.operation);
    }
    words
}
