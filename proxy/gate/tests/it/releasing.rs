//! A released queue empties in order, at a pace, in bounded time; then the door is open.

use std::collections::VecDeque;
use std::task::Context;
use std::time::Duration;

use swap_gate::{Bounds, Expired, Rate, Ticket};

use crate::support::*;

fn per_second(rate: u32) -> Bounds {
    Bounds {
        rate: Rate::PerSecond(rate),
        ..bounds()
    }
}

#[test]
fn a_door_behind_which_nobody_waits_opens_at_once_and_says_so() {
    let door = Door::held(bounds());
    door.release(5);
    assert!(door.is_open());
    assert_eq!(door.opened(), 1);
    assert_eq!(door.queue.pace(door.now), None);
}

#[test]
fn releasing_an_open_door_says_again_that_it_is_open() {
    let door = Door::new(bounds());
    door.release(5);
    assert_eq!(door.opened(), 1);
    assert_eq!(door.counts().number, 0);
}

#[test]
fn first_come_first_served() {
    let mut door = Door::held(bounds());
    let mut line = door.line(50);
    door.release(3);
    let mut served = Vec::new();
    while !line.is_empty() {
        served.extend(let_go(&mut line).iter().map(|admission| admission.place()));
        door.pace();
    }
    assert_eq!(served.len(), 50);
    assert!(served.is_sorted());
    assert_eq!(door.counts().released, 50);
}

#[test]
fn the_window_starts_where_the_old_release_was() {
    let door = Door::held(bounds());
    let mut line = door.line(10);
    door.release(4);
    let window = let_go(&mut line);
    assert_eq!(window.len(), 4);
    assert_eq!(door.counts().waiting, 6);
}

#[test]
fn an_app_that_ran_nothing_is_tried_with_one() {
    let door = Door::held(bounds());
    let mut line = door.line(10);
    door.release(0);
    assert_eq!(let_go(&mut line).len(), 1);
}

#[test]
fn one_that_ends_is_replaced_and_each_answer_lets_one_more_go() {
    let door = Door::held(bounds());
    let mut line = door.line(10);
    door.release(1);
    let mut first = let_go(&mut line);
    first[0].answered(door.now);
    first[0].answered(door.now);
    let mut second = let_go(&mut line);
    assert_eq!(
        second.len(),
        1,
        "an answer counts once, while its body still runs"
    );
    drop(first);
    second.extend(let_go(&mut line));
    assert_eq!(second.len(), 2, "and the end of it makes room for another");
    drop(second);
    assert_eq!(
        let_go(&mut line).len(),
        2,
        "the window stays at two without answers"
    );
}

#[test]
fn the_window_grows_by_a_quarter_each_tenth_of_a_second_without_any_answer() {
    let mut door = Door::held(bounds());
    let mut line = door.line(100);
    door.release(8);
    let mut out = let_go(&mut line);
    let mut sizes = vec![out.len()];
    for _ in 0..4 {
        assert_eq!(door.queue.pace(door.now), Some(ms(100)));
        door.wait(ms(99));
        door.queue.pace(door.now);
        assert!(let_go(&mut line).is_empty(), "not before its time");
        door.wait(ms(1));
        door.queue.pace(door.now);
        out.extend(let_go(&mut line));
        sizes.push(out.len());
    }
    assert_eq!(sizes, [8, 10, 12, 15, 18]);
}

#[test]
fn a_hundred_thousand_are_gone_within_seconds_even_if_the_app_never_answers() {
    let mut door = Door::held(Bounds {
        max_requests: 100_000,
        ..bounds()
    });
    let mut line = door.line(100_000);
    door.release(1);
    while door.pace() {}
    assert!(door.is_open());
    assert!(door.now < ms(6_000), "{:?}", door.now);
    assert_eq!(let_go(&mut line).len(), 100_000);
}

#[test]
fn a_process_that_slept_does_not_let_the_whole_crowd_go_at_once() {
    let mut door = Door::held(bounds());
    let mut line = door.line(100);
    door.release(8);
    door.wait(ms(60_000));
    door.queue.pace(door.now);
    assert_eq!(let_go(&mut line).len(), 10);
}

#[test]
fn asking_for_the_pace_more_often_does_not_quicken_it() {
    let mut door = Door::held(bounds());
    let mut line = door.line(100);
    door.release(8);
    door.wait(ms(100));
    for _ in 0..10 {
        assert_eq!(door.queue.pace(door.now), Some(ms(100)));
    }
    assert_eq!(let_go(&mut line).len(), 10);
}

#[test]
fn arrivals_queue_behind_while_the_others_pass() {
    let mut door = Door::new(bounds());
    door.queue.hold("command", POST, door.now);
    let mut line = door.line(2);
    door.release(1);
    passes(door.arrive(get(9)));
    line.push(door.ticket(post(9)));
    let mut served = let_go(&mut line);
    while door.pace() {}
    served.extend(let_go(&mut line));
    assert_eq!(served.len(), 3);
    assert!(door.is_open());
    passes(door.arrive(post(9)));
    assert_eq!(door.counts().held, 3);
}

