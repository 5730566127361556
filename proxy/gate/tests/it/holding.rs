//! A shut door keeps requests within its bounds, and gives a reason for each that it refuses.

use swap_gate::{Arrival, Bounds, Expired, Reason, TICKET_OVERHEAD_BYTES};

use crate::support::*;

#[test]
fn an_open_door_lets_everybody_pass_and_counts_nothing() {
    let door = Door::new(bounds());
    passes(door.arrive(get(1)));
    assert!(door.is_open());
    assert_eq!((door.counts().number, door.counts().held), (0, 0));
}

#[test]
fn a_shut_door_keeps_the_held_methods_and_lets_the_others_pass() {
    let door = Door::new(bounds());
    door.queue.hold("command", POST, door.now);
    assert_eq!(door.queue.shut_for(), POST);
    passes(door.arrive(get(1)));
    let _ticket = door.ticket(post(1));
    let counts = door.counts();
    assert_eq!((counts.cause, counts.methods), (Some("command"), POST));
    assert_eq!((counts.number, counts.held, counts.waiting), (1, 1, 1));
}

#[test]
fn a_second_hold_changes_cause_and_methods_and_nobody_loses_its_place() {
    let door = Door::held(bounds());
    let mut reader = door.ticket(get(1));
    door.queue.hold("swap", POST, door.now);
    assert!(
        look(&mut reader).is_none(),
        "its method is not held any more, but it keeps waiting"
    );
    passes(door.arrive(get(2)));
    let counts = door.counts();
    assert_eq!(
        (counts.number, counts.cause, counts.waiting),
        (1, Some("swap"), 1)
    );
    door.release(1);
    let _first = admitted(&mut reader);
}

#[test]
fn each_hold_has_a_number_and_counts_from_zero() {
    let door = Door::held(bounds());
    drop(door.ticket(post(1)));
    door.release(1);
    assert!(door.is_open());
    assert_eq!(
        door.counts().abandoned,
        1,
        "the last hold's numbers stay until the next"
    );
    door.queue.hold("swap", POST, door.now);
    let counts = door.counts();
    assert_eq!((counts.number, counts.held, counts.abandoned), (2, 0, 0));
}

#[test]
fn a_full_hold_refuses_the_excess_only() {
    let door = Door::held(Bounds {
        max_requests: 3,
        ..bounds()
    });
    let mut line = door.line(3);
    assert_eq!(shed(door.arrive(post(9))), Reason::Full);
    assert_eq!(shed(door.arrive(post(9))), Reason::Full);
    line.pop();
    let _fits = door.ticket(post(9));
    let counts = door.counts();
    assert_eq!((counts.held, counts.waiting, counts.held_peak), (4, 3, 3));
    assert_eq!((counts.shed.full, counts.abandoned), (2, 1));
}

#[test]
fn bytes_count_with_the_overhead_of_each_ticket() {
    let door = Door::held(Bounds {
        max_bytes: 2 * (1_000 + TICKET_OVERHEAD_BYTES),
        ..bounds()
    });
    let _first = door.ticket(of_bytes(1_000));
    assert_eq!(shed(door.arrive(of_bytes(1_001))), Reason::Bytes);
    let second = door.ticket(of_bytes(1_000));
    assert_eq!(shed(door.arrive(of_bytes(0))), Reason::Bytes);
    assert_eq!(
        door.counts().waiting_bytes,
        2 * (1_000 + TICKET_OVERHEAD_BYTES) as u64
    );
    drop(second);
    assert_eq!(
        door.counts().waiting_bytes,
        (1_000 + TICKET_OVERHEAD_BYTES) as u64
    );
    assert_eq!(door.counts().shed.bytes, 2);
    assert_eq!(shed(door.arrive(of_bytes(usize::MAX))), Reason::Bytes);
}

#[test]
fn one_who_waits_may_bring_more_as_far_as_the_bytes_go() {
    let door = Door::held(Bounds {
        max_bytes: 2 * (1_000 + TICKET_OVERHEAD_BYTES),
        ..bounds()
    });
    let first = door.ticket(of_bytes(500));
    let second = door.ticket(of_bytes(500));
    let room = first.room();
    assert!(room.take(600));
    assert!(!room.take(401), "there are only 400 left");
    assert!(room.take(400));
    assert_eq!(shed(door.arrive(of_bytes(0))), Reason::Bytes);
    drop(first);
    assert_eq!(
        door.counts().waiting_bytes,
        (500 + TICKET_OVERHEAD_BYTES) as u64
    );
    assert!(!room.take(1), "it has left");
    assert!(second.room().take(1_500));
}

#[test]
fn a_client_is_held_to_its_share_once_the_hold_is_half_full() {
    let door = Door::held(Bounds {
        max_requests: 8,
        max_per_client: 2,
        ..bounds()
    });
    let greedy: Vec<_> = (0..4).map(|_| door.ticket(post(7))).collect();
    assert_eq!(shed(door.arrive(post(7))), Reason::Share);
    let _another = door.ticket(post(8));
    let _again = door.ticket(post(8));
    assert_eq!(shed(door.arrive(post(8))), Reason::Share);
    drop(greedy);
    let _room = door.ticket(post(8));
    assert_eq!(door.counts().shed.share, 2);
}

