//! Clients that take turns on one thread of tokio: for what is too much to write by hand with epoll, TLS and HTTP/2.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::schedule::Schedule;
use super::watch::Watch;
use super::{Outcome, Plan};

/// Until a client that has failed tries again.
const AGAIN: Duration = Duration::from_millis(10);

/// One who asks, and waits for the answer.
pub(super) trait Client: 'static {
    async fn ask(&mut self) -> Result<(), String>;
}

struct Shared {
    watch: Watch,
    schedule: Option<Schedule>,
    /// When what each client waits for was due.
    under_way: Vec<Option<Instant>>,
}

/// Runs what needs tokio.
pub(super) fn on_one_thread(
    what: impl Future<Output = io::Result<Outcome>>,
) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, what)
}

/// Has all of them ask until the window is over.
pub(super) async fn drive<C: Client>(plan: &Plan, clients: Vec<C>) -> io::Result<Outcome> {
    let shared = Rc::new(RefCell::new(Shared {
        watch: Watch::new(plan)?,
        schedule: plan
            .rate
            .map(|rate| Schedule::new(rate, plan.seed, Instant::now())),
        under_way: vec![None; clients.len()],
    }));
    for (place, client) in clients.into_iter().enumerate() {
        let alarm = Alarm::new()?;
        spawn_local(asks(Rc::clone(&shared), place, client, alarm));
    }
    loop {
        let now = Instant::now();
        if shared.borrow_mut().watch.turn(now)? {
            break;
        }
        let until = shared.borrow().watch.looks_at(now);
        sleep(until.saturating_duration_since(now)).await;
    }
    let now = Instant::now();
    let mut shared = shared.borrow_mut();
    // What was due and has no answer yet is at least as late as it is now. Clients that wait for their time are not.
    let overdue: Vec<Instant> = shared.under_way.iter().flatten().copied().collect();
    for due in overdue.into_iter().filter(|due| *due < now) {
        shared.watch.late(due, now);
    }
    shared.watch.outcome()
}

async fn asks<C: Client>(shared: Rc<RefCell<Shared>>, place: usize, mut client: C, alarm: Alarm) {
    loop {
        let due = shared.borrow_mut().schedule.as_mut().map(Schedule::take);
        shared.borrow_mut().under_way[place] = due;
        let due = match due {
            None => Instant::now(),
            Some(due) => {
                alarm.until(due).await;
                due
            }
        };
        let asked = client.ask().await;
        match asked {
            Ok(()) => shared.borrow_mut().watch.answered(due),
            Err(why) => {
                shared.borrow_mut().watch.failed(|| why);
                sleep(AGAIN).await;
            }
        }
    }
}

/// Tokio's clock goes by milliseconds, and that is a long time for a proxy.
struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    #[expect(
        deprecated,
        reason = "an `OwnedFd` stays what it is; the new way is an unsafe function, and this crate has none"
    )]
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(AsyncFd::new(timer)?))
    }

    /// Waits until then. If that cannot be, it goes on at once.
    async fn until(&self, then: Instant) {
        let left = then.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            },
        };
        if timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).is_err() {
            return;
        }
        while Instant::now() < then {
            let Ok(mut ready) = self.0.readable().await else {
                return;
            };
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
            ready.clear_ready();
        }
    }
}
