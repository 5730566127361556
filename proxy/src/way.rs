//! The way of a request, told once: policy → route → door → draw → pick → forward.

mod older;

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_control::plane::Signal;
use http::header::InvalidHeaderValue;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use swap_core::{Cause, GateId};
use swap_gate::Turn;

use crate::access_log::{Began, Line};
use crate::account::Account;
use crate::answer::{self, Reason};
use crate::body::AnswerBody;
use crate::clock;
use crate::connection::{Conn, Kept, Parked, Resumed};
use crate::counters::Loss;
use crate::door::{self, Entry, Ticket};
use crate::draw::draw;
use crate::exchange::Exchange;
use crate::fields::Fields;
use crate::forward::{Answered, Follows, Forward, Forwarded};
use crate::lease::{Closed, Lease, pick};
use crate::listen::Front;
use crate::opt_in::{self, Wish};
use crate::part::Part;
use crate::policy::{self, Facts};
use crate::route::route;
use crate::table::App;
use crate::tunnel::Tunnel;
use crate::watch::Waiting;
use crate::websocket::Websocket;

/// Takes one request along its way. Never fails: what goes wrong is an answer. All that needs no wait is done at once, so
/// that the future has little to carry: each connection has room for it, and each stream that waits.
pub(crate) fn take(
    conn: Rc<Conn>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> {
    // Over HTTP/1 hyper leaves it out by itself.
    let without_content = request.method() == Method::HEAD && !conn.is_http1();
    let begun = match begin(conn, request) {
        Step::Later(rest) => Ok(rest),
        Step::Ended(answer) => Err(Box::new(answer)),
    };
    async move {
        let mut rest = match begun {
            Ok(rest) => rest,
            Err(answer) => return Ok(heard(*answer, without_content)),
        };
        loop {
            match rest.await {
                Step::Later(next) => rest = next,
                Step::Ended(answer) => return Ok(heard(answer, without_content)),
            }
        }
    }
}

/// The answer as this client may hear it: to a HEAD, content would be an error (RFC 9113, 8.1.1).
fn heard(answer: Response<AnswerBody>, without_content: bool) -> Response<AnswerBody> {
    if without_content {
        answer.map(AnswerBody::without_content)
    } else {
        answer
    }
}

/// What comes of a step on the way.
#[expect(
    clippy::large_enum_variant,
    reason = "it is handed on once and kept nowhere: a box would be an allocation for each request"
)]
enum Step {
    /// What takes its time. Boxed: a request takes the room of what it does, and not of all that it might do.
    Later(Pin<Box<dyn Future<Output = Self>>>),
    Ended(Response<AnswerBody>),
}

fn begin(conn: Rc<Conn>, request: Request<Incoming>) -> Step {
    let received = conn.request_began();
    let resumed = conn.take_resumed();
    let Front {
        trusted, limits, ..
    } = conn.front();
    let json = answer::is_json_accepted(request.headers());
    match Exchange::new(request, conn.peer(), trusted, limits, json) {
        Ok(exchange) => {
            let Facts {
                close, websocket, ..
            } = exchange.facts;
            conn.uploads(exchange.had_body);
            if close && !exchange.had_body && !websocket {
                conn.falls_silent();
            }
            Box::new(Traveller::new(conn, received, exchange)).begin(resumed)
        }
        Err(refused) => {
            let account = Account::open(conn.worker.clone(), received);
            let reason = Reason::BadRequest(refused);
            let answer = own(&conn, account, json, reason);
            // Who sends what is not sound may mean something else by what comes next than we do.
            Step::Ended(last(answer, conn.is_http1()))
        }
    }
}

