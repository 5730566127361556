//! `[app.NAME.canary]`

use std::ops::RangeInclusive;
use std::time::Duration;

use swap_core::{OnFail, Share};
use toml::de::DeValue;

use super::token::cookie_name;
use crate::table::Table;
use crate::value::Value;
use crate::{Canary, Sticky};

const STEPS_MAX: usize = 20;
/// Shorter ones are for trying things out.
const STEP_TIME_MIN: Duration = Duration::from_millis(100);
const STEP_TIME_USUAL: Duration = Duration::from_secs(10);
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const REQUESTS: RangeInclusive<u64> = 20..=1_000_000;
const ALPHA: RangeInclusive<f64> = 0.000_001..=0.2;
const EFFECT: RangeInclusive<f64> = 0.000_1..=1.0;
const ERROR_INCREASE: RangeInclusive<f64> = 0.0..=1.0;
const LATENCY_INCREASE: RangeInclusive<f64> = 1.0..=100.0;
const GUARD: RangeInclusive<f64> = 0.01..=1.0;

pub(super) fn read(mut table: Table<'_>) -> Canary {
    let usual = Canary::default();
    let steps = steps(table.value("steps", "[1, 5, 25, 50, 100]"));
    let step_time = step_time(table.value("step_time", r#""60s""#));
    let watch = table.value("watch", r#""5m""#);
    let requests = table.value("min_requests", "100").count(REQUESTS);
    let alpha = table.value("alpha", "0.01").number(ALPHA);
    let min_effect = table.value("min_effect", "0.02").number(EFFECT);
    let errors = table.value("max_error_increase", "0.0");
    let latency = table.value("max_latency_increase", "1.25");
    let guard = table.value("guard_error_rate", "0.5").number(GUARD);
    let sticky = table.value("sticky", r#""cookie""#).parsed(sticky);
    let on_fail = table.value("on_fail", r#""rollback""#).parsed(on_fail);
    let opt_in = opt_in(&mut table, usual.opt_in);
    table.end();
    Canary {
        steps: steps.unwrap_or(usual.steps),
        step_time: step_time.unwrap_or(usual.step_time),
        watch: watch
            .duration(Duration::ZERO..=TIME_MAX)
            .unwrap_or(usual.watch),
        min_requests: requests.unwrap_or(usual.min_requests),
        alpha: alpha.unwrap_or(usual.alpha),
        min_effect: min_effect.unwrap_or(usual.min_effect),
        max_error_increase: errors
            .number(ERROR_INCREASE)
            .unwrap_or(usual.max_error_increase),
        max_latency_increase: latency
            .number(LATENCY_INCREASE)
            .unwrap_or(usual.max_latency_increase),
        guard_error_rate: guard.unwrap_or(usual.guard_error_rate),
        sticky: sticky.unwrap_or(usual.sticky),
        on_fail: on_fail.unwrap_or(usual.on_fail),
        opt_in,
    }
}

/// `None` if there are none, or something is wrong with them.
fn steps(value: Value<'_>) -> Option<Vec<Share>> {
    let is_list = matches!(value.raw()?, DeValue::Array(_));
    let errors = value.sink().errors();
    let items = value.items(STEPS_MAX);
    if is_list && items.is_empty() {
        return value.wrong("needs at least one step, the last of which is 100");
    }
    let mut steps: Vec<Share> = Vec::new();
    for item in items {
        let Some(share) = item.per_cent() else {
            continue;
        };
        match steps.last() {
            Some(before) if share <= *before => {
                let _: Option<()> = item.wrong(&format!(
                    "is {share}, and comes after {before}: shares grow"
                ));
            }
            _ => steps.push(share),
        }
    }
    if value.sink().errors() > errors {
        return None;
    }
    match steps.last() {
        Some(&Share::ALL) => Some(steps),
        Some(last) => value.wrong(&format!("ends with {last}: the last step has to be 100")),
        None => None,
    }
}

fn step_time(value: Value<'_>) -> Option<Duration> {
    let time = value.duration(STEP_TIME_MIN..=TIME_MAX)?;
    if time < STEP_TIME_USUAL {
        value.warn(
            "so short a step is hardly long enough to see what goes wrong".to_owned(),
            "mostly 10s or more",
        );
    }
    Some(time)
}

fn sticky(text: &str) -> Result<Sticky, &'static str> {
    match text {
        "cookie" => Ok(Sticky::Cookie),
        "client" => Ok(Sticky::Client),
        "none" => Ok(Sticky::None),
        _ => Err("a client is known again by `cookie`, by `client` (its address) or by `none`"),
    }
}

fn on_fail(text: &str) -> Result<OnFail, &'static str> {
    match text {
        "rollback" => Ok(OnFail::Rollback),
        "freeze" => Ok(OnFail::Freeze),
        _ => Err("it is `rollback`, or `freeze` to keep the share and wait for a person"),
    }
}

/// The cookie of `{ cookie = NAME }`; none for `false`.
fn opt_in(table: &mut Table<'_>, usual: Option<String>) -> Option<String> {
    let value = table.value("opt_in", r#"{ cookie = "holdfast_next" }"#);
    match value.raw() {
        None => usual,
        Some(DeValue::Boolean(false)) => None,
        Some(DeValue::Table(_)) => asked_by(table.table("opt_in")),
        Some(other) => value.not("a table with `cookie`, or false", other),
    }
}

fn asked_by(mut table: Table<'_>) -> Option<String> {
    let example = r#""holdfast_next""#;
    table.needs("cookie", example);
    let cookie = table.value("cookie", example).parsed(cookie_name);
    table.end();
    cookie
}
