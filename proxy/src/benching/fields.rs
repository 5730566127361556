//! The steps that read and write fields: what is let in, what the app gets, what the client gets.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use holdfast_config::{App, Limits};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Empty;

use crate::exchange::Exchange;
use crate::peer::{Peer, Trusted};
use crate::testing::app_settings;
use crate::{forward, policy, upstream, way};

/// The policy, with the limits as they are by default.
#[derive(Default)]
pub struct Policy {
    limits: Limits,
}

impl Policy {
    /// Checks the head of a request without a body, and makes it fit to be forwarded; or says with which status it is
    /// refused.
    pub fn check(&self, head: &mut Parts) -> Result<impl Sized + use<>, StatusCode> {
        policy::check(head, false, &self.limits).map_err(|refused| refused.status)
    }
}

/// What becomes of the fields of a request that the policy has passed, and of those of its answer.
pub struct Rewriting {
    exchange: Exchange,
    head: Parts,
    app: App,
    release_header: HeaderName,
    release: HeaderValue,
}

impl Rewriting {
    /// Of a request with this head.
    ///
    /// # Panics
    ///
    /// If the policy does not pass it.
    pub fn of(head: Parts) -> Self {
        let nobody = Trusted::new(&[]);
        let client = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), &nobody);
        let limits = Limits::default();
        let exchange = Exchange::of(head, None, &client, &nobody, &limits, false);
        let exchange = exchange.unwrap_or_else(|refused| panic!("{refused:?}"));
        Self {
            head: exchange.head.clone(),
            exchange,
            app: app_settings(),
            release_header: HeaderName::from_static("x-release"),
            release: HeaderValue::from_static("9f3c1a2"),
        }
    }

    /// The head as the policy has left it.
    pub fn passed(&self) -> Parts {
        self.head.clone()
    }

    /// What the app gets for such a head over HTTP/1.1.
    pub fn outward(&mut self, passed: Parts) -> Request<Empty<Bytes>> {
        self.exchange.head = passed;
        way::identify(&mut self.exchange);
        forward::prepare(&mut self.exchange, &self.app, "http");
        let (head, _) = self.exchange.take();
        let mut request = Request::from_parts(head, Empty::new());
        upstream::to_http1(&mut request);
        request
    }

    /// Makes of the fields of an answer what the client gets.
    pub fn inward(&self, fields: &mut HeaderMap) {
        policy::strip_hop_by_hop(fields);
        fields.insert(&self.release_header, self.release.clone());
    }
}