#[test]
fn the_door_opens_when_the_last_one_goes_or_leaves() {
    let door = Door::held(bounds());
    let mut line = door.line(3);
    door.release(1);
    let _running = let_go(&mut line);
    drop(line);
    assert!(door.is_open());
    assert_eq!(door.opened(), 1);
    let counts = door.counts();
    assert_eq!((counts.released, counts.abandoned), (1, 2));
    assert_eq!((counts.cause, counts.methods), (None, 0));
}

#[test]
fn a_turn_that_nobody_looked_at_goes_to_the_next() {
    let door = Door::held(bounds());
    let mut line = door.line(3);
    door.release(1);
    drop(line.remove(0));
    let _admission = admitted(&mut line[0]);
    let counts = door.counts();
    assert_eq!(
        (counts.released, counts.abandoned, counts.waiting),
        (1, 1, 1)
    );
}

#[test]
fn a_turn_that_came_a_moment_before_the_timer_is_not_taken_back() {
    let mut door = Door::held(bounds());
    let ticket = door.ticket(post(1));
    door.wait(ms(10_000));
    door.release(1);
    assert!(matches!(ticket.expire(door.now), Expired::Admitted(_)));
    let counts = door.counts();
    assert_eq!((counts.released, counts.shed.timeout), (1, 0));
    assert_eq!(counts.longest, ms(10_000));
}

#[test]
fn a_task_that_waits_is_woken_once_when_its_turn_comes_and_not_before() {
    let door = Door::held(bounds());
    let mut line = door.line(2);
    let sleepers: Vec<_> = line.iter_mut().map(sleep_on).collect();
    door.release(1);
    assert_eq!((sleepers[0].woken(), sleepers[1].woken()), (1, 0));
    drop(admitted(&mut line[0]));
    assert_eq!((sleepers[0].woken(), sleepers[1].woken()), (1, 1));
}

#[test]
fn only_the_last_task_that_looked_is_woken() {
    let door = Door::held(bounds());
    let mut ticket = door.ticket(post(1));
    let first = sleep_on(&mut ticket);
    let moved_to = sleep_on(&mut ticket);
    door.release(1);
    assert_eq!((first.woken(), moved_to.woken()), (0, 1));
}

fn sleep_on(ticket: &mut Ticket<Cause>) -> std::sync::Arc<Sleeper> {
    let (sleeper, waker) = Sleeper::new();
    assert!(
        ticket
            .poll_turn(&mut Context::from_waker(&waker))
            .is_pending()
    );
    sleeper
}

/// How many of them have been woken and have not looked since.
fn woken(sleepers: &[std::sync::Arc<Sleeper>]) -> usize {
    sleepers.iter().filter(|task| task.woken() > 0).count()
}

#[test]
fn a_release_does_not_run_ahead_of_those_who_look() {
    let door = Door::held(bounds());
    let mut line = door.line(100);
    let sleepers: Vec<_> = line.iter_mut().map(sleep_on).collect();
    door.release(1_000);
    assert_eq!(woken(&sleepers), 32, "so many are told at first");
    let mut gone = Vec::new();
    for (ticket, looked) in line.iter_mut().zip(1..=68) {
        gone.push(admitted(ticket));
        assert_eq!(
            woken(&sleepers),
            32 + looked,
            "and one more for each who looks"
        );
    }
    assert!(door.is_open());
}

#[test]
fn who_does_not_look_is_waited_for_for_a_tenth_of_a_second() {
    let mut door = Door::held(bounds());
    let mut line = door.line(200);
    let sleepers: Vec<_> = line.iter_mut().map(sleep_on).collect();
    door.release(1_000);
    door.wait(ms(99));
    assert_eq!(
        door.queue.pace(door.now),
        Some(ms(5)),
        "it will be looked at again"
    );
    assert_eq!(woken(&sleepers), 32);
    let mut told = Vec::new();
    for _ in 0..3 {
        door.wait(ms(100));
        door.queue.pace(door.now);
        told.push(woken(&sleepers));
    }
    assert_eq!(told, [64, 128, 200]);
}

#[test]
fn a_hold_stops_a_release_and_the_next_one_starts_anew() {
    let mut door = Door::held(bounds());
    let mut line = door.line(10);
    door.release(2);
    let before = let_go(&mut line);
    door.queue.hold("swap", EVERY_METHOD, door.now);
    assert_eq!(door.queue.pace(door.now), None);
    door.wait(ms(500));
    drop(before);
    assert!(
        let_go(&mut line).is_empty(),
        "those who end make no room at a shut door"
    );
    door.release(3);
    let after = let_go(&mut line);
    assert_eq!(after.len(), 3);
    assert_eq!((door.counts().number, door.counts().released), (1, 5));
}

#[test]
fn an_admission_of_an_earlier_release_has_no_part_in_the_pace_of_this_one() {
    let door = Door::held(bounds());
    let mut line = door.line(10);
    door.release(1);
    let mut old = let_go(&mut line);
    door.queue.hold("swap", EVERY_METHOD, door.now);
    door.release(1);
    assert_eq!(let_go(&mut line).len(), 1, "it takes no room");
    // That one has ended by now, so the next is under way.
    let _running = let_go(&mut line);
    old[0].answered(door.now);
    drop(old);
    assert!(let_go(&mut line).is_empty(), "and makes none");
}

