//! forward: the request goes up, the answer comes down, and what may be tried again is tried again (RFC 9110, 9.2.2).

mod attempt;
mod prepare;

use std::rc::Rc;

use holdfast_config::Protocol;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use swap_gate::Class;

use crate::account::Account;
use crate::body::{AnswerBody, Flight, RequestBody};
use crate::clock;
use crate::connection::Conn;
use crate::counters::Loss;
use crate::exchange::Exchange;
use crate::lease::Lease;
use crate::policy::{self, Refused};
use crate::release::class;
use crate::route::Routed;
use crate::table::App;
use crate::tunnel::Tunnel;
use crate::upstream::{Checkout, ConnectError};
use crate::websocket::Websocket;
use attempt::{Attempt, Refusal, Spare, failure, loss_of, unsent_or_failed};
pub(crate) use prepare::{prepare, take_back};

/// So often an app may refuse a request unread before that is its answer.
const REFUSALS_MAX: u32 = 3;

/// How forwarding ended.
#[expect(
    clippy::large_enum_variant,
    reason = "one a request, moved once; a box would be an allocation"
)]
pub(crate) enum Forwarded {
    /// The app answers.
    Answer(Response<AnswerBody>),
    /// Nobody behind the lease's gate can be reached. Nothing of the request has left, or nothing that matters.
    Unreachable(Box<Exchange>, Account, Loss),
    /// It cannot be tried again.
    Lost(Account, Loss),
    /// The client broke it.
    Refused(Account, Refused),
    /// The drain's end ended it.
    Cut(Account),
}

/// One request on its way up.
pub(crate) struct Forward<'a> {
    pub(crate) conn: &'a Rc<Conn>,
    pub(crate) routed: &'a Routed,
    pub(crate) lease: Lease,
    /// If one was asked for.
    pub(crate) websocket: Option<Websocket>,
}

