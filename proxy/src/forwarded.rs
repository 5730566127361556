//! The two fields in which proxies say who came to them: `X-Forwarded-For`, a list of addresses, and `Forwarded`, a
//! list of elements with parameters (RFC 7239). Each proxy appends at the right; so whoever reads from the right reads
//! what the nearest one said first.
//!
//! Pure functions over text. What is no such text is cut off, with all that stands left of it: somebody farther away
//! wrote that, and it must not be able to make what is near unreadable.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use http::header::GetAll;

/// One proxy's word about who came to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop<'t> {
    /// As it was written.
    pub(crate) text: &'t str,
    /// None: it does not say (RFC 7239, 6.2 and 6.3).
    pub(crate) address: Option<IpAddr>,
    /// The scheme that was used.
    pub(crate) proto: Option<String>,
    /// The Host that was asked for.
    pub(crate) host: Option<String>,
}

/// The hops of `X-Forwarded-For`, the nearest last; those that can be read.
pub(crate) fn chain(fields: GetAll<'_, HeaderValue>) -> Vec<Hop<'_>> {
    let lines = fields.into_iter().map(HeaderValue::as_bytes);
    // It knows no quotes.
    suffix(lines.flat_map(|line| members(line, b',', false)), |text| {
        Some(Hop {
            text,
            address: Some(address(text)?),
            ..Hop::default()
        })
    })
}

/// The hops of `Forwarded`, the nearest last; those that can be read.
pub(crate) fn elements(fields: GetAll<'_, HeaderValue>) -> Vec<Hop<'_>> {
    let lines = fields.into_iter().map(HeaderValue::as_bytes);
    // A quote that somebody far away leaves open must not swallow what a nearer one appends.
    let members = lines.flat_map(|line| members(line, b',', are_quotes_closed(line)));
    suffix(members, element)
}

/// What can be read from the right on.
fn suffix<'t>(
    members: impl Iterator<Item = &'t str>,
    read: impl Fn(&'t str) -> Option<Hop<'t>>,
) -> Vec<Hop<'t>> {
    let mut hops = Vec::new();
    for text in members {
        match read(text) {
            Some(hop) => hops.push(hop),
            None => hops.clear(),
        }
    }
    hops
}

/// An address; some fronts add the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(literal) => literal.parse().map(IpAddr::V6).ok(),
        None => text.parse().ok(),
    };
    let address = address.or_else(|| {
        text.parse()
            .ok()
            .map(|with_port: SocketAddr| with_port.ip())
    });
    address.map(|address| address.to_canonical())
}

/// `for=192.0.2.43;proto=https` (RFC 7239, 4). Blanks around a semicolon are passed over, as everybody does.
fn element(text: &str) -> Option<Hop<'_>> {
    let mut hop = Hop {
        text,
        ..Hop::default()
    };
    let mut seen = Vec::new();
    for pair in members(text.as_bytes(), b';', true) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.to_ascii_lowercase(), unquote(value)?);
        if !is_token(&name) || seen.contains(&name) {
            return None;
        }
        match name.as_str() {
            "for" => hop.address = node(&value)?,
            "proto" => hop.proto = Some(value),
            "host" => hop.host = Some(value),
            _ => {}
        }
        seen.push(name);
    }
    (!seen.is_empty()).then_some(hop)
}

/// A node: `Some(None)` if it is hidden, `None` if it is none (RFC 7239, 6).
fn node(text: &str) -> Option<Option<IpAddr>> {
    let (name, port) = match text.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_sound = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(port) => is_hidden(port) || (is_digits(port) && port.len() <= 5),
    };
    if !port_sound {
        return None;
    }
    if text.starts_with('[') {
        return name
            .parse()
            .ok()
            .map(|v6| Some(IpAddr::V6(v6).to_canonical()));
    }
    if name.eq_ignore_ascii_case("unknown") || is_hidden(name) {
        return Some(None);
    }
    name.parse().ok().map(|v4| Some(IpAddr::V4(v4)))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// An obfuscated name or port: `_hidden` (RFC 7239, 6.3).
