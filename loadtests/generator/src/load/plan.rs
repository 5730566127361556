//! What load there is to be.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// What load there is to be. [`Plan::at`] is a mixed one that finds faults; change what should be otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where to connect.
    pub target: SocketAddr,
    /// Where to connect with TLS; none: nobody does.
    pub secure: Option<Secure>,
    /// The field `Host`.
    pub host: String,
    /// Requests a second that start by the schedule.
    pub rate: f64,
    /// When to stop starting new ones; none: when told to.
    pub duration: Option<Duration>,
    /// Everything random is drawn from it.
    pub seed: u64,
    /// What the scheduled requests are.
    pub mix: Mix,
    /// Octets in a body that a POST sends.
    pub upload: RangeInclusive<usize>,
    /// Octets in a body that a GET is answered.
    pub download: RangeInclusive<usize>,
    /// How long a slow answer takes to begin, and a streamed one to end.
    pub slowness: Duration,
    /// Connections that are idle most of the time, and watched.
    pub watched: usize,
    /// Clients that send or read a few octets at a time.
    pub slow_clients: usize,
    /// Clients that send or read some megabytes at a time, within seconds.
    pub large_clients: usize,
    /// WebSocket tunnels.
    pub tunnels: usize,
    /// How long a client keeps a tunnel, in milliseconds; none: until the load is over.
    pub tunnel_life: Option<RangeInclusive<u64>>,
    /// Connections at once, for scheduled requests; at least 1.
    pub max_connections: usize,
    /// How many addresses of 127.0.0.0/8 the clients come from, from 127.0.0.1 up: 1 to 250. For a target on loopback.
    pub sources: u8,
    /// How long a client waits for its whole answer.
    pub timeout: Duration,
}

/// Where to connect with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secure {
    /// Where it listens.
    pub target: SocketAddr,
    /// The name in its certificate.
    pub name: String,
    /// PEM of the authority that clients trust.
    pub authority: PathBuf,
}

/// Shares, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// POSTs among the requests.
    pub posts: f64,
    /// Chunked ones (no Content-Length) among the POSTs.
    pub chunked: f64,
    /// Slow answers among the GETs.
    pub slow: f64,
    /// Streamed answers among the GETs.
    pub streamed: f64,
    /// Requests on a connection of their own.
    pub fresh: f64,
    /// HTTP/2, of the scheduled requests and of the other clients.
    pub http2: f64,
    /// TLS, of the same.
    pub tls: f64,
}

impl Plan {
    /// 500 requests a second until told to stop: GETs and POSTs, on kept and on fresh connections, some of them slow or
    /// streamed, and 20 idle connections that are watched.
    pub fn at(target: SocketAddr) -> Self {
        Self {
            target,
            secure: None,
            host: target.to_string(),
            rate: 500.0,
            duration: None,
            seed: fastrand::u64(..),
            mix: Mix::default(),
            upload: 0..=16 << 10,
            download: 0..=16 << 10,
            slowness: Duration::from_millis(200),
            watched: 20,
            slow_clients: 0,
            large_clients: 0,
            tunnels: 0,
            tunnel_life: None,
            max_connections: 8_000,
            sources: 1,
            timeout: Duration::from_secs(60),
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            posts: 0.25,
            chunked: 0.25,
            slow: 0.01,
            streamed: 0.01,
            fresh: 0.2,
            http2: 0.0,
            tls: 0.0,
        }
    }
}

impl Mix {
    /// Nothing but short GETs on kept connections.
    pub const PLAIN: Self = Self {
        posts: 0.0,
        chunked: 0.0,
        slow: 0.0,
        streamed: 0.0,
        fresh: 0.0,
        http2: 0.0,
        tls: 0.0,
    };
}
