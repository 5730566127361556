//! A request that comes back unsent shuts the door if it is the first to know, and finds its place.

use swap_gate::{Bounds, Expired, Reason, TICKET_OVERHEAD_BYTES, Turn};

use crate::support::*;

const THIS_GATE: u64 = 5;
const OLDER_GATE: u64 = 4;

fn open_door(bounds: Bounds) -> Door {
    let door = Door::new(bounds);
    door.queue.set_epoch(THIS_GATE);
    door
}

#[test]
fn the_first_to_find_nobody_behind_the_gate_shuts_the_door() {
    let door = open_door(bounds());
    let (_first, shut) = back(door.queue.come_back("down", THIS_GATE, get(1), door.now));
    assert!(shut);
    let (_second, shut) = back(door.queue.come_back("down", THIS_GATE, get(2), door.now));
    assert!(!shut, "only the first one");
    let _arrival = door.ticket(post(3));
    let counts = door.counts();
    assert_eq!(
        (counts.number, counts.cause, counts.held),
        (1, Some("down"), 3)
    );
    assert_eq!(counts.methods, u16::MAX);
}

#[test]
fn an_older_gate_says_nothing_about_who_is_live_now() {
    let door = open_door(bounds());
    let came = door.queue.come_back("down", OLDER_GATE, get(1), door.now);
    assert!(!came.shut);
    passes(came.arrived);
    assert!(door.is_open());
}

#[test]
fn a_newer_gate_than_is_known_is_that_of_the_publish_under_way() {
    let door = open_door(bounds());
    let (_ticket, shut) = back(
        door.queue
            .come_back("down", THIS_GATE + 1, get(1), door.now),
    );
    assert!(shut);
    door.queue.set_epoch(THIS_GATE + 1);
    door.queue.set_epoch(OLDER_GATE);
    door.release(1);
    passes(
        door.queue
            .come_back("down", THIS_GATE, get(1), door.now)
            .arrived,
    );
}

#[test]
fn whoever_comes_back_waits_before_those_who_arrived_in_the_order_of_coming_back() {
    let door = open_door(bounds());
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let arrived = door.ticket(post(1));
    let (first, _) = back(door.queue.come_back("down", OLDER_GATE, post(2), door.now));
    let (second, _) = back(door.queue.come_back("down", OLDER_GATE, post(3), door.now));
    assert!(first.place() < second.place());
    assert!(second.place() < arrived.place());
    door.release(3);
    let mut line = vec![first, second, arrived];
    assert_eq!(let_go(&mut line).len(), 3);
}

#[test]
fn an_older_gate_is_no_way_around_a_shut_door() {
    let door = open_door(bounds());
    door.queue.hold("swap", POST, door.now);
    let (_ticket, shut) = back(door.queue.come_back("down", OLDER_GATE, post(1), door.now));
    assert!(!shut);
    passes(
        door.queue
            .come_back("down", OLDER_GATE, get(1), door.now)
            .arrived,
    );
    assert_eq!(door.counts().cause, Some("swap"));
}

#[test]
fn a_read_that_comes_back_while_writes_are_held_shuts_the_door_for_reads_too() {
    let door = open_door(bounds());
    door.queue.hold("command", POST, door.now);
    let _writer = door.ticket(post(1));
    let (_reader, shut) = back(door.queue.come_back("down", THIS_GATE, get(2), door.now));
    assert!(shut);
    let _other_reader = door.ticket(get(3));
    let counts = door.counts();
    assert_eq!(
        (counts.number, counts.held, counts.cause),
        (1, 3, Some("down"))
    );
}

#[test]
fn whoever_comes_back_during_a_release_stops_it() {
    let door = open_door(bounds());
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut line = door.line(5);
    door.release(2);
    let mut going = let_go(&mut line);
    let second = going.remove(1);
    let first = going.remove(0);
    let place = first.place();
    let (first, shut) = back(first.come_back("down", THIS_GATE, door.now));
    assert!(shut);
    assert_eq!(first.place(), place);
    assert!(second.is_called_off(), "it need not try");
    let (second, shut) = back(second.come_back("down", THIS_GATE, door.now));
    assert!(!shut);
    assert!(door.queue.pace(door.now).is_none());
    let counts = door.counts();
    assert_eq!((counts.held, counts.released, counts.waiting), (5, 0, 5));

    door.release(5);
    let mut whole = vec![first, second];
    whole.append(&mut line);
    assert_eq!(let_go(&mut whole).len(), 5);
    assert_eq!(door.counts().released, 5);
}

