//! How a canary goes, in a few lines.

use anstyle::Style;
use holdfast_control::wire::{CanaryStatus, ControlStatus, Figures, GateStatus, Judged, Says};
use swap_core::Verdict;

use crate::words::{BAD, GOOD, ODD, Styled, plain, span};

/// Lines of a status, each with its name.
pub(crate) fn lines(
    canary: &CanaryStatus,
    control: Option<&ControlStatus>,
) -> Vec<(&'static str, String)> {
    let mut lines = vec![("canary", stage(canary)), ("", figures(&canary.figures))];
    if let Some(control) = control {
        lines.push(("control", self::control(control)));
    }
    if let (Some(said), Some(why)) = (canary.verdict, &canary.why) {
        lines.push(("judge", verdict(said, why)));
    }
    let gates = canary.gates.iter().map(gate);
    lines.extend(gates.map(|words| ("gate", words)));
    if let Some(why) = &canary.paused {
        lines.push(("paused", Styled(ODD, plain(why)).to_string()));
    }
    lines
}

/// What a receipt says of it.
pub(crate) fn judged(judged: &Judged) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(said) = judged.verdict {
        let why = judged.why.as_deref().unwrap_or_default();
        lines.push(("judge", verdict(said, why)));
    }
    lines.push((
        "canary",
        format!("at {} % {}", judged.share, figures(&judged.figures)),
    ));
    if let Some(control) = &judged.control {
        lines.push(("control", self::control(control)));
    }
    let Judged {
        all_requests,
        all_errors,
        ..
    } = judged;
    if *all_requests > judged.figures.requests {
        let words = format!("{all_requests} requests in all its steps · {all_errors} failed");
        lines.push(("", words));
    }
    lines
}

/// `pass: no worse: …`
pub(crate) fn verdict(verdict: Verdict, why: &str) -> String {
    let (word, style) = word(verdict);
    format!("{} {}", Styled(style, format!("{word}:")), plain(why))
}

pub(crate) fn word(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::Pass => ("pass", GOOD),
        Verdict::Fail => ("fail", BAD),
        Verdict::NotEnoughTraffic => ("no verdict", ODD),
    }
}

/// `gate exec ./orders.sh: yes`
pub(crate) fn gate(gate: &GateStatus) -> String {
    let (word, style) = match gate.says {
        Says::NotAsked => ("not asked yet", Style::new()),
        Says::Yes => ("yes", GOOD),
        Says::No => ("no", BAD),
        Says::Unclear => ("no answer", ODD),
    };
    let why = gate.why.as_deref().map(plain);
    let why = why.map_or(String::new(), |why| format!(", {why}"));
    format!("{}: {}{why}", plain(&gate.gate), Styled(style, word))
}

/// `410 requests · 37 failed · p50 12.1 ms · p99 88.0 ms`
pub(crate) fn figures(figures: &Figures) -> String {
    let Figures {
        requests,
        errors,
        p50_ms,
        p99_ms,
    } = figures;
    let time =
        |name, ms: &Option<f64>| ms.map_or(String::new(), |ms| format!(" · {name} {}", millis(ms)));
    format!(
        "{requests} requests · {errors} failed{}{}",
        time("p50", p50_ms),
        time("p99", p99_ms)
    )
}

/// `12.1 ms`, `412 ms`
pub(crate) fn millis(ms: f64) -> String {
    if ms < 100.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

fn stage(canary: &CanaryStatus) -> String {
    let share = &canary.share;
    let what = match (canary.step, canary.stage.as_str()) {
        (Some(step), _) => format!("{share} % · step {step} of {}", canary.steps.len()),
        (None, "smoking") => "smoke tests before any traffic".to_owned(),
        (None, "smoking_all") => format!("{share} % · smoke tests again"),
        (None, "watching") => format!("{share} % · watched"),
        (None, other) => format!("{share} % · {}", plain(other)),
    };
    let due = match canary.due_ms {
        0 => String::new(),
        ms => format!(", at least {} more", span(ms)),
    };
    format!("{what} · for {}{due}", span(canary.for_ms))
}

fn control(control: &ControlStatus) -> String {
    let when = if control.earlier {
        " · of an earlier step"
    } else {
        ""
    };
    format!("{}{when}", figures(&control.figures))
}