fn is_hidden(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
    text.strip_prefix('_')
        .is_some_and(|name| !name.is_empty() && name.bytes().all(allowed))
}

/// What a token or a quoted-string says (RFC 9110, 5.6.2 and 5.6.4).
fn unquote(text: &str) -> Option<String> {
    let Some(inside) = text.strip_prefix('"') else {
        return is_token(text).then(|| text.to_owned());
    };
    let mut said = String::new();
    let mut letters = inside.chars();
    loop {
        match letters.next()? {
            '\\' => said.push(letters.next()?),
            '"' => return letters.next().is_none().then_some(said),
            letter => said.push(letter),
        }
    }
}

fn is_token(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    !text.is_empty() && text.bytes().all(allowed)
}

/// What stands between the separators, those within quotes left aside if `quotes` mean anything. Empty members mean
/// nothing (RFC 9110, 5.6.1); one that is no text is read as `?`, which nothing is.
fn members(line: &[u8], separator: u8, quotes: bool) -> impl Iterator<Item = &str> {
    let mut state = Quotes::default();
    let separates = move |&octet: &u8| !(state.holds(octet) && quotes) && octet == separator;
    let members = line.split(separates);
    let texts = members.map(|member| str::from_utf8(member.trim_ascii()).unwrap_or("?"));
    texts.filter(|text| !text.is_empty())
}

fn are_quotes_closed(line: &[u8]) -> bool {
    let mut state = Quotes::default();
    for octet in line {
        state.holds(*octet);
    }
    !state.open
}

/// Where quoted-strings begin and end (RFC 9110, 5.6.4).
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    /// Goes on by one octet; says whether it stands in a quoted-string.
    fn holds(&mut self, octet: u8) -> bool {
        if std::mem::take(&mut self.escaped) {
            return true;
        }
        match octet {
            b'\\' => self.escaped = self.open,
            b'"' => self.open = !self.open,
            _ => {}
        }
        self.open
    }
}

