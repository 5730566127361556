//! `[app.NAME.probe]`

use std::time::Duration;

use crate::Probe;
use crate::host::parse_probe_path;
use crate::table::Table;

const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(60 * 60);
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(5 * 60);
const PASSES_MAX: u64 = 100;
const SERVICE_MAX: usize = 100;

pub(super) fn read(table: &mut Table<'_>) -> Probe {
    let path = table.value("path", r#""/up""#).parsed(parse_probe_path);
    let grpc = table.value("grpc", r#""shop.Orders""#).parsed(service);
    let interval = table.value("interval", r#""1s""#);
    let timeout = table.value("timeout", r#""5s""#);
    let passes = table.value("passes", "1").count(1..=PASSES_MAX);
    Probe {
        path: path.unwrap_or_else(|| "/up".to_owned()),
        grpc,
        interval: interval
            .duration(INTERVAL_MIN..=INTERVAL_MAX)
            .unwrap_or(Duration::from_secs(1)),
        timeout: timeout
            .duration(TIMEOUT_MIN..=TIMEOUT_MAX)
            .unwrap_or(Duration::from_secs(5)),
        passes: passes.unwrap_or(1) as u32,
    }
}

/// The name of a gRPC service, with its package; empty for the whole server.
fn service(text: &str) -> Result<String, &'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
    if text.len() > SERVICE_MAX || !text.bytes().all(allowed) {
        return Err(
            "a gRPC service has at most 100 letters, digits, `.` and `_`, or none for the whole server",
        );
    }
    Ok(text.to_owned())
}
