//! Proxies in front of us, and whom their word makes a request's client.
//!
//! A trusted front is believed, and nobody else: what others say of themselves is dropped. What is found here is
//! found again when a request that was held is parsed once more, even after we have put our own word into its fields.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::forwarded::{self, Hop};
use crate::peer::{Peer, Trusted};
use crate::policy;

pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// As far back as is believed.
    pub(crate) client: IpAddr,
    peer: IpAddr,
    /// The same as text.
    text: HeaderValue,
    /// None: nothing is believed.
    word: Option<Box<Word>>,
}

/// What a trusted front says, as far as it is well-formed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Word {
    /// The addresses it says.
    chain: Option<String>,
    /// It says them in `X-Forwarded-For`, not in `Forwarded`.
    has_chain: bool,
    forwarded: Option<String>,
    proto: Option<HeaderValue>,
    host: Option<HeaderValue>,
}

impl Origin {
    /// Reads what `peer` says in these fields, if it is trusted.
    pub(crate) fn of(fields: &HeaderMap, peer: &Peer, trusted: &Trusted) -> Self {
        if peer.trusted {
            Self::believe(fields, peer, trusted)
        } else {
            Self::alone(peer)
        }
    }

    /// The peer is the client.
    fn alone(peer: &Peer) -> Self {
        Self {
            client: peer.address,
            peer: peer.address,
            text: peer.text.clone(),
            word: None,
        }
    }

    fn believe(fields: &HeaderMap, peer: &Peer, trusted: &Trusted) -> Self {
        let chain = forwarded::chain(fields.get_all(FORWARDED_FOR));
        let elements = forwarded::elements(fields.get_all(header::FORWARDED));
        let has_chain = fields.contains_key(FORWARDED_FOR);
        let hops = if has_chain {
            &chain
        } else {
            addresses(&elements)
        };
        let client = nearest_untrusted(hops, trusted).and_then(|hop| hop.address);
        let said = nearest_untrusted(&elements, trusted);
        // A front that writes one of the two may let the other through as its client wrote it.
        let agree = !has_chain || (client.is_some() && said.and_then(|hop| hop.address) == client);
        let said = said.filter(|_| !has_chain).cloned().unwrap_or_default();
        let chain = joined(hops.iter().map(|hop| match hop.address {
            Some(address) if !has_chain => address.to_string(),
            _ => hop.text.to_owned(),
        }));
        let word = Word {
            has_chain: has_chain && chain.is_some(),
            chain,
            forwarded: joined(elements.iter().filter(|_| agree).map(|hop| hop.text)),
            proto: one(fields, FORWARDED_PROTO, is_scheme).or(value(said.proto, is_scheme)),
            host: one(fields, FORWARDED_HOST, policy::is_host)
                .or(value(said.host, policy::is_host)),
        };
        Self {
            client: client.unwrap_or(peer.address),
            word: Some(Box::new(word)),
            ..Self::alone(peer)
        }
    }

    /// Whether a front that is believed says that its client came over TLS.
    pub(crate) fn came_over_tls(&self) -> bool {
        let proto = self.word.as_ref().and_then(|word| word.proto.as_ref());
        proto.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
    }

    /// Tells the app, instead of what stands there: `X-Forwarded-*` always, `Forwarded` if a front we trust began it.
    /// `scheme` is that of the connection, where no front says another.
    pub(crate) fn tell(&self, fields: &mut HeaderMap, scheme: &'static str) {
        let (asked, scheme) = (
            fields.get(header::HOST).cloned(),
            HeaderValue::from_static(scheme),
        );
        let value = |said: Option<String>| HeaderValue::try_from(said?).ok();
        let (chain, forwarded, proto, host) = match &self.word {
            None => (Some(self.text.clone()), None, scheme, asked),
            Some(word) => {
                let peer = self.peer.to_string();
                let node = || forwarded::node_of(self.peer);
                let forwarded = word.forwarded.as_ref();
                (
                    value(joined(word.chain.iter().chain([&peer]))),
                    value(forwarded.map(|said| format!("{said}, for={}", node()))),
                    word.proto.clone().unwrap_or(scheme),
                    word.host.clone().or(asked),
                )
            }
        };
        put(fields, FORWARDED_FOR, chain);
        put(fields, FORWARDED_PROTO, Some(proto));
        put(fields, FORWARDED_HOST, host);
        put(fields, header::FORWARDED, forwarded);
    }

    /// Takes our word out again: the same is found when the fields are read once more.
    pub(crate) fn untell(&self, fields: &mut HeaderMap) {
        let word = self.word.as_deref().cloned().unwrap_or_default();
        let text = |said: Option<String>| HeaderValue::try_from(said?).ok();
        put(
            fields,
            FORWARDED_FOR,
            text(word.chain.filter(|_| word.has_chain)),
        );
        put(fields, FORWARDED_PROTO, word.proto);
        put(fields, FORWARDED_HOST, word.host);
        put(fields, header::FORWARDED, text(word.forwarded));
    }
}

