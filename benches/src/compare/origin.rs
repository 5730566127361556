//! The origin: answers as fast as it can what its target asks for.
//!
//! `/bytes/N` is an answer of N octets, `/echo` one that says the head that came, and a WebSocket gets its octets back.
//! One thread speaks HTTP/1.1, another HTTP/2 and TLS. It trusts who asks: it stands behind proxies under test.

mod elsewise;
mod http1;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use super::certificate::Certificate;
use super::poller;

use serde::{Deserialize, Serialize};

/// Where it listens. Its first line on standard output, as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Addresses {
    pub(super) http1: SocketAddr,
    pub(super) http2: SocketAddr,
    pub(super) tls: SocketAddr,
}

/// Serves until it is killed.
pub(super) fn run(certificate: Certificate) -> io::Result<()> {
    let free = || poller::listen((Ipv4Addr::LOCALHOST, 0).into());
    let (http1, http2, tls) = (free()?, free()?, free()?);
    let addresses = Addresses {
        http1: http1.local_addr()?,
        http2: http2.local_addr()?,
        tls: tls.local_addr()?,
    };
    thread::spawn(move || elsewise::serve(http2, tls, &certificate));
    let line = serde_json::to_string(&addresses)?;
    writeln!(io::stdout(), "{line}")?;
    http1::serve(http1)
}

/// An answer of so many octets.
fn answer(octets: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nserver: origin\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
         content-type: application/octet-stream\r\ncontent-length: {octets}\r\n\
         cache-control: private, max-age=0\r\netag: \"5e1f-1b2c3d4e5f\"\r\nvary: accept-encoding\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + octets, b'x');
    answer
}

/// How many octets a target asks for.
fn octets_of(target: &str) -> usize {
    let number = target.strip_prefix("/bytes/").unwrap_or("2");
    let digits = number.split(|it: char| !it.is_ascii_digit()).next();
    digits.and_then(|it| it.parse().ok()).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_says_how_much_is_wanted() {
        assert_eq!(octets_of("/bytes/1048576"), 1_048_576);
        assert_eq!(octets_of("/bytes/128?from=front"), 128);
        assert_eq!(octets_of("/up"), 2);
        assert!(answer(3).ends_with(b"\r\n\r\nxxx"));
    }
}
