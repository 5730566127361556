//! What unit tests, fuzz targets and benches share.

#[cfg(test)]
mod splitting;
#[cfg(test)]
mod stage;

use std::time::Duration;

use holdfast_config::{App, Canary, Hold, Probe, ResumeRate, Timeouts, Upstream};

/// An app with the documented defaults.
pub(crate) fn app_settings() -> App {
    App {
        hosts: Vec::new(),
        paths: vec!["/".into()],
        strip_prefix: false,
        release_header: Some("x-release".into()),
        release: None,
        upstream: Upstream::default(),
        probe: Probe {
            path: "/up".into(),
            grpc: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            passes: 1,
        },
        hold: Hold {
            max_requests: 10_000,
            max_bytes: 64 << 20,
            max_wait: Duration::from_secs(30),
            max_share: 0.1,
            when_down: true,
            resume_rate: ResumeRate::Auto,
            answer_probes: true,
        },
        timeouts: Timeouts {
            boot: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            drain_held: Duration::from_secs(5),
            connect: Duration::from_secs(2),
            response: Duration::from_secs(60),
        },
        canary: Canary::default(),
        cohorts: Vec::new(),
        affinity: Duration::ZERO,
    }
}
