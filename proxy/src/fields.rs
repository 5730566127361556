//! Fields as octets: half the size of the map that they come from, and gone at one stroke when they are not needed.

use bytes::{Buf, Bytes};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

/// Room for the fields of most requests.
const USUAL_BYTES: usize = 1024;
/// The lowest bit before a value; above it is its length. It is not to be compressed (RFC 7541, 7.1.3).
const SENSITIVE: usize = 1;

/// A copy of all fields of a message, in their order.
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    pub(crate) fn of(map: &HeaderMap) -> Self {
        let mut fields = Vec::with_capacity(USUAL_BYTES);
        put_all(&mut fields, map);
        Self(fields)
    }

    /// The same behind a target.
    pub(crate) fn behind(target: &str, map: &HeaderMap) -> Self {
        let mut fields = Vec::with_capacity(USUAL_BYTES);
        put_number(&mut fields, target.len());
        fields.extend_from_slice(target.as_bytes());
        put_all(&mut fields, map);
        Self(fields)
    }

    /// The same, for long: takes the fields out of the map, and no more room than they need. (Copied: an allocator need not
    /// give back what it is told to shrink, and ours does so from a half on only.)
    pub(crate) fn take(map: &mut HeaderMap) -> Self {
        let Self(fields) = Self::of(&std::mem::take(map));
        Self(fields.as_slice().to_vec())
    }

    /// As they were. None is never seen: what were fields once are fields again.
    pub(crate) fn restore(self) -> Option<HeaderMap> {
        take_all(Bytes::from(self.0))
    }

    /// The same with the target that they are behind.
    pub(crate) fn restore_behind(self) -> Option<(PathAndQuery, HeaderMap)> {
        let mut fields = Bytes::from(self.0);
        let length = take_number(&mut fields)?;
        let target = PathAndQuery::from_maybe_shared(fields.split_to(length)).ok()?;
        Some((target, take_all(fields)?))
    }
}

fn put_all(fields: &mut Vec<u8>, map: &HeaderMap) {
    for (name, value) in map {
        put(fields, name, value);
    }
}

fn take_all(mut fields: Bytes) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    while fields.has_remaining() {
        take(&mut fields, &mut map)?;
    }
    Some(map)
}

fn put(fields: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let (name, octets) = (name.as_str().as_bytes(), value.as_bytes());
    put_number(fields, name.len());
    put_number(
        fields,
        octets.len() << 1 | if value.is_sensitive() { SENSITIVE } else { 0 },
    );
    fields.extend_from_slice(name);
    fields.extend_from_slice(octets);
}

fn take(fields: &mut Bytes, into: &mut HeaderMap) -> Option<()> {
    let (name, value) = (take_number(fields)?, take_number(fields)?);
    let name = HeaderName::from_bytes(&fields.split_to(name)).ok()?;
    let octets = fields.split_to(value >> 1);
    let mut octets = HeaderValue::from_maybe_shared(octets).ok()?;
    octets.set_sensitive(value & SENSITIVE != 0);
    into.append(name, octets);
    Some(())
}

/// Seven bits an octet, the lowest first; the highest bit says that more follow.
fn put_number(fields: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        fields.push(number as u8 | 0x80);
        number >>= 7;
    }
    fields.push(number as u8);
}

fn take_number(fields: &mut Bytes) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let octet = fields.try_get_u8().ok()?;
        number |= usize::from(octet & 0x7f) << shift;
        if octet < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_kept_are_the_same_afterwards() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("host", "shop.test"),
            ("x-empty", ""),
            ("cookie", "a=1"),
            ("x-own", "\u{e9}"),
            ("cookie", "b=2"),
        ] {
            map.append(name, HeaderValue::try_from(value).unwrap());
        }
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        map.insert("authorization", secret);
        let long = HeaderValue::try_from("x".repeat(70_000)).unwrap();
        map.insert("x-long", long);
        let before = map.clone();
        let kept = Fields::of(&map).restore().unwrap();
        let target = "/a?b=".to_owned() + &"c".repeat(300);
        let behind = Fields::behind(&target, &map);
        let (again, behind) = behind.restore_behind().unwrap();
        assert_eq!(again.as_str(), target);
        let taken = Fields::take(&mut map).restore().unwrap();
        assert!(map.is_empty());
        for same in [kept, behind, taken] {
            assert_eq!(format!("{same:?}"), format!("{before:?}"), "and in order");
            assert_eq!(same, before);
            assert!(same["authorization"].is_sensitive());
            assert!(!same["x-own"].is_sensitive());
        }
    }
}
