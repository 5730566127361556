//! An operation's id is its idempotency key.

use swap_core::Event;

use crate::cast::*;
use crate::play::Play;

#[test]
fn the_same_operation_again_is_known_while_it_runs_and_after_it_has_ended() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    assert_eq!(play.ask(promote("p", "b")), "known p");
    play.tell(Event::Abort);
    assert_eq!(play.ask(promote("p", "b")), "known p");
    assert_eq!(play.ask(rollback("p")), "known p");
    assert_eq!(play.ask(stage("p", "b")), "known p");
    assert_eq!(play.ask(hold("p")), "known p");
}

#[test]
fn it_is_known_after_a_restart() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.crash();
    assert_eq!(play.ask(promote("p", "b")), "known p");
}

#[test]
fn sixty_four_are_remembered() {
    let mut play = Play::live();
    for n in 0..65 {
        play.tell(promote(&format!("p{n}"), "a"));
    }
    assert_eq!(play.ask(promote("p1", "b")), "known p1");
    assert_eq!(play.app.saved().ended.len(), 64);
    assert_eq!(play.ask(promote("p0", "b")), "begun p0");
}

#[test]
fn of_two_at_once_one_wins_and_is_named_to_the_other() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    assert_eq!(
        play.ask(promote("q", "c")),
        "refused: operation p (promote b) is under way"
    );
}
