//! One request on its way: its head and body, when it came, from whom, and what the policy found.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use holdfast_config::Limits;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Version, header};
use http_body::Body;
use hyper::body::Incoming;

use crate::body::Upload;
use crate::fields::Fields;
use crate::fronts::Origin;
use crate::peer::{Peer, Trusted};
use crate::policy::{self, Facts, Refused};

/// A request that the policy has passed.
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    /// As the client said it; the head that goes up says HTTP/1.1.
    version: Version,
    /// None: it has none, or its last octet has gone.
    pub(crate) body: Option<Upload>,
    pub(crate) facts: Facts,
    pub(crate) origin: Origin,
    /// How long it was held, in all.
    pub(crate) held: Duration,
    /// How often it was sent with octets leaving.
    pub(crate) sent: u32,
    /// How often an app has refused it unread.
    pub(crate) refused: u32,
    /// There was a body to come when it set out.
    pub(crate) had_body: bool,
    /// Our own answer is to be JSON.
    pub(crate) wants_json: bool,
}

impl Exchange {
    pub(crate) fn new(
        request: Request<Incoming>,
        peer: &Peer,
        trusted: &Trusted,
        limits: &Limits,
        wants_json: bool,
    ) -> Result<Self, Refused> {
        let (head, body) = request.into_parts();
        Self::of(head, Upload::of(body), peer, trusted, limits, wants_json)
    }

    /// The same of a head and a body that no connection has brought.
    pub(crate) fn of(
        mut head: Parts,
        body: Option<Upload>,
        peer: &Peer,
        trusted: &Trusted,
        limits: &Limits,
        wants_json: bool,
    ) -> Result<Self, Refused> {
        let had_body = body.is_some();
        let facts = policy::check(&mut head, had_body, limits)?;
        let origin = Origin::of(&head.headers, peer, trusted);
        let version = std::mem::replace(&mut head.version, Version::HTTP_11);
        Ok(Self {
            head,
            version,
            body,
            facts,
            origin,
            held: Duration::ZERO,
            sent: 0,
            refused: 0,
            had_body,
            wants_json,
        })
    }

    /// Takes head and body out, to be sent.
    pub(crate) fn take(&mut self) -> (Parts, Option<Upload>) {
        let empty = Request::new(()).into_parts().0;
        (std::mem::replace(&mut self.head, empty), self.body.take())
    }

    pub(crate) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether it may be sent again although octets of it left: idempotent (RFC 9110, 9.2.2) and nothing of it gone.
    pub(crate) fn is_replayable(&self) -> bool {
        self.head.method.is_idempotent() && !self.has_body() && !self.facts.websocket
    }

    /// Whether its connection can be taken apart while it waits: its body has a length and begins right behind the
    /// head, so that the octets read so far can be put in front of the socket again.
    pub(crate) fn is_parkable(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(|body| body.size_hint().exact().is_some())
    }

    /// About what it takes while it waits: its head, as text.
    pub(crate) fn head_bytes(&self) -> usize {
        let fields: usize = self
            .head
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        let target = self
            .head
            .uri
            .path_and_query()
            .map_or(1, |target| target.as_str().len());
        self.head.method.as_str().len() + target + 14 + fields
    }

    /// Takes the head out of the buffers that it came in, which it shares with what came before and behind it: one that waits
    /// for long would keep them all. Its fields are packed meanwhile.
    pub(crate) fn pack(&mut self) -> Fields {
        let target = self.head.uri.path_and_query();
        let own = target.map(|target| Bytes::copy_from_slice(target.as_str().as_bytes()));
        if let Some(Ok(own)) = own.map(PathAndQuery::from_maybe_shared) {
            self.head.uri = own.into();
        }
        Fields::take(&mut self.head.headers)
    }

    pub(crate) fn unpack(&mut self, fields: Fields) {
        self.head.headers = fields.restore().unwrap_or_default();
    }

    /// The head as a client would send it, so that it can be parsed once more.
    pub(crate) fn serialize_head(&self) -> BytesMut {
        let mut text = BytesMut::with_capacity(self.head_bytes() + 32);
        text.put_slice(self.head.method.as_str().as_bytes());
        text.put_u8(b' ');
        let target = self
            .head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        text.put_slice(target.as_bytes());
        let http_10 = self.version == Version::HTTP_10;
        text.put_slice(if http_10 {
            b" HTTP/1.0\r\n"
        } else {
            b" HTTP/1.1\r\n"
        });
        for (name, value) in &self.head.headers {
            if name != header::CONNECTION {
                put_field(&mut text, name.as_str(), value.as_bytes());
            }
        }
        if self.facts.trailers {
            put_field(&mut text, header::TE.as_str(), b"trailers");
        }
        if let Some(connection) = self.connection_field() {
            put_field(&mut text, header::CONNECTION.as_str(), connection);
        }
        text.put_slice(b"\r\n");
        text
    }

    /// What the policy took away and the client's connection depends on.
    fn connection_field(&self) -> Option<&'static [u8]> {
        let Facts {
            close,
            keep_alive,
            websocket,
            ..
        } = self.facts;
        match (websocket, close, keep_alive) {
            (true, true, _) => Some(b"upgrade, close"),
            (true, false, _) => Some(b"upgrade"),
            (false, true, _) => Some(b"close"),
            (false, false, true) => Some(b"keep-alive"),
            (false, false, false) => None,
        }
    }
}

fn put_field(text: &mut BytesMut, name: &str, value: &[u8]) {
    text.put_slice(name.as_bytes());
    text.put_slice(b": ");
    text.put_slice(value);
    text.put_slice(b"\r\n");
}
