//! Clients that ask again and again over HTTP/1.1, in a process of their own: at a fixed rate whatever becomes of those
//! before (open loop), or as soon as they are answered (closed loop).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use holdfast_load::clock::Moment;
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use super::book::{self, Outcome, Sent};
use super::pages::Pages;
use super::{Child, Ear, PACED, expect, head, tell, wire};
use crate::trouble::Trouble;

/// Until a client whose connection has ended tries again.
const AGAIN: Duration = Duration::from_millis(10);

/// Requests that are due within so long begin together.
const TICK: Duration = Duration::from_micros(250);

/// Who asks, and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Paced {
    pub(crate) address: SocketAddr,
    pub(crate) connections: u32,
    /// A second, evenly but for the ticks. None: as many as are answered.
    pub(crate) rate: Option<f64>,
    /// Where it is written down; `at` is when a request was due.
    pub(crate) book: PathBuf,
}

impl Paced {
    /// Starts it, on this core if one is named. It asks until it is told `stop`, and then says `done`.
    pub(crate) fn start(&self, core: Option<usize>) -> Result<Child, Trouble> {
        // Numbers and text, so it cannot fail.
        let plan = serde_json::to_string(self).unwrap_or_default();
        Child::start(PACED, &plan, core)
    }
}

#[derive(Default)]
struct Shared {
    /// The next request's number; when it is due follows from it.
    next: Cell<u32>,
    is_over: Cell<bool>,
    sent: RefCell<Pages<Sent>>,
}

pub(super) async fn run(plan: String, mut ear: Ear) -> io::Result<()> {
    let plan: Rc<Paced> = Rc::new(serde_json::from_str(&plan)?);
    let shared = Rc::new(Shared::default());
    let began = Instant::now();
    // After the beginning, so that a tick is never just before what is due.
    let ticker = plan.rate.map(|_| Ticker::start()).transpose()?;
    let mut clients = Vec::new();
    for _ in 0..plan.connections {
        let client = asks(plan.clone(), shared.clone(), began, ticker.clone());
        clients.push(spawn_local(client));
    }
    expect(&mut ear, "stop").await?;
    shared.is_over.set(true);
    for client in clients {
        client.await.map_err(io::Error::other)?;
    }
    let mut sent = shared.sent.take().into_vec();
    sent.sort_unstable_by_key(|one| one.id);
    book::write_sent(&plan.book, &sent)?;
    tell("done")
}

/// With a ticker if there is a rate.
async fn asks(plan: Rc<Paced>, shared: Rc<Shared>, began: Instant, ticker: Option<Rc<Ticker>>) {
    let mut stream = None;
    while !shared.is_over.get() {
        let id = shared.next.get();
        shared.next.set(id + 1);
        let due = plan.rate.map(|rate| began + due(id, rate));
        if let (Some(due), Some(ticker)) = (due, &ticker) {
            ticker.until(due).await;
        }
        // Late if this client was not free, or not woken, in time.
        let late = due.map_or(Duration::ZERO, |due| due.elapsed());
        let at = Moment::now().minus(late);
        let outcome = ask(&plan, &mut stream, id).await;
        let ended = Moment::now();
        shared.sent.borrow_mut().push(Sent {
            id,
            at,
            ended,
            outcome,
        });
        if outcome == Outcome::Lost {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// After how long: evenly, but for the ticks.
fn due(id: u32, rate: f64) -> Duration {
    let ticks = (f64::from(id) / rate / TICK.as_secs_f64()).ceil();
    TICK.mul_f64(ticks)
}

async fn ask(plan: &Paced, kept: &mut Option<TcpStream>, id: u32) -> Outcome {
    let asking = async {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(plan.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(&head::text(id)).await?;
        let answer = wire::read_answer(&mut stream).await?;
        *kept = Some(stream);
        Ok::<_, io::Error>(answer)
    };
    match asking.await {
        Ok(answer) if answer.status != 200 => Outcome::Refused(answer.status),
        Ok(answer) if answer.body == head::body(id).as_bytes() => Outcome::Answered,
        Ok(_) => Outcome::Wrong,
        Err(_) => Outcome::Lost,
    }
}

/// Wakes whoever is due. Tokio's clock goes by milliseconds, and that is a long time for a proxy; a timer
/// for each request would be more work than the request, on the core that the apps are on.
struct Ticker {
    timer: AsyncFd<OwnedFd>,
    /// In the order in which they are due, as the requests' numbers are.
    waiting: RefCell<VecDeque<(Instant, oneshot::Sender<()>)>>,
}

impl Ticker {
    #[expect(
        deprecated,
        reason = "an `OwnedFd` stays what it is; the new way is an unsafe function, and this crate has none"
    )]
    fn start() -> io::Result<Rc<Self>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let every = Itimerspec {
            it_interval: timespec(TICK),
            it_value: timespec(TICK),
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every)?;
        let this = Rc::new(Self {
            timer: AsyncFd::new(timer)?,
            waiting: RefCell::default(),
        });
        let ticks = this.clone();
        spawn_local(async move { ticks.tick().await });
        Ok(this)
    }

    /// Returns in the first tick that is not before. It ticks for as long as this process asks.
    async fn until(&self, then: Instant) {
        if then <= Instant::now() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        self.waiting.borrow_mut().push_back((then, wake));
        // Woken, as it ticks.
        let _ = woken.await;
    }

    async fn tick(&self) -> io::Result<()> {
        loop {
            let mut ready = self.timer.readable().await?;
            let _ = rustix::io::read(&self.timer, &mut [0; 8]);
            ready.clear_ready();
            let now = Instant::now();
            let mut waiting = self.waiting.borrow_mut();
            while let Some((_, wake)) = waiting.pop_front_if(|(then, _)| *then <= now) {
                let _ = wake.send(());
            }
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