#[test]
fn a_turn_given_before_the_door_was_shut_again_is_called_off() {
    let door = Door::held(bounds());
    let mut line = door.line(2);
    door.release(1);
    let early = admitted(&mut line[0]);
    assert!(!early.is_called_off());
    door.queue.hold("swap", EVERY_METHOD, door.now);
    assert!(early.is_called_off());
    let mut early = waits(early.wait_again(door.now));
    assert_eq!(door.counts().released, 0);
    assert_eq!((door.counts().held, door.counts().waiting), (2, 2));
    door.release(1);
    let early = admitted(&mut early);
    assert!(!early.is_called_off());
    assert!(look(&mut line[1]).is_none());
}

#[test]
fn a_turn_called_off_for_other_methods_only_may_pass() {
    let door = Door::held(bounds());
    let mut reader = door.ticket(get(1));
    let _writer = door.ticket(post(1));
    door.release(1);
    let reader = admitted(&mut reader);
    door.queue.hold("command", POST, door.now);
    assert!(reader.is_called_off());
    passes(reader.wait_again(door.now));
    assert_eq!(door.counts().released, 1);
}

#[test]
fn a_release_under_way_is_not_started_again() {
    let door = Door::held(bounds());
    let mut line = door.line(10);
    door.release(1);
    door.release(5);
    assert_eq!(let_go(&mut line).len(), 1);
}

#[test]
fn so_many_a_second_go_one_after_the_other() {
    let mut door = Door::held(per_second(10));
    let mut line = door.line(10);
    door.release(1_000);
    let mut going = let_go(&mut line);
    assert_eq!(going.len(), 1, "whatever ran before");
    while door.pace() {
        let next = let_go(&mut line);
        assert_eq!(next.len(), 1);
        going.extend(next);
    }
    assert_eq!(door.now, ms(900));
    assert_eq!(let_go(&mut line).len(), 1);
}

#[test]
fn a_high_rate_goes_in_small_groups() {
    let mut door = Door::held(per_second(10_000));
    let mut line = door.line(1_000);
    door.release(1);
    let mut largest = 0;
    while door.pace() {
        largest = largest.max(let_go(&mut line).len());
    }
    assert!(largest <= 51, "{largest}");
    assert!(door.now <= ms(100), "{:?}", door.now);
}

#[test]
fn a_late_tick_catches_up_a_tenth_of_a_second() {
    let mut door = Door::held(per_second(100));
    let mut line = door.line(1_000);
    door.release(1);
    door.wait(ms(60_000));
    door.queue.pace(door.now);
    assert_eq!(
        let_go(&mut line).len(),
        12,
        "the first, ten that were missed, and the one due now"
    );
}

#[test]
fn a_turn_that_nobody_looked_at_costs_no_time() {
    let mut door = Door::held(per_second(1));
    let mut line = door.line(3);
    door.release(1);
    drop(line.remove(0));
    let _second = admitted(&mut line[0]);
    assert!(door.pace() || door.is_open());
    assert_eq!(door.now, ms(1_000));
}

/// However many arrive meanwhile, ten times as many as may go: those who came after the release go at a rate that
/// doubles each second.
#[test]
fn a_rate_below_that_of_the_arrivals_still_ends() {
    let mut door = Door::held(Bounds {
        max_requests: 100_000,
        max_per_client: 100_000,
        ..per_second(100)
    });
    let mut line = VecDeque::from(door.line(100));
    door.release(1);
    let mut open_at = None;
    for step in 0..20_000_u64 {
        door.now = ms(step);
        door.queue.pace(door.now);
        if door.is_open() {
            open_at = Some(door.now);
            break;
        }
        line.push_back(door.ticket(post(1)));
        while line.front_mut().is_some_and(|first| look(first).is_some()) {
            line.pop_front();
        }
    }
    let open_at = open_at.expect("open within 20 s");
    assert!((ms(4_000)..ms(8_000)).contains(&open_at), "{open_at:?}");
}

#[test]
fn no_rate_is_no_standstill() {
    let mut door = Door::held(per_second(0));
    let _line = door.line(3);
    door.release(0);
    while door.pace() {}
    assert_eq!(door.now, Duration::from_secs(2));
}

#[test]
fn an_app_of_eight_threads_is_not_buried_under_what_waits() {
    let mut door = Door::held(bounds());
    let mut line = door.line(900);
    door.release(1);
    let mut at_the_app = VecDeque::new();
    let mut most = 0;
    for _ in 0..200 {
        at_the_app.extend(let_go(&mut line));
        most = most.max(at_the_app.len());
        door.wait(ms(10));
        for mut done in at_the_app.drain(..at_the_app.len().min(8)) {
            done.answered(door.now);
        }
        door.queue.pace(door.now);
    }
    assert!(line.is_empty(), "{} still wait", line.len());
    // Growth by time alone comes on top: the door must open some time even if the app gets no faster.
    assert!((8..100).contains(&most), "{most} at once");
}
