//! Clients that do not follow the schedule: idle ones that are watched, slow ones, and those with much to send. Each has one request at a time.

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
/// How often a request is tried again that was not sent, or not processed.
const TRIES: usize = 3;
/// How long a client waits after its connection failed.
const RECOVERY_MS: std::ops::RangeInclusive<u64> = 20..=60;
/// Slow clients send and read so many octets in so much time: about 50 KiB a second.
const PACE: Pace = Pace {
    octets: 1024,
    pause: Duration::from_millis(20),
};

/// The same with some megabytes: about 2 MiB a second, so that it takes seconds.
const LARGE_PACE: Pace = Pace {
    octets: 16 << 10,
    pause: Duration::from_millis(8),
};

/// A client that keeps a connection, uses it now and then, and notices when it is closed meanwhile.
pub(crate) async fn watched(crowd: Rc<Crowd>) {
    let mut kept: Option<Connection> = None;
    while !crowd.is_over() {
        let mut pending = crowd.begin(Kind::Watched, false, Moment::now());
        if let Some(kept) = &kept {
            pending.protocol = kept.protocol();
        }
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
    by_turns(crowd, [Kind::Upload, Kind::Download], PACE, None).await;
}

/// A client that takes turns in sending and reading some megabytes. Few have their turn in a short run: what each speaks, and
/// with what it begins, goes by its number, so that a handful have some of everything.
pub(crate) async fn large(crowd: Rc<Crowd>, number: usize) {
    let mut kinds = [Kind::LargeUpload, Kind::LargeDownload];
    if number / 2 % 2 == 1 {
        kinds.reverse();
    }
    by_turns(crowd, kinds, LARGE_PACE, Some(number)).await;
}

async fn by_turns(crowd: Rc<Crowd>, kinds: [Kind; 2], pace: Pace, number: Option<usize>) {
    for kind in kinds.into_iter().cycle() {
        if crowd.is_over() {
            return;
        }
        let mut pending = crowd.begin(kind, true, Moment::now());
        if let Some(number) = number {
            pending.protocol = crowd.protocol_of(number);
        }
        exchange(&crowd, pending, None, Some(pace)).await;
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
    let ask = crowd.ask(pending);
    let (mut request, expected) = ask.request(&crowd.template);
    let manner = Manner {
        pace,
        ..pending.manner()
    };
    let mut kept = kept;
    for _ in 0..TRIES {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => crowd.pool.open(manner).await?,
        };
        pending.sending(&connection);
        match connection.send(request).await {
            Ok(response) => {
                return Ok((judge(response, &expected, &crowd.names).await, connection));
            }
            // The connection was closed while it rested, which is on record; the request deserves another one.
            Err(Failed::Unsent(unsent)) => request = *unsent,
            Err(Failed::Unprocessed) => request = crowd.again(&ask),
            Err(Failed::Lost(loss)) => return Err(loss),
        }
    }
    Err(Loss::Closed)
}