/// Says that nothing more is answered on this connection.
fn last(mut answer: Response<AnswerBody>, is_http1: bool) -> Response<AnswerBody> {
    if is_http1 {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// A request on its way. Boxed where it is made: each step hands it to the next.
struct Traveller {
    conn: Rc<Conn>,
    account: Box<Account>,
    exchange: Exchange,
}

/// Where a way ends.
enum End {
    /// The app answers.
    App(Answered),
    /// We do.
    Own(Reason),
    /// The authority that issues certificates gets what it asks for (RFC 8555, 8.3).
    Proof(Bytes),
    /// Whoever asks for the next release, or for it no more, has it.
    Wish(Wish),
}

impl Traveller {
    fn new(conn: Rc<Conn>, received: Duration, exchange: Exchange) -> Self {
        Self {
            account: Account::open(conn.worker.clone(), received),
            conn,
            exchange,
        }
    }

    /// Sets out, or goes on after a wait; or is at its end at once. Whoever has waited waits for its app, and for
    /// nothing else.
    fn begin(mut self: Box<Self>, resumed: Option<Resumed>) -> Step {
        let end = match resumed {
            Some(resumed) => self.go_on(resumed),
            None => self.set_out(),
        };
        match end {
            Some(end) => self.end(end),
            None => self.route(),
        }
    }

    fn set_out(&mut self) -> Option<End> {
        let at_once = self.at_once();
        if at_once.is_none() {
            identify(&mut self.exchange);
            if self.conn.worker.book.is_on() {
                self.account.write(line(&self.exchange));
            }
        }
        at_once
    }

    fn go_on(&mut self, Resumed { turn, kept }: Resumed) -> Option<End> {
        let Kept {
            held,
            sent,
            account,
        } = *kept;
        identify(&mut self.exchange);
        (self.exchange.sent, self.exchange.held) = (sent, held);
        self.account = account;
        self.take_turn(turn)
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

    /// From the table to an app. Each turn of the loop uses one snapshot; a new turn begins only because a newer table
    /// exists.
    fn route(mut self: Box<Self>) -> Step {
        loop {
            let worker = &self.conn.worker;
            let exchange = &mut self.exchange;
            let (host, path) = (&exchange.facts.host, exchange.head.uri.path());
            let Some(routed) = route(worker.tables.load(), host, path) else {
                return self.end(End::Own(Reason::NoRoute));
            };
            self.account.routed(&routed);
            match door::enter(routed.app(), exchange, &mut self.account) {
                Entry::Open => {}
                entry => return self.heed(entry),
            }
            if let Some(wish) = opt_in::wish(routed.app(), &exchange.head) {
                return self.end(End::Wish(wish));
            }
            let seat = draw(routed.app(), exchange, &mut self.account);
            match pick(routed, seat.beside, worker.index, &exchange.head.method) {
                Ok(Some(lease)) => {
                    let part = Part::of(seat, &lease, exchange, *self.account.who());
                    self.account.takes_part(part);
                    return Step::Later(Box::pin(self.forward(lease)));
                }
                Ok(None) => return self.lose(Loss::ConnectRefused),
                Err(Closed) => {}
            }
        }
    }

    async fn forward(mut self: Box<Self>, lease: Lease) -> Step {
        let forward = Forward {
            conn: &self.conn,
            lease,
            secure: self.is_secure(),
            websocket: Websocket::of(&mut self.exchange),
        };
        let forwarded = forward.run(&mut self.exchange, &mut self.account).await;
        let Forward { lease, .. } = forward;
        match forwarded {
            Forwarded::Answered(answered) => self.end(End::App(answered)),
            Forwarded::NotFound(answered) => Step::Later(Box::pin(self.ask_older(lease, answered))),
            Forwarded::Lost(loss) => self.lose(loss),
            Forwarded::Refused(refused) => self.end(End::Own(Reason::BadRequest(refused))),
            Forwarded::Cut => {
                self.account.was_cut();
                self.end(End::Own(Reason::Cut))
            }
            Forwarded::Unreachable(loss) => self.turn_back(lease, loss),
        }
    }

    /// Nobody whom the lease stands for can be reached.
    fn turn_back(mut self: Box<Self>, lease: Lease, loss: Loss) -> Step {
        self.account.fell_through(loss);
        if lease.is_beside() {
            drop(lease);
            return self.route();
        }
        let (app, gate) = (lease.app().clone(), lease.release().gate_id);
        drop(lease);
        if !app.settings.config.hold.when_down {
            return self.lose(loss);
        }
        let entry = self.come_back(&app, gate);
        self.heed(entry)
    }

    /// Nobody behind the gate can be reached: back to the front of the queue, or on with a newer table.
    fn come_back(&mut self, app: &App, gate: GateId) -> Entry {
        let admitted = self.account.take_admitted();
        let (entry, shut) = door::come_back(&app.door, admitted, app.epoch, &self.exchange);
        if shut {
            tracing::warn!(app = %app.name, "the live release cannot be reached: requests are held");
            let signaller = &self.conn.worker.signaller;
            signaller.send(Signal::LiveDown(app.name.clone(), gate));
        }
        entry
    }

    /// What follows from the door's word.
    fn heed(self: Box<Self>, entry: Entry) -> Step {
        match entry {
            Entry::Open => self.route(),
            Entry::Wait(ticket) => self.wait(ticket),
            Entry::Refused(reason) => self.end(End::Own(Reason::Shed(reason))),
            Entry::HeldProbe => self.end(End::Own(Reason::HeldProbe)),
        }
    }

    /// As small as may be: whoever waits may be one of many thousands.
    fn wait(mut self: Box<Self>, ticket: Ticket) -> Step {
        let waiting = Waiting::new(ticket, &self.conn.worker.waking);
        if self.conn.is_http1() {
            Step::Later(Box::pin(self.wait_on_connection(waiting)))
        } else {
            // At once: what comes in one buffer is to be small before the next buffer is read.
            let fields = self.exchange.pack();
            Step::Later(Box::pin(self.wait_on_stream(waiting, fields)))
        }
    }

    /// Parked if the connection can be taken apart, else in place.
    async fn wait_on_connection(self: Box<Self>, waiting: Waiting) -> Step {
        if self.exchange.is_parkable() && self.conn.can_park() {
            self.park(waiting);
            // The connection step drops this future with the rest of hyper's connection.
            return std::future::pending().await;
        }
        let since = clock::now();
        if let Some(turn) = Box::pin(waiting.in_place(&self.conn)).await {
            return self.waited(since, turn);
        }
        self.conn.client_left();
        std::future::pending().await
    }

    async fn wait_on_stream(mut self: Box<Self>, waiting: Waiting, fields: Fields) -> Step {
        let since = clock::now();
        let _held = self.conn.held_stream();
        let turn = waiting.in_stream(self.exchange.body.as_mut()).await;
        self.exchange.unpack(fields);
        self.waited(since, turn)
    }

    fn waited(mut self: Box<Self>, since: Duration, turn: Turn<Cause>) -> Step {
        let waited = clock::now().saturating_sub(since);
        self.exchange.held += waited;
        self.account.held(waited);
        match self.take_turn(turn) {
            Some(end) => self.end(end),
            None => self.route(),
        }
    }

    fn park(self: Box<Self>, waiting: Waiting) {
        let Self {
            conn,
            account,
            exchange,
        } = *self;
        conn.park(Parked::new(waiting, exchange, account));
    }

    fn take_turn(&mut self, turn: Turn<Cause>) -> Option<End> {
        match turn {
            Turn::Admitted(admitted) => {
                self.account.admit(admitted);
                None
            }
            Turn::Shed(reason) => Some(End::Own(Reason::Shed(reason))),
        }
    }

    fn lose(mut self: Box<Self>, loss: Loss) -> Step {
        self.account.lost(loss);
        self.end(End::Own(Reason::Lost(loss)))
    }

    /// What the client gets. Whoever is refused before its body was read cannot use the connection again: hyper closes it.
    fn end(self: Box<Self>, end: End) -> Step {
        let (is_http1, had_body) = (self.conn.is_http1(), self.exchange.had_body);
        let is_stopping = self.conn.front().stop.is_stopping();
        let answer = self.answer(end);
        let unread = had_body && answer.body().is_own();
        Step::Ended(if unread || is_stopping {
            last(answer, is_http1)
        } else {
            answer
        })
    }

    fn answer(self: Box<Self>, end: End) -> Response<AnswerBody> {
        match end {
            End::App(answered) => self.pass_on(answered),
            End::Wish(wish) => self.grant(&wish),
            End::Own(reason) => {
                let https = (reason == Reason::HttpsOnly).then(|| self.https());
                let mut answer = own(&self.conn, self.account, self.exchange.wants_json, reason);
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
                    stop: conn.front().stop.clone(),
                });
                AnswerBody::of_tunnel(conn)
            }
        };
        Response::from_parts(head, body)
    }

    fn grant(mut self: Box<Self>, wish: &Wish) -> Response<AnswerBody> {
        let answer = opt_in::grant(wish, self.is_secure());
        self.account.told(answer.status());
        answer.map(|content| AnswerBody::own(content, self.account, self.conn))
    }

    fn is_secure(&self) -> bool {
        self.conn.front().tls.is_some() || self.exchange.origin.came_over_tls()
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
    mut account: Box<Account>,
    json: bool,
    reason: Reason,
) -> Response<AnswerBody> {
    account.refused(reason);
    let response = answer::answer(reason, json);
    response.map(|content| AnswerBody::own(content, account, conn.clone()))
}

/// Gives the request an id, unless it has one.
pub(crate) fn identify(exchange: &mut Exchange) {
    let made = || {
        // Hexadecimal digits are visible ASCII, so the fallback is never taken.
        HeaderValue::from_bytes(&hexadecimal(fastrand::u128(..)))
            .unwrap_or_else(|_| HeaderValue::from_static("0"))
    };
    let fields = &mut exchange.head.headers;
    fields.entry(policy::REQUEST_ID).or_insert_with(made);
}

/// By hand: each request needs one, and the formatter takes five times as long.
fn hexadecimal(number: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, octet) in text
        .as_chunks_mut::<2>()
        .0
        .iter_mut()
        .zip(number.to_be_bytes())
    {
        *pair = [
            DIGITS[usize::from(octet >> 4)],
            DIGITS[usize::from(octet & 0xf)],
        ];
    }
    text
}

fn line(exchange: &Exchange) -> Line {
    let request_id = exchange.head.headers.get(policy::REQUEST_ID);
    Line::begin(&Began {
        client: exchange.origin.client,
        method: &exchange.head.method,
        host: &exchange.facts.host,
        path: exchange.head.uri.path(),
        request_id: request_id.map_or(b"", HeaderValue::as_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_thirty_two_digits() {
        for number in [0, 1, 0xfedc_ba98_7654_3210, u128::MAX, u128::MAX / 3] {
            assert_eq!(
                hexadecimal(number)[..],
                *format!("{number:032x}").as_bytes()
            );
        }
    }
}