impl Forward<'_> {
    /// Sends the exchange to an instance of the leased release; to another one while that is allowed.
    pub(crate) async fn run(self, mut exchange: Exchange, account: Account) -> Forwarded {
        if self.websocket.is_some() && self.lease.upstream().protocol == Protocol::Http2 {
            return Forwarded::Refused(account, policy::NO_WEBSOCKET);
        }
        let scheme = self.conn.front().scheme();
        let target = prepare(&mut exchange, &self.app().settings.config, scheme);
        let mut tried = Vec::new();
        let mut last = Loss::ConnectRefused;
        while let Some(instance) = self.lease.choose(&tried, clock::now()) {
            let checkout = match self.checkout(&exchange, instance).await {
                Ok(checkout) => checkout,
                Err(error) => {
                    last = self.not_connected(instance, &error);
                    tried.push(instance);
                    continue;
                }
            };
            let (request, spare) = self.request(&mut exchange, &checkout);
            match self
                .attempt(checkout, request, exchange.facts.trailers)
                .await
            {
                Attempt::Answered(response, checkout) => {
                    return self.answer(response, checkout, account);
                }
                Attempt::Unsent(request, fresh) => {
                    let (head, body) = request.into_parts();
                    (exchange.head, exchange.body) = (head, body.into_unsent());
                    if fresh {
                        tried.push(instance);
                    }
                }
                Attempt::Refused(refusal) => {
                    exchange.refused += 1;
                    let may = exchange.refused <= REFUSALS_MAX
                        && (refusal == Refusal::GoingAway || account.spend_retry());
                    let Some((head, body)) = spare.recover().await.filter(|_| may) else {
                        return Forwarded::Lost(account, Loss::UpstreamReset);
                    };
                    (exchange.head, exchange.body) = (head, body);
                }
                Attempt::TimedOut if self.conn.waits_for_client() => {
                    return Forwarded::Refused(account, policy::SLOW_BODY);
                }
                Attempt::TimedOut => return Forwarded::Lost(account, Loss::UpstreamTimeout),
                Attempt::Failed(_) if self.conn.is_upload_broken() => {
                    return Forwarded::Refused(account, policy::BROKEN_BODY);
                }
                Attempt::Failed(_) if self.lease.is_cut() => return Forwarded::Cut(account),
                Attempt::Failed(error) => match spare.replay() {
                    // Octets that are no answer are an answer that has begun.
                    Some(head)
                        if exchange.sent == 0 && !error.is_parse() && account.spend_retry() =>
                    {
                        account.retried();
                        exchange.head = head;
                        exchange.sent += 1;
                    }
                    // Failed twice: it may go back to the door, but only if there is nobody to connect to.
                    Some(head) if exchange.sent > 0 && !self.is_reachable(instance).await => {
                        exchange.head = head;
                        tried.push(instance);
                    }
                    _ => return Forwarded::Lost(account, failure(&error)),
                },
            }
        }
        take_back(&mut exchange, target);
        Forwarded::Unreachable(Box::new(exchange), account, last)
    }

    fn app(&self) -> &App {
        self.routed.app()
    }

    async fn checkout(
        &self,
        exchange: &Exchange,
        instance: usize,
    ) -> Result<Checkout, ConnectError> {
        let worker = &self.conn.worker;
        let class = class(&exchange.head.method);
        if class == Class::Unsafe {
            // Lets every connection look whether its app has closed it: what is not idempotent may not be sent twice, so
            // it must not meet a close that is already there.
            tokio::task::yield_now().await;
        }
        let pooled = if exchange.sent == 0 && exchange.refused == 0 && !exchange.facts.websocket {
            worker.pool.checkout(&self.lease, instance, class)
        } else {
            None
        };
        if let Some(pooled) = pooled {
            return Ok(pooled);
        }
        let limit = self.app().settings.config.timeouts.connect;
        let mut fresh = worker
            .pool
            .connect(&self.lease, instance, limit, worker.index)
            .await?;
        // A release of held requests opens many at once. Kept, they would each take a thread of the app while it looks
        // for another request on them (Puma, gunicorn's gthread), and whoever comes later would wait behind that.
        fresh.once = !exchange.held.is_zero() && !exchange.facts.websocket && !fresh.is_shared();
        self.lease.instance(instance).reinstate();
        Ok(fresh)
    }

    /// Whether the instance takes a connect now.
    async fn is_reachable(&self, instance: usize) -> bool {
        let worker = &self.conn.worker;
        let limit = self.app().settings.config.timeouts.connect;
        match worker
            .pool
            .connect(&self.lease, instance, limit, worker.index)
            .await
        {
            Ok(fresh) => {
                fresh.put_back(&self.lease);
                true
            }
            Err(error) => {
                self.not_connected(instance, &error);
                false
            }
        }
    }

    fn not_connected(&self, instance: usize, error: &ConnectError) -> Loss {
        let instance = self.lease.instance(instance);
        instance.eject(clock::now());
        tracing::debug!(app = %self.app().name, instance = %instance.address, %error, "not connected");
        loss_of(error)
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
            head: kept.then(|| head.clone()),
            replayable,
            body: None,
        };
        let mut body = RequestBody::new(body, &self.lease, self.conn);
        if checkout.is_shared() && had_body {
            let (recoverable, recovery) = body.recoverable();
            (body, spare.body) = (recoverable, Some(recovery));
        }
        (Request::from_parts(head, body), spare)
    }

    async fn attempt(
        &self,
        mut checkout: Checkout,
        mut request: Request<RequestBody>,
        trailers: bool,
    ) -> Attempt {
        let conn = self.conn;
        if checkout.once {
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(header::CONNECTION, close);
        }
        conn.await_answer(self.app().settings.config.timeouts.response);
        let answer = tokio::select! {
            biased;
            answer = checkout.send(request, &self.lease, trailers) => Some(answer),
            () = conn.overdue() => None,
        };
        conn.stop_waiting();
        match answer {
            Some(Ok(response)) => Attempt::Answered(response, checkout),
            Some(Err(error)) => unsent_or_failed(error, &checkout),
            None => Attempt::TimedOut,
        }
    }

    /// The answer's head has come.
    fn answer(
        &self,
        response: Response<Incoming>,
        mut checkout: Checkout,
        mut account: Account,
    ) -> Forwarded {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch_protocols(response, account);
        }
        let over_http2 = self.websocket.as_ref().is_some_and(Websocket::is_ours);
        if over_http2 && response.status().is_success() {
            return Forwarded::Refused(account, policy::NOT_SWITCHED);
        }
        let (mut head, incoming) = response.into_parts();
        checkout.learn(&head.headers);
        policy::strip_hop_by_hop(&mut head.headers);
        head.version = Version::HTTP_11;
        self.name_release(&mut head.headers);
        account.answered(&self.lease, head.status);
        let flight = Flight {
            lease: self.lease.clone(),
            checkout,
        };
        let body = AnswerBody::of_app(incoming, flight, account, self.conn.clone());
        Forwarded::Answer(Response::from_parts(head, body))
    }

    /// A tunnel starts only after the app's 101 names the protocol that was asked for.
    fn switch_protocols(
        &self,
        mut response: Response<Incoming>,
        mut account: Account,
    ) -> Forwarded {
        let opened = |websocket: &&Websocket| websocket.is_opened_by(response.headers());
        let Some(websocket) = self.websocket.as_ref().filter(opened) else {
            return Forwarded::Lost(account, Loss::UpstreamMalformed);
        };
        let upgrade = hyper::upgrade::on(&mut response);
        let mut fields = std::mem::take(response.headers_mut());
        policy::strip_hop_by_hop(&mut fields);
        let status = websocket.tell_opened(&mut fields);
        self.name_release(&mut fields);
        account.answered(&self.lease, status);
        self.lease.tunnel.set(true);
        self.conn.begin_tunnel(Tunnel {
            upgrade,
            lease: self.lease.clone(),
            account,
        });
        let mut answer = Response::new(AnswerBody::of_tunnel(self.conn.clone()));
        *answer.status_mut() = status;
        *answer.headers_mut() = fields;
        Forwarded::Answer(answer)
    }

    fn name_release(&self, fields: &mut HeaderMap) {
        if let Some(name) = &self.app().settings.release_header {
            fields.insert(name, self.lease.release().header.clone());
        }
    }
}
