//! forward: the request goes up, the answer comes down, and what may be tried again is tried again (RFC 9110, 9.2.2).

mod failure;
mod prepare;
mod spare;
mod tries;

use std::rc::Rc;

use holdfast_config::Protocol;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, Version, response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use swap_gate::Class;

use crate::account::Account;
use crate::body::{Flight, RequestBody};
use crate::clock;
use crate::connection::Conn;
use crate::counters::Loss;
use crate::exchange::Exchange;
use crate::lease::Lease;
use crate::policy::{self, Refused};
use crate::release::class;
use crate::table::App;
use crate::upstream::{Checkout, Sending};
use crate::websocket::Websocket;
use failure::{Failure, unsent_or_failed};
pub(crate) use prepare::{prepare, take_back};
use spare::{Head, Spare};
use tries::{Failed, Next, Tries};

/// How forwarding ended.
pub(crate) enum Forwarded {
    Answered(Answered),
    /// That it has not got this; and the release before it, which is still there, may have it. The request is as it was.
    NotFound(Answered),
    /// Nobody behind the lease's gate can be reached. Nothing of the request has left, or nothing that matters.
    Unreachable(Loss),
    /// It cannot be tried again.
    Lost(Loss),
    /// The client broke it.
    Refused(Refused),
    /// The drain's end ended it.
    Cut,
}

/// The app's answer.
pub(crate) struct Answered {
    pub(crate) head: response::Parts,
    pub(crate) what_follows: Follows,
}

/// What comes behind its head.
pub(crate) enum Follows {
    Body(Incoming, Flight),
    /// Octets both ways.
    Tunnel(OnUpgrade, Lease),
}

/// One request on its way up.
pub(crate) struct Forward<'a> {
    pub(crate) conn: &'a Rc<Conn>,
    pub(crate) lease: Lease,
    /// The client came over TLS.
    pub(crate) secure: bool,
    /// If one was asked for.
    pub(crate) websocket: Option<Websocket>,
}

