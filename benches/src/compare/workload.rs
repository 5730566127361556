//! What the proxies are asked to do.

use clap::ValueEnum;

use super::load::{Ask, Manner};
use super::peers::{Back, Front, Setting};

const MIB: usize = 1 << 20;
/// Octets of a small answer.
const SMALL: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Small GETs with 13 fields, 64 connections
    Small,
    /// The same from 64 clients, each known by the cookie that Holdfast gives: what a canary costs
    Clients,
    /// Answers of 1 MiB, 16 connections
    Download,
    /// Uploads of 1 MiB, 16 connections
    Upload,
    /// Small GETs, each on a connection of its own
    Fresh,
    /// Small GETs over TLS 1.3, 64 connections
    TlsKept,
    /// Small GETs over TLS 1.3, each with a handshake of its own
    TlsFull,
    /// Small GETs over TLS 1.3, each with a handshake that resumes
    TlsResumed,
    /// Small GETs in HTTP/2, passed on in HTTP/1.1, 4 connections of 16 streams
    #[value(name = "h2-h1")]
    Http2ToHttp1,
    /// Small GETs in HTTP/2, passed on in HTTP/2, 4 connections of 16 streams
    #[value(name = "h2-h2")]
    Http2ToHttp2,
    /// Frames of 128 octets to and fro, 64 WebSockets
    Websocket,
    /// Small GETs, one connection
    #[value(name = "connections-1")]
    Connections1,
    /// Small GETs, 1,000 connections
    #[value(name = "connections-1000")]
    Connections1000,
    /// Small GETs, 8,000 connections
    #[value(name = "connections-8000")]
    Connections8000,
    /// Small GETs to 100 hosts
    #[value(name = "routes-100")]
    Routes100,
    /// Small GETs to 5,000 hosts
    #[value(name = "routes-5000")]
    Routes5000,
}

/// What the time of the proxy is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Request,
    Mebibyte,
    Message,
}

impl Unit {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Mebibyte => "MiB",
            Self::Message => "message",
        }
    }
}

impl Workload {
    pub(super) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |it| it.get_name().to_owned())
    }

    pub(super) fn about(self) -> String {
        let value = self.to_possible_value();
        let help = value.and_then(|it| it.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }

    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Download | Self::Upload => Unit::Mebibyte,
            Self::Websocket => Unit::Message,
            _ => Unit::Request,
        }
    }

    pub(super) fn setting(self) -> Setting {
        Setting {
            front: match self {
                Self::TlsKept | Self::TlsFull | Self::TlsResumed => Front::Tls,
                Self::Http2ToHttp1 | Self::Http2ToHttp2 => Front::Http2,
                _ => Front::Plain,
            },
            back: match self {
                Self::Http2ToHttp2 => Back::Http2,
                _ => Back::Http1,
            },
            hosts: match self {
                Self::Routes100 => 100,
                Self::Routes5000 => 5_000,
                _ => 1,
            },
        }
    }

    pub(super) fn ask(self) -> Ask {
        match self {
            Self::Download => Ask::Get(MIB),
            Self::Upload => Ask::Post(MIB),
            _ => Ask::Get(SMALL),
        }
    }

    pub(super) fn manner(self) -> Manner {
        match self {
            Self::Fresh => Manner::Fresh,
            Self::Websocket => Manner::WebSocket,
            Self::TlsKept => Manner::TlsKept,
            Self::TlsFull => Manner::TlsFull,
            Self::TlsResumed => Manner::TlsResumed,
            Self::Http2ToHttp1 | Self::Http2ToHttp2 => Manner::Http2,
            _ => Manner::Kept,
        }
    }

    /// How many clients are known by a cookie. 0: nobody is.
    pub(super) fn clients(self) -> usize {
        match self {
            Self::Clients => 64,
            _ => 0,
        }
    }

    pub(super) fn connections(self) -> usize {
        match self {
            Self::Connections1 => 1,
            Self::Connections1000 => 1_000,
            Self::Connections8000 => 8_000,
            Self::Download | Self::Upload => 16,
            _ => 64,
        }
    }
}
