//! What is sound key by key, but does not make sense together. Only looked at when all keys of an app are sound.

use std::time::Duration;

use swap_core::duration::text;

use crate::report::Finding;
use crate::table::Table;
use crate::{App, Protocol};

/// How often a release is probed while something waits for it.
const PROBE_PACE: Duration = Duration::from_millis(100);
/// About what a small request with its head takes in the hold.
const SMALL_REQUEST: usize = 1 << 10;

pub(super) fn check(app: &App, probe: &Table<'_>, hold: &Table<'_>, timeouts: &Table<'_>) {
    passes_fit_into_boot(app, probe, timeouts);
    grpc_is_asked_in_http2(app, probe);
    probe_fits_into_boot(app, probe, timeouts);
    drain_held_is_the_shorter(app, timeouts);
    held_drain_fits_into_wait(app, hold, timeouts);
    bytes_suffice(app, hold);
}

fn passes_fit_into_boot(app: &App, probe: &Table<'_>, timeouts: &Table<'_>) {
    let (passes, boot) = (app.probe.passes, app.timeouts.boot);
    let least = PROBE_PACE * passes.saturating_sub(1);
    if least >= boot {
        probe.sink.error(Finding {
            place: probe.place_of("passes").or(timeouts.place_of("boot")),
            message: format!(
                "no release can get ready: {passes} passes in a row take at least {}, and `boot` ends at {}",
                text(least),
                text(boot)
            ),
            example: Some("passes = 1".to_owned()),
            hint: None,
        });
    }
}

fn grpc_is_asked_in_http2(app: &App, probe: &Table<'_>) {
    if app.probe.grpc.is_some() && app.upstream.protocol == Protocol::Http1 {
        probe.sink.error(Finding {
            place: probe.place_of("grpc"),
            message: "gRPC needs HTTP/2, and this app is spoken to in HTTP/1.1".to_owned(),
            example: Some("upstream.protocol = \"http2\"".to_owned()),
            hint: None,
        });
    }
}

fn probe_fits_into_boot(app: &App, probe: &Table<'_>, timeouts: &Table<'_>) {
    let (timeout, boot) = (app.probe.timeout, app.timeouts.boot);
    if timeout > boot {
        let given = probe.place_of("timeout").or(timeouts.place_of("boot"));
        probe.sink.warning(Finding {
            place: given,
            message: format!(
                "one probe may take {}, but a release has only {} to get ready",
                text(timeout),
                text(boot)
            ),
            example: None,
            hint: Some("a shorter `probe.timeout` or a longer `timeouts.boot`".to_owned()),
        });
    }
}

fn drain_held_is_the_shorter(app: &App, timeouts: &Table<'_>) {
    let (held, drain) = (app.timeouts.drain_held, app.timeouts.drain);
    if held > drain {
        timeouts.sink.error(Finding {
            place: timeouts.place_of("drain_held"),
            message: format!(
                "`drain_held` ({}) is longer than `drain` ({}), although clients wait meanwhile",
                text(held),
                text(drain)
            ),
            example: Some(format!("drain_held = \"{}\"", text(drain))),
            hint: None,
        });
    }
}

/// An error if the time was asked for, else a warning: an app that is never promoted with strategy hold is fine.
fn held_drain_fits_into_wait(app: &App, hold: &Table<'_>, timeouts: &Table<'_>) {
    let (held, wait) = (app.timeouts.drain_held, app.hold.max_wait);
    if held < wait {
        return;
    }
    let asked_for = timeouts.place_of("drain_held");
    let finding = Finding {
        place: asked_for.clone().or(hold.place_of("max_wait")),
        message: format!(
            "with strategy hold the old release drains for up to {}, and no request waits longer than {}",
            text(held),
            text(wait)
        ),
        example: None,
        hint: Some("`drain_held` has to be shorter than `max_wait`".to_owned()),
    };
    match asked_for {
        Some(_) => hold.sink.error(finding),
        None => hold.sink.warning(finding),
    }
}

fn bytes_suffice(app: &App, hold: &Table<'_>) {
    let (requests, bytes) = (app.hold.max_requests, app.hold.max_bytes);
    if bytes / SMALL_REQUEST < requests {
        hold.sink.warning(Finding {
            place: hold.place_of("max_bytes").or(hold.place_of("max_requests")),
            message: format!("`max_bytes` is reached long before {requests} requests wait"),
            example: None,
            hint: Some(format!(
                "small requests take about 1 KiB: {} of them fit",
                bytes / SMALL_REQUEST
            )),
        });
    }
}
