//! Fields as octets: half the size of the map that they come from, and gone at one stroke when they are not needed.

use bytes::{Buf, Bytes};
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Room for the fields of most requests.
const USUAL_BYTES: usize = 1024;
/// In a length: the value is not to be compressed (RFC 7541, 7.1.3).
const SENSITIVE: u32 = 1 << 31;

/// A copy of all fields of a message, in their order.
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    pub(crate) fn of(map: &HeaderMap) -> Self {
        let mut fields = Vec::with_capacity(USUAL_BYTES);
        for (name, value) in map {
            put(&mut fields, name, value);
        }
        Self(fields)
    }

    /// The same, for long: takes the fields out of the map, and no more room than they need.
    pub(crate) fn take(map: &mut HeaderMap) -> Self {
        let Self(mut fields) = Self::of(&std::mem::take(map));
        fields.shrink_to_fit();
        Self(fields)
    }

    /// As they were. None is never seen: what were fields once are fields again.
    pub(crate) fn restore(self) -> Option<HeaderMap> {
        let mut map = HeaderMap::new();
        let mut fields = Bytes::from(self.0);
        while fields.has_remaining() {
            take(&mut fields, &mut map)?;
        }
        Some(map)
    }
}

fn put(fields: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let (name, octets) = (name.as_str().as_bytes(), value.as_bytes());
    // hyper takes no head of 2 GiB.
    let length = |octets: &[u8]| u32::try_from(octets.len()).unwrap_or(0);
    let sensitive = if value.is_sensitive() { SENSITIVE } else { 0 };
    fields.extend_from_slice(&length(name).to_ne_bytes());
    fields.extend_from_slice(&(length(octets) | sensitive).to_ne_bytes());
    fields.extend_from_slice(name);
    fields.extend_from_slice(octets);
}

fn take(fields: &mut Bytes, into: &mut HeaderMap) -> Option<()> {
    let (name, value) = (fields.get_u32_ne(), fields.get_u32_ne());
    let name = HeaderName::from_bytes(&fields.split_to(name as usize)).ok()?;
    let octets = fields.split_to((value & !SENSITIVE) as usize);
    let sensitive = value & SENSITIVE != 0;
    let mut value = HeaderValue::from_maybe_shared(octets).ok()?;
    value.set_sensitive(sensitive);
    into.append(name, value);
    Some(())
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
        let taken = Fields::take(&mut map).restore().unwrap();
        assert!(map.is_empty());
        for same in [kept, taken] {
            assert_eq!(format!("{same:?}"), format!("{before:?}"), "and in order");
            assert_eq!(same, before);
            assert!(same["authorization"].is_sensitive());
            assert!(!same["x-own"].is_sensitive());
        }
    }
}
