//! Addresses as people write them, names among them, settled into what can be bound and connected to.
//!
//! Names are looked up here, once, when a file is read or a command comes in; the way of a request never waits for DNS.

use std::net::SocketAddr;

use swap_core::Address;

use crate::host::{BadHost, parse_name};

/// The longest path of a Unix socket, in octets: what `sockaddr_un` holds, less the zero at the end.
pub(crate) const SOCKET_PATH_MAX: usize = 107;

/// Why a text is no address.
#[derive(Debug, thiserror::Error)]
pub enum BadAddress {
    /// `http://127.0.0.1:3000`
    #[error("an address, not a URL: leave the scheme away")]
    Url,
    /// `localhost`
    #[error("the port is missing")]
    NoPort,
    /// `localhost:http`, `localhost:70000`
    #[error("{port:?} is no port (1 to 65535)")]
    BadPort {
        /// What stands behind the last colon; at most 20 characters of it.
        port: String,
    },
    /// `127.0.0.1:0`, where clients or we ourselves would have to connect to it.
    #[error("nothing can be reached at port 0")]
    PortZero,
    /// `::1:3000`
    #[error("write an IPv6 address in brackets")]
    Brackets,
    /// What stands before the port is neither an IP address nor a name.
    #[error("not a host: {0}")]
    BadName(String),
    /// `unix:app.sock`
    #[error("the path of a Unix socket begins with a slash")]
    RelativePath,
    /// `unix:/…` with a path that is too long for the system.
    #[error(
        "the path of a Unix socket has at most {SOCKET_PATH_MAX} characters, this one has {length}"
    )]
    LongPath {
        /// Its length in octets.
        length: usize,
    },
    /// `unix:` where only IP addresses can be.
    #[error("a Unix socket cannot stand here")]
    Unix,
    /// The name does not resolve.
    #[error("cannot look up {name:?}: {source}")]
    Lookup {
        /// Which name.
        name: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// The name resolves to nothing.
    #[error("{name:?} has no address")]
    NoAddress {
        /// Which name.
        name: String,
    },
}

impl From<BadHost> for BadAddress {
    fn from(bad: BadHost) -> Self {
        Self::BadName(bad.to_string())
    }
}

/// An instance's address, and what else its name might have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The one that is used: IPv4 before IPv6, then the lowest, so that asking again gives the same.
    pub address: Address,
    /// Further addresses of the same name and family, which are not used: one text is one instance.
    pub others: usize,
}

/// Reads an instance's address: `127.0.0.1:3000`, `[::1]:3000`, `app.internal:3000` or `unix:/run/app.sock`.
///
/// A name is looked up, which may block for as long as the system's resolver takes: not for an async task.
pub fn resolve_instance(text: &str) -> Result<Resolved, BadAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        let address = unix(path)?;
        return Ok(Resolved { address, others: 0 });
    }
    let (address, others) = resolve(text)?;
    if address.port() == 0 {
        return Err(BadAddress::PortZero);
    }
    let address = Address::Tcp(address);
    Ok(Resolved { address, others })
}

/// Reads the address of a listener: `0.0.0.0:80`, `[::]:80`, `localhost:8080`. Port 0 lets the system choose one.
///
/// A name is looked up, which may block for as long as the system's resolver takes: not for an async task.
pub fn resolve_listener(text: &str) -> Result<SocketAddr, BadAddress> {
    if text.starts_with("unix:") {
        return Err(BadAddress::Unix);
    }
    resolve(text).map(|(address, _)| address)
}

fn unix(path: &str) -> Result<Address, BadAddress> {
    if !path.starts_with('/') {
        return Err(BadAddress::RelativePath);
    }
    let length = path.len();
    if length > SOCKET_PATH_MAX || path.contains('\0') {
        return Err(BadAddress::LongPath { length });
    }
    Ok(Address::Unix(path.into()))
}

