//! What people and scripts read: results on standard output, the rest on standard error.

use std::io::Write;

use holdfast_control::wire::Receipt;
use serde::Serialize;
use swap_core::Outcome;

/// Says a line to people. A closed pipe is the reader's choice.
pub(crate) fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Says what went wrong, and the next command to run.
pub(crate) fn error(what: &str, hint: Option<&str>) {
    use anstyle::{AnsiColor, Style};
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let mut err = anstream::stderr();
    let _ = writeln!(err, "{red}error:{red:#} {what}");
    if let Some(hint) = hint {
        let _ = writeln!(err, "hint: {hint}");
    }
}

/// One JSON object on standard output.
pub(crate) fn json(value: &impl Serialize) {
    let text = serde_json::to_string(value).unwrap_or_default();
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// A result for people.
pub(crate) fn line(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// The receipt, as JSON or in a few lines.
pub(crate) fn receipt(receipt: &Receipt, as_json: bool) {
    if as_json {
        json(receipt);
    } else {
        line(receipt_text(receipt).trim_end());
    }
}

pub(crate) fn receipt_text(receipt: &Receipt) -> String {
    use std::fmt::Write;
    let Receipt {
        held,
        waiting,
        held_peak,
        released,
        abandoned,
        shed,
        ..
    } = receipt;
    let mut text = String::new();
    let _ = writeln!(text, "operation  {}  by {}", receipt.operation, receipt.by);
    if let Some(reason) = &receipt.reason {
        let _ = writeln!(text, "reason     {reason}");
    }
    if let Some(why) = &receipt.why {
        let _ = writeln!(text, "because    {why}");
    }
    let phases = [
        ("boot", receipt.boot_ms),
        ("hold", receipt.hold_ms),
        ("drain", receipt.drain_ms),
    ];
    let phases: Vec<String> = phases
        .iter()
        .filter_map(|(name, ms)| ms.map(|ms| format!("{name} {}", seconds(ms))))
        .collect();
    if !phases.is_empty() {
        let _ = writeln!(text, "phases     {}", phases.join(" · "));
    }
    if *held > 0 {
        let _ = writeln!(
            text,
            "held       {held} (most at once {held_peak}) · released {released} · left {abandoned} · \
             timed out {} · still waiting {waiting}",
            shed.timeout
        );
    }
    if shed.full + shed.bytes + shed.share > 0 {
        let _ = writeln!(
            text,
            "refused    full {} · bytes {} · share {}",
            shed.full, shed.bytes, shed.share
        );
    }
    let _ = writeln!(
        text,
        "ended      drained {} · cut {} · retried {}",
        receipt.drained, receipt.cut, receipt.retried
    );
    let _ = writeln!(text, "{}", headline(receipt));
    text
}

/// The one line that says it all.
pub(crate) fn headline(receipt: &Receipt) -> String {
    let word = match receipt.outcome {
        Outcome::Done => "done",
        Outcome::AlreadyLive => "live already",
        Outcome::Failed => "failed",
        Outcome::Aborted => "aborted",
        Outcome::Interrupted => "interrupted",
    };
    let name = |id: &Option<swap_core::ReleaseId>| {
        id.as_ref().map_or("nothing".into(), ToString::to_string)
    };
    let moved = match (receipt.outcome, &receipt.to) {
        (_, None) => receipt.verb.clone(),
        (Outcome::Failed | Outcome::Aborted, Some(_)) => {
            format!("{} keeps serving", name(&receipt.from))
        }
        (_, Some(to)) if receipt.verb == "stage" => format!("{to} staged"),
        (Outcome::AlreadyLive, Some(to)) => to.to_string(),
        (_, Some(to)) => format!("{} → {to}", name(&receipt.from)),
    };
    format!(
        "{word}: {} {moved} in {} · held {} (longest {}) · lost {}",
        receipt.app,
        seconds(receipt.took_ms),
        receipt.held,
        seconds(receipt.longest_hold_ms),
        receipt.lost
    )
}

pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}
