//! What a request pays at the gate and at the door: `cargo bench -p benches --bench gate`.
//!
//! An open door and a gate are on the way of every request; a shut door only has to keep up with those it holds.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use swap_gate::{
    Admission, Arrival, Arrived, Bounds, Class, Gate, Queue, Rate, TICKET_OVERHEAD_BYTES, Ticket,
    Turn,
};

const NOW: Duration = Duration::ZERO;
const GET: u16 = 1;
const WAITING: [usize; 2] = [1_000, 100_000];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    gate(&mut criterion);
    open_door(&mut criterion);
    held_door(&mut criterion);
    criterion.final_summary();
}

fn gate(criterion: &mut Criterion) {
    let gate = Gate::new(2);
    criterion.bench_function("gate/enter and leave", |bench| {
        bench.iter(|| {
            let entered = gate.try_enter(black_box(0), black_box(Class::Safe));
            gate.leave(0, Class::Safe);
            entered
        });
    });
    let closed = Gate::new(2);
    closed.close();
    criterion.bench_function("gate/refused", |bench| {
        bench.iter(|| closed.try_enter(black_box(0), black_box(Class::Safe)));
    });
}

fn open_door(criterion: &mut Criterion) {
    let queue = queue();
    criterion.bench_function("door/open", |bench| {
        bench.iter(|| queue.shut_for() & black_box(GET) == 0);
    });
}

fn held_door(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("door/held");
    for waiting in WAITING {
        group.bench_function(BenchmarkId::new("arrive and leave", waiting), |bench| {
            let crowd = Crowd::of(waiting);
            bench.iter(|| drop(crowd.arrive()));
        });
        group.bench_function(BenchmarkId::new("arrive and admit", waiting), |bench| {
            let mut crowd = Crowd::of(waiting);
            crowd.queue.release(1, NOW);
            let mut under_way = crowd.admitted();
            bench.iter(|| {
                let last = crowd.arrive();
                crowd.line.push_back(last);
                // Its end makes room for the head of the line.
                under_way.take();
                under_way = crowd.admitted();
                assert!(under_way.is_some(), "somebody's turn has come");
            });
        });
    }
    group.finish();
}

fn queue() -> Arc<Queue<()>> {
    let max_requests = 2 * WAITING[1];
    let bounds = Bounds {
        max_requests,
        max_bytes: max_requests * (TICKET_OVERHEAD_BYTES + 1_000),
        max_wait: Duration::from_secs(30),
        max_per_client: max_requests,
        rate: Rate::Auto,
    };
    Queue::new(bounds, || {})
}

/// So many requests that wait, of a hundred clients, each with a task that would be woken.
struct Crowd {
    queue: Arc<Queue<()>>,
    line: VecDeque<Ticket<()>>,
}

impl Crowd {
    fn of(waiting: usize) -> Self {
        let queue = queue();
        queue.hold((), GET, NOW);
        let mut crowd = Self {
            queue,
            line: VecDeque::new(),
        };
        crowd.line = (0..waiting).map(|_| crowd.arrive()).collect();
        crowd
    }

    /// Arrives, and looks once, as its task does before it sleeps.
    fn arrive(&self) -> Ticket<()> {
        let client = self.line.len() as u128 % 100;
        let Arrived::Wait(mut ticket) = self.queue.arrive(
            Arrival {
                method: GET,
                client,
                bytes: 900,
            },
            NOW,
        ) else {
            unreachable!("the door is shut and has room");
        };
        assert!(
            ticket
                .poll_turn(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        ticket
    }

    /// The admission of the head of the line.
    fn admitted(&mut self) -> Option<Admission<()>> {
        let mut head = self.line.pop_front()?;
        match head.poll_turn(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Turn::Admitted(admission)) => Some(admission),
            Poll::Ready(Turn::Shed(_)) | Poll::Pending => None,
        }
    }
}