#[test]
fn an_admission_that_met_the_old_gate_goes_again_as_soon_as_there_is_a_turn() {
    let door = open_door(bounds());
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut line = door.line(3);
    door.release(1);
    let early = admitted(&mut line[0]);
    let (mut early, shut) = back(early.come_back("down", OLDER_GATE, door.now));
    assert!(!shut);
    let _early = admitted(&mut early);
    assert!(look(&mut line[1]).is_none());
}

#[test]
fn it_keeps_its_deadline_and_counts_once() {
    let mut door = open_door(bounds());
    door.queue.hold("down", EVERY_METHOD, door.now);
    let mut ticket = door.ticket(post(1));
    let deadline = ticket.deadline();
    for _ in 0..3 {
        door.wait(ms(1_000));
        door.release(1);
        let admission = admitted(&mut ticket);
        assert_eq!(admission.waited(door.now), door.now);
        ticket = back(admission.come_back("down", THIS_GATE, door.now)).0;
        assert_eq!(ticket.deadline(), deadline);
    }
    // The door had opened each time behind the last one, so each was a hold of its own.
    assert_eq!((door.counts().number, door.counts().held), (4, 1));
    door.wait(ms(7_000));
    assert!(matches!(ticket.expire(door.now), Expired::TimedOut));
    assert_eq!(door.counts().longest, ms(10_000));
}

#[test]
fn one_of_an_earlier_hold_waits_before_everybody_of_this_one() {
    let door = open_door(bounds());
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut early = door.ticket(post(1));
    door.release(1);
    let early = admitted(&mut early);
    assert!(door.is_open());
    let (passed, shut) = back(door.queue.come_back("down", THIS_GATE, post(2), door.now));
    assert!(shut);
    let (early, _) = back(early.come_back("down", THIS_GATE, door.now));
    let arrived = door.ticket(post(3));
    assert!(early.place() < passed.place());
    assert!(passed.place() < arrived.place());
    let counts = door.counts();
    assert_eq!((counts.held, counts.released, counts.waiting), (3, 0, 3));
}

#[test]
fn the_oldest_wait_is_found_among_those_who_came_back_too() {
    let mut door = open_door(bounds());
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut early = door.ticket(post(1));
    door.wait(ms(100));
    door.release(1);
    let early = admitted(&mut early);
    let (_passed, _) = back(door.queue.come_back("down", THIS_GATE, post(2), door.now));
    door.wait(ms(10));
    let _arrived = door.ticket(post(3));
    assert_eq!(door.counts().oldest, ms(10));
    let (_early, _) = back(early.come_back("down", THIS_GATE, door.now));
    assert_eq!(door.counts().oldest, ms(110));
}

