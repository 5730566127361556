//! A client with a WebSocket: it sends a frame now and then, wants it back octet by octet, and notices when the tunnel
//! ends. Then it opens another.

use std::rc::Rc;
use std::time::Duration;

use http::header::{
    CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connection::{Connection, Failed};
use super::crowd::{Crowd, Pending};
use super::exchange::{Ask, Expected, by_proxy, judge, says};
use super::outgoing::Outgoing;
use super::pool::Manner;
use crate::clock::Moment;
use crate::payload::{APP_RELEASE, REQUEST_ID};
use crate::run::{Ending, Kind, Loss, Protocol, Tunnel, TunnelEnd};
use crate::websocket::{accept, frame, key};

/// Between two frames.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 20..=200;
/// Before another tunnel.
const RECOVERY_MS: std::ops::RangeInclusive<u64> = 50..=150;
/// How long a frame may take to come back.
const ECHO_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a tunnel is tried that was not asked for in time, or not processed.
const TRIES: usize = 3;

type Stream = TokioIo<Upgraded>;

/// Keeps a tunnel open until the load is over. What it speaks goes by the client's number: there are few.
pub(crate) async fn tunnel(crowd: Rc<Crowd>, client: usize) {
    while !crowd.is_over() {
        let mut pending = crowd.begin(Kind::Tunnel, true, Moment::now());
        pending.protocol = crowd.protocol_of(client);
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
    let ask = crowd.ask(pending);
    for _ in 0..TRIES {
        let connection = crowd.pool.open(manner).await;
        let mut connection = connection.map_err(Ending::Lost)?;
        let key = key(&mut crowd.random.borrow_mut());
        let sent = try_open(crowd, pending, &ask, &key, &mut connection).await;
        let (response, expected) = match sent {
            Ok(sent) => sent,
            Err(Failed::Unsent(_)) => continue,
            Err(Failed::Unprocessed) => {
                crowd.unprocessed.set(crowd.unprocessed.get() + 1);
                continue;
            }
            Err(Failed::Lost(loss)) => return Err(Ending::Lost(loss)),
        };
        if response.status() != opens(pending.protocol) {
            return Err(judge(response, &expected, &crowd.names).await.ending);
        }
        let ending = switched(crowd, &response, &ask.id, &key)?;
        let upgraded = hyper::upgrade::on(response).await;
        let upgraded = upgraded.map_err(|_| Ending::Lost(Loss::Closed))?;
        return Ok(Opened {
            stream: TokioIo::new(upgraded),
            ending,
            connection,
        });
    }
    Err(Ending::Lost(Loss::Closed))
}

async fn try_open(
    crowd: &Crowd,
    pending: &Pending,
    ask: &Ask,
    key: &str,
    connection: &mut Connection,
) -> Result<(Response<Incoming>, Expected), Failed> {
    let (mut request, expected) = ask.request(&crowd.template);
    if pending.protocol.http2 {
        hear_settings(crowd, connection).await?;
        ask_to_connect(&mut request);
    } else {
        ask_to_upgrade(request.headers_mut(), key);
    }
    pending.sending(connection);
    Ok((connection.send(request).await?, expected))
}

/// What says that a tunnel is open.
fn opens(protocol: Protocol) -> StatusCode {
    if protocol.http2 {
        StatusCode::OK
    } else {
        StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Whether the other side takes WebSockets is in its SETTINGS, and those come before any answer (RFC 8441, 3).
async fn hear_settings(crowd: &Crowd, connection: &mut Connection) -> Result<(), Failed> {
    let mut request = Request::new(Outgoing::none());
    *request.uri_mut() = Uri::from_static("/up");
    if let Some(host) = crowd.template.get(HOST) {
        request.headers_mut().insert(HOST, host.clone());
    }
    connection.send(request).await.map(drop)
}

/// In HTTP/2 a tunnel is a stream of its own (RFC 8441, 4).
fn ask_to_connect(request: &mut Request<Outgoing>) {
    *request.method_mut() = Method::CONNECT;
    let protocol = hyper::ext::Protocol::from_static("websocket");
    request.extensions_mut().insert(protocol);
    let version = HeaderValue::from_static("13");
    request.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
}

fn ask_to_upgrade(fields: &mut HeaderMap, key: &str) {
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Ok(key) = HeaderValue::from_str(key) {
        fields.insert(SEC_WEBSOCKET_KEY, key);
    }
}

/// Whether this tunnel is the app's, and for this request.
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
    let accepted = || accept(key.as_bytes());
    let is_accepted = status == 200 || says(fields, SEC_WEBSOCKET_ACCEPT.as_str(), &accepted());
    if !says(fields, REQUEST_ID, id) || !is_accepted {
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
        // Where the other side has ended it meanwhile, what it said before is still to be read.
        let _ = stream.write_all(&sent).await;
        stream.read_exact(&mut back).await
    };
    match timeout(ECHO_TIMEOUT, round).await {
        Ok(Ok(_)) if back == sent => Ok(Moment::now().since(began)),
        Ok(Ok(_)) | Err(_) => Err(TunnelEnd::Corrupt),
        Ok(Err(why)) if why.kind() == std::io::ErrorKind::UnexpectedEof => Err(TunnelEnd::Closed),
        Ok(Err(_)) => Err(TunnelEnd::Reset),
    }
}
