//! How long a client may take for what, kept by one timer for each connection.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::conn::{Conn, Due};
use crate::clock;
use crate::io::Doing;
use crate::linger;

/// A connection without a request is kept for so long while the daemon stops: clients that are about to write get their answer.
pub(crate) const IDLE_STOPPING_MAX: Duration = Duration::from_secs(5);

/// Connections that are used again and again need not be built anew each time.
const REST_AFTER: Duration = Duration::from_secs(1);

/// Which deadline has passed.
pub(super) enum Passed {
    Answer,
    Head,
    Idle,
    /// Long enough without a request to wait for the next one with next to nothing.
    Rest,
    Write,
}

/// One timer for a connection. It looks as often as a head may take (every 10 s): a head that began after the
/// last look cannot be late before the next. So no request ever touches the timer, unless its app's limit is shorter.
pub(super) struct Deadline {
    timer: Pin<Box<Sleep>>,
    /// None: nobody has had to hear of it.
    stopping: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// The next look is later than that: there is no head that could be late.
    rests: bool,
    /// The first look after the daemon was told to stop has been.
    hurried: bool,
}

impl Deadline {
    pub(super) fn new(conn: &Rc<Conn>) -> Self {
        let timer = Box::pin(tokio::time::sleep(conn.front().limits.head));
        Self {
            timer,
            stopping: None,
            rests: false,
            hurried: false,
        }
    }

    pub(super) fn poll(&mut self, conn: &Conn, cx: &mut Context<'_>) -> Poll<Passed> {
        // With a request under way there is nothing to hurry: its answer is the last one.
        if conn.activity.doing().0 != Doing::Request {
            self.arm(conn, cx);
        }
        if conn.front().stop.is_stopping() && !std::mem::replace(&mut self.hurried, true) {
            self.timer.as_mut().reset(Instant::now());
        }
        if let Some(Due { at, .. }) = conn.due.get() {
            let at = clock::instant(at);
            if at < self.timer.deadline() {
                self.timer.as_mut().reset(at);
            }
        }
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            let now = clock::now();
            match look(conn, now) {
                Ok(passed) => {
                    self.rearm(now + conn.front().limits.head);
                    return Poll::Ready(passed);
                }
                Err(next) => self.rearm(next),
            }
        }
    }

    /// Wakes the connection when its listener stops.
    fn arm(&mut self, conn: &Conn, cx: &mut Context<'_>) {
        if self.stopping.is_none() {
            let stop = conn.front().stop.clone();
            let stopping = self
                .stopping
                .insert(Box::pin(async move { stop.stopped().await }));
            let _ = stopping.as_mut().poll(cx);
        }
    }

    /// The same for a connection that rests, which has but one: how long it may be idle.
    pub(super) fn poll_resting(&mut self, conn: &Conn, cx: &mut Context<'_>) -> Poll<()> {
        self.arm(conn, cx);
        let (_, since) = conn.activity.doing();
        let at = since + conn.front().limits.idle;
        if clock::instant(at) < self.timer.deadline() {
            self.rearm(at);
        }
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            if clock::now() >= at {
                return Poll::Ready(());
            }
            self.rests = true;
            self.rearm(at);
        }
    }

    /// It no longer rests: a head may be late again.
    pub(super) fn wake(&mut self, conn: &Conn) {
        if std::mem::take(&mut self.rests) {
            self.rearm(clock::lately() + conn.front().limits.head);
        }
    }

    fn rearm(&mut self, at: Duration) {
        self.timer.as_mut().reset(clock::instant(at));
    }
}

/// What is late, or when to look again.
fn look(conn: &Conn, now: Duration) -> Result<Passed, Duration> {
    let (doing, since) = conn.activity.doing();
    let limits = &conn.front().limits;
    let next = now + limits.head;
    let (passed, at) = match doing {
        Doing::Head => (Passed::Head, since + limits.head),
        Doing::Idle => {
            let idle = conn.front().stop.shorten(limits.idle, IDLE_STOPPING_MAX);
            if idle > REST_AFTER && conn.can_park() && !conn.is_uploading() {
                (Passed::Rest, since + REST_AFTER)
            } else {
                (Passed::Idle, since + idle)
            }
        }
        Doing::Request => match (conn.due.get(), conn.activity.stuck()) {
            (Some(Due { at, .. }), _) if !conn.overdue.get() => (Passed::Answer, at),
            (_, Some(stuck)) => (Passed::Write, stuck + limits.write),
            (_, None) => return Err(next),
        },
    };
    let unread = || conn.with_socket(linger::has_unread).unwrap_or(false);
    match passed {
        _ if now < at => Err(at.min(next)),
        Passed::Idle | Passed::Rest if unread() => Err(next),
        passed => Ok(passed),
    }
}