#[test]
fn the_youngest_makes_way_in_a_full_hold_and_is_told_at_once() {
    let door = open_door(Bounds {
        max_requests: 2,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut line = door.line(2);
    let (_back, _) = back(door.queue.come_back("down", OLDER_GATE, post(9), door.now));
    assert!(matches!(look(&mut line[1]), Some(Turn::Shed(Reason::Full))));
    assert!(look(&mut line[0]).is_none());
    let counts = door.counts();
    assert_eq!((counts.held, counts.waiting, counts.shed.full), (2, 2, 1));
    assert_eq!(counts.held_peak, 2);
}

#[test]
fn a_displaced_one_is_no_timeout_and_no_abandoned_one() {
    let door = open_door(Bounds {
        max_requests: 2,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut line = door.line(2);
    let (_first, _) = back(door.queue.come_back("down", OLDER_GATE, post(8), door.now));
    let (_second, _) = back(door.queue.come_back("down", OLDER_GATE, post(9), door.now));
    let expired = line.remove(0).expire(door.now);
    assert!(matches!(expired, Expired::Shed(Reason::Full)));
    drop(line);
    let counts = door.counts();
    assert_eq!(
        (counts.shed.full, counts.shed.timeout, counts.abandoned),
        (2, 0, 0)
    );
}

#[test]
fn as_many_make_way_as_its_bytes_need() {
    let each = 1_000 + TICKET_OVERHEAD_BYTES;
    let door = open_door(Bounds {
        max_bytes: 4 * each,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut line: Vec<_> = (0..4).map(|_| door.ticket(of_bytes(1_000))).collect();
    let big = of_bytes(1_000 + each);
    let (_big, _) = back(door.queue.come_back("down", OLDER_GATE, big, door.now));
    assert!(matches!(
        look(&mut line[3]),
        Some(Turn::Shed(Reason::Bytes))
    ));
    assert!(matches!(
        look(&mut line[2]),
        Some(Turn::Shed(Reason::Bytes))
    ));
    assert!(look(&mut line[1]).is_none());
    assert_eq!(door.counts().shed.bytes, 2);
    assert_eq!(door.counts().waiting_bytes, 4 * each as u64);
}

#[test]
fn nobody_makes_way_for_one_that_would_not_fit_even_so() {
    let door = open_door(Bounds {
        max_bytes: 100_000,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let _line = door.line(10);
    let came = door
        .queue
        .come_back("down", OLDER_GATE, of_bytes(100_000), door.now);
    assert_eq!(shed(came.arrived), Reason::Bytes);
    assert_eq!((door.counts().waiting, door.counts().shed.bytes), (10, 1));
}

#[test]
fn a_big_one_does_not_throw_out_a_crowd() {
    let crowd = 1_000;
    let small = 100 + TICKET_OVERHEAD_BYTES;
    let door = open_door(Bounds {
        max_bytes: crowd * small,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let _line = door.line(crowd as u128);
    let come_back = |bytes| {
        door.queue
            .come_back("down", OLDER_GATE, of_bytes(bytes), door.now)
    };
    assert_eq!(shed(come_back(65 * small).arrived), Reason::Bytes);
    assert_eq!(door.counts().waiting, 1_000);
    let (_fits, _) = back(come_back(64 * small - TICKET_OVERHEAD_BYTES));
    assert_eq!(door.counts().waiting, 1_000 - 64 + 1);
}

#[test]
fn an_admission_that_is_the_youngest_itself_finds_no_room() {
    let door = open_door(Bounds {
        max_requests: 1,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut first = door.ticket(post(1));
    door.release(1);
    let first = admitted(&mut first);
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let (_passed, _) = back(door.queue.come_back("down", OLDER_GATE, post(2), door.now));
    // It is older than the one that passed, so it gets the place.
    let (first, _) = back(first.come_back("down", THIS_GATE, door.now));
    assert_eq!(door.counts().shed.full, 1);
    door.release(1);
    drop(first);
    assert!(door.is_open());
}

#[test]
fn a_younger_one_that_comes_back_does_not_displace_an_older_one() {
    let door = open_door(Bounds {
        max_requests: 2,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let mut line = door.line(2);
    door.release(2);
    let (older, younger) = (admitted(&mut line[0]), admitted(&mut line[1]));
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let (_passed, _) = back(door.queue.come_back("down", OLDER_GATE, post(7), door.now));
    let (_older, _) = back(older.come_back("down", THIS_GATE, door.now));
    let came = younger.come_back("down", THIS_GATE, door.now);
    assert!(matches!(came.arrived, swap_gate::Arrived::Wait(_)));
    assert_eq!(door.counts().waiting, 2);
}

#[test]
fn whoever_comes_back_needs_no_share() {
    let door = open_door(Bounds {
        max_requests: 4,
        max_per_client: 1,
        ..bounds()
    });
    door.queue.hold("swap", EVERY_METHOD, door.now);
    let _others = [door.ticket(post(1)), door.ticket(post(2))];
    let (_first, _) = back(door.queue.come_back("down", OLDER_GATE, post(9), door.now));
    let (_second, _) = back(door.queue.come_back("down", OLDER_GATE, post(9), door.now));
    drop(_others);
    assert_eq!(shed(door.arrive(post(9))), Reason::Share, "but takes of it");
}

#[test]
fn a_hold_that_has_given_up_takes_back_only_whom_it_held() {
    let door = open_door(bounds());
    door.queue.hold("down", EVERY_METHOD, door.now);
    let mut line = door.line(2);
    door.release(1);
    let held_before = admitted(&mut line[0]);
    door.queue.hold("down", EVERY_METHOD, door.now);
    door.queue.give_up(door.now);
    let (_ticket, shut) = back(held_before.come_back("down", THIS_GATE, door.now));
    assert!(!shut);
    let came = door.queue.come_back("down", THIS_GATE, post(9), door.now);
    assert_eq!(shed(came.arrived), Reason::GivenUp);
}
