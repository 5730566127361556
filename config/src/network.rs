//! Networks of addresses, as `trusted` has them: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Addresses that begin with the same bits (CIDR, RFC 4632 and RFC 4291, 2.3).
///
/// An IPv4 address that is written as an IPv6 one (`::ffff:10.0.0.1`, RFC 4291, 2.5.5.2) is the IPv4 address: a socket
/// that takes both families shows IPv4 clients in that form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The lowest address.
    first: IpAddr,
    /// How many leading bits are fixed.
    bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// `front.example.com`, `10.0.0.300`, `10.0.0`
    #[error("neither an IP address nor a network such as 10.0.0.0/8")]
    NoAddress,
    /// `10.0.0.1:80`
    #[error("an address without a port: whoever connects does so from any port")]
    Port,
    /// `10.0.0.0/x`, `10.0.0.0/33`
    #[error("behind the slash stands how many leading bits are fixed: 0 to {most}")]
    BadBits {
        /// As many as an address of that family has.
        most: u8,
    },
    /// `10.0.0.1/8`: either the address or the length is a slip.
    #[error("{bits} bits of that address are the network {meant}")]
    NotFirst {
        /// The bits that were asked for.
        bits: u8,
        /// The network that contains the address.
        meant: Network,
    },
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, `127.0.0.1` or `::1`.
    pub fn parse(text: &str) -> Result<Self, BadNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| no_address(address))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => length(bits, most).ok_or(BadNetwork::BadBits { most })?,
        };
        let network = Self::around(address, bits);
        if network.first == address {
            Ok(network.canonical())
        } else {
            let meant = network;
            Err(BadNetwork::NotFirst { bits, meant })
        }
    }

    fn around(address: IpAddr, bits: u8) -> Self {
        let first = match address {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & mask(32, bits) as u32).into()),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & mask(128, bits)).into()),
        };
        Self { first, bits }
    }

    /// A network of IPv4 addresses that are written as IPv6 ones is one of IPv4 addresses.
    fn canonical(self) -> Self {
        match self.first.to_canonical() {
            first @ IpAddr::V4(_) if self.first.is_ipv6() && self.bits >= MAPPED_BITS => Self {
                first,
                bits: self.bits - MAPPED_BITS,
            },
            _ => self,
        }
    }

    /// Whether the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && Self::around(address, self.bits) == *self
    }

    /// Whether it is every address of its family.
    pub(crate) fn is_everything(&self) -> bool {
        self.bits == 0
    }
}

/// The bits in front of the IPv4 address in `::ffff:0:0/96`.
const MAPPED_BITS: u8 = 96;

/// So many ones at the front of `width` bits.
fn mask(width: u8, bits: u8) -> u128 {
    let all = u128::MAX >> (128 - width);
    all & !all.checked_shr(u32::from(bits)).unwrap_or(0)
}

/// The standard library would take `+8`.
fn length(text: &str, most: u8) -> Option<u8> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|bits| digits && *bits <= most)
}

fn no_address(text: &str) -> BadNetwork {
    let is_literal = |literal: &str| literal.parse::<Ipv6Addr>().is_ok();
    let brackets = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let with_port = text.parse::<std::net::SocketAddr>().is_ok();
    if with_port || brackets.is_some_and(|(literal, port)| is_literal(literal) && !port.is_empty())
    {
        return BadNetwork::Port;
    }
    BadNetwork::NoAddress
}

/// As it is read; one address stands for itself.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, bits } = self;
        let whole = if first.is_ipv4() { 32 } else { 128 };
        if *bits == whole {
            write!(f, "{first}")
        } else {
            write!(f, "{first}/{bits}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"))
    }

    #[test]
    fn a_network_contains_what_begins_with_its_bits() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("fd00::/8", "fdff::1", "fe00::"),
            (
                "2001:db8::/65",
                "2001:db8::7fff:0:0:1",
                "2001:db8::8000:0:0:1",
            ),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "10.0.0.1"),
            ("1.2.3.4/32", "1.2.3.4", "1.2.3.5"),
        ] {
            let network = network(text);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(
                !network.contains(outside.parse().unwrap()),
                "{text} {outside}"
            );
        }
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() {
        assert!(network("10.0.0.0/8").contains("::ffff:10.1.1.1".parse().unwrap()));
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert!(!network("::/0").contains("::ffff:10.1.1.1".parse().unwrap()));
    }

    #[test]
    fn a_network_is_shown_as_it_is_read() {
        for text in [
            "10.0.0.0/8",
            "127.0.0.1",
            "fd00::/8",
            "::1",
            "0.0.0.0/0",
            "::/0",
        ] {
            assert_eq!(network(text).to_string(), text);
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        let no_address = "neither an IP address nor a network such as 10.0.0.0/8";
        let port = "an address without a port: whoever connects does so from any port";
        let bits_4 = "behind the slash stands how many leading bits are fixed: 0 to 32";
        let bits_6 = "behind the slash stands how many leading bits are fixed: 0 to 128";
        for (text, message) in [
            ("", no_address),
            ("/8", no_address),
            ("10.0.0.300", no_address),
            ("10.0.0/8", no_address),
            ("front.example.com", no_address),
            ("10.0.0.1:80", port),
            ("[::1]:80", port),
            ("10.0.0.0/", bits_4),
            ("10.0.0.0/33", bits_4),
            ("10.0.0.0/+8", bits_4),
            ("10.0.0.0/8/8", bits_4),
            ("::/129", bits_6),
            (
                "10.0.0.1/8",
                "8 bits of that address are the network 10.0.0.0/8",
            ),
            (
                "fd00::1/64",
                "64 bits of that address are the network fd00::/64",
            ),
        ] {
            assert_eq!(
                Network::parse(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
    }
}
