//! What the clients saw: a record for each request, and everything else that happened on their side.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;

/// What a load saw, from its first request to its last.
#[derive(Clone, Debug)]
pub struct Run {
    /// Requests of this run have ids `PREFIX-NUMBER`.
    pub prefix: String,
    /// The seed it was drawn from.
    pub seed: u64,
    /// Requests a second that were meant.
    pub rate: f64,
    /// When the first request was meant to start.
    pub began: Moment,
    /// When the last one had ended.
    pub ended: Moment,
    /// All requests, by number; the first is 0.
    pub records: Vec<Record>,
    /// Named instants, by time.
    pub marks: Vec<Mark>,
    /// Idle connections that were closed by the other side without a word. Each is a fault.
    pub closes: Vec<UnannouncedClose>,
    /// When the clients themselves stood still: what they say of times is late by as much.
    pub pauses: Vec<Pause>,
    /// WebSocket tunnels.
    pub tunnels: Vec<Tunnel>,
    /// Streams of HTTP/2 that a GOAWAY, or REFUSED_STREAM, said were never processed; each was sent again (RFC 9113, 8.7).
    pub unprocessed: u64,
    /// Connections.
    pub connections: ConnectionFigures,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The number in its id.
    pub number: u64,
    /// What was asked for.
    pub kind: Kind,
    /// What it was spoken in.
    pub protocol: Protocol,
    /// Whether it had a connection of its own.
    pub fresh: bool,
    /// When it was meant to start. Latency counts from here.
    pub intended: Moment,
    /// When it was handed to a connection; none if it never was.
    pub sent: Option<Moment>,
    /// When its answer was whole, or its fate otherwise known.
    pub ended: Moment,
    /// How it ended.
    pub ending: Ending,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol {
    /// HTTP/2, where requests share connections; else HTTP/1.1.
    pub http2: bool,
    /// TLS below it.
    pub tls: bool,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// GET, answered at once.
    Get,
    /// POST with a body that the answer proves to have arrived whole.
    Post,
    /// GET whose answer takes a while to begin.
    Slow,
    /// GET whose answer is spread over time.
    Streamed,
    /// GET on a connection that is idle most of the time, and watched.
    Watched,
    /// POST by a client that sends a few octets at a time.
    Upload,
    /// GET by a client that reads a few octets at a time.
    Download,
    /// POST of some megabytes, which take seconds.
    LargeUpload,
    /// GET of as much.
    LargeDownload,
    /// The handshake of a WebSocket.
    Tunnel,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The app answered, and the answer is whole and its own.
    App {
        /// Which release.
        release: Arc<str>,
        /// The status.
        status: u16,
    },
    /// The proxy answered by itself, and said so in `Proxy-Status`.
    Proxy {
        /// The status.
        status: u16,
        /// `details` of `Proxy-Status`, else its `error`.
        reason: Arc<str>,
        /// Whether it says when to come back.
        retry_after: bool,
    },
    /// The client left, as it was told to.
    Left,
    /// None of these: what must not happen.
    Lost(Loss),
}

/// Why a request was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// The connect was refused.
    Refused,
    /// The connect failed otherwise, or took too long.
    Unreachable,
    /// Reset before an answer had begun.
    Reset,
    /// Closed before an answer had begun.
    Closed,
    /// The answer began and broke off.
    Truncated,
    /// No whole answer in time.
    Timeout,
    /// The answer is not HTTP.
    Malformed,
    /// The answer has this status and is neither the app's nor, by its own words, the proxy's.
    Unsigned(u16),
    /// The answer is another request's.
    MixedUp,
    /// The answer's, or the request's, octets are not those that were sent.
    Corrupt,
    /// This process ran out of ports or descriptors. Not the fault of what is tested, but no result either.
    OutOfSockets,
    /// More requests waited than this process takes on. As above.
    Overrun,
}

/// A named instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Moment,
    /// What happened.
    pub name: String,
}

/// An idle connection that was closed without a `Connection: close` on its last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnannouncedClose {
    /// When.
    pub at: Moment,
    /// For how long it had been idle.
    pub idle: Duration,
}

/// A while in which the clients did nothing, though there was something to do: the machine was busy with other things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
}

/// A WebSocket tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The number of the request that opened it.
    pub number: u64,
    /// When it was open.
    pub opened: Moment,
    /// When it ended.
    pub ended: Moment,
    /// Frames that came back as they were sent.
    pub echoes: u64,
    /// The slowest of them.
    pub slowest_echo: Duration,
    /// How it ended.
    pub end: TunnelEnd,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelEnd {
    /// By the client, when it had had enough, or the load was over.
    ByClient,
    /// The other side closed it.
    Closed,
    /// The other side reset it.
    Reset,
    /// Octets came back that had not been sent, or none in time.
    Corrupt,
}

/// The client's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// Opened in all.
    pub opened: u64,
    /// The most at once.
    pub peak: usize,
    /// As many as there may be at once.
    pub cap: usize,
    /// Requests that had to wait because of the cap: the load was not as open as it should have been.
    pub cap_waits: u64,
}

impl Run {
    /// The number in an id of this run.
    pub fn number(&self, id: &str) -> Option<u64> {
        let number = id.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        number.parse().ok()
    }

    /// How long the clients stood still between these, in all.
    pub fn paused(&self, from: Moment, until: Moment) -> Duration {
        let within = |it: &Pause| it.until.min(until).since(it.from.max(from));
        self.pauses.iter().map(within).sum()
    }

    /// The request of this number.
    pub fn record(&self, number: u64) -> Option<&Record> {
        let index = self.records.binary_search_by_key(&number, |it| it.number);
        index.ok().map(|index| &self.records[index])
    }
}

impl Record {
    /// From the intended start to the end.
    pub fn latency(&self) -> Duration {
        self.ended.since(self.intended)
    }
}

impl Kind {
    /// Whether a proxy may send it again (RFC 9110, 9.2.2).
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::Get
            | Self::Slow
            | Self::Streamed
            | Self::Watched
            | Self::Download
            | Self::LargeDownload
            | Self::Tunnel => true,
            Self::Post | Self::Upload | Self::LargeUpload => false,
        }
    }

    /// Whether it started by the schedule and is answered at once, so that its latency says something.
    pub fn is_timed(self) -> bool {
        matches!(self, Self::Get | Self::Post)
    }
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::of(false, false),
        Self::of(false, true),
        Self::of(true, false),
        Self::of(true, true),
    ];

    const fn of(http2: bool, tls: bool) -> Self {
        Self { http2, tls }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.http2 { "HTTP/2" } else { "HTTP/1.1" })?;
        f.write_str(if self.tls { " over TLS" } else { "" })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Refused => "connect refused",
            Self::Unreachable => "connect failed",
            Self::Reset => "reset",
            Self::Closed => "closed without an answer",
            Self::Truncated => "answer broke off",
            Self::Timeout => "no answer in time",
            Self::Malformed => "answer malformed",
            Self::Unsigned(status) => return write!(f, "answer {status} of nobody"),
            Self::MixedUp => "answer of another request",
            Self::Corrupt => "octets changed",
            Self::OutOfSockets => "client out of sockets",
            Self::Overrun => "client overrun",
        };
        f.write_str(word)
    }
}