impl Forward<'_> {
    /// Sends the exchange to an instance of the leased release; to another one while that is allowed.
    pub(crate) async fn run(&self, exchange: &mut Exchange, account: &mut Account) -> Forwarded {
        if self.websocket.is_some() && self.lease.upstream().protocol == Protocol::Http2 {
            return Forwarded::Refused(policy::NO_WEBSOCKET);
        }
        let scheme = self.conn.front().scheme();
        let target = prepare(exchange, &self.app().settings.config, scheme);
        let mut tries = Tries::default();
        while let Some(instance) = self.lease.choose(&tries.tried, clock::lately()) {
            account.tries(instance);
            let mut checkout = match self.pooled(exchange, instance).await {
                Some(pooled) => pooled,
                None => match self.connect(exchange, instance, account, &mut tries).await {
                    Some(fresh) => fresh,
                    None => continue,
                },
            };
            let may_be_older = self.lease.has_older() && exchange.head.method == Method::GET;
            let (sending, spare) = self.send(exchange, &mut checkout);
            let how = match self.outcome(sending, &checkout).await {
                Ok(response) => {
                    let is_missing = may_be_older && response.status() == StatusCode::NOT_FOUND;
                    let again = is_missing.then(|| spare.replay(&checkout)).flatten();
                    let forwarded = self.answer(response, checkout, account);
                    return match again {
                        Some(head) => not_found(forwarded, exchange, head, target),
                        None => forwarded,
                    };
                }
                Err(failure) => failure,
            };
            let failed = Failed {
                how,
                instance,
                checkout,
                spare,
            };
            match self.recover(failed, exchange, account, &mut tries).await {
                Next::Again => {}
                Next::TurnBack => break,
                Next::End(forwarded) => return *forwarded,
            }
        }
        take_back(exchange, target);
        Forwarded::Unreachable(tries.last)
    }

    fn app(&self) -> &App {
        self.lease.app()
    }

    /// A connection that is there, if it may take this request.
    async fn pooled(&self, exchange: &Exchange, instance: usize) -> Option<Checkout> {
        let class = class(&exchange.head.method);
        if class == Class::Unsafe {
            // To look at the others first would put it behind all that are let go after it.
            if !exchange.held.is_zero() {
                return None;
            }
            // Lets every connection look whether its app has closed it: what is not idempotent may not be sent twice, so
            // it must not meet a close that is already there.
            tokio::task::yield_now().await;
        }
        if !takes_used(exchange) {
            return None;
        }
        let pool = &self.conn.worker.pool;
        pool.checkout(&self.lease, instance, class)
    }

    /// Sends the exchange as a request. The future waits for its answer; the spare is for another try.
    fn send(&self, exchange: &mut Exchange, checkout: &mut Checkout) -> (Sending, Spare) {
        let trailers = exchange.facts.trailers;
        let (mut request, spare) = self.request(exchange, checkout);
        if checkout.once {
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(header::CONNECTION, close);
        }
        let allowed = self.app().settings.config.timeouts.response;
        self.conn.await_answer(allowed);
        let sending = checkout.send(request, &self.lease, spare.replayable, trailers);
        (sending, spare)
    }

    /// The exchange as a request, and what is kept of it for another try.
    fn request(
        &self,
        exchange: &mut Exchange,
        checkout: &Checkout,
    ) -> (Request<RequestBody>, Spare) {
        let replayable = exchange.is_replayable();
        let had_body = exchange.has_body();
        let (head, body) = exchange.take();
        let mut spare = Spare {
            head: checkout.is_shared().then(|| Box::new(Head::of(&head))),
            replayable,
            body: None,
        };
        let mut body = RequestBody::new(body, &self.lease, self.conn);
        if checkout.is_shared() && had_body {
            (body, spare.body) = body.recoverable();
        }
        (Request::from_parts(head, body), spare)
    }

    /// What the try comes to.
    async fn outcome(
        &self,
        sending: Sending,
        checkout: &Checkout,
    ) -> Result<Response<Incoming>, Failure> {
        let sent = tokio::select! {
            biased;
            sent = sending => Some(sent),
            () = self.conn.overdue() => None,
        };
        self.conn.stop_waiting();
        match sent {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => Err(unsent_or_failed(error, checkout)),
            None => Err(Failure::TimedOut),
        }
    }

    /// The answer's head has come.
    fn answer(
        &self,
        response: Response<Incoming>,
        mut checkout: Checkout,
        account: &mut Account,
    ) -> Forwarded {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch_protocols(response, account);
        }
        let over_http2 = self.websocket.as_ref().is_some_and(Websocket::is_ours);
        if over_http2 && response.status().is_success() {
            return Forwarded::Refused(policy::NOT_SWITCHED);
        }
        let (mut head, incoming) = response.into_parts();
        checkout.learn(&head.headers);
        policy::strip_hop_by_hop(&mut head.headers);
        head.version = Version::HTTP_11;
        let flight = Flight {
            lease: self.lease.clone(),
            checkout,
        };
        self.answered(head, Follows::Body(incoming, flight), account)
    }

    /// A tunnel starts only after the app's 101 names the protocol that was asked for.
    fn switch_protocols(
        &self,
        mut response: Response<Incoming>,
        account: &mut Account,
    ) -> Forwarded {
        let opened = |websocket: &&Websocket| websocket.is_opened_by(response.headers());
        let Some(websocket) = self.websocket.as_ref().filter(opened) else {
            return Forwarded::Lost(Loss::UpstreamMalformed);
        };
        let upgrade = hyper::upgrade::on(&mut response);
        let mut head = Response::new(()).into_parts().0;
        head.headers = std::mem::take(response.headers_mut());
        policy::strip_hop_by_hop(&mut head.headers);
        head.status = websocket.tell_opened(&mut head.headers);
        self.lease.tunnel.set(true);
        let tunnel = Follows::Tunnel(upgrade, self.lease.clone());
        self.answered(head, tunnel, account)
    }

    fn answered(
        &self,
        mut head: response::Parts,
        what_follows: Follows,
        account: &mut Account,
    ) -> Forwarded {
        self.name_release(&mut head.headers);
        self.name_client(&mut head.headers, account);
        account.answered(&self.lease, head.status);
        Forwarded::Answered(Answered { head, what_follows })
    }

    fn name_release(&self, fields: &mut HeaderMap) {
        if let Some(name) = &self.app().settings.release_header {
            fields.insert(name, self.lease.release().header.clone());
        }
    }

    /// A client that was drawn is to draw the same again.
    fn name_client(&self, fields: &mut HeaderMap, account: &mut Account) {
        if let Some(cookie) = account.who().cookie(self.secure) {
            fields.append(header::SET_COOKIE, cookie);
        }
    }
}

/// Whether it may go on a connection that has carried others.
fn takes_used(exchange: &Exchange) -> bool {
    let tried = exchange.sent > 0 || exchange.refused > 0;
    !tried && !exchange.facts.websocket
}

/// The answer, and the request as it was for the release before.
#[cold]
fn not_found(
    forwarded: Forwarded,
    exchange: &mut Exchange,
    head: Parts,
    target: Option<Box<Uri>>,
) -> Forwarded {
    let Forwarded::Answered(answered) = forwarded else {
        return forwarded;
    };
    exchange.head = head;
    take_back(exchange, target);
    Forwarded::NotFound(answered)
}
