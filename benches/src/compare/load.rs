//! The load: a process of its own that does what one [`Plan`] says and tells what came of it.
//!
//! Closed loop (`rate` is none): each connection asks again as soon as it is answered, and what counts is the time that
//! the proxy takes of its core for each answer. Open loop: requests are due at times that were drawn beforehand, and a
//! request that has to wait for a connection was due all the same: its latency counts from then.

mod http2;
mod paced;
mod plain;
mod schedule;
mod tls;
mod watch;

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::usage::Usage;
use super::websocket;
use crate::browser::{COOKIE, FIELDS};

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) target: SocketAddr,
    pub(super) manner: Manner,
    pub(super) ask: Ask,
    /// With HTTP/2: streams.
    pub(super) connections: usize,
    /// Whom to trust with TLS.
    pub(super) certificate: PathBuf,
    /// Hosts that requests are spread over.
    pub(super) hosts: usize,
    /// Clients with a cookie that requests are spread over. 0: nobody has one.
    pub(super) clients: usize,
    /// Requests a second. None: closed loop.
    pub(super) rate: Option<f64>,
    /// So long it lasts before anything is counted, and until each connection was answered once.
    pub(super) warm_ms: u64,
    pub(super) window_ms: u64,
    /// The processes whose time is counted.
    pub(super) proxy: u32,
    pub(super) origin: u32,
    pub(super) seed: u64,
}

/// How the proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Manner {
    /// HTTP/1.1, connections kept.
    Kept,
    /// HTTP/1.1, a connection for each request.
    Fresh,
    /// Frames on WebSockets.
    WebSocket,
    /// HTTP/1.1 over TLS, connections kept.
    TlsKept,
    /// A connection and a whole handshake for each request.
    TlsFull,
    /// A connection and a resumed handshake for each request.
    TlsResumed,
    /// HTTP/2.
    Http2,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    /// An answer of so many octets.
    Get(usize),
    /// With a body of so many octets; the answer is small.
    Post(usize),
}

/// What came of it, within the window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) answered: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    pub(super) window_ns: u64,
    pub(super) proxy: Usage,
    pub(super) origin: Usage,
    pub(super) load: Usage,
    pub(super) resident_kib: u64,
    /// Open loop only.
    pub(super) latency: Option<Latency>,
}

/// From when a request was due, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

/// Reads a plan from standard input, does it, and writes the outcome to standard output.
pub(super) fn run() -> io::Result<()> {
    let mut plan = String::new();
    io::stdin().read_to_string(&mut plan)?;
    let plan: Plan = serde_json::from_str(&plan)?;
    let outcome = match plan.manner {
        Manner::Kept | Manner::Fresh | Manner::WebSocket => plain::run(&plan)?,
        Manner::TlsKept | Manner::TlsFull | Manner::TlsResumed => tls::run(&plan)?,
        Manner::Http2 => http2::run(&plan)?,
    };
    let line = serde_json::to_string(&outcome)?;
    writeln!(io::stdout(), "{line}")
}

/// The name of a host that routes lead to.
pub(super) fn host(number: usize) -> String {
    format!("h{number}.compare.test")
}

impl Ask {
    fn target(self) -> String {
        match self {
            Self::Get(octets) => format!("/bytes/{octets}"),
            Self::Post(_) => "/bytes/16".to_owned(),
        }
    }
}

impl Plan {
    /// All requests that are drawn from.
    fn requests(&self) -> Vec<Vec<u8>> {
        let request = |host: String, cookie: &str| request(self.ask, &host, self.manner, cookie);
        let client = |number| {
            // Spread as drawn numbers are.
            let id = fastrand::Rng::with_seed(number).u64(..);
            request(host(0), &format!("{COOKIE}; holdfast_client={id:016x}"))
        };
        match self.clients {
            0 => (0..self.hosts)
                .map(|number| request(host(number), COOKIE))
                .collect(),
            clients => (0..clients as u64).map(client).collect(),
        }
    }
}

/// The octets of a request to `host`: 13 fields, and two more with a body.
fn request(ask: Ask, host: &str, manner: Manner, cookie: &str) -> Vec<u8> {
    let (method, target) = match ask {
        Ask::Get(_) => ("GET", ask.target()),
        Ask::Post(_) => ("POST", ask.target()),
    };
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in FIELDS {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!(
        "cookie: {cookie}\r\nreferer: http://{host}/index.html\r\n"
    ));
    match manner {
        Manner::Fresh | Manner::TlsFull | Manner::TlsResumed => {
            head.push_str("connection: close\r\n")
        }
        Manner::WebSocket => head.push_str(websocket::ASKS),
        Manner::Kept | Manner::TlsKept | Manner::Http2 => {}
    }
    if let Ask::Post(octets) = ask {
        head.push_str(&format!(
            "content-type: application/octet-stream\r\ncontent-length: {octets}\r\n"
        ));
    }
    head.push_str("\r\n");
    let mut request = head.into_bytes();
    if let Ask::Post(octets) = ask {
        request.resize(request.len() + octets, b'u');
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_get_has_thirteen_fields() {
        let request = request(Ask::Get(128), "h0.compare.test", Manner::Kept, COOKIE);
        let text = String::from_utf8(request).unwrap();
        assert!(text.starts_with("GET /bytes/128 HTTP/1.1\r\n") && text.ends_with("\r\n\r\n"));
        assert_eq!(text.matches(": ").count(), 13);
    }
}