fn resolve(text: &str) -> Result<(SocketAddr, usize), BadAddress> {
    if let Ok(address) = text.parse() {
        return Ok((address, 0));
    }
    let (name, port) = split(text)?;
    let found = look_up(&name, port).map_err(|source| BadAddress::Lookup {
        name: name.clone(),
        source,
    })?;
    choose(found.into_iter()).ok_or(BadAddress::NoAddress { name })
}

#[cfg(not(any(test, fuzzing)))]
fn look_up(name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    use std::net::ToSocketAddrs;
    (name, port).to_socket_addrs().map(Iterator::collect)
}

#[cfg(any(test, fuzzing))]
use crate::fuzzing::look_up;

fn split(text: &str) -> Result<(String, u16), BadAddress> {
    if text.contains("://") {
        return Err(BadAddress::Url);
    }
    let (name, port) = text.rsplit_once(':').ok_or(BadAddress::NoPort)?;
    if name.contains(':') && !name.starts_with('[') {
        return Err(BadAddress::Brackets);
    }
    // The standard library would take `+80`.
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let parsed = port.parse().ok().filter(|_| digits);
    let port = parsed.ok_or_else(|| BadAddress::BadPort {
        port: port.chars().take(20).collect(),
    })?;
    let name = parse_name(name)?;
    // No name ends in a number, so it would only be an address with a slip in it that goes to the resolver.
    let last_label = name.rsplit('.').next().unwrap_or_default();
    if last_label.bytes().all(|b| b.is_ascii_digit()) {
        let why = "neither an IP address nor a name".to_owned();
        return Err(BadAddress::BadName(why));
    }
    Ok((name, port))
}

fn choose(found: impl Iterator<Item = SocketAddr>) -> Option<(SocketAddr, usize)> {
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|address| (address.is_ipv6(), *address));
    found.dedup();
    let first = *found.first()?;
    let same_family = |address: &&SocketAddr| address.is_ipv6() == first.is_ipv6();
    Some((first, found.iter().filter(same_family).count() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_itself() {
        for text in ["127.0.0.1:3000", "[::1]:3000", "unix:/run/app.sock"] {
            let resolved = resolve_instance(text).unwrap();
            assert_eq!(resolved.address.to_string(), text);
            assert_eq!(resolved.others, 0);
        }
        assert_eq!(
            resolve_listener("0.0.0.0:0").unwrap().to_string(),
            "0.0.0.0:0"
        );
    }

    #[test]
    fn ipv4_comes_first_and_the_order_of_the_answer_does_not_matter() {
        let found =
            ["[::1]:1", "10.0.0.2:1", "10.0.0.1:1", "10.0.0.1:1"].map(|a| a.parse().unwrap());
        let chosen = choose(found.into_iter()).unwrap();
        assert_eq!(chosen, ("10.0.0.1:1".parse().unwrap(), 1));
        assert_eq!(choose(found.into_iter().rev()), Some(chosen));
        assert_eq!(choose(std::iter::empty()), None);
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        let long = format!("unix:/{}", "a".repeat(SOCKET_PATH_MAX));
        for (text, message) in [
            (
                "http://127.0.0.1:3000",
                "an address, not a URL: leave the scheme away",
            ),
            ("localhost", "the port is missing"),
            ("localhost:http", "\"http\" is no port (1 to 65535)"),
            ("localhost:70000", "\"70000\" is no port (1 to 65535)"),
            ("localhost:+80", "\"+80\" is no port (1 to 65535)"),
            ("127.0.0.1:0", "nothing can be reached at port 0"),
            ("::1:3000", "write an IPv6 address in brackets"),
            (":3000", "not a host: a host is missing"),
            (
                "10.0.0.300:3000",
                "not a host: neither an IP address nor a name",
            ),
            ("a b:3000", "not a host: ' ' may not stand in a host"),
            (
                "unix:app.sock",
                "the path of a Unix socket begins with a slash",
            ),
            (
                &long,
                "the path of a Unix socket has at most 107 characters, this one has 108",
            ),
        ] {
            assert_eq!(
                resolve_instance(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
        assert!(matches!(resolve_listener("unix:/x"), Err(BadAddress::Unix)));
    }
}