/// Where the walk from the right ends: at the first hop that is hidden or not trusted, else at the last.
fn nearest_untrusted<'h, 't>(hops: &'h [Hop<'t>], trusted: &Trusted) -> Option<&'h Hop<'t>> {
    let stranger = |hop: &&Hop<'_>| !hop.address.is_some_and(|address| trusted.has(address));
    hops.iter().rev().find(stranger).or(hops.first())
}

/// Those right of the last hidden one, all with an address.
fn addresses<'h, 't>(hops: &'h [Hop<'t>]) -> &'h [Hop<'t>] {
    let hidden = hops.iter().rposition(|hop| hop.address.is_none());
    &hops[hidden.map_or(0, |at| at + 1)..]
}

fn joined<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> Option<String> {
    let mut joined = String::new();
    for text in texts {
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(text.as_ref());
    }
    (!joined.is_empty()).then_some(joined)
}

/// The value of a field that stands there once and is sound.
fn one(fields: &HeaderMap, name: HeaderName, sound: fn(&str) -> bool) -> Option<HeaderValue> {
    let mut values = fields.get_all(name).into_iter();
    let (only, None) = (values.next()?, values.next()) else {
        return None;
    };
    only.to_str().is_ok_and(sound).then(|| only.clone())
}

fn value(said: Option<String>, sound: fn(&str) -> bool) -> Option<HeaderValue> {
    HeaderValue::try_from(said.filter(|said| sound(said))?).ok()
}

/// RFC 3986, 3.1.
fn is_scheme(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(allowed)
}

