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

pub(super) fn read(table: &mut Table<'_>) -> Probe {
    let path = table.value("path", r#""/up""#).parsed(parse_probe_path);
    let interval = table.value("interval", r#""1s""#);
    let timeout = table.value("timeout", r#""5s""#);
    let passes = table.value("passes", "1").count(1..=PASSES_MAX);
    Probe {
        path: path.unwrap_or_else(|| "/up".to_owned()),
        interval: interval
            .duration(INTERVAL_MIN..=INTERVAL_MAX)
            .unwrap_or(Duration::from_secs(1)),
        timeout: timeout
            .duration(TIMEOUT_MIN..=TIMEOUT_MAX)
            .unwrap_or(Duration::from_secs(5)),
        passes: passes.unwrap_or(1) as u32,
    }
}
