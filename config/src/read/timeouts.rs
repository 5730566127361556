//! `[app.NAME.timeouts]`

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::Timeouts;
use crate::table::Table;

const LIMITS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
/// A connect that takes longer than this will not come to anything.
const CONNECT_LIMITS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(5 * 60);
/// While clients wait for the drain, it is shorter unless asked for.
const DRAIN_HELD: Duration = Duration::from_secs(5);

pub(super) fn read(table: &mut Table<'_>) -> Timeouts {
    let boot = table.value("boot", r#""60s""#).duration(LIMITS);
    let drain = table.value("drain", r#""30s""#).duration(LIMITS);
    let drain_held = table.value("drain_held", r#""5s""#).duration(LIMITS);
    let connect = table.value("connect", r#""2s""#).duration(CONNECT_LIMITS);
    let response = table.value("response", r#""60s""#).duration(LIMITS);
    let drain = drain.unwrap_or(Duration::from_secs(30));
    Timeouts {
        boot: boot.unwrap_or(Duration::from_secs(60)),
        drain,
        drain_held: drain_held.unwrap_or(DRAIN_HELD.min(drain)),
        connect: connect.unwrap_or(Duration::from_secs(2)),
        response: response.unwrap_or(Duration::from_secs(60)),
    }
}
