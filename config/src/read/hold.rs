//! `[app.NAME.hold]`

use std::time::Duration;

use toml::de::DeValue;

use crate::table::Table;
use crate::value::Value;
use crate::{Hold, ResumeRate};

const REQUESTS_MAX: u64 = 1_000_000;
const BYTES_MIN: u64 = 1 << 10;
const BYTES_MAX: u64 = 64 << 30;
const WAIT_MIN: Duration = Duration::from_millis(1);
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);
const RATE_MAX: u64 = 1_000_000;

pub(super) fn read(table: &mut Table<'_>) -> Hold {
    let requests = table.value("max_requests", "10000").count(1..=REQUESTS_MAX);
    let bytes = table.value("max_bytes", r#""64MiB""#);
    let wait = table.value("max_wait", r#""30s""#);
    let share = table.value("max_share", "0.1").share();
    let when_down = table.value("when_down", "true").flag();
    let rate = resume_rate(table.value("resume_rate", r#""auto""#));
    let answer_probes = table.value("answer_probes", "true").flag();
    Hold {
        max_requests: requests.unwrap_or(10_000) as usize,
        max_bytes: bytes.size(BYTES_MIN..=BYTES_MAX).unwrap_or(64 << 20) as usize,
        max_wait: wait
            .duration(WAIT_MIN..=WAIT_MAX)
            .unwrap_or(Duration::from_secs(30)),
        max_share: share.unwrap_or(0.1),
        when_down: when_down.unwrap_or(true),
        resume_rate: rate.unwrap_or_default(),
        answer_probes: answer_probes.unwrap_or(true),
    }
}

fn resume_rate(value: Value<'_>) -> Option<ResumeRate> {
    match value.raw()? {
        DeValue::String(text) if text == "auto" => Some(ResumeRate::Auto),
        DeValue::Integer(_) => {
            let rate = value.count(1..=RATE_MAX)?;
            Some(ResumeRate::PerSecond(rate as u32))
        }
        other => value.not("\"auto\" or a whole number of requests a second", other),
    }
}
