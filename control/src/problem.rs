//! Errors as the API says them: RFC 9457 problem objects, each with a code for scripts.

use swap_core::Refusal;

use crate::journal::JournalError;
use crate::wire::Problem;

/// A problem of this status and code.
pub(crate) fn problem(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Problem {
    Problem {
        status,
        code: code.into(),
        title: title.into(),
        detail: detail.into(),
    }
}

/// What was asked for makes no sense.
pub(crate) fn usage(detail: impl Into<String>) -> Problem {
    problem(400, "usage", "the request is not valid", detail)
}

pub(crate) fn unknown_app<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let known: Vec<&str> = known.collect();
    let detail = format!("there is no app {name:?}; there is {}", known.join(", "));
    problem(404, "unknown_app", "no such app", detail)
}

pub(crate) fn unknown_operation(id: &str) -> Problem {
    let detail = format!("operation {id:?} is not known; it may be too long ago");
    problem(404, "unknown_operation", "no such operation", detail)
}

/// An idempotency key means one thing only.
pub(crate) fn reused(key: &str, app: &str) -> Problem {
    let title = "this operation id means something else";
    let detail = format!("operation {key:?} was another command, of app {app}; take a new id");
    problem(409, "operation_reused", title, detail)
}

pub(crate) fn journal(error: &JournalError) -> Problem {
    let title = "the journal cannot be written, so nothing was changed";
    problem(503, "journal", title, error.to_string())
}

/// The driver is gone: the daemon stops, or the machine was wrong about something and refused to go on.
pub(crate) fn stopped() -> Problem {
    let detail =
        "the daemon is stopping, or its control plane has failed: see its log; traffic goes on";
    problem(503, "stopped", "the control plane has stopped", detail)
}

pub(crate) fn too_many_streams(max: usize) -> Problem {
    let detail = format!("{max} streams of events are open already");
    problem(
        503,
        "too_many_streams",
        "too many streams of events",
        detail,
    )
}

/// The machine refused.
pub(crate) fn refused(refusal: &Refusal) -> Problem {
    let (status, code, title) = match refusal {
        Refusal::Busy { .. } => (409, "busy", "another operation is under way"),
        Refusal::NotCurrent { .. } => (412, "not_current", "another release is live"),
        Refusal::NotGeneration { .. } => (412, "generation", "the app has changed meanwhile"),
        Refusal::Blocked(_) => (409, "blocked", "promotes of this app are blocked"),
        Refusal::UnknownRelease(_) => (404, "unknown_release", "no such release"),
        Refusal::DoesNotFit { .. } => {
            (400, "does_not_fit", "the timeouts do not fit into the hold")
        }
        Refusal::Pointless(_) => (409, "pointless", "this makes no sense now"),
    };
    problem(status, code, title, refusal.to_string())
}
