//! Faults made on purpose: the same worlds must find them, or they prove nothing.

use std::process::Command;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};

use crate::door::{self, Look};
use crate::explore::every_way;
use crate::gate::{self, Bolt};

const CLOSED: usize = 1;
const ONE: usize = 2;

/// A gate that makes one mistake.
struct Faulty<const MISTAKE: usize> {
    words: Vec<AtomicUsize>,
    waiting: loom::sync::Mutex<Vec<Waker>>,
}

/// Says who waits, but does not look again.
const NO_SECOND_LOOK: usize = 1;
/// What a request did is not visible to whoever finds the gate empty.
const LEAVE_RELAXED: usize = 2;
/// The table that was published before is not visible to whoever is refused.
const CLOSE_RELAXED: usize = 3;
/// Counts first and looks for the bit afterwards, without waking anybody when it takes that back.
const COUNTS_FIRST: usize = 4;
/// Looks for the bit, then counts.
const LOOKS_FIRST: usize = 5;
/// Does not tell those who wait already.
const CLOSES_SILENTLY: usize = 6;

impl<const MISTAKE: usize> Faulty<MISTAKE> {
    fn is_empty(&self) -> bool {
        self.words
            .iter()
            .all(|word| word.load(Ordering::Acquire) == CLOSED)
    }

    fn unless(mistake: usize, right: Ordering) -> Ordering {
        if MISTAKE == mistake {
            Ordering::Relaxed
        } else {
            right
        }
    }

    fn wake_all(&self) {
        let woken = std::mem::take(&mut *self.waiting.lock().expect("no panic"));
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<const MISTAKE: usize> Bolt for Faulty<MISTAKE> {
    fn new(workers: usize) -> Self {
        Self {
            words: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            waiting: loom::sync::Mutex::new(Vec::new()),
        }
    }

    fn try_enter(&self, worker: usize) -> bool {
        let word = &self.words[worker];
        if MISTAKE == COUNTS_FIRST {
            let open = word.fetch_add(ONE, Ordering::Acquire) & CLOSED == 0;
            if !open {
                word.fetch_sub(ONE, Ordering::Release);
            }
            return open;
        }
        if MISTAKE == LOOKS_FIRST {
            let open = word.load(Ordering::Acquire) & CLOSED == 0;
            if open {
                word.fetch_add(ONE, Ordering::Relaxed);
            }
            return open;
        }
        let mut seen = word.load(Ordering::Acquire);
        while seen & CLOSED == 0 {
            let next = seen + ONE;
            match word.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    fn leave(&self, worker: usize) {
        let order = Self::unless(LEAVE_RELAXED, Ordering::Release);
        if self.words[worker].fetch_sub(ONE, order) == ONE | CLOSED {
            self.wake_all();
        }
    }

    fn close(&self) {
        let order = Self::unless(CLOSE_RELAXED, Ordering::Release);
        for word in &self.words {
            word.fetch_or(CLOSED, order);
        }
        if MISTAKE != CLOSES_SILENTLY {
            self.wake_all();
        }
    }

    fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_empty() {
            return Poll::Ready(());
        }
        self.waiting
            .lock()
            .expect("no panic")
            .push(cx.waker().clone());
        if MISTAKE != NO_SECOND_LOOK && self.is_empty() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// That every world goes well with no mistake is what `gate` shows of the real one; here of its copy.
#[test]
fn the_copy_without_a_mistake_is_sound() {
    every_way(gate::the_last_leave_races_with_the_wait::<Faulty<0>>);
    every_way(gate::the_close_races_with_the_wait::<Faulty<0>>);
    every_way(gate::the_refused_find_the_newer_table::<Faulty<0>>);
}

/// Runs `world` in a process of its own (a deadlock found by loom ends in an abort) and wants it to fail with `words`.
fn found(test: &str, words: &str, world: impl Fn() + Send + Sync + 'static) {
    const CHILD: &str = "SWAP_GATE_BROKEN_WORLD";
    if std::env::var_os(CHILD).is_some() {
        return every_way(world);
    }
    let output = Command::new(std::env::current_exe().expect("there is a test binary"))
        .args([&format!("broken::{test}"), "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("it can be run again");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success(),
        "the mistake was not found: {said}"
    );
    assert!(said.contains(words), "expected {words:?}, but: {said}");
}

#[test]
fn no_second_look_is_found() {
    found(
        "no_second_look_is_found",
        "deadlock",
        gate::the_last_leave_races_with_the_wait::<Faulty<NO_SECOND_LOOK>>,
    );
}

#[test]
fn a_relaxed_leave_is_found() {
    found(
        "a_relaxed_leave_is_found",
        "somebody was inside an empty gate",
        gate::requests_race_with_the_close::<Faulty<LEAVE_RELAXED>>,
    );
}

#[test]
fn a_relaxed_close_is_found() {
    found(
        "a_relaxed_close_is_found",
        "found the old table again",
        gate::the_refused_find_the_newer_table::<Faulty<CLOSE_RELAXED>>,
    );
}

#[test]
fn counting_before_looking_is_found() {
    found(
        "counting_before_looking_is_found",
        "deadlock",
        gate::requests_race_with_the_close::<Faulty<COUNTS_FIRST>>,
    );
}

#[test]
fn looking_before_counting_is_found() {
    found(
        "looking_before_counting_is_found",
        "somebody was inside an empty gate",
        gate::requests_race_with_the_close::<Faulty<LOOKS_FIRST>>,
    );
}

#[test]
fn a_silent_close_is_found() {
    found(
        "a_silent_close_is_found",
        "deadlock",
        gate::the_close_races_with_the_wait::<Faulty<CLOSES_SILENTLY>>,
    );
}

#[test]
fn asking_the_door_before_reading_the_table_is_found() {
    found(
        "asking_the_door_before_reading_the_table_is_found",
        "slipped behind a shut door",
        || door::a_hold_meets_a_request(Look::DoorThenTable),
    );
}

#[test]
fn a_turn_that_does_not_ask_whether_it_was_called_off_is_found() {
    found(
        "a_turn_that_does_not_ask_whether_it_was_called_off_is_found",
        "slipped behind a shut door",
        || door::a_hold_meets_a_turn(Look::TableOnly),
    );
}
