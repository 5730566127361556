//! What fronts and clients say of who came to them.

use std::net::IpAddr;

use holdfast_config::Network;
use http::HeaderValue;
use http::header::{self, HeaderMap, HeaderName};

use crate::fronts::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Origin};
use crate::peer::{Peer, Trusted};

pub(super) const STRANGER: &str = "192.0.2.7";
pub(super) const FRONT: &str = "10.0.0.9";
const FRONT_V6: &str = "fd00::9";
/// A client that no fuzzer has thought of.
const CLIENT: &str = "198.51.100.23";

pub(super) fn trusted() -> Trusted {
    Trusted::new(&["10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).unwrap()))
}

pub(super) fn peer(address: &str) -> Peer {
    Peer::new(address.parse().unwrap(), &trusted())
}

/// The octets are lines, each a field: `f…` for `Forwarded`, `p…` and `h…` for `X-Forwarded-Proto` and `-Host`, else
/// for `X-Forwarded-For`.
pub fn forwarded(octets: &[u8]) {
    let said = fields(octets);
    from_a_stranger(&said);
    for front in [FRONT, FRONT_V6] {
        from_a_front(&said, front);
    }
    for line in octets.split(|octet| *octet == b'\n').take(8) {
        behind_a_front(line);
    }
}

fn fields(octets: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(header::HOST, HeaderValue::from_static("asked.test"));
    for line in octets.split(|octet| *octet == b'\n').take(16) {
        let (name, value) = match line.split_first() {
            Some((b'f', value)) => (header::FORWARDED, value),
            Some((b'p', value)) => (FORWARDED_PROTO, value),
            Some((b'h', value)) => (FORWARDED_HOST, value),
            Some((_, value)) => (FORWARDED_FOR, value),
            None => continue,
        };
        // As a parser hands it on.
        if let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) {
            fields.append(name, value);
        }
    }
    fields
}

fn origin(fields: &HeaderMap, from: &str) -> Origin {
    Origin::of(fields, &peer(from), &trusted())
}

/// The value of a field that the app gets once, or not at all.
fn told<'f>(fields: &'f HeaderMap, name: &HeaderName) -> Option<&'f HeaderValue> {
    let mut values = fields.get_all(name).into_iter();
    let first = values.next();
    assert!(values.next().is_none(), "{name} is told twice");
    first
}

/// Nothing that it says goes on.
fn from_a_stranger(said: &HeaderMap) {
    let origin = origin(said, STRANGER);
    assert_eq!(origin.client.to_string(), STRANGER);
    assert!(!origin.came_over_tls());
    let mut fields = said.clone();
    origin.tell(&mut fields, "http");
    assert_eq!(told(&fields, &FORWARDED_FOR).unwrap(), STRANGER);
    assert_eq!(told(&fields, &FORWARDED_PROTO).unwrap(), "http");
    assert_eq!(told(&fields, &FORWARDED_HOST).unwrap(), "asked.test");
    assert_eq!(told(&fields, &header::FORWARDED), None);
}

/// What is found is found again: when the request is parsed once more, and by the next proxy, which trusts us.
fn from_a_front(said: &HeaderMap, front: &str) {
    let first = origin(said, front);
    let mut fields = said.clone();
    first.tell(&mut fields, "http");
    let chain = told(&fields, &FORWARDED_FOR).unwrap().to_str().unwrap();
    let addresses = chain.split(", ");
    assert_eq!(addresses.clone().last(), Some(front));
    for name in [FORWARDED_PROTO, FORWARDED_HOST] {
        assert!(told(&fields, &name).is_some_and(|value| !value.is_empty()));
    }
    told(&fields, &header::FORWARDED);
    let next = origin(&fields, "10.1.1.1");
    assert_eq!(next.client, first.client, "for the next proxy");
    assert_eq!(next.came_over_tls(), first.came_over_tls());
    first.untell(&mut fields);
    assert_eq!(origin(&fields, front), first, "once more");
    let mut again = fields.clone();
    first.tell(&mut again, "http");
    first.untell(&mut again);
    assert_eq!(again, fields, "told and taken back twice");
}

/// Whatever a client wrote, the address that the front appends is the client's.
fn behind_a_front(far: &[u8]) {
    let client: IpAddr = CLIENT.parse().unwrap();
    let elements = [
        format!("for={CLIENT}"),
        format!("for={CLIENT};proto=https;host=a.test"),
        format!("for=\"{CLIENT}:80\";by=\"[fd00::1]\""),
    ];
    let chain = (FORWARDED_FOR, CLIENT.to_owned());
    let near = elements.map(|element| (header::FORWARDED, element));
    for (name, near) in near.into_iter().chain([chain]) {
        for hop in ["", ", for=10.0.0.3", ", for=\"[fd00::3]\""] {
            let hop = match name == FORWARDED_FOR {
                true => hop.replace("for=", "").replace('"', ""),
                false => hop.to_owned(),
            };
            let near = [near.as_bytes(), hop.as_bytes()].concat();
            let on_its_line = [far.trim_ascii(), b", ", &near].concat();
            for lines in [vec![&on_its_line[..]], vec![far.trim_ascii(), &near]] {
                let mut fields = HeaderMap::new();
                for line in lines {
                    if let Ok(value) = HeaderValue::from_bytes(line) {
                        fields.append(&name, value);
                    }
                }
                if fields
                    .get_all(&name)
                    .iter()
                    .any(|value| value.as_bytes().ends_with(&near))
                {
                    assert_eq!(origin(&fields, FRONT).client, client, "{fields:?}");
                }
            }
        }
    }
}
