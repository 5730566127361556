//! The way of a request, told once: policy → route → door → pick → forward.

use std::convert::Infallible;
use std::future::ready;
use std::rc::Rc;

use bytes::Bytes;
use holdfast_control::plane::Signal;
use http::header::InvalidHeaderValue;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use hyper::body::Incoming;
use swap_core::{Cause, GateId};
use swap_gate::Turn;
use tokio_util::either::Either;

use crate::access_log::{Began, Line};
use crate::account::Account;
use crate::answer::{self, Reason};
use crate::body::AnswerBody;
use crate::clock;
use crate::connection::{Conn, Kept, Parked, Resumed};
use crate::counters::Loss;
use crate::door::{self, Entry, Ticket};
use crate::exchange::Exchange;
use crate::fields::Fields;
use crate::forward::{Answered, Follows, Forward, Forwarded};
use crate::lease::{Closed, pick};
use crate::listen::Front;
use crate::policy;
use crate::route::{Routed, route};
use crate::tunnel::Tunnel;
use crate::watch;
use crate::websocket::Websocket;

/// Takes one request along its way. Never fails: what goes wrong is an answer. All that needs no wait is done at once, so
/// that the future has little to carry.
pub(crate) fn take(
    conn: Rc<Conn>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> {
    let received = conn.request_began();
    let resumed = conn.take_resumed();
    let accept = request.headers().get(header::ACCEPT).cloned();
    let has_body = !request.body().is_end_stream();
    let Front {
        trusted, limits, ..
    } = conn.front();
    let mut traveller = match Exchange::new(request, conn.peer(), trusted, limits, received) {
        Ok(exchange) => {
            if exchange.facts.close && !has_body && !exchange.facts.websocket {
                conn.falls_silent();
            }
            Box::new(Traveller::new(conn, accept, exchange))
        }
        Err(refused) => {
            let account = Account::open(conn.worker.clone(), received);
            let reason = Reason::BadRequest(refused);
            let answer = own(&conn, account, accept.as_ref(), reason);
            // Who sends what is not sound may mean something else by what comes next than we do.
            return Either::Left(ready(Ok(last(answer, conn.is_http1()))));
        }
    };
    if let Some(end) = traveller.begin(resumed) {
        return Either::Left(ready(Ok(traveller.end(end, has_body))));
    }
    Either::Right(async move {
        let end = traveller.travel().await;
        Ok(traveller.end(end, has_body))
    })
}

/// Says that nothing more is answered on this connection.
fn last(mut answer: Response<AnswerBody>, is_http1: bool) -> Response<AnswerBody> {
    if is_http1 {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// A request on its way. Boxed where it is made: futures are moved about, whole, before they are first polled.
struct Traveller {
    conn: Rc<Conn>,
    /// For the form of our own answers.
    accept: Option<HeaderValue>,
    exchange: Exchange,
    account: Account,
}

/// Where a way ends.
enum End {
    /// The app answers.
    App(Answered),
    /// We do.
    Own(Reason),
    /// The authority that issues certificates gets what it asks for (RFC 8555, 8.3).
    Proof(Bytes),
}

impl Traveller {
    fn new(conn: Rc<Conn>, accept: Option<HeaderValue>, exchange: Exchange) -> Self {
        Self {
            account: Account::open(conn.worker.clone(), exchange.received),
            conn,
            accept,
            exchange,
        }
    }

    /// Sets out, or goes on after a wait; or is at its end at once. Whoever has waited waits for its app, and for
    /// nothing else.
    fn begin(&mut self, resumed: Option<Resumed>) -> Option<End> {
        match resumed {
            Some(resumed) => self.go_on(resumed),
            None => {
                let at_once = self.at_once();
                if at_once.is_none() {
                    self.set_out();
                }
                at_once
            }
        }
    }

    fn set_out(&mut self) {
        let request_id = identify(&mut self.exchange);
        if self.conn.worker.book.is_on() {
            self.account.write(line(&self.exchange, &request_id));
        }
    }

    fn go_on(&mut self, Resumed { turn, kept }: Resumed) -> Option<End> {
        let Kept {
            received,
            held,
            sent,
            account,
        } = *kept;
        identify(&mut self.exchange);
        let exchange = &mut self.exchange;
        (exchange.received, exchange.sent, exchange.held) = (received, sent, held);
        self.account = account;
        match turn {
            Turn::Admitted(admitted) => {
                self.account.admit(admitted);
                None
            }
            Turn::Shed(reason) => Some(End::Own(Reason::Shed(reason))),
        }
    }

    /// What is answered whatever the apps do.
    fn at_once(&self) -> Option<End> {
        let front = self.conn.front();
        let head = &self.exchange.head;
        let proof = front.challenges.at(head.uri.path());
        if let Some(proof) = proof.filter(|_| head.method.is_safe()) {
            return Some(End::Proof(proof));
        }
        let redirects = front.redirect && !self.exchange.origin.came_over_tls();
        redirects.then_some(End::Own(Reason::HttpsOnly))
    }

    /// From the routing on. Each turn of the loop uses one snapshot; a new turn begins only because a newer table
    /// exists, or because the request has waited.
    async fn travel(&mut self) -> End {
        loop {
            let worker = &self.conn.worker;
            let table = worker.tables.load();
            let exchange = &mut self.exchange;
            let Some(routed) = route(table, &exchange.facts.host, exchange.head.uri.path()) else {
                return End::Own(Reason::NoRoute);
            };
            self.account.routed(&routed);
            match door::enter(routed.app(), exchange, &mut self.account) {
                Entry::Open => {}
                entry => match Box::pin(self.at_the_door(entry)).await {
                    Ok(()) => continue,
                    Err(reason) => return End::Own(reason),
                },
            }
            let lease = match pick(&routed, worker.index, &exchange.head.method) {
                Ok(Some(lease)) => lease,
                Ok(None) => return self.lose(Loss::ConnectRefused),
                Err(Closed) => continue,
            };
            let gate = lease.release().gate_id;
            let forward = Forward {
                conn: &self.conn,
                routed: &routed,
                lease,
                websocket: Websocket::of(exchange),
            };
            let loss = match forward.run(exchange, &mut self.account).await {
                Forwarded::Answered(answered) => return End::App(answered),
                Forwarded::Lost(loss) => return self.lose(loss),
                Forwarded::Refused(refused) => return End::Own(Reason::BadRequest(refused)),
                Forwarded::Cut => return End::Own(Reason::Cut),
                Forwarded::Unreachable(loss) => loss,
            };
            drop(forward);
            if !routed.app().settings.config.hold.when_down {
                return self.lose(loss);
            }
            let entry = self.come_back(&routed, gate);
            if let Err(reason) = Box::pin(self.at_the_door(entry)).await {
                return End::Own(reason);
            }
        }
    }

    /// Nobody behind the gate can be reached: back to the front of the queue, or on with a newer table.
    fn come_back(&mut self, routed: &Routed, gate: GateId) -> Entry {
        let app = routed.app();
        let admitted = self.account.take_admitted();
        let (entry, shut) = door::come_back(&app.door, admitted, gate.0, &self.exchange);
        if shut {
            tracing::warn!(app = %app.name, "the live release cannot be reached: requests are held");
            let signaller = &self.conn.worker.signaller;
            signaller.send(Signal::LiveDown(app.name.clone(), gate));
        }
        entry
    }

    /// Does what the door says; `Ok` is to try again. Boxed where it is called: the room for waiting is not needed by
    /// those who do not wait.
    async fn at_the_door(&mut self, entry: Entry) -> Result<(), Reason> {
        match entry {
            Entry::Open => Ok(()),
            Entry::Refused(reason) => Err(Reason::Shed(reason)),
            Entry::HeldProbe => Err(Reason::HeldProbe),
            Entry::Wait(ticket) => match self.wait(ticket).await {
                Turn::Admitted(admitted) => {
                    self.account.admit(admitted);
                    Ok(())
                }
                Turn::Shed(reason) => Err(Reason::Shed(reason)),
            },
        }
    }

    /// Waits for the ticket's turn: parked if the connection can be taken apart, else in place.
    async fn wait(&mut self, ticket: Ticket) -> Turn<Cause> {
        if self.exchange.is_parkable() && self.conn.can_park() {
            let received = self.exchange.received;
            let empty = Account::open(self.conn.worker.clone(), received);
            let account = std::mem::replace(&mut self.account, empty);
            let parked = Parked::new(ticket, &mut self.exchange, account);
            self.conn.park(parked);
            // The connection step drops this future with the rest of hyper's connection.
            return std::future::pending().await;
        }
        let since = clock::now();
        let turn = if self.conn.is_http1() {
            let Some(turn) = watch::in_place(ticket, &self.conn).await else {
                self.conn.client_left();
                return std::future::pending().await;
            };
            turn
        } else {
            let Exchange { head, body, .. } = &mut self.exchange;
            let fields = Fields::take(&mut head.headers);
            let turn = watch::in_stream(ticket, body.as_mut(), &self.conn.worker.waking).await;
            head.headers = fields.restore().unwrap_or_default();
            turn
        };
        let waited = clock::now().saturating_sub(since);
        self.exchange.held += waited;
        self.account.held(waited);
        turn
    }

    fn lose(&self, loss: Loss) -> End {
        self.account.lost(loss);
        End::Own(Reason::Lost(loss))
    }

    /// What the client gets. Whoever is refused before its body was read cannot use the connection again: hyper closes it.
    fn end(self: Box<Self>, end: End, has_body: bool) -> Response<AnswerBody> {
        let is_http1 = self.conn.is_http1();
        let is_stopping = self.conn.worker.stop.is_stopping();
        let answer = self.answer(end);
        let unread = has_body && answer.body().is_own();
        if unread || is_stopping {
            return last(answer, is_http1);
        }
        answer
    }

    fn answer(self: Box<Self>, end: End) -> Response<AnswerBody> {
        match end {
            End::App(answered) => self.pass_on(answered),
            End::Own(reason) => {
                let https = (reason == Reason::HttpsOnly).then(|| self.https());
                let mut answer = own(&self.conn, self.account, self.accept.as_ref(), reason);
                if let Some(Ok(location)) = https {
                    answer.headers_mut().insert(header::LOCATION, location);
                }
                answer
            }
            End::Proof(proof) => {
                let body = AnswerBody::own(proof, self.account, self.conn);
                let mut answer = Response::new(body);
                let octets = HeaderValue::from_static("application/octet-stream");
                answer.headers_mut().insert(header::CONTENT_TYPE, octets);
                answer
            }
        }
    }

    fn pass_on(self: Box<Self>, Answered { head, what_follows }: Answered) -> Response<AnswerBody> {
        let Self { conn, account, .. } = *self;
        let body = match what_follows {
            Follows::Body(incoming, flight) => AnswerBody::of_app(incoming, flight, account, conn),
            Follows::Tunnel(upgrade, lease) => {
                conn.begin_tunnel(Tunnel {
                    upgrade,
                    lease,
                    account,
                });
                AnswerBody::of_tunnel(conn)
            }
        };
        Response::from_parts(head, body)
    }

    /// The same address under `https`, at its usual port.
    fn https(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let Exchange { head, facts, .. } = &self.exchange;
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        HeaderValue::try_from(format!("https://{}{target}", facts.host))
    }
}

/// Our own answer.
fn own(
    conn: &Rc<Conn>,
    mut account: Account,
    accept: Option<&HeaderValue>,
    reason: Reason,
) -> Response<AnswerBody> {
    account.refused(reason);
    let response = answer::answer(reason, accept);
    response.map(|content| AnswerBody::own(content, account, conn.clone()))
}

/// Gives the request an id, unless it has one.
pub(crate) fn identify(exchange: &mut Exchange) -> HeaderValue {
    let made = || {
        // Hexadecimal digits are visible ASCII, so the fallback is never taken.
        HeaderValue::try_from(format!("{:032x}", fastrand::u128(..)))
            .unwrap_or_else(|_| HeaderValue::from_static("0"))
    };
    exchange
        .head
        .headers
        .entry(policy::REQUEST_ID)
        .or_insert_with(made)
        .clone()
}

fn line(exchange: &Exchange, request_id: &HeaderValue) -> Line {
    Line::begin(&Began {
        client: exchange.origin.client,
        method: &exchange.head.method,
        host: &exchange.facts.host,
        path: exchange.head.uri.path(),
        request_id: request_id.as_bytes(),
    })
}