fn put(fields: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => drop(fields.insert(name, value)),
        None => drop(fields.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_config::Network;

    use super::*;

    const PEER: &str = "10.0.0.9";

    fn fronts() -> Trusted {
        Trusted::new(&["10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).unwrap()))
    }

    fn fields(lines: &[(&str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(header::HOST, HeaderValue::from_static("asked.test"));
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.append(name, HeaderValue::from_str(value).unwrap());
        }
        fields
    }

    fn origin(peer: &str, lines: &[(&str, &str)]) -> Origin {
        let peer = Peer::new(peer.parse().unwrap(), &fronts());
        Origin::of(&fields(lines), &peer, &fronts())
    }

    fn client(lines: &[(&str, &str)]) -> String {
        origin(PEER, lines).client.to_string()
    }

    /// What the app is told: for, proto, host, and `Forwarded`.
    fn told(peer: &str, lines: &[(&str, &str)]) -> [String; 4] {
        let mut fields = fields(lines);
        origin(peer, lines).tell(&mut fields, "http");
        [
            FORWARDED_FOR,
            FORWARDED_PROTO,
            FORWARDED_HOST,
            header::FORWARDED,
        ]
        .map(|name| {
            let values = fields.get_all(name).into_iter();
            let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
            values.join(" + ")
        })
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_not_trusted() {
        for (chain, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1, 10.0.0.1, fd00::1", "192.0.2.1"),
            ("10.0.0.1, 192.0.2.1", "192.0.2.1"),
            ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
            ("2001:db8::1, ::ffff:10.0.0.1", "2001:db8::1"),
            ("unknown, 10.0.0.1", "10.0.0.1"),
            ("x, 192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, x", PEER),
            ("", PEER),
        ] {
            assert_eq!(client(&[("x-forwarded-for", chain)]), expected, "{chain}");
        }
        assert_eq!(client(&[]), PEER);
    }

    #[test]
    fn nobody_else_is_believed() {
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test"),
            ("forwarded", "for=6.6.6.6"),
        ];
        assert_eq!(origin("192.0.2.7", &lines).client.to_string(), "192.0.2.7");
        assert_eq!(
            told("192.0.2.7", &lines),
            ["192.0.2.7", "http", "asked.test", ""]
        );
        let mut without_host = fields(&lines);
        without_host.remove(header::HOST);
        origin("192.0.2.7", &lines).tell(&mut without_host, "http");
        assert!(!without_host.contains_key(FORWARDED_HOST));
    }

    #[test]
    fn the_chain_is_kept_and_the_peer_appended() {
        let lines = [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1:80"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.test:8443"),
        ];
        let chain = "6.6.6.6, 192.0.2.1:80, 10.0.0.1, 10.0.0.9";
        assert_eq!(told(PEER, &lines), [chain, "https", "shop.test:8443", ""]);
        assert_eq!(told(PEER, &[]), [PEER, "http", "asked.test", ""]);
        let cut = told(PEER, &[("x-forwarded-for", "6.6.6.6, \"x\", 192.0.2.1")]);
        assert_eq!(cut[0], "192.0.2.1, 10.0.0.9");
    }

    #[test]
    fn a_scheme_or_host_that_is_none_is_made_anew() {
        for bad in ["https, http", "", "1x", "ht tp", "https:"] {
            assert_eq!(
                told(PEER, &[("x-forwarded-proto", bad)])[1],
                "http",
                "{bad}"
            );
        }
        for bad in ["a b", "a/b", "a, b", "", "[::1"] {
            assert_eq!(
                told(PEER, &[("x-forwarded-host", bad)])[2],
                "asked.test",
                "{bad}"
            );
        }
        let twice = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(told(PEER, &twice)[1], "http");
    }

    #[test]
    fn forwarded_is_read_where_there_is_no_chain() {
        let lines = [(
            "forwarded",
            "for=6.6.6.6;proto=x, for=\"[2001:db8::1]:80\";proto=https;host=shop.test, for=10.0.0.1",
        )];
        let forwarded = format!("{}, for={PEER}", lines[0].1);
        let expected = [
            "6.6.6.6, 2001:db8::1, 10.0.0.1, 10.0.0.9",
            "https",
            "shop.test",
            &forwarded,
        ];
        assert_eq!(told(PEER, &lines), expected);
        assert_eq!(client(&lines), "2001:db8::1");
    }

    #[test]
    fn a_hidden_client_is_the_one_who_came_last_before() {
        let hidden = [(
            "forwarded",
            "for=192.0.2.1, for=_x;proto=https, for=10.0.0.1",
        )];
        assert_eq!(client(&hidden), "10.0.0.1");
        assert_eq!(told(PEER, &hidden)[..2], ["10.0.0.1, 10.0.0.9", "https"]);
        assert_eq!(client(&[("forwarded", "for=unknown")]), PEER);
        assert_eq!(client(&[("forwarded", "proto=https")]), PEER);
    }

    #[test]
    fn where_both_are_there_the_chain_wins_and_forwarded_goes_on_only_if_it_agrees() {
        let chain = ("x-forwarded-for", "192.0.2.1");
        let both = |forwarded| told(PEER, &[chain, ("forwarded", forwarded)]);
        let told_chain = "192.0.2.1, 10.0.0.9";
        assert_eq!(
            both("for=192.0.2.1;proto=https"),
            [
                told_chain,
                "http",
                "asked.test",
                "for=192.0.2.1;proto=https, for=10.0.0.9"
            ]
        );
        for other in [
            "for=6.6.6.6;proto=https",
            "for=unknown;proto=https",
            "for=\"",
        ] {
            assert_eq!(both(other), [told_chain, "http", "asked.test", ""]);
        }
        let unreadable = [
            ("x-forwarded-for", "x"),
            ("forwarded", "for=6.6.6.6;proto=https"),
        ];
        assert_eq!(told(PEER, &unreadable), [PEER, "http", "asked.test", ""]);
        assert_eq!(client(&unreadable), PEER);
    }

    #[test]
    fn an_ipv6_peer_is_appended_in_quotes() {
        let told = told("fd00::9", &[("forwarded", "for=192.0.2.1")]);
        assert_eq!(told[3], "for=192.0.2.1, for=\"[fd00::9]\"");
        assert_eq!(told[0], "192.0.2.1, fd00::9");
    }

    #[test]
    fn what_is_found_is_found_again_when_the_request_is_parsed_once_more() {
        let chains = ["", "x", "192.0.2.1", "x, 6.6.6.6, 10.0.0.1", "10.0.0.1"];
        let elements = [
            "",
            "\"",
            "for=192.0.2.1;host=a",
            "for=1.1.1.1, for=_x;proto=https, for=10.0.0.1",
            "proto=https",
        ];
        for peer in [PEER, "192.0.2.7"] {
            for (chain, element) in chains.iter().flat_map(|c| elements.map(|e| (c, e))) {
                let mut lines = vec![("x-forwarded-proto", "ws")];
                lines.extend((!chain.is_empty()).then_some(("x-forwarded-for", *chain)));
                lines.extend((!element.is_empty()).then_some(("forwarded", element)));
                let told = |fields: &mut HeaderMap| {
                    let peer = Peer::new(peer.parse().unwrap(), &fronts());
                    let origin = Origin::of(fields, &peer, &fronts());
                    origin.tell(fields, "http");
                    let told = fields.clone();
                    origin.untell(fields);
                    (origin.client, told)
                };
                let mut fields = fields(&lines);
                let first = told(&mut fields);
                assert_eq!(told(&mut fields), first, "{lines:?}");
            }
        }
    }
}
