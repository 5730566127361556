//! Connections that have asked once, and rest.

use std::time::Duration;

use tokio::time::sleep;

use super::cell::{Site, Size};
use crate::cli::Options;
use crate::lean::{App, Kind};
use crate::stage::Place;
use crate::trouble::Trouble;

/// What is usual. A connection is looked at so often, and rests if it has not asked for a second.
const HEAD: &str = "10s";
/// Until all rest; then memory is looked at every ten seconds, and given back once there were fewer for as long.
const REST: Duration = Duration::from_secs(33);
const LONG: Duration = Duration::from_secs(180);
const RATE: f64 = 3_000.0;

/// What idle connections take.
pub(super) struct Idle {
    before_kib: u64,
    idle_kib: u64,
    connections: u32,
}

impl Idle {
    pub(super) fn kib_each(&self) -> f64 {
        let grown = self.idle_kib.saturating_sub(self.before_kib);
        grown as f64 / f64::from(self.connections)
    }
}

/// So many connections, a request on each, and a while in which nobody asks.
pub(super) async fn rest(
    options: &Options,
    place: &Place,
    kind: Kind,
    size: Size,
) -> Result<Idle, Trouble> {
    let app = App::start(1, None).await?;
    let mut site = Site::before(app, options, place, kind, size, HEAD).await?;
    let before_kib = site.warm_up(size).await?;
    let mut asking = site.crowd(size, RATE).await?;
    asking.child.tell("go").await?;
    asking.child.hear("sent", LONG).await?;
    asking.answered().await?;
    sleep(REST).await;
    Ok(Idle {
        before_kib,
        idle_kib: site.resident_kib()?,
        connections: size.connections,
    })
}
