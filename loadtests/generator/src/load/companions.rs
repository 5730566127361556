//! Clients that do not follow the schedule: idle ones that are watched, and slow ones. Each has one request at a time.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::timeout;

use super::connection::{Connection, Failed};
use super::crowd::{Crowd, Pending};
use super::exchange::{Verdict, judge};
use super::pool::Manner;
use super::wire::Pace;
use crate::clock::Moment;
use crate::run::{Ending, Kind, Loss};

/// How long a watched connection rests between two requests.
const REST_MS: std::ops::RangeInclusive<u64> = 100..=3_000;
/// How long a client waits after its connection failed.
const RECOVERY_MS: std::ops::RangeInclusive<u64> = 20..=60;
/// Slow clients send and read so many octets in so much time: about 50 KiB a second.
const PACE: Pace = Pace {
    octets: 1024,
    pause: Duration::from_millis(20),
};

/// A client that keeps a connection, uses it now and then, and notices when it is closed meanwhile.
pub(crate) async fn watched(crowd: Rc<Crowd>) {
    let mut kept = None;
    while !crowd.is_over() {
        let pending = crowd.begin(Kind::Watched, false, Moment::now());
        kept = exchange(&crowd, pending, kept, None).await;
        match kept.take().and_then(Connection::rest) {
            Some(resting) => {
                kept = Some(resting);
                crowd.pause(REST_MS).await;
            }
            None => crowd.pause(RECOVERY_MS).await,
        }
    }
}

/// A client with a bad line, which takes turns in sending and reading slowly.
pub(crate) async fn slow(crowd: Rc<Crowd>) {
    for kind in [Kind::Upload, Kind::Download].into_iter().cycle() {
        if crowd.is_over() {
            return;
        }
        let pending = crowd.begin(kind, true, Moment::now());
        exchange(&crowd, pending, None, Some(PACE)).await;
        crowd.pause(RECOVERY_MS).await;
    }
}

/// One request, on this connection or a new one; the connection, if it can carry another one.
async fn exchange(
    crowd: &Crowd,
    pending: Pending,
    kept: Option<Connection>,
    pace: Option<Pace>,
) -> Option<Connection> {
    let exchanged = timeout(
        crowd.plan.timeout,
        try_exchange(crowd, &pending, kept, pace),
    );
    let (ending, connection) = match exchanged.await {
        Ok(Ok((verdict, connection))) => (verdict.ending, verdict.keep.then_some(connection)),
        Ok(Err(loss)) => (Ending::Lost(loss), None),
        Err(_) => (Ending::Lost(Loss::Timeout), None),
    };
    pending.end(ending);
    connection
}

async fn try_exchange(
    crowd: &Crowd,
    pending: &Pending,
    kept: Option<Connection>,
    pace: Option<Pace>,
) -> Result<(Verdict, Connection), Loss> {
    let (mut request, expected) = crowd.ask(pending).request(&crowd.template);
    let manner = Manner {
        pace,
        upgrades: false,
    };
    let mut connection = match kept {
        Some(connection) => connection,
        None => crowd.pool.open(manner).await?,
    };
    pending.sending(&connection);
    let mut sent = connection.send(request).await;
    if let Err(Failed::Unsent(unsent)) = sent {
        // The connection was closed while it rested, which is on record; the request deserves another one.
        request = *unsent;
        connection = crowd.pool.open(manner).await?;
        sent = connection.send(request).await;
    }
    match sent {
        Ok(response) => Ok((judge(response, &expected, &crowd.names).await, connection)),
        Err(Failed::Unsent(_)) => Err(Loss::Closed),
        Err(Failed::Lost(loss)) => Err(loss),
    }
}
