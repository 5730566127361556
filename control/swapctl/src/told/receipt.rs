//! A receipt in a few lines, of which the last one says it all.

use std::fmt::Write;

use anstyle::Style;
use holdfast_control::wire::{Receipt, Shed};
use swap_core::{Outcome, ReleaseId, Strategy};

use crate::words::{BAD, GOOD, NAME, ODD, Styled, plain, span};

/// All of it.
pub(crate) fn text(receipt: &Receipt) -> String {
    let mut text = String::new();
    let mut line = |name: &str, words: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<10} {words}");
    };
    line("operation", about(receipt));
    if let Some(reason) = &receipt.reason {
        line("reason", plain(reason).into_owned());
    }
    line("took", times(receipt));
    if receipt.held > 0 {
        line("held", held(receipt));
    }
    let Shed {
        full,
        bytes,
        share,
        timeout: _,
    } = receipt.shed;
    if full + bytes + share > 0 {
        line(
            "refused",
            format!("hold full {full} · bytes {bytes} · share {share}"),
        );
    }
    if receipt.drained + receipt.cut + receipt.retried > 0 {
        line(
            "old",
            format!(
                "drained {} · cut {} · retried {}",
                receipt.drained, receipt.cut, receipt.retried
            ),
        );
    }
    if let Some(judged) = &receipt.judge {
        for (name, words) in super::canary::judged(judged) {
            line(name, words);
        }
    }
    text.push_str(&headline(receipt));
    text
}

/// The one line that says it all.
pub(crate) fn headline(receipt: &Receipt) -> String {
    let (word, style) = word(receipt);
    let mut line = format!(
        "{} {} {}",
        Styled(style, format!("{word}:")),
        Styled(NAME, &receipt.app),
        moved(receipt)
    );
    // `aborted: … aborted` would say nothing.
    if let Some(why) = receipt.why.as_deref().filter(|why| *why != word) {
        let _ = write!(line, " · {}", plain(why));
    }
    if receipt.held > 0 {
        let longest = span(receipt.longest_hold_ms);
        let _ = write!(line, " · held {} (longest {longest})", receipt.held);
    }
    if receipt.cut > 0 {
        let _ = write!(line, " · cut {}", receipt.cut);
    }
    let _ = write!(line, " · lost {}", receipt.lost);
    line
}

/// What to do next, unless all is well.
pub(crate) fn hints(receipt: &Receipt) -> Vec<String> {
    let app = &receipt.app;
    let mut hints = Vec::new();
    match receipt.outcome {
        Outcome::Done | Outcome::AlreadyLive => {}
        Outcome::RolledBack => {
            hints.push(format!("when it is mended: swapctl unblock {app}"));
        }
        Outcome::Failed | Outcome::Aborted | Outcome::Interrupted => {
            hints.push(format!("who serves now: swapctl status {app}"));
        }
    }
    if receipt.cut > 0 {
        hints.push("requests outlived the drain: a longer --drain-timeout gives them time".into());
    }
    if receipt.lost > 0 {
        hints.push("requests were lost: the daemon's log and /metrics say why".into());
    }
    hints
}

fn word(receipt: &Receipt) -> (&'static str, Style) {
    match receipt.outcome {
        Outcome::Done if receipt.lost > 0 || receipt.cut > 0 => ("done", ODD),
        Outcome::Done => ("done", GOOD),
        Outcome::AlreadyLive => ("live already", GOOD),
        Outcome::Failed => ("failed", BAD),
        Outcome::Aborted => ("aborted", ODD),
        Outcome::RolledBack => ("rolled back", BAD),
        Outcome::Interrupted => ("interrupted", ODD),
    }
}

/// What became of the app, and how long that took.
fn moved(receipt: &Receipt) -> String {
    let name = |id: &Option<ReleaseId>| {
        let name = id.as_ref().map_or("nothing", ReleaseId::as_str);
        name.to_owned()
    };
    let (from, to) = (name(&receipt.from), name(&receipt.to));
    let took = span(receipt.took_ms);
    match (receipt.verb.as_str(), receipt.outcome) {
        (_, Outcome::AlreadyLive) => to,
        (_, Outcome::Interrupted) => format!("has {from} or {to}"),
        ("hold", Outcome::Done) => format!("held in {took}"),
        ("hold", Outcome::Failed | Outcome::Aborted | Outcome::RolledBack) => {
            format!("not held after {took}")
        }
        ("stage", Outcome::Done) => format!("{to} staged in {took}"),
        ("stage", Outcome::Failed | Outcome::Aborted | Outcome::RolledBack) => {
            format!("{to} not staged after {took}")
        }
        (_, Outcome::Done) => format!("{from} → {to} in {took}"),
        (_, Outcome::Failed | Outcome::Aborted | Outcome::RolledBack) => match &receipt.from {
            Some(from) => format!("stays on {from} after {took}"),
            None => format!("stays empty after {took}"),
        },
    }
}

fn about(receipt: &Receipt) -> String {
    let how = match receipt.strategy {
        Some(Strategy::Hold) => " with a hold",
        Some(Strategy::Canary) => " with a canary",
        Some(Strategy::Overlap) | None => "",
    };
    format!(
        "{} · {}{how} by {} at {}",
        receipt.operation,
        plain(&receipt.verb),
        plain(&receipt.by),
        plain(&receipt.started)
    )
}

fn times(receipt: &Receipt) -> String {
    let parts = [
        ("boot", receipt.boot_ms),
        ("hold", receipt.hold_ms),
        ("drain", receipt.drain_ms),
    ];
    let known = parts
        .iter()
        .filter_map(|(name, ms)| ms.map(|ms| format!(" · {name} {}", span(ms))));
    let known: String = known.collect();
    format!("{}{known}", span(receipt.took_ms))
}

fn held(receipt: &Receipt) -> String {
    let Receipt {
        held,
        held_peak,
        released,
        abandoned,
        waiting,
        ..
    } = receipt;
    let mut text = format!(
        "{held} (at once {held_peak}, longest {}) · released {released} · left {abandoned} · timed out {}",
        span(receipt.longest_hold_ms),
        receipt.shed.timeout
    );
    if *waiting > 0 {
        let _ = write!(text, " · still waiting {waiting}");
    }
    text
}
