//! Starts each request when the schedule says so, whatever became of those before.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::companions::{large, slow, watched};
use super::crowd::{Crowd, UnderWay};
use super::metronome::{Beats, Metronome};
use super::plan::{Mix, Plan};
use super::tunnel::tunnel;
use crate::clock::Moment;
use crate::run::{Ending, Kind, Loss, Pause};

/// Requests under way, for each connection that there may be, and at least. More are lost at once: what is tested, or
/// this process, is far too slow.
const UNDER_WAY_MAX: (usize, usize) = (4, 10_000);

/// So long the clients may stand still before it is noted.
const PAUSE: Duration = Duration::from_millis(100);

/// What a load is told while it runs.
pub(crate) enum Command {
    /// So many clients leave; the answer says how many did.
    Leave(usize, oneshot::Sender<usize>),
    /// The scheduled requests are these from now on.
    Mix(Mix),
    /// How many are under way that are older than the mix.
    Older(oneshot::Sender<usize>),
}

/// Runs the load until it is over and all requests have ended. It is over when the plan says so, or when the other end
/// of `commands` is dropped.
pub(crate) async fn dispatch(
    crowd: Rc<Crowd>,
    mut commands: mpsc::Receiver<Command>,
    over: watch::Sender<bool>,
) -> io::Result<Moment> {
    let mut running = JoinSet::new();
    companions(&crowd, &mut running);
    let began = Moment::now();
    let beats = Beats::new(began, crowd.plan.rate);
    let metronome = Metronome::start(beats)?;
    let mut schedule = Schedule::new(&crowd.plan, beats);
    let mut commanded = true;
    loop {
        tokio::select! {
            biased;
            command = commands.recv(), if commanded => match command {
                // Who asked may have gone.
                Some(Command::Leave(count, left)) => drop(left.send(crowd.leave(count))),
                Some(Command::Mix(mix)) => crowd.change(mix),
                Some(Command::Older(said)) => drop(said.send(crowd.older_than_mix())),
                None => {
                    commanded = false;
                    schedule.stop();
                }
            },
            () = metronome.beat(), if !schedule.is_over() => {
                start(&crowd, &mut schedule, &mut running);
            }
            ended = running.join_next(), if schedule.is_over() => match ended {
                Some(ended) => rethrow(ended),
                None => break,
            },
        }
        over.send_if_modified(|over| !std::mem::replace(over, schedule.is_over()) && *over);
        while let Some(ended) = running.try_join_next() {
            rethrow(ended);
        }
    }
    Ok(began)
}

fn companions(crowd: &Rc<Crowd>, running: &mut JoinSet<()>) {
    for _ in 0..crowd.plan.watched {
        running.spawn_local(watched(crowd.clone()));
    }
    for _ in 0..crowd.plan.slow_clients {
        running.spawn_local(slow(crowd.clone()));
    }
    for number in 0..crowd.plan.large_clients {
        running.spawn_local(large(crowd.clone(), number));
    }
    for number in 0..crowd.plan.tunnels {
        running.spawn_local(tunnel(crowd.clone(), number));
    }
}

/// A task that panicked is a fault of ours that must not look like a result.
fn rethrow(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Which request is next, and when it starts.
struct Schedule {
    beats: Beats,
    /// How many in all.
    total: u64,
    next: u64,
    /// When it was looked at last.
    looked: Moment,
}

impl Schedule {
    fn new(plan: &Plan, beats: Beats) -> Self {
        let total = plan.duration.map_or(f64::INFINITY, |duration| {
            (duration.as_secs_f64() * plan.rate).round()
        });
        Self {
            beats,
            // Saturates.
            total: total as u64,
            next: 0,
            looked: beats.at(0),
        }
    }

    fn is_over(&self) -> bool {
        self.next >= self.total
    }

    /// No more requests start.
    fn stop(&mut self) {
        self.total = self.next;
    }

    /// The next request was due long ago, and nobody looked: the clients stood still.
    fn note_pause(&mut self, crowd: &Crowd, now: Moment) {
        let from = self.beats.at(self.next).max(self.looked);
        if now.since(from) > PAUSE {
            crowd.pauses.borrow_mut().push(Pause { from, until: now });
        }
        self.looked = now;
    }

    /// The start of the next request, if it is due.
    fn take(&mut self, now: Moment) -> Option<Moment> {
        let start = self.beats.at(self.next);
        if self.is_over() || start > now {
            return None;
        }
        self.next += 1;
        Some(start)
    }
}

/// Starts all that is due.
fn start(crowd: &Rc<Crowd>, schedule: &mut Schedule, running: &mut JoinSet<()>) {
    let now = Moment::now();
    schedule.note_pause(crowd, now);
    let (per_connection, at_least) = UNDER_WAY_MAX;
    let most = at_least.max(crowd.plan.max_connections.saturating_mul(per_connection));
    while let Some(intended) = schedule.take(now) {
        let (kind, fresh) = draw(crowd);
        let pending = crowd.begin(kind, fresh, intended);
        if running.len() >= most {
            pending.end(Ending::Lost(Loss::Overrun));
            continue;
        }
        let number = pending.number;
        let task = running.spawn_local(crowd.clone().serve(pending));
        let abrupt = None;
        crowd
            .under_way
            .borrow_mut()
            .insert(number, UnderWay { task, abrupt });
    }
}

/// What the next request is, and whether its connection is a fresh one.
fn draw(crowd: &Crowd) -> (Kind, bool) {
    let mix = crowd.mix.get();
    let mut random = crowd.random.borrow_mut();
    let fresh = random.f64() < mix.fresh;
    if random.f64() < mix.posts {
        return (Kind::Post, fresh);
    }
    let lot = random.f64();
    let kind = if lot < mix.slow {
        Kind::Slow
    } else if lot < mix.slow + mix.streamed {
        Kind::Streamed
    } else {
        Kind::Get
    };
    (kind, fresh)
}