#[test]
fn whoever_leaves_frees_place_bytes_and_share_at_once() {
    let door = Door::held(Bounds {
        max_requests: 2,
        max_per_client: 2,
        max_bytes: 2 * (100 + TICKET_OVERHEAD_BYTES),
        ..bounds()
    });
    for _ in 0..100 {
        let (_first, _second) = (door.ticket(post(1)), door.ticket(post(1)));
    }
    let counts = door.counts();
    assert_eq!((counts.held, counts.abandoned), (200, 200));
    assert_eq!((counts.waiting, counts.waiting_bytes), (0, 0));
}

#[test]
fn smaller_bounds_send_nobody_away_and_change_no_deadline() {
    let mut door = Door::held(bounds());
    let mut line = door.line(3);
    door.queue.set_bounds(Bounds {
        max_requests: 2,
        max_wait: ms(1),
        ..bounds()
    });
    door.wait(ms(5));
    assert_eq!(line[0].deadline(), ms(10_000));
    assert_eq!(shed(door.arrive(post(9))), Reason::Full);
    line.truncate(1);
    assert_eq!(door.ticket(post(9)).deadline(), ms(6));
}

#[test]
fn nobody_is_held_where_nothing_may_be_held() {
    let door = Door::held(Bounds {
        max_requests: 0,
        ..bounds()
    });
    assert_eq!(shed(door.arrive(post(1))), Reason::Full);
    door.release(1);
    assert!(door.is_open());
}

#[test]
fn a_request_that_waited_its_time_is_counted_and_its_place_is_free() {
    let mut door = Door::held(Bounds {
        max_requests: 1,
        ..bounds()
    });
    let ticket = door.ticket(post(1));
    door.wait(ms(10_000));
    assert_eq!(ticket.deadline(), door.now);
    assert!(matches!(ticket.expire(door.now), Expired::TimedOut));
    let counts = door.counts();
    assert_eq!((counts.shed.timeout, counts.waiting), (1, 0));
    assert_eq!(counts.longest, ms(10_000));
    let _next = door.ticket(post(1));
}

#[test]
fn the_oldest_wait_and_the_longest_are_known() {
    let mut door = Door::held(bounds());
    let first = door.ticket(post(1));
    door.wait(ms(30));
    let _second = door.ticket(post(2));
    door.wait(ms(10));
    assert_eq!(
        (door.counts().oldest, door.counts().longest),
        (ms(40), ms(40))
    );
    drop(first);
    assert_eq!(
        (door.counts().oldest, door.counts().longest),
        (ms(10), ms(40))
    );
}

#[test]
fn a_clock_that_is_late_on_its_way_to_the_lock_does_not_go_back() {
    let mut door = Door::held(bounds());
    door.wait(ms(50));
    let _first = door.ticket(post(1));
    let overtaken = waits(door.queue.arrive(post(2), ms(20)));
    assert_eq!(overtaken.arrived(), ms(50));
}

#[test]
fn a_hold_that_has_given_up_refuses_at_once_and_keeps_those_who_wait() {
    let mut door = Door::held(bounds());
    let mut early = door.ticket(post(1));
    let late = door.ticket(post(2));
    door.queue.give_up(door.now);
    assert_eq!(shed(door.arrive(post(3))), Reason::GivenUp);
    assert!(door.counts().given_up);
    assert_eq!(door.counts().shed.given_up, 1);
    assert!(look(&mut early).is_none());
    door.wait(ms(10_000));
    assert!(matches!(late.expire(door.now), Expired::TimedOut));
    door.release(1);
    let _admission = admitted(&mut early);
    assert!(door.is_open());
    assert!(!door.counts().given_up);
}

#[test]
fn a_hold_after_giving_up_holds_again() {
    let door = Door::held(bounds());
    door.queue.give_up(door.now);
    door.queue.hold("swap", POST, door.now);
    let _ticket = door.ticket(post(1));
    assert_eq!(
        door.counts().number,
        1,
        "the door was never open in between"
    );
}

#[test]
fn giving_up_means_nothing_at_a_door_that_is_not_held() {
    let door = Door::new(bounds());
    door.queue.give_up(door.now);
    passes(door.arrive(post(1)));
    door.queue.hold("command", POST, door.now);
    let mut line = door.line(2);
    door.release(1);
    door.queue.give_up(door.now);
    let _behind = door.ticket(post(3));
    assert_eq!(let_go(&mut line).len(), 1);
}

#[test]
fn a_hundred_thousand_may_wait_and_leave_in_any_order() {
    let door = Door::held(Bounds {
        max_requests: 100_000,
        max_per_client: 100_000,
        ..bounds()
    });
    let arrival = |client: u128| Arrival {
        client: client % 977,
        ..post(0)
    };
    let mut line: Vec<_> = (0..100_000)
        .map(|client| Some(door.ticket(arrival(client))))
        .collect();
    for step in [7, 3, 1] {
        line.iter_mut()
            .step_by(step)
            .for_each(|ticket| *ticket = None);
    }
    let counts = door.counts();
    assert_eq!((counts.held_peak, counts.abandoned), (100_000, 100_000));
    assert_eq!((counts.waiting, counts.waiting_bytes), (0, 0));
}
