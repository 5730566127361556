//! `swapctl block`: promotes are refused, with the reason and who.

use swap_core::{Event, Generation, Promote};

use crate::cast::*;
use crate::play::Play;

#[test]
fn promotes_are_refused_until_unblocked() {
    let mut play = Play::live();
    assert_eq!(
        play.ask(block("incident 42")),
        "done: promotes are refused from now on: incident 42"
    );
    assert_eq!(
        play.ask(promote("p", "b")),
        "refused: promotes are blocked by uid 0: incident 42"
    );
    assert_eq!(
        play.ask(Event::Unblock),
        "done: promotes are allowed again (blocked by uid 0)"
    );
    assert_eq!(play.ask(Event::Unblock), "done: not blocked");
    assert_eq!(play.ask(promote("p", "b")), "begun p");
}

#[test]
fn rollback_stage_and_hold_are_not_blocked() {
    let mut play = Play::after_a_swap();
    play.tell(block("incident 42"));
    assert_eq!(play.ask(stage("s", "c")), "begun s");
    play.tell(Event::Abort);
    assert_eq!(play.ask(hold("h")), "begun h");
    play.tell(Event::Abort);
    assert_eq!(play.ask(rollback("r")), "begun r");
}

#[test]
fn what_is_under_way_goes_on() {
    let mut play = Play::live();
    play.tell(promote("p", "b"));
    play.tell(block("incident 42"));
    play.tell(probe_passed(1));
    assert_eq!(play.app.live(), Some(&release("b")));
}

#[test]
fn the_gravest_refusal_is_the_one_that_is_told() {
    let mut play = Play::live();
    play.tell(promote_holding("p", "b"));
    play.tell(block("incident 42"));
    let ask = Promote {
        instances: Vec::new(),
        boot: Some(seconds(31)),
        if_current: Some(id("c")),
        if_generation: Some(Generation(9)),
        ..holding("q", "d")
    };
    let same = Event::Promote(Promote {
        operation: operation("p"),
        ..ask.clone()
    });
    assert_eq!(play.ask(same), "known p");
    let asked = |play: &mut Play, ask: &Promote| play.ask(Event::Promote(ask.clone()));
    assert!(asked(&mut play, &ask).starts_with("refused: promotes are blocked"));
    play.tell(Event::Unblock);
    assert_eq!(asked(&mut play, &ask), "refused: a is live, not c");
    let ask = Promote {
        if_current: Some(id("a")),
        ..ask
    };
    assert_eq!(
        asked(&mut play, &ask),
        "refused: the app's generation is 2, not 9"
    );
    let ask = Promote {
        if_generation: Some(Generation(2)),
        ..ask
    };
    assert!(asked(&mut play, &ask).starts_with("refused: operation p"));
    play.tell(Event::Abort);
    play.tell(probe_passed(1));
    play.tell(Event::DoorOpen);
    assert!(asked(&mut play, &ask).starts_with("refused: release d is not known"));
    let ask = Promote {
        instances: vec![address("d")],
        ..ask
    };
    assert!(asked(&mut play, &ask).starts_with("refused: drain 0s + boot 31s"));
}
