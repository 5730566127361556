//! The way of a request, told once: policy → route → door → pick → forward.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_control::plane::Signal;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use hyper::body::Incoming;
use swap_core::{Cause, GateId};
use swap_gate::Turn;

use crate::access_log::Line;
use crate::account::Account;
use crate::answer::{self, Reason};
use crate::body::AnswerBody;
use crate::clock;
use crate::connection::{Conn, Kept, Parked, Resumed};
use crate::counters::Loss;
use crate::door::{self, Entry, Ticket};
use crate::exchange::Exchange;
use crate::forward::{Forward, Forwarded};
use crate::lease::{Closed, Lease, pick};
use crate::listen::Front;
use crate::policy;
use crate::route::{Routed, route};
use crate::watch;
use crate::websocket::Websocket;

/// Takes one request along its way. Never fails: what goes wrong is an answer.
pub(crate) async fn take(conn: Rc<Conn>, request: Request<Incoming>) -> Response<AnswerBody> {
    let received = conn.request_began();
    let resumed = conn.take_resumed();
    let accept = request.headers().get(header::ACCEPT).cloned();
    let has_body = !request.body().is_end_stream();
    let traveller = Traveller { conn, accept };
    let conn = &traveller.conn;
    let Front {
        trusted, limits, ..
    } = conn.front();
    let exchange = Exchange::new(request, conn.peer(), trusted, limits, received);
    let (mut response, sound) = match exchange {
        Ok(exchange) => (traveller.begin(exchange, resumed).await, true),
        Err(refused) => {
            let account = Account::open(traveller.conn.worker.clone(), received, None);
            let answer = traveller.answer(account, Reason::BadRequest(refused));
            (answer, false)
        }
    };
    // Whoever is refused before its body was read cannot use the connection again: hyper closes it. And who sends what
    // is not sound may mean something else by what comes next than we do.
    let unread = has_body && response.body().is_own();
    let is_last = unread || !sound || traveller.conn.worker.stop.is_stopping();
    if is_last && traveller.conn.is_http1() {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What stays the same on one request's way.
struct Traveller {
    conn: Rc<Conn>,
    /// For the form of our own answers.
    accept: Option<HeaderValue>,
}

impl Traveller {
    /// Answers at once, or sets out. Whoever has waited waits for its app, and for nothing else.
    async fn begin(&self, exchange: Exchange, resumed: Option<Resumed>) -> Response<AnswerBody> {
        let at_once = match &resumed {
            None => self.at_once(&exchange),
            Some(_) => None,
        };
        match at_once {
            Some(answer) => answer,
            None => self.set_out(exchange, resumed).await,
        }
    }

    /// What is answered whatever the apps do.
    fn at_once(&self, exchange: &Exchange) -> Option<Response<AnswerBody>> {
        let front = self.conn.front();
        let proof = front.challenges.at(exchange.head.uri.path());
        if let Some(proof) = proof.filter(|_| exchange.head.method.is_safe()) {
            return Some(self.prove(exchange, proof));
        }
        let redirects = front.redirect && !exchange.origin.came_over_tls();
        redirects.then(|| self.redirect(exchange))
    }

    /// What an ACME authority asks for (RFC 8555, 8.3).
    fn prove(&self, exchange: &Exchange, proof: Bytes) -> Response<AnswerBody> {
        let account = Account::open(self.conn.worker.clone(), exchange.received, None);
        let mut response = Response::new(AnswerBody::own(proof, account, self.conn.clone()));
        let octets = HeaderValue::from_static("application/octet-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, octets);
        response
    }

    /// The same address under `https`, at its usual port.
    fn redirect(&self, exchange: &Exchange) -> Response<AnswerBody> {
        let account = Account::open(self.conn.worker.clone(), exchange.received, None);
        let mut response = self.answer(account, Reason::HttpsOnly);
        let target = exchange
            .head
            .uri
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        let location = format!("https://{}{target}", exchange.facts.host);
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    /// Begins the way, or goes on with it after a wait.
    async fn set_out(
        &self,
        mut exchange: Exchange,
        resumed: Option<Resumed>,
    ) -> Response<AnswerBody> {
        let request_id = identify(&mut exchange);
        let Some(Resumed { turn, kept }) = resumed else {
            let account = self.open_account(&exchange, request_id);
            return self.travel(exchange, account).await;
        };
        let Kept {
            received,
            held,
            sent,
            mut account,
        } = *kept;
        (exchange.received, exchange.sent, exchange.held) = (received, sent, held);
        match turn {
            Turn::Admitted(admitted) => {
                account.admit(admitted);
                self.travel(exchange, account).await
            }
            Turn::Shed(reason) => self.answer(account, Reason::Shed(reason)),
        }
    }

    /// From the routing on. Each turn of the loop uses one snapshot; a new turn begins only because a newer table
    /// exists, or because the request has waited.
    async fn travel(&self, mut exchange: Exchange, mut account: Account) -> Response<AnswerBody> {
        loop {
            let worker = &self.conn.worker;
            let table = worker.tables.load();
            let Some(routed) = route(table, &exchange.facts.host, exchange.head.uri.path()) else {
                return self.answer(account, Reason::NoRoute);
            };
            account.routed(&routed);
            match door::enter(routed.app(), &exchange, &mut account) {
                Entry::Open => {}
                entry => match self.at_the_door(entry, &mut exchange, &mut account).await {
                    Ok(()) => continue,
                    Err(reason) => return self.answer(account, reason),
                },
            }
            let lease = match pick(&routed, worker.index, &exchange.head.method) {
                Ok(Some(lease)) => lease,
                Ok(None) => return self.lose(account, Loss::ConnectRefused),
                Err(Closed) => continue,
            };
            let gate = lease.release().gate_id;
            let (back, account_back, loss) =
                match self.forward(&routed, lease, exchange, account).await {
                    Ok(response) => return response,
                    Err(unreachable) => unreachable,
                };
            (exchange, account) = (*back, account_back);
            if !routed.app().settings.config.hold.when_down {
                return self.lose(account, loss);
            }
            let entry = self.come_back(&routed, gate, &exchange, &mut account);
            if let Err(reason) = self.at_the_door(entry, &mut exchange, &mut account).await {
                return self.answer(account, reason);
            }
        }
    }

    async fn forward(
        &self,
        routed: &Routed,
        lease: Lease,
        mut exchange: Exchange,
        account: Account,
    ) -> Result<Response<AnswerBody>, (Box<Exchange>, Account, Loss)> {
        let websocket = Websocket::of(&mut exchange);
        let forward = Forward {
            conn: &self.conn,
            routed,
            lease,
            websocket,
        };
        match forward.run(exchange, account).await {
            Forwarded::Answer(response) => Ok(response),
            Forwarded::Lost(account, loss) => Ok(self.lose(account, loss)),
            Forwarded::Refused(account, refused) => {
                Ok(self.answer(account, Reason::BadRequest(refused)))
            }
            Forwarded::Cut(account) => Ok(self.answer(account, Reason::Cut)),
            Forwarded::Unreachable(exchange, account, loss) => Err((exchange, account, loss)),
        }
    }

    /// Nobody behind the gate can be reached: back to the front of the queue, or on with a newer table.
    fn come_back(
        &self,
        routed: &Routed,
        gate: GateId,
        exchange: &Exchange,
        account: &mut Account,
    ) -> Entry {
        let app = routed.app();
        let (entry, shut) = door::come_back(&app.door, account.take_admitted(), gate.0, exchange);
        if shut {
            tracing::warn!(app = %app.name, "the live release cannot be reached: requests are held");
            self.conn
                .worker
                .signaller
                .send(Signal::LiveDown(app.name.clone(), gate));
        }
        entry
    }

    /// Does what the door says; `Ok` is to try again.
    async fn at_the_door(
        &self,
        entry: Entry,
        exchange: &mut Exchange,
        account: &mut Account,
    ) -> Result<(), Reason> {
        match entry {
            Entry::Open => Ok(()),
            Entry::Refused(reason) => Err(Reason::Shed(reason)),
            Entry::HeldProbe => Err(Reason::HeldProbe),
            Entry::Wait(ticket) => match self.wait(ticket, exchange, account).await {
                Turn::Admitted(admitted) => {
                    account.admit(admitted);
                    Ok(())
                }
                Turn::Shed(reason) => Err(Reason::Shed(reason)),
            },
        }
    }

    /// Waits for the ticket's turn: parked if the connection can be taken apart, else in place.
    async fn wait(
        &self,
        ticket: Ticket,
        exchange: &mut Exchange,
        account: &mut Account,
    ) -> Turn<Cause> {
        if exchange.is_parkable() && self.conn.can_park() {
            let empty = Account::open(self.conn.worker.clone(), exchange.received, None);
            let account = std::mem::replace(account, empty);
            self.conn.park(Parked::new(ticket, exchange, account));
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
            watch::in_stream(ticket, exchange.body.as_mut()).await
        };
        let waited = clock::now().saturating_sub(since);
        exchange.held += waited;
        account.held(waited);
        turn
    }

    fn open_account(&self, exchange: &Exchange, request_id: HeaderValue) -> Account {
        let worker = &self.conn.worker;
        let line = worker
            .access_log
            .is_on()
            .then(|| Box::new(line(exchange, &request_id)));
        Account::open(worker.clone(), exchange.received, line)
    }

    fn lose(&self, account: Account, loss: Loss) -> Response<AnswerBody> {
        account.lost(loss);
        self.answer(account, Reason::Lost(loss))
    }

    /// Our own answer.
    fn answer(&self, mut account: Account, reason: Reason) -> Response<AnswerBody> {
        account.refused(reason);
        let response = answer::answer(reason, self.accept.as_ref());
        response.map(|content| AnswerBody::own(content, account, self.conn.clone()))
    }
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
    Line {
        client: exchange.origin.client,
        method: exchange.head.method.clone(),
        host: exchange.facts.host.clone(),
        path: exchange.head.uri.path().to_owned(),
        request_id: String::from_utf8_lossy(request_id.as_bytes()).into_owned(),
        app: None,
        release: None,
        status: None,
        reason: None,
        took: Duration::ZERO,
        held: Duration::ZERO,
        bytes: 0,
    }
}
