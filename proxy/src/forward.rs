//! forward: the request goes up, the answer comes down, and what may be tried again is tried again (RFC 9110, 9.2.2).

mod attempt;
mod prepare;
mod spare;

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use holdfast_config::Protocol;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version, response};
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
use crate::upstream::{Checkout, ConnectError, Sent};
use crate::websocket::Websocket;
use attempt::{Attempt, Refusal, failure, loss_of, unsent_or_failed};
pub(crate) use prepare::{prepare, take_back};
use spare::{Head, Spare};

/// So often an app may refuse a request unread before that is its answer.
const REFUSALS_MAX: u32 = 3;

/// So many connects of one request may time out at an instance that takes others.
const FULL_MAX: u32 = 5;

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
        let mut tried = Vec::new();
        let mut last = Loss::ConnectRefused;
        let mut full = 0;
        while let Some(instance) = self.lease.choose(&tried, clock::lately()) {
            account.tries(instance);
            let began = clock::lately();
            let mut checkout = match self.checkout(exchange, instance).await {
                Ok(checkout) => checkout,
                Err(ConnectError::TimedOut(_))
                    if full < FULL_MAX && self.is_only_full(instance, began) =>
                {
                    full += 1;
                    continue;
                }
                Err(error) => {
                    last = self.not_connected(instance, &error);
                    account.stumbled(last);
                    tried.push(instance);
                    continue;
                }
            };
            let may_be_older = self.lease.has_older() && exchange.head.method == Method::GET;
            let (sending, spare) = self.send(exchange, &mut checkout);
            match self.outcome(pin!(sending), &checkout).await {
                Attempt::Answered(response) => {
                    let is_missing = response.status() == StatusCode::NOT_FOUND;
                    let again = (may_be_older && is_missing).then(|| spare.replay());
                    let forwarded = self.answer(response, checkout, account);
                    return match (forwarded, again.flatten()) {
                        (Forwarded::Answered(answered), Some(head)) => {
                            exchange.head = head;
                            take_back(exchange, target);
                            Forwarded::NotFound(answered)
                        }
                        (forwarded, _) => forwarded,
                    };
                }
                Attempt::Unsent(request) => {
                    let (head, body) = request.into_parts();
                    (exchange.head, exchange.body) = (head, body.into_unsent());
                    if checkout.fresh {
                        tried.push(instance);
                    }
                }
                Attempt::Refused(refusal) => {
                    exchange.refused += 1;
                    if refusal == Refusal::Stream {
                        account.stumbled(Loss::UpstreamReset);
                    }
                    let may = exchange.refused <= REFUSALS_MAX
                        && (refusal == Refusal::GoingAway || account.spend_retry());
                    // Boxed, as all that is rare: each request has room for it otherwise.
                    let recovered = Box::pin(spare.recover()).await;
                    let Some((head, body)) = recovered.filter(|_| may) else {
                        return Forwarded::Lost(Loss::UpstreamReset);
                    };
                    (exchange.head, exchange.body) = (head, body);
                }
                Attempt::TimedOut if self.conn.waits_for_client() => {
                    return Forwarded::Refused(policy::SLOW_BODY);
                }
                Attempt::TimedOut => return Forwarded::Lost(Loss::UpstreamTimeout),
                Attempt::Failed(_) if self.conn.is_upload_broken() => {
                    return Forwarded::Refused(policy::BROKEN_BODY);
                }
                Attempt::Failed(_) if self.lease.is_cut() => return Forwarded::Cut,
                Attempt::Failed(error) => match spare.replay() {
                    // Octets that are no answer are an answer that has begun.
                    Some(head)
                        if exchange.sent == 0 && !error.is_parse() && account.spend_retry() =>
                    {
                        last = failure(&error);
                        account.retried(last);
                        exchange.head = head;
                        exchange.sent += 1;
                        if self.lease.is_beside() {
                            // The live release has not failed it yet.
                            break;
                        }
                    }
                    // Failed twice: it may go back to the door, but only if there is nobody to connect to.
                    Some(head)
                        if exchange.sent > 0 && !Box::pin(self.is_reachable(instance)).await =>
                    {
                        exchange.head = head;
                        tried.push(instance);
                    }
                    _ => return Forwarded::Lost(failure(&error)),
                },
            }
        }
        take_back(exchange, target);
        Forwarded::Unreachable(last)
    }

    fn app(&self) -> &App {
        self.lease.app()
    }

    async fn checkout(
        &self,
        exchange: &Exchange,
        instance: usize,
    ) -> Result<Checkout, ConnectError> {
        let worker = &self.conn.worker;
        let class = class(&exchange.head.method);
        // To look at the others first, as below, would put it behind all that are let go after it.
        let anew = class == Class::Unsafe && !exchange.held.is_zero();
        if class == Class::Unsafe && !anew {
            // Lets every connection look whether its app has closed it: what is not idempotent may not be sent twice, so
            // it must not meet a close that is already there.
            tokio::task::yield_now().await;
        }
        let tried = exchange.sent > 0 || exchange.refused > 0;
        let pooled = if !anew && !tried && !exchange.facts.websocket {
            worker.pool.checkout(&self.lease, instance, class)
        } else {
            None
        };
        if let Some(pooled) = pooled {
            return Ok(pooled);
        }
        let limit = self.app().settings.config.timeouts.connect;
        let connecting = worker
            .pool
            .connect(&self.lease, instance, limit, worker.index);
        let mut fresh = Box::pin(connecting).await?;
        let now = clock::now();
        // A release of held requests opens many at once. Kept, they would each take a thread of the app while it looks
        // for another request on them (Puma, gunicorn's gthread), and whoever comes later would wait behind that.
        fresh.once = !exchange.held.is_zero() && !exchange.facts.websocket && !fresh.is_shared();
        self.lease.instance(instance).reinstate(now);
        Ok(fresh)
    }

    /// Whether the instance takes a connect now.
    async fn is_reachable(&self, instance: usize) -> bool {
        let worker = &self.conn.worker;
        let limit = self.app().settings.config.timeouts.connect;
        let began = clock::lately();
        match worker
            .pool
            .connect(&self.lease, instance, limit, worker.index)
            .await
        {
            Ok(fresh) => {
                fresh.put_back(&self.lease);
                true
            }
            Err(ConnectError::TimedOut(_)) if self.is_only_full(instance, began) => true,
            Err(error) => {
                self.not_connected(instance, &error);
                false
            }
        }
    }

    /// Whether others were connected to it meanwhile: then it is not down. More came than may wait to be accepted, and the
    /// kernel lets the rest ask again.
    fn is_only_full(&self, instance: usize, since: Duration) -> bool {
        self.lease.instance(instance).has_taken_one_since(since)
    }

    fn not_connected(&self, instance: usize, error: &ConnectError) -> Loss {
        let instance = self.lease.instance(instance);
        instance.eject(clock::now());
        tracing::debug!(app = %self.app().name, instance = %instance.address, %error, "not connected");
        loss_of(error)
    }

    /// Sends the exchange as a request. The future waits for its answer; the spare is for another try.
    fn send(
        &self,
        exchange: &mut Exchange,
        checkout: &mut Checkout,
    ) -> (impl Future<Output = Sent> + use<>, Spare) {
        let trailers = exchange.facts.trailers;
        let (mut request, spare) = self.request(exchange, checkout);
        if checkout.once {
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(header::CONNECTION, close);
        }
        let allowed = self.app().settings.config.timeouts.response;
        self.conn.await_answer(allowed);
        (checkout.send(request, &self.lease, trailers), spare)
    }

    /// The exchange as a request, and what is kept of it for another try.
    fn request(
        &self,
        exchange: &mut Exchange,
        checkout: &Checkout,
    ) -> (Request<RequestBody>, Spare) {
        let replayable = exchange.is_replayable();
        let had_body = exchange.has_body();
        let kept = replayable || checkout.is_shared();
        let (head, body) = exchange.take();
        let mut spare = Spare {
            head: kept.then(|| Head::of(&head)),
            replayable,
            body: None,
        };
        let mut body = RequestBody::new(body, &self.lease, self.conn);
        if checkout.is_shared() && had_body {
            (body, spare.body) = body.recoverable();
        }
        (Request::from_parts(head, body), spare)
    }

    /// What the attempt comes to.
    async fn outcome(
        &self,
        sending: Pin<&mut impl Future<Output = Sent>>,
        checkout: &Checkout,
    ) -> Attempt {
        let sent = tokio::select! {
            biased;
            sent = sending => Some(sent),
            () = self.conn.overdue() => None,
        };
        self.conn.stop_waiting();
        match sent {
            Some(Ok(response)) => Attempt::Answered(response),
            Some(Err(error)) => unsent_or_failed(error, checkout),
            None => Attempt::TimedOut,
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
