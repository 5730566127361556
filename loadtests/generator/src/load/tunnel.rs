//! A client with a WebSocket: it sends a frame now and then, wants it back octet by octet, and notices when the tunnel
//! ends. Then it opens another.

use std::rc::Rc;
use std::time::Duration;

use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connection::{Connection, Failed};
use super::crowd::{Crowd, Pending};
use super::exchange::{by_proxy, judge, says};
use super::pool::Manner;
use crate::clock::Moment;
use crate::payload::{APP_RELEASE, REQUEST_ID};
use crate::run::{Ending, Kind, Loss, Tunnel, TunnelEnd};
use crate::websocket::{accept, frame, key};

/// Between two frames.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 20..=200;
/// Before another tunnel.
const RECOVERY_MS: std::ops::RangeInclusive<u64> = 50..=150;
/// How long a frame may take to come back.
const ECHO_TIMEOUT: Duration = Duration::from_secs(10);

type Stream = TokioIo<Upgraded>;

/// Keeps a tunnel open until the load is over.
pub(crate) async fn tunnel(crowd: Rc<Crowd>) {
    while !crowd.is_over() {
        let pending = crowd.begin(Kind::Tunnel, true, Moment::now());
        let number = pending.number;
        let opened = timeout(crowd.plan.timeout, open(&crowd, &pending)).await;
        match opened.unwrap_or(Err(Ending::Lost(Loss::Timeout))) {
            Ok(opened) => {
                pending.end(opened.ending);
                let tunnel = talk(&crowd, number, opened.stream).await;
                crowd.tunnels.borrow_mut().push(tunnel);
                drop(opened.connection);
            }
            Err(ending) => pending.end(ending),
        }
        crowd.pause(RECOVERY_MS).await;
    }
}

struct Opened {
    stream: Stream,
    ending: Ending,
    /// Closes the socket when it is dropped.
    connection: Connection,
}

async fn open(crowd: &Crowd, pending: &Pending) -> Result<Opened, Ending> {
    let manner = Manner {
        upgrades: true,
        ..pending.manner()
    };
    let connection = crowd.pool.open(manner).await;
    let mut connection = connection.map_err(Ending::Lost)?;
    let ask = crowd.ask(pending);
    let (mut request, expected) = ask.request(&crowd.template);
    let key = key(&mut crowd.random.borrow_mut());
    ask_to_upgrade(request.headers_mut(), &key);
    pending.sending(&connection);
    let response = match connection.send(request).await {
        Ok(response) => response,
        Err(Failed::Unsent(_) | Failed::Unprocessed) => return Err(Ending::Lost(Loss::Closed)),
        Err(Failed::Lost(loss)) => return Err(Ending::Lost(loss)),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(judge(response, &expected, &crowd.names).await.ending);
    }
    let ending = switched(crowd, &response, &ask.id, &key)?;
    let upgraded = hyper::upgrade::on(response).await;
    let upgraded = upgraded.map_err(|_| Ending::Lost(Loss::Closed))?;
    Ok(Opened {
        stream: TokioIo::new(upgraded),
        ending,
        connection,
    })
}

fn ask_to_upgrade(fields: &mut HeaderMap, key: &str) {
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Ok(key) = HeaderValue::from_str(key) {
        fields.insert(SEC_WEBSOCKET_KEY, key);
    }
}

/// Whether this 101 is the app's, and for this request.
fn switched(
    crowd: &Crowd,
    response: &Response<Incoming>,
    id: &str,
    key: &str,
) -> Result<Ending, Ending> {
    let fields = response.headers();
    let status = response.status().as_u16();
    let Some(release) = fields.get(APP_RELEASE) else {
        return Err(by_proxy(status, fields, &crowd.names));
    };
    let ours = says(fields, REQUEST_ID, id)
        && says(
            fields,
            SEC_WEBSOCKET_ACCEPT.as_str(),
            &accept(key.as_bytes()),
        );
    if !ours {
        return Err(Ending::Lost(Loss::MixedUp));
    }
    let release = crowd.names.name(release);
    Ok(Ending::App { release, status })
}

/// Frames out and back until one side ends.
async fn talk(crowd: &Crowd, number: u64, mut stream: Stream) -> Tunnel {
    let now = Moment::now();
    let mut tunnel = Tunnel {
        number,
        opened: now,
        ended: now,
        echoes: 0,
        slowest_echo: Duration::ZERO,
        end: TunnelEnd::ByClient,
    };
    let life = crowd.tunnel_life();
    while !crowd.is_over() && Moment::now().since(now) < life {
        if let Err(end) = silence(crowd, &mut stream).await {
            tunnel.end = end;
            break;
        }
        match echo(crowd, &mut stream).await {
            Ok(took) => {
                tunnel.echoes += 1;
                tunnel.slowest_echo = tunnel.slowest_echo.max(took);
            }
            Err(end) => {
                tunnel.end = end;
                break;
            }
        }
    }
    tunnel.ended = Moment::now();
    tunnel
}

impl Crowd {
    fn tunnel_life(&self) -> Duration {
        let life = self.plan.tunnel_life.clone();
        life.map_or(Duration::MAX, |ms| {
            Duration::from_millis(self.random.borrow_mut().u64(ms))
        })
    }
}

/// A while in which nothing must come.
async fn silence(crowd: &Crowd, stream: &mut Stream) -> Result<(), TunnelEnd> {
    let mut octet = [0];
    tokio::select! {
        () = crowd.pause(PAUSE_MS) => Ok(()),
        read = stream.read(&mut octet) => Err(match read {
            Ok(0) => TunnelEnd::Closed,
            Ok(_) => farewell(octet[0], stream).await,
            Err(_) => TunnelEnd::Reset,
        }),
    }
}

/// Unasked, only this may come: `Close` with 1001, going away (RFC 6455, 7.4.1), and the end.
async fn farewell(first: u8, stream: &mut Stream) -> TunnelEnd {
    let mut rest = Vec::new();
    let read = timeout(ECHO_TIMEOUT, stream.read_to_end(&mut rest)).await;
    if first == 0x88 && rest == [0x02, 0x03, 0xe9] && matches!(read, Ok(Ok(_))) {
        TunnelEnd::Closed
    } else {
        TunnelEnd::Corrupt
    }
}

/// Sends a frame and wants it back.
async fn echo(crowd: &Crowd, stream: &mut Stream) -> Result<Duration, TunnelEnd> {
    let sent = {
        let mut random = crowd.random.borrow_mut();
        let len = random.u16(1..=4_000);
        frame(&mut random, len)
    };
    let began = Moment::now();
    let mut back = vec![0; sent.len()];
    let round = async {
        stream.write_all(&sent).await?;
        stream.read_exact(&mut back).await
    };
    match timeout(ECHO_TIMEOUT, round).await {
        Ok(Ok(_)) if back == sent => Ok(Moment::now().since(began)),
        Ok(Ok(_)) | Err(_) => Err(TunnelEnd::Corrupt),
        Ok(Err(why)) if why.kind() == std::io::ErrorKind::UnexpectedEof => Err(TunnelEnd::Closed),
        Ok(Err(_)) => Err(TunnelEnd::Reset),
    }
}