/// How an address is written as a value of `for=` (RFC 7239, 6): what has a colon stands in quotes.
pub(crate) fn node_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::FORWARDED;

    use super::*;

    fn fields(lines: &[&str]) -> HeaderMap {
        let value = |line: &&str| HeaderValue::from_bytes(line.as_bytes()).unwrap();
        lines.iter().map(|line| (FORWARDED, value(line))).collect()
    }

    fn addresses(lines: &[&str]) -> Vec<String> {
        let fields = fields(lines);
        let hops = chain(fields.get_all(FORWARDED)).into_iter();
        hops.map(|hop| hop.address.unwrap().to_string()).collect()
    }

    #[test]
    fn a_chain_is_read_over_all_its_lines() {
        assert_eq!(
            addresses(&["192.0.2.1, 10.0.0.1", "::1"]),
            ["192.0.2.1", "10.0.0.1", "::1"]
        );
        assert_eq!(
            addresses(&[" 192.0.2.1:80 ,, [2001:db8::1],[::1]:80,"]),
            ["192.0.2.1", "2001:db8::1", "::1"]
        );
        assert_eq!(addresses(&["::ffff:10.0.0.1"]), ["10.0.0.1"]);
        assert_eq!(addresses(&[]), [] as [&str; 0]);
    }

    #[test]
    fn what_is_no_address_is_cut_off_with_all_that_is_left_of_it() {
        for bad in [
            "unknown",
            "x",
            "192.0.2.300",
            "192.0.2.1.",
            "[::1",
            "a b",
            "\"",
            "192.0.2.1:",
            "é",
        ] {
            let line = format!("192.0.2.1, {bad}, 10.0.0.1");
            assert_eq!(addresses(&[&line]), ["10.0.0.1"], "{bad}");
            assert_eq!(addresses(&["192.0.2.1", bad]), [] as [&str; 0], "{bad}");
        }
    }

    fn read(lines: &[&str]) -> Vec<String> {
        let fields = fields(lines);
        let said = |hop: Hop<'_>| {
            let or_not = |said: Option<String>| said.unwrap_or("-".into());
            let address = or_not(hop.address.map(|address| address.to_string()));
            format!("{address} {} {}", or_not(hop.proto), or_not(hop.host))
        };
        elements(fields.get_all(FORWARDED))
            .into_iter()
            .map(said)
            .collect()
    }

    #[test]
    fn the_examples_of_rfc_7239_are_read() {
        assert_eq!(read(&["for=\"_gazonk\""]), ["- - -"]);
        assert_eq!(
            read(&["For=\"[2001:db8:cafe::17]:4711\""]),
            ["2001:db8:cafe::17 - -"]
        );
        assert_eq!(
            read(&["for=192.0.2.60;proto=http;by=203.0.113.43"]),
            ["192.0.2.60 http -"]
        );
        assert_eq!(
            read(&["for=192.0.2.43, for=198.51.100.17"]),
            ["192.0.2.43 - -", "198.51.100.17 - -"]
        );
        assert_eq!(read(&["for=_hidden, for=_SEVKISEK"]), ["- - -", "- - -"]);
        assert_eq!(
            read(&["for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown"]),
            ["192.0.2.43 - -", "2001:db8:cafe::17 - -", "- - -"]
        );
        assert_eq!(
            read(&["for=192.0.2.43", "for=\"192.0.2.1:_x\"; host=\"a\\.b:80\""]),
            ["192.0.2.43 - -", "192.0.2.1 - a.b:80"]
        );
        assert_eq!(
            read(&["proto=https;secret=\"a, \\\"for=1.1.1.1\\\";b\""]),
            ["- https -"]
        );
    }

    #[test]
    fn what_is_no_element_is_cut_off_with_all_that_is_left_of_it() {
        for bad in [
            "for",
            "for=",
            "for =192.0.2.1",
            "for= 192.0.2.1",
            "for=192.0.2.1;for=192.0.2.1",
            "for=192.0.2.1:80",
            "for=[::1]",
            "for=\"::1\"",
            "for=\"[::1]x\"",
            "for=\"[::1]:\"",
            "for=\"192.0.2.1:123456\"",
            "for=\"192.0.2.1\"x",
            "for=_",
            "for=somebody",
            "=x",
            ";",
            "a b=c",
        ] {
            let line = format!("for=192.0.2.1, {bad}, for=10.0.0.1");
            assert_eq!(read(&[&line]), ["10.0.0.1 - -"], "{bad}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_swallow_what_a_nearer_front_appends() {
        for near in ["for=10.0.0.1", "for=\"10.0.0.1:80\""] {
            for far in [
                "for=\"192.0.2.1",
                "for=\"192.0.2.1\\",
                "\"",
                "for=\"a, for=6.6.6.6, \\\"",
            ] {
                let line = format!("{far}, {near}");
                assert_eq!(read(&[&line]).last().unwrap(), "10.0.0.1 - -", "{line}");
            }
        }
        assert_eq!(read(&["for=\"192.0.2.1"]), [] as [&str; 0]);
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["192.0.2.1", "2001:db8::1", "::1"] {
            let address: IpAddr = text.parse().unwrap();
            let line = format!("for={}", node_of(address));
            assert_eq!(read(&[&line]), [format!("{text} - -")]);
        }
    }

    #[test]
    fn nothing_that_a_field_can_hold_makes_the_readers_panic() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let letters = b"for=\"[:]1.,;\\ _=unknowproth\t\xe9";
        for _ in 0..50_000 {
            let length = random.usize(..40);
            let line: Vec<u8> = (0..length)
                .map(|_| letters[random.usize(..letters.len())])
                .collect();
            let mut fields = HeaderMap::new();
            fields.insert(FORWARDED, HeaderValue::from_bytes(&line).unwrap());
            let hops = (
                chain(fields.get_all(FORWARDED)),
                elements(fields.get_all(FORWARDED)),
            );
            assert!(hops.0.len() + hops.1.len() <= 2 * length);
        }
    }
}
