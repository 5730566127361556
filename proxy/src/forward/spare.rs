//! What is kept of a request that has been sent, for sending it once more. Its head is kept as octets: they are half the
//! size of what they were parsed into, and when they are not needed, as almost always, they are gone at one stroke.

use bytes::{Buf, Bytes};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri, Version};

use crate::body::{Recovery, Upload};

/// Room for the fields of most requests.
const FIELDS_BYTES: usize = 1024;
/// In a length: the value is not to be compressed (RFC 7541, 7.1.3).
const SENSITIVE: u32 = 1 << 31;

/// What is kept of a request that has been sent.
pub(super) struct Spare {
    pub(super) head: Option<Head>,
    /// It may be sent again although octets have left.
    pub(super) replayable: bool,
    pub(super) body: Option<Recovery>,
}

impl Spare {
    /// For sending it again whatever the app has done with it.
    pub(super) fn replay(self) -> Option<Parts> {
        self.head.filter(|_| self.replayable)?.restore()
    }

    /// For sending what the app has not taken up.
    pub(super) async fn recover(self) -> Option<(Parts, Option<Upload>)> {
        let body = match self.body {
            Some(recovery) => Some(recovery.body().await?),
            None => None,
        };
        Some((self.head?.restore()?, body))
    }
}

/// A request's head, without what it has of this connection alone.
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    fields: Vec<u8>,
}

impl Head {
    pub(super) fn of(head: &Parts) -> Self {
        let mut fields = Vec::with_capacity(FIELDS_BYTES);
        for (name, value) in &head.headers {
            put(&mut fields, name, value);
        }
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            fields,
        }
    }

    /// None is never seen: what was a head once is one again.
    fn restore(self) -> Option<Parts> {
        let mut head = Request::new(()).into_parts().0;
        head.method = self.method;
        head.uri = self.uri;
        head.version = self.version;
        let mut fields = Bytes::from(self.fields);
        while fields.has_remaining() {
            take(&mut fields, &mut head.headers)?;
        }
        Some(head)
    }
}

fn put(fields: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let (name, octets) = (name.as_str().as_bytes(), value.as_bytes());
    // hyper takes no head of more than 4 GiB.
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
    fn a_head_that_is_kept_is_the_same_afterwards() {
        let mut head = Request::patch("/a?b=c")
            .version(Version::HTTP_2)
            .header("host", "shop.test")
            .header("x-empty", "")
            .header("cookie", "a=1")
            .header("x-own", "\u{e9}")
            .header("cookie", "b=2")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        head.headers.insert("authorization", secret);
        head.headers
            .insert("x-long", HeaderValue::try_from("x".repeat(70_000)).unwrap());
        let same = Head::of(&head).restore().unwrap();
        assert_eq!((&same.method, &same.uri), (&head.method, &head.uri));
        assert_eq!(same.version, head.version);
        assert_eq!(same.headers, head.headers);
        let order = |head: &Parts| format!("{:?}", head.headers);
        assert_eq!(order(&same), order(&head));
        assert!(same.headers["authorization"].is_sensitive());
        assert!(!same.headers["x-own"].is_sensitive());
    }
}
