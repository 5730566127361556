//! `[limits]`

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::Limits;
use crate::table::Table;

const TIMES: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60 * 60);
/// hyper takes no smaller buffer.
const HEAD_BYTES: RangeInclusive<u64> = 8 << 10..=1 << 20;
const TARGET_BYTES: RangeInclusive<u64> = 256..=64 << 10;

pub(super) fn read(mut table: Table<'_>) -> Limits {
    let usual = Limits::default();
    let mut time = |key, example, usual| {
        let value = table.value(key, example);
        value.duration(TIMES).unwrap_or(usual)
    };
    let handshake = time("handshake", r#""10s""#, usual.handshake);
    let head = time("head", r#""10s""#, usual.head);
    let idle = time("idle", r#""75s""#, usual.idle);
    let body_pause = time("body_pause", r#""30s""#, usual.body_pause);
    let body_grace = time("body_grace", r#""20s""#, usual.body_grace);
    let write = time("write", r#""60s""#, usual.write);
    let body_rate = table.value("body_rate", "240").count(1..=1_000_000);
    let head_size = table.value("head_size", r#""32KiB""#).size(HEAD_BYTES);
    let target_size = table.value("target_size", r#""8KiB""#).size(TARGET_BYTES);
    let fields = table.value("fields", "100").count(10..=10_000);
    let streams = table.value("streams", "100").count(1..=10_000);
    let connections = table.value("connections", "10000").count(1..=1_000_000);
    table.end();
    let size = |given: Option<u64>, usual: usize| given.map_or(usual, |size| size as usize);
    Limits {
        handshake,
        head,
        idle,
        body_pause,
        body_grace,
        body_rate: body_rate.map_or(usual.body_rate, |rate| rate as u32),
        write,
        head_size: size(head_size, usual.head_size),
        target_size: size(target_size, usual.target_size),
        fields: size(fields, usual.fields),
        streams: streams.map_or(usual.streams, |streams| streams as u32),
        connections: connections.map(|connections| connections as usize),
    }
}
