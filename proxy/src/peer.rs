//! Who is at the other end of a connection, and whether it is trusted to speak of others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use holdfast_config::Network;
use http::HeaderValue;

use crate::connection;
use crate::listen::Front;
use crate::plain::Plain;
use crate::proxy_protocol::{self, Source};

/// Who is trusted.
#[derive(Clone, Debug)]
pub(crate) struct Trusted(Arc<[Network]>);

impl Trusted {
    pub(crate) fn new(networks: &[Network]) -> Self {
        Self(networks.into())
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Its address, as each of its requests tells it to the app.
    pub(crate) text: HeaderValue,
    /// What it says of others is believed.
    pub(crate) trusted: bool,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, trusted: &Trusted) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            text: text(address),
            trusted: trusted.has(address),
        }
    }

    /// Whom the header of a front names. That front copies octets, so the fields are those of the one it names.
    fn behind(front: Self, source: Source, trusted: &Trusted) -> Self {
        match source {
            Source::Client(address) => Self::new(address, trusted),
            Source::Front => front,
            Source::Unknown => Self {
                trusted: false,
                ..front
            },
        }
    }
}

fn text(address: IpAddr) -> HeaderValue {
    let text = match address {
        IpAddr::V4(address) => dotted(address, &mut [0; "255.255.255.255".len()]),
        IpAddr::V6(address) => HeaderValue::try_from(address.to_string()).ok(),
    };
    // Digits, dots and colons: the fallback is never taken.
    text.unwrap_or_else(|| HeaderValue::from_static(""))
}

/// What `Display` makes of it too, in twenty times as long.
fn dotted(address: Ipv4Addr, room: &mut [u8; 15]) -> Option<HeaderValue> {
    let mut length = 0;
    let mut push = |octet| {
        room[length] = octet;
        length += 1;
    };
    for (index, number) in address.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if number >= 100 {
            push(b'0' + number / 100);
        }
        if number >= 10 {
            push(b'0' + number / 10 % 10);
        }
        push(b'0' + number % 10);
    }
    HeaderValue::from_bytes(&room[..length]).ok()
}

/// Who is at the other end, before anything of HTTP is read. None: it has to be closed, without a word, because
/// nothing was said in a protocol in which we could answer.
pub(crate) async fn meet(stream: &mut Plain, address: SocketAddr, front: &Front) -> Option<Peer> {
    let peer = Peer::new(address.ip(), &front.trusted);
    if !front.proxy_protocol {
        return Some(peer);
    }
    if !peer.trusted {
        tracing::debug!(peer = %peer.address, "closed: the PROXY protocol, but not trusted");
        return None;
    }
    // Boxed: few connections have this step, and all have room for it.
    Box::pin(hear_front(stream, peer, front)).await
}

/// Who is behind the trusted `peer`, as it says.
async fn hear_front(stream: &mut Plain, peer: Peer, front: &Front) -> Option<Peer> {
    let read = proxy_protocol::read(stream.watched().ok()?);
    let source = tokio::select! {
        read = tokio::time::timeout(front.limits.head, read) => read,
        () = front.stop.idle_grace(connection::IDLE_STOPPING_MAX) => return None,
    };
    match source {
        Ok(Ok(source)) => Some(Peer::behind(peer, source, &front.trusted)),
        Ok(Err(error)) => {
            tracing::debug!(peer = %peer.address, %error, "closed");
            None
        }
        Err(_) => {
            tracing::debug!(peer = %peer.address, "closed: the PROXY header took too long");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_as_everybody_writes_it() {
        let trusted = Trusted::new(&[]);
        let text = |address| Peer::new(address, &trusted).text;
        for number in 0..=u8::MAX {
            let v4 = Ipv4Addr::new(number, number / 2, 255 - number, 9);
            assert_eq!(text(v4.into()), v4.to_string());
            assert_eq!(text(v4.to_ipv6_mapped().into()), v4.to_string());
        }
        assert_eq!(text("2001:db8::1".parse().unwrap()), "2001:db8::1");
    }

    #[test]
    fn whom_a_copying_front_names_takes_its_place() {
        let trusted = Trusted::new(&[Network::parse("10.0.0.0/8").unwrap()]);
        let front = Peer::new("10.0.0.9".parse().unwrap(), &trusted);
        let behind = |source| {
            let peer = Peer::behind(front.clone(), source, &trusted);
            (peer.address.to_string(), peer.trusted)
        };
        let client = |text: &str| Source::Client(text.parse().unwrap());
        assert_eq!(behind(client("192.0.2.1")), ("192.0.2.1".to_owned(), false));
        assert_eq!(
            behind(client("::ffff:10.0.0.1")),
            ("10.0.0.1".to_owned(), true)
        );
        assert_eq!(behind(Source::Front), ("10.0.0.9".to_owned(), true));
        assert_eq!(behind(Source::Unknown), ("10.0.0.9".to_owned(), false));
    }
}
