//! The client that speaks HTTP/2: rounds of as many requests as there are streams, each round begun when all of the one
//! before are answered, so that what comes together does not depend on who is quick.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use super::origin;
use crate::browser;

/// At once.
const STREAMS: u32 = 32;

/// Asks so often, in whole rounds. A round may take `limit`.
pub(super) fn ask(stream: TcpStream, times: u32, limit: Duration) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let asking = async {
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let handshake = h2::client::handshake(stream).await;
        let (mut requests, connection) = handshake.map_err(io::Error::other)?;
        // Its end is seen by those who ask.
        spawn_local(async { drop(connection.await) });
        for _ in 0..times.div_ceil(STREAMS) {
            timeout(limit, round(&mut requests)).await??;
        }
        Ok(())
    };
    LocalSet::new().block_on(&runtime, asking)
}

async fn round(requests: &mut SendRequest<Bytes>) -> io::Result<()> {
    let mut answers = Vec::new();
    for _ in 0..STREAMS {
        let asked = requests.send_request(browser::http2(), true);
        answers.push(asked.map_err(io::Error::other)?.0);
    }
    for answer in answers {
        let answered = browser::whole(answer).await.map_err(io::Error::other)?;
        if answered != (200, origin::BODY.len()) {
            return Err(io::Error::other("an answer that is not the origin's"));
        }
    }
    Ok(())
}
